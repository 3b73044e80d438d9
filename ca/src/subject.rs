//! Whom a certificate names: its common name and its alternative names.
//!
//! Built from names that were checked one by one (`cert`); here they are put together by what the
//! profile wants. A verifier looks at the alternative names alone (RFC 9525 §2), so a server's common
//! name only repeats the first of them, and a client's is its name in the inventory.
//! Refuses: a server without a DNS name or address, names of a kind that the profile has no use for,
//! a wildcard for a client, more names than [`Subject::MAX_NAMES`].

use std::net::IpAddr;

use crate::cert::{CommonName, Csr, DnsName, NameError, SubjectAltName, printable};
use crate::profile::ProfileKind;

/// The names of one certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    label: String,
    organization: Option<CommonName>,
    common_name: Option<CommonName>,
    names: Vec<SubjectAltName>,
}

/// Why names can't stand in a certificate together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubjectError {
    /// A name that is not well-formed.
    #[error("the name {name:?} can't be certified")]
    Name {
        /// The name as it was given, escaped and cut.
        name: String,
        /// What is wrong with it.
        #[source]
        source: NameError,
    },
    /// No name at all.
    #[error("a {kind} certificate needs a name, and the request has none")]
    Nameless {
        /// The profile.
        kind: ProfileKind,
    },
    /// More names than one certificate may carry.
    #[error("{count} names are too many for one certificate; {limit} at most are allowed")]
    TooMany {
        /// How many were given.
        count: usize,
        /// How many may be.
        limit: usize,
    },
    /// A kind of name that the profile has no use for.
    #[error("a {kind} certificate can't carry the name {name}")]
    WrongKind {
        /// The profile.
        kind: ProfileKind,
        /// The name.
        name: SubjectAltName,
    },
}

impl Subject {
    /// How many alternative names a certificate may carry.
    pub const MAX_NAMES: usize = 100;

    /// A client: a common name of its own, alternative names if it has any.
    pub fn client(name: CommonName, names: Vec<SubjectAltName>) -> Result<Subject, SubjectError> {
        let names = checked(ProfileKind::Client, names)?;
        Ok(Subject { label: name.to_string(), organization: None, common_name: Some(name), names })
    }

    /// A server: the first of its names gives the certificate its label.
    ///
    /// The common name is the first DNS name if it fits into 64 characters (RFC 5280 ub-common-name),
    /// or else the first address.
    pub fn server(names: Vec<SubjectAltName>) -> Result<Subject, SubjectError> {
        let names = checked(ProfileKind::Server, names)?;
        let Some(first) = names.first() else {
            return Err(SubjectError::Nameless { kind: ProfileKind::Server });
        };
        let fitting = |name: &SubjectAltName| match name {
            SubjectAltName::Dns(dns) => dns.as_str().parse::<CommonName>().ok(),
            SubjectAltName::Ip(_) | SubjectAltName::Email(_) | SubjectAltName::Uri(_) => None,
        };
        let address = |name: &SubjectAltName| match name {
            SubjectAltName::Ip(ip) => ip.to_string().parse::<CommonName>().ok(),
            SubjectAltName::Dns(_) | SubjectAltName::Email(_) | SubjectAltName::Uri(_) => None,
        };
        let common_name = names.iter().find_map(fitting).or_else(|| names.iter().find_map(address));
        Ok(Subject { label: bare(first), organization: None, common_name, names })
    }

    /// A leaf's subject from names as they were typed: `name` itself, then `dns:…`, `ip:…`, `email:…`, `uri:…`.
    ///
    /// For a server `name` is a DNS name or an address and comes first among the alternative names.
    pub fn typed(kind: LeafKind, name: &str, names: &[String]) -> Result<Subject, SubjectError> {
        within_limit(names.len())?;
        let mut parsed = Vec::with_capacity(names.len() + 1);
        match kind {
            LeafKind::Client => {}
            LeafKind::Server => parsed.push(host(name)?),
        }
        for name in names {
            parsed.push(name.parse().map_err(|source| refused(name, source))?);
        }
        match kind {
            LeafKind::Client => {
                Subject::client(name.parse().map_err(|source| refused(name, source))?, parsed)
            }
            LeafKind::Server => Subject::server(parsed),
        }
    }

