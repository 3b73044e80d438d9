//! Where a user of this machine finds the HTTPS listener, and by what they know it.
//!
//! The socket says so: whoever holds it is the service, and no other proof is needed.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use ca::cert::Fingerprint;

use super::Pki;
use crate::own::{self, Own};
use crate::serve::ListenerState;

/// The HTTPS listener, for whoever is on this machine. As text: `127.0.0.1:8443 4f1c…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpsWay {
    /// Where it is.
    pub address: SocketAddr,
    /// SHA-256 of the certificate that it shows.
    pub fingerprint: Fingerprint,
}

/// A text is no [`HttpsWay`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not an address and a fingerprint")]
pub struct HttpsWayError;

impl fmt::Display for HttpsWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.address, self.fingerprint)
    }
}

impl FromStr for HttpsWay {
    type Err = HttpsWayError;

    fn from_str(text: &str) -> Result<HttpsWay, HttpsWayError> {
        let (address, fingerprint) = text.split_once(' ').ok_or(HttpsWayError)?;
        Ok(HttpsWay {
            address: address.parse().map_err(|_| HttpsWayError)?,
            fingerprint: fingerprint.parse().map_err(|_| HttpsWayError)?,
        })
    }
}

impl Pki {
    /// The way to the HTTPS listener, if it listens.
    pub(crate) fn https_way(&self) -> Option<HttpsWay> {
        let ListenerState::Listening(address) = self.https_state() else { return None };
        let certificate = own::in_place(self, Own::Service).ok()??;
        Some(HttpsWay { address: nearest(address), fingerprint: certificate.fingerprint() })
    }
}

/// Where one that listens everywhere is found on this machine.
fn nearest(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_is_read_as_it_is_written() {
        for (bound, reached) in [
            ("0.0.0.0:8443", "127.0.0.1:8443"),
            ("[::]:8443", "[::1]:8443"),
            ("192.0.2.1:443", "192.0.2.1:443"),
        ] {
            let fingerprint = Fingerprint::from_bytes([0xab; 32]);
            let way = HttpsWay { address: nearest(bound.parse().unwrap()), fingerprint };
            assert_eq!(way.to_string(), format!("{reached} {}", "ab".repeat(32)));
            assert_eq!(way.to_string().parse(), Ok(way));
        }
        for bad in ["", "127.0.0.1:8443", "127.0.0.1 ab", " ", "x y"] {
            assert_eq!(bad.parse::<HttpsWay>(), Err(HttpsWayError), "{bad}");
        }
    }
}
