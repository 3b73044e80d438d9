//! Who is at the other end: what they are called in the audit trail.
//!
//! A peer is named here, not trusted: what it may do is [`crate::decide()`]'s answer.

use std::fmt;
use std::net::IpAddr;

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
        /// Where it comes from, as far as that is known. No right rests on it either.
        from: Option<IpAddr>,
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
    /// Whom the identity provider vouches for.
    Person {
        /// Their e-mail address if the provider says that it is theirs, else the subject.
        name: String,
    },
}

impl fmt::Display for Peer {
    /// As the audit trail names it: `service`, `local:1000(anna)`, `local:1000`, `tls:4f1c…@192.0.2.7(web-1)`,
    /// `oidc:anna@example.com`, `anonymous`. The name comes last: it may be anybody's choice.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Certificate { fingerprint, name, from } => {
                write!(f, "tls:{fingerprint}")?;
                if let Some(from) = from {
                    write!(f, "@{from}")?;
                }
                name.as_ref().map_or(Ok(()), |name| write!(f, "({name})"))
            }
            Peer::InProcess => f.write_str("service"),
            Peer::Local { uid, name: Some(name) } => write!(f, "local:{uid}({name})"),
            Peer::Local { uid, name: None } => write!(f, "local:{uid}"),
            Peer::Nobody => f.write_str("anonymous"),
            Peer::Person { name } => write!(f, "oidc:{name}"),
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
        let certificate = |name| Peer::Certificate { fingerprint, name, from: None };
        assert_eq!(Peer::InProcess.to_string(), "service");
        assert_eq!(Peer::Nobody.to_string(), "anonymous");
        let anna = Peer::Person { name: "anna@example.com".into() };
        assert_eq!(anna.to_string(), "oidc:anna@example.com");
        assert_eq!(Peer::Local { uid: 7, name: None }.to_string(), "local:7");
        assert_eq!(Peer::Local { uid: 7, name: Some("anna".into()) }.to_string(), "local:7(anna)");
        assert_eq!(certificate(None).to_string(), format!("tls:{hex}"));
        assert_eq!(certificate(Some("web-1".into())).to_string(), format!("tls:{hex}(web-1)"));
        let from = Some(IpAddr::from([192, 0, 2, 7]));
        let told = Peer::Certificate { fingerprint, name: Some("x@10.0.0.1".into()), from };
        assert_eq!(told.to_string(), format!("tls:{hex}@192.0.2.7(x@10.0.0.1)"));
    }
}