    /// The names that a CSR asks for, each checked like one that was typed, for when no others were given.
    ///
    /// A server's common name counts as a DNS name only if the CSR has no alternative names at all.
    pub fn requested(kind: LeafKind, csr: &Csr) -> Result<Subject, SubjectError> {
        let requested = csr.requested_names();
        within_limit(requested.len())?;
        let mut names = Vec::with_capacity(requested.len());
        for name in requested {
            names.push(name.accept().map_err(|source| refused(&name.to_string(), source))?);
        }
        let common_name = csr.requested_common_name();
        match (kind, common_name) {
            (LeafKind::Client, Some(name)) => {
                Subject::client(name.parse().map_err(|source| refused(&name, source))?, names)
            }
            (LeafKind::Client, None) => Err(SubjectError::Nameless { kind: ProfileKind::Client }),
            (LeafKind::Server, Some(name)) if names.is_empty() => Subject::server(vec![host(&name)?]),
            (LeafKind::Server, _) => Subject::server(names),
        }
    }

    /// An authority: an organization and a common name that no other of its generations bears.
    pub(crate) fn authority(organization: CommonName, common_name: CommonName) -> Subject {
        Subject {
            label: common_name.to_string(),
            organization: Some(organization),
            common_name: Some(common_name),
            names: Vec::new(),
        }
    }

    /// Names as a record holds them: they were checked when it was written.
    pub(crate) fn recorded(kind: LeafKind, label: &str, names: &[String]) -> Result<Subject, SubjectError> {
        let mut parsed = Vec::with_capacity(names.len());
        for name in names {
            parsed.push(name.parse().map_err(|source| refused(name, source))?);
        }
        match kind {
            LeafKind::Client => {
                Subject::client(label.parse().map_err(|source| refused(label, source))?, parsed)
            }
            LeafKind::Server => Subject::server(parsed),
        }
    }

    /// The name it has in the inventory.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The organization; authorities alone have one.
    pub fn organization(&self) -> Option<&CommonName> {
        self.organization.as_ref()
    }

    /// The common name, if there is one that fits.
    pub fn common_name(&self) -> Option<&CommonName> {
        self.common_name.as_ref()
    }

    /// The alternative names, without duplicates, in the order they were given.
    pub fn names(&self) -> &[SubjectAltName] {
        &self.names
    }
}

/// What an end-entity certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LeafKind {
    /// TLS client authentication.
    Client,
    /// TLS server authentication.
    Server,
}

impl LeafKind {
    /// The profile that decides its fields.
    pub fn profile(self) -> ProfileKind {
        match self {
            LeafKind::Client => ProfileKind::Client,
            LeafKind::Server => ProfileKind::Server,
        }
    }
}

fn within_limit(count: usize) -> Result<(), SubjectError> {
    match count > Subject::MAX_NAMES {
        true => Err(SubjectError::TooMany { count, limit: Subject::MAX_NAMES }),
        false => Ok(()),
    }
}

fn checked(kind: ProfileKind, names: Vec<SubjectAltName>) -> Result<Vec<SubjectAltName>, SubjectError> {
    within_limit(names.len())?;
    let mut kept: Vec<SubjectAltName> = Vec::with_capacity(names.len());
    for name in names {
        if !fits(kind, &name) {
            return Err(SubjectError::WrongKind { kind, name });
        }
        if !kept.contains(&name) {
            kept.push(name);
        }
    }
    Ok(kept)
}

/// Which kinds of names a profile has a use for. A wildcard names many hosts: no single client is that.
pub(crate) fn fits(kind: ProfileKind, name: &SubjectAltName) -> bool {
    match (kind, name) {
        (ProfileKind::Client, SubjectAltName::Dns(dns)) => !dns.is_wildcard(),
        (ProfileKind::Client, SubjectAltName::Ip(_) | SubjectAltName::Email(_) | SubjectAltName::Uri(_)) => {
            true
        }
        (ProfileKind::Server, SubjectAltName::Dns(_) | SubjectAltName::Ip(_)) => true,
        (ProfileKind::Server, SubjectAltName::Email(_) | SubjectAltName::Uri(_)) => false,
        (ProfileKind::Root | ProfileKind::Issuing, _) => false,
    }
}

