//! Who is at the other end: what they are called in the audit trail.
//!
//! A peer is named here, not trusted: what it may do is [`crate::decide()`]'s answer.

use std::fmt;

use ca::cert::Fingerprint;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Whoever holds the private key of a certificate: the handshake proved that.
    Certificate {
        /// The certificate.
        fingerprint: Fingerprint,
        /// The name of its entry, or else its common name, made printable. No right rests on it.
        name: Option<String>,
    },
    /// The service itself: its periodic work, and what `pki up` makes at first.
    InProcess,
    /// A user of this machine, as the kernel names the other end of the socket (`SO_PEERCRED`), or
    /// the user of the process that runs the operation itself.
    Local {
        /// The user id.
        uid: u32,
        /// The user's name; `None` if it has none. It gives no right, it can only take one away.
        name: Option<String>,
    },
    /// Someone who showed nothing.
    Nobody,
}

impl fmt::Display for Peer {
    /// As the audit trail names it: `service`, `local:1000(anna)`, `local:1000`, `tls:4f1c…(web-1)`,
    /// `anonymous`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Certificate { fingerprint, name: Some(name) } => write!(f, "tls:{fingerprint}({name})"),
            Peer::Certificate { fingerprint, name: None } => write!(f, "tls:{fingerprint}"),
            Peer::InProcess => f.write_str("service"),
            Peer::Local { uid, name: Some(name) } => write!(f, "local:{uid}({name})"),
            Peer::Local { uid, name: None } => write!(f, "local:{uid}"),
            Peer::Nobody => f.write_str("anonymous"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_named_for_the_audit_trail() {
        let fingerprint = Fingerprint::from_bytes([0xab; 32]);
        let hex = "ab".repeat(32);
        let certificate = |name| Peer::Certificate { fingerprint, name };
        assert_eq!(Peer::InProcess.to_string(), "service");
        assert_eq!(Peer::Nobody.to_string(), "anonymous");
        assert_eq!(Peer::Local { uid: 7, name: None }.to_string(), "local:7");
        assert_eq!(Peer::Local { uid: 7, name: Some("anna".into()) }.to_string(), "local:7(anna)");
        assert_eq!(certificate(None).to_string(), format!("tls:{hex}"));
        assert_eq!(certificate(Some("web-1".into())).to_string(), format!("tls:{hex}(web-1)"));
    }
}
