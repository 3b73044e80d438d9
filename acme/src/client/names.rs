//! The names of one certificate, as ACME can validate them.

use std::fmt;
use std::net::IpAddr;

use ca::cert::{DnsName, NameError, SubjectAltName};
use instant_acme::Identifier;

use super::{Limits, Method};
use crate::Error;

/// Host names and addresses (RFC 8738), at least one, none twice. The first names the certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names(Vec<SubjectAltName>);

impl Names {
    /// Reads names as a user writes them: `www.example.org`, `*.example.org`, `192.0.2.1`.
    pub fn parse<S: AsRef<str>>(names: &[S], limits: &Limits) -> Result<Names, Error> {
        let mut parsed: Vec<SubjectAltName> = Vec::with_capacity(names.len().min(limits.names));
        if names.is_empty() || names.len() > limits.names {
            return Err(Error::NameCount { count: names.len(), limit: limits.names });
        }
        for name in names {
            let name = name.as_ref();
            let refuse = |source: NameError| Error::Name { name: shown(name), source };
            let one = match name.parse::<IpAddr>() {
                Ok(address) => SubjectAltName::ip(address).map_err(refuse)?,
                Err(_not_an_address) => SubjectAltName::Dns(name.parse::<DnsName>().map_err(refuse)?),
            };
            if !parsed.contains(&one) {
                parsed.push(one);
            }
        }
        Ok(Names(parsed))
    }

    /// Refuses what a method can't prove: a wildcard is proved by DNS alone (RFC 8555 §7.1.3), an address
    /// never by it (RFC 8738 §7).
    pub fn provable_by(&self, method: Method) -> Result<(), Error> {
        for name in &self.0 {
            match (name, method) {
                (SubjectAltName::Dns(host), Method::Http01 | Method::TlsAlpn01) if host.is_wildcard() => {
                    return Err(Error::Wildcard { name: host.to_string() });
                }
                (SubjectAltName::Ip(address), Method::Dns01) => {
                    return Err(Error::AddressByDns { address: *address });
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The names, the first one first.
    pub fn as_slice(&self) -> &[SubjectAltName] {
        &self.0
    }

    /// As text without kinds, the first one first.
    pub fn to_strings(&self) -> Vec<String> {
        self.0.iter().map(bare).collect()
    }

    /// The first name, which names the certificate and its files.
    pub fn first(&self) -> String {
        self.0.first().map(bare).unwrap_or_default()
    }

    /// As an order asks for them (RFC 8555 §7.1.4, RFC 8738 §3).
    pub(crate) fn identifiers(&self) -> Vec<Identifier> {
        self.0
            .iter()
            .map(|name| match name {
                SubjectAltName::Ip(address) => Identifier::Ip(*address),
                SubjectAltName::Dns(_) | SubjectAltName::Email(_) | SubjectAltName::Uri(_) => {
                    Identifier::Dns(bare(name))
                }
            })
            .collect()
    }

    /// Sorted, for comparing.
    pub(crate) fn sorted(&self) -> Vec<SubjectAltName> {
        let mut sorted = self.0.clone();
        sorted.sort();
        sorted
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_strings().join(", "))
    }
}

fn bare(name: &SubjectAltName) -> String {
    match name {
        SubjectAltName::Dns(name) => name.to_string(),
        SubjectAltName::Email(name) => name.to_string(),
        SubjectAltName::Ip(address) => address.to_string(),
        SubjectAltName::Uri(name) => name.to_string(),
    }
}

fn shown(name: &str) -> String {
    name.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(names: &[&str]) -> Result<Names, Error> {
        Names::parse(names, &Limits::default())
    }

    #[test]
    fn hosts_and_addresses_are_told_apart_and_kept_once() {
        let names = parse(&["WWW.Example.org.", "192.0.2.1", "www.example.org", "::1"]).unwrap();
        assert_eq!(names.to_strings(), ["www.example.org", "192.0.2.1", "::1"]);
        assert_eq!(names.first(), "www.example.org");
        assert_eq!(names.identifiers()[1], Identifier::Ip("192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn what_a_method_can_not_prove_is_refused() {
        let wildcard = parse(&["example.org", "*.example.org"]).unwrap();
        for method in [Method::Http01, Method::TlsAlpn01] {
            assert!(matches!(wildcard.provable_by(method), Err(Error::Wildcard { .. })));
        }
        wildcard.provable_by(Method::Dns01).unwrap();
        let address = parse(&["example.org", "192.0.2.1"]).unwrap();
        assert!(matches!(address.provable_by(Method::Dns01), Err(Error::AddressByDns { .. })));
        address.provable_by(Method::Http01).unwrap();
        assert!(matches!(parse(&["a b"]), Err(Error::Name { .. })));
        assert!(matches!(parse(&[]), Err(Error::NameCount { count: 0, .. })));
        let many: Vec<String> = (0..101).map(|n| format!("n{n}.example")).collect();
        let many = Names::parse(&many, &Limits::default());
        assert!(matches!(many, Err(Error::NameCount { count: 101, limit: 100 })));
    }
}