/// A server's own name: an address if it reads as one, or else a DNS name.
fn host(name: &str) -> Result<SubjectAltName, SubjectError> {
    if name.parse::<IpAddr>().is_ok() {
        return SubjectAltName::parse_ip(name).map_err(|source| refused(name, source));
    }
    let dns = name.parse::<DnsName>().map_err(|source| refused(name, source))?;
    Ok(SubjectAltName::Dns(dns))
}

/// A name without the word for its kind.
fn bare(name: &SubjectAltName) -> String {
    match name {
        SubjectAltName::Dns(name) => name.to_string(),
        SubjectAltName::Ip(ip) => ip.to_string(),
        SubjectAltName::Email(address) => address.to_string(),
        SubjectAltName::Uri(uri) => uri.to_string(),
    }
}

fn refused(name: &str, source: NameError) -> SubjectError {
    SubjectError::Name { name: printable(&name.chars().take(64).collect::<String>()), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(kind: LeafKind, name: &str, names: &[&str]) -> Result<Subject, SubjectError> {
        Subject::typed(kind, name, &names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
    }

    fn texts(subject: &Subject) -> Vec<String> {
        subject.names().iter().map(SubjectAltName::to_string).collect()
    }

    #[test]
    fn a_client_is_its_common_name() {
        let anna = typed(LeafKind::Client, "anna", &["email:a@example.com", "dns:A.example.com."]).unwrap();
        assert_eq!((anna.label(), anna.common_name().unwrap().as_str()), ("anna", "anna"));
        assert_eq!(texts(&anna), ["email:a@example.com", "dns:a.example.com"]);
        assert!(matches!(typed(LeafKind::Client, "", &[]), Err(SubjectError::Name { .. })));
        let wildcard = typed(LeafKind::Client, "anna", &["dns:*.example.com"]).unwrap_err();
        assert!(matches!(wildcard, SubjectError::WrongKind { .. }), "{wildcard}");
    }

    #[test]
    fn a_server_is_its_first_name() {
        let www =
            typed(LeafKind::Server, "WWW.example.com", &["ip:10.0.0.1", "dns:www.example.com"]).unwrap();
        assert_eq!(
            (www.label(), www.common_name().unwrap().as_str()),
            ("www.example.com", "www.example.com")
        );
        assert_eq!(texts(&www), ["dns:www.example.com", "ip:10.0.0.1"], "once each, the first one first");
        let address = typed(LeafKind::Server, "2001:DB8::1", &[]).unwrap();
        assert_eq!((address.label(), texts(&address)), ("2001:db8::1", vec!["ip:2001:db8::1".to_owned()]));
        assert_eq!(address.common_name().unwrap().as_str(), "2001:db8::1");
        let mixed = typed(LeafKind::Server, "10.0.0.1", &["dns:a.org"]).unwrap();
        assert_eq!((mixed.label(), mixed.common_name().unwrap().as_str()), ("10.0.0.1", "a.org"));
        let long = format!("{}.example.com", "a".repeat(60));
        let long = typed(LeafKind::Server, &long, &[]).unwrap();
        assert_eq!(long.common_name(), None, "72 characters do not fit into a common name");
        for (name, names) in [("www", &["email:a@b.org"][..]), ("www", &["uri:https://b.org"])] {
            let refused = typed(LeafKind::Server, name, names).unwrap_err();
            assert!(matches!(refused, SubjectError::WrongKind { .. }), "{refused}");
        }
    }

    #[test]
    fn a_hundred_names_and_no_more() {
        let many = |count: usize| {
            let names: Vec<String> = (0..count).map(|number| format!("dns:n{number}.example.com")).collect();
            Subject::typed(LeafKind::Client, "anna", &names)
        };
        assert_eq!(many(100).unwrap().names().len(), 100);
        assert_eq!(many(101), Err(SubjectError::TooMany { count: 101, limit: 100 }));
        assert_eq!(many(5000), Err(SubjectError::TooMany { count: 5000, limit: 100 }));
    }
}
