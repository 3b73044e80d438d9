//! What an authority may cost us: every bound in one place, each with a name.

use std::time::Duration;

/// Bounds on the talk with an authority. A hostile or broken one can exhaust none of them unnoticed:
/// exceeding one is an error that names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// To connect, TLS not included.
    pub connect: Duration,
    /// For one request and its whole answer.
    pub request: Duration,
    /// Octets of any answer but a certificate chain.
    pub body: usize,
    /// Octets of a certificate chain.
    pub chain: usize,
    /// Certificates in a chain.
    pub chain_length: usize,
    /// Names in one order.
    pub names: usize,
    /// For the authority to validate the names, or to issue, from the last sign of life.
    pub patience: Duration,
    /// The longest `Retry-After` that is waited for; beyond it the attempt ends and is due again then.
    pub retry_after: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connect: Duration::from_secs(10),
            request: Duration::from_secs(30),
            body: 64 * 1024,
            chain: 1024 * 1024,
            chain_length: 10,
            names: 100,
            patience: Duration::from_secs(180),
            retry_after: Duration::from_secs(60),
        }
    }
}
