//! Name constraints: below which names an issuing CA may sign (RFC 5280 §4.2.1.10).
//!
//! Ours are permitted subtrees of DNS names and addresses, critical, on the issuing CA alone. The RFC
//! leaves a kind of name free that no subtree mentions; so domains alone exclude every address. Networks
//! alone leave DNS names free: OpenSSL takes an address in a common name for one, and would refuse our
//! servers. Mail addresses and URIs stay free as well: rustls-webpki refuses every certificate that has
//! one below a constraint of its kind, fitting or not. Read from foreign certificates they may
//! hold more; what this module can't judge is refused rather than ignored.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use x509_parser::extensions::{GeneralName, GeneralSubtree};

use crate::cert::{DnsName, SubjectAltName};

/// One subtree of names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NameConstraint {
    /// A domain and everything below it.
    Dns(DnsName),
    /// The addresses that agree with the first in the given number of leading bits.
    Ip(IpAddr, u8),
}

/// Why a name constraint was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConstraintError {
    /// The address has bits set that the prefix leaves free.
    #[error("{given} has bits set behind its prefix; {network} is the network")]
    HostBits {
        /// What was given.
        given: String,
        /// What was probably meant.
        network: String,
    },
    /// Neither a domain nor a network.
    #[error("{given:?} is neither a domain, such as example.com, nor a network, such as 10.0.0.0/8")]
    Neither {
        /// What was given.
        given: String,
    },
    /// More than a certificate should carry.
    #[error("{count} name constraints are too many; {limit} at most are allowed")]
    TooMany {
        /// How many were given.
        count: usize,
        /// How many may be.
        limit: usize,
    },
    /// A certificate holds a constraint that this program can't judge.
    #[error("the certificate has a name constraint that can't be judged here: {found}")]
    Unsupported {
        /// What was found.
        found: String,
    },
}

impl FromStr for NameConstraint {
    type Err = ConstraintError;

    fn from_str(text: &str) -> Result<NameConstraint, ConstraintError> {
        let neither = || ConstraintError::Neither { given: text.chars().take(64).collect() };
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        if let Ok(address) = address.parse::<IpAddr>() {
            let width = if address.is_ipv4() { 32 } else { 128 };
            let bits = match prefix {
                None => width,
                Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) && !digits.is_empty() => {
                    digits.parse::<u8>().ok().filter(|&bits| bits <= width).ok_or_else(neither)?
                }
                Some(_) => return Err(neither()),
            };
            let network = masked(address, bits);
            if network != address {
                let network = format!("{network}/{bits}");
                return Err(ConstraintError::HostBits { given: text.to_owned(), network });
            }
            return Ok(NameConstraint::Ip(address, bits));
        }
        let domain = text.strip_prefix('.').unwrap_or(text);
        match domain.parse::<DnsName>() {
            Ok(name) if !name.is_wildcard() => Ok(NameConstraint::Dns(name)),
            Ok(_) | Err(_) => Err(neither()),
        }
    }
}

impl fmt::Display for NameConstraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameConstraint::Dns(domain) => write!(f, "{domain}"),
            NameConstraint::Ip(network, bits) => write!(f, "{network}/{bits}"),
        }
    }
}

impl NameConstraint {
    fn covers_dns(&self, name: &str) -> bool {
        match self {
            NameConstraint::Dns(domain) => {
                let name = name.strip_prefix("*.").unwrap_or(name);
                name == domain.as_str()
                    || name.strip_suffix(domain.as_str()).is_some_and(|rest| rest.ends_with('.'))
            }
            NameConstraint::Ip(..) => false,
        }
    }

    fn covers_ip(&self, address: IpAddr) -> bool {
        match self {
            NameConstraint::Ip(network, bits) => {
                network.is_ipv4() == address.is_ipv4() && masked(address, *bits) == *network
            }
            NameConstraint::Dns(_) => false,
        }
    }
}

/// The subtrees that an authority is held to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameConstraints {
    permitted: Vec<NameConstraint>,
    excluded: Vec<NameConstraint>,
}

impl NameConstraints {
    /// How many subtrees a certificate of ours may carry.
    pub const LIMIT: usize = 100;

    /// Constraints that permit these subtrees; none at all leave every name free.
    ///
    /// Domains alone exclude every address.
    pub fn permitting(mut permitted: Vec<NameConstraint>) -> Result<NameConstraints, ConstraintError> {
        if permitted.len() > Self::LIMIT {
            return Err(ConstraintError::TooMany { count: permitted.len(), limit: Self::LIMIT });
        }
        permitted.sort();
        permitted.dedup();
        let addresses = permitted.iter().any(|one| matches!(one, NameConstraint::Ip(..)));
        let excluded = match permitted.is_empty() || addresses {
            true => Vec::new(),
            false => vec![
                NameConstraint::Ip(IpAddr::from([0; 4]), 0),
                NameConstraint::Ip(IpAddr::from([0; 16]), 0),
            ],
        };
        Ok(NameConstraints { permitted, excluded })
    }

    /// Reads what [`NameConstraints::texts`] wrote.
    pub(crate) fn recorded(
        permitted: &[String],
        excluded: &[String],
    ) -> Result<NameConstraints, ConstraintError> {
        let read = |texts: &[String]| texts.iter().map(|text| text.parse()).collect::<Result<Vec<_>, _>>();
        let mut constraints = Self::permitting(read(permitted)?)?;
        constraints.excluded = read(excluded)?;
        Ok(constraints)
    }

    /// The permitted and the excluded subtrees as text.
    pub(crate) fn texts(&self) -> (Vec<String>, Vec<String>) {
        let texts = |each: &[NameConstraint]| each.iter().map(ToString::to_string).collect();
        (texts(&self.permitted), texts(&self.excluded))
    }

    /// Parses what a user gave, e.g. `example.com` and `10.0.0.0/8`.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<NameConstraints, ConstraintError> {
        Self::permitting(texts.into_iter().map(str::parse).collect::<Result<_, _>>()?)
    }

    /// Reads the extension of a certificate; `None` for one that has none.
    pub(crate) fn from_extension(
        extension: Option<&x509_parser::extensions::NameConstraints<'_>>,
    ) -> Result<NameConstraints, ConstraintError> {
        let Some(extension) = extension else { return Ok(NameConstraints::default()) };
        let read = |subtrees: &Option<Vec<GeneralSubtree<'_>>>| {
            subtrees.iter().flatten().map(subtree).collect::<Result<Vec<_>, _>>()
        };
        let mut constraints = NameConstraints {
            permitted: read(&extension.permitted_subtrees)?,
            excluded: read(&extension.excluded_subtrees)?,
        };
        constraints.permitted.sort();
        constraints.excluded.sort();
        Ok(constraints)
    }

    /// The permitted subtrees.
    pub fn permitted(&self) -> &[NameConstraint] {
        &self.permitted
    }

    /// The excluded subtrees.
    pub fn excluded(&self) -> &[NameConstraint] {
        &self.excluded
    }

    /// Whether nothing is constrained.
    pub fn is_empty(&self) -> bool {
        self.permitted.is_empty() && self.excluded.is_empty()
    }

    /// Whether an alternative name may be certified.
    pub fn permits(&self, name: &SubjectAltName) -> bool {
        match name {
            SubjectAltName::Dns(dns) => self.permits_dns(dns.as_str()),
            SubjectAltName::Ip(ip) => self.permits_ip(*ip),
            // No subtree of ours can speak of these, so they are free (RFC 5280 §4.2.1.10).
            SubjectAltName::Email(_) | SubjectAltName::Uri(_) => true,
        }
    }

    /// Whether a DNS name may be certified.
    ///
    /// A wildcard may not if the name it stands for, or any that it could match, is excluded.
    pub(crate) fn permits_dns(&self, name: &str) -> bool {
        let constrained = self.permitted.iter().any(|c| matches!(c, NameConstraint::Dns(_)));
        let excluded = self.excluded.iter().any(|constraint| {
            let below_wildcard = match (name.strip_prefix("*."), constraint) {
                (Some(parent), NameConstraint::Dns(domain)) => {
                    domain.as_str().strip_suffix(parent).is_some_and(|rest| rest.ends_with('.'))
                }
                (None, _) | (Some(_), NameConstraint::Ip(..)) => false,
            };
            constraint.covers_dns(name) || below_wildcard
        });
        !excluded && (!constrained || self.permitted.iter().any(|c| c.covers_dns(name)))
    }

    fn permits_ip(&self, address: IpAddr) -> bool {
        let constrained = self.permitted.iter().any(|c| matches!(c, NameConstraint::Ip(..)));
        !self.excluded.iter().any(|c| c.covers_ip(address))
            && (!constrained || self.permitted.iter().any(|c| c.covers_ip(address)))
    }
}

impl fmt::Display for NameConstraints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |constraints: &[NameConstraint]| {
            constraints.iter().map(NameConstraint::to_string).collect::<Vec<_>>().join(", ")
        };
        match (self.permitted.is_empty(), self.excluded.is_empty()) {
            (true, true) => f.write_str("none"),
            (false, true) => write!(f, "only {}", list(&self.permitted)),
            (true, false) => write!(f, "not {}", list(&self.excluded)),
            (false, false) => write!(f, "only {}, not {}", list(&self.permitted), list(&self.excluded)),
        }
    }
}

fn subtree(subtree: &GeneralSubtree<'_>) -> Result<NameConstraint, ConstraintError> {
    let unsupported = |found: String| ConstraintError::Unsupported { found };
    match &subtree.base {
        GeneralName::DNSName(name) => {
            let domain = name.strip_prefix('.').unwrap_or(name);
            let parsed = domain.parse::<DnsName>();
            parsed.map(NameConstraint::Dns).map_err(|_| unsupported(format!("the DNS name {name:?}")))
        }
        GeneralName::IPAddress(octets) => network(octets)
            .ok_or_else(|| unsupported(format!("the address and mask {}", hex::encode(octets)))),
        GeneralName::OtherName(..)
        | GeneralName::RFC822Name(_)
        | GeneralName::X400Address(_)
        | GeneralName::DirectoryName(_)
        | GeneralName::EDIPartyName(_)
        | GeneralName::URI(_)
        | GeneralName::RegisteredID(_)
        | GeneralName::Invalid(..) => Err(unsupported(format!("{}", subtree.base))),
    }
}

fn network(octets: &[u8]) -> Option<NameConstraint> {
    let (address, mask) = octets.split_at_checked(octets.len() / 2)?;
    let (address, mask) = match (<[u8; 4]>::try_from(address), <[u8; 4]>::try_from(mask)) {
        (Ok(address), Ok(mask)) => (IpAddr::from(address), u128::from(u32::from_be_bytes(mask)) << 96),
        _ => (
            IpAddr::from(<[u8; 16]>::try_from(address).ok()?),
            u128::from_be_bytes(<[u8; 16]>::try_from(mask).ok()?),
        ),
    };
    let bits = mask.leading_ones();
    let contiguous = mask.checked_shl(bits).unwrap_or(0) == 0;
    let bits = u8::try_from(bits).ok()?;
    (contiguous && masked(address, bits) == address).then_some(NameConstraint::Ip(address, bits))
}

fn masked(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits.min(32))).unwrap_or(0);
            IpAddr::from((u32::from(address) & mask).to_be_bytes())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits.min(128))).unwrap_or(0);
            IpAddr::from((u128::from(address) & mask).to_be_bytes())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn constraints(texts: &[&str]) -> NameConstraints {
        NameConstraints::parse(texts.iter().copied()).unwrap()
    }

    #[test]
    fn a_name_lies_below_its_domain_by_whole_labels() {
        let held = constraints(&["example.com", "10.0.0.0/8", "2001:db8::/32"]);
        let table = [
            ("dns:example.com", true),
            ("dns:a.example.com", true),
            ("dns:*.example.com", true),
            ("dns:badexample.com", false),
            ("dns:example.com.evil.org", false),
            ("dns:com", false),
            ("ip:10.255.0.1", true),
            ("ip:11.0.0.1", false),
            ("ip:2001:db8::1", true),
            ("ip:2001:db9::1", false),
            ("email:a@elsewhere.org", true),
            ("uri:spiffe://elsewhere/x", true),
        ];
        for (name, permitted) in table {
            assert_eq!(held.permits(&name.parse().unwrap()), permitted, "{name}");
        }
    }

    #[test]
    fn domains_alone_exclude_addresses_and_other_kinds_are_free() {
        let held = constraints(&["example.com"]);
        for address in ["ip:192.0.2.1", "ip:2001:db8::1"] {
            assert!(!held.permits(&address.parse().unwrap()), "{address}");
        }
        let (permitted, excluded) = held.texts();
        assert_eq!(NameConstraints::recorded(&permitted, &excluded), Ok(held));
        assert!(constraints(&["10.0.0.0/8"]).permits(&"dns:a.org".parse().unwrap()));
        assert!(NameConstraints::default().permits(&"dns:a.org".parse().unwrap()));
    }

    #[test]
    fn excluded_names_win_over_permitted_ones() {
        let mut held = constraints(&["example.com"]);
        held.excluded = vec!["secret.example.com".parse().unwrap()];
        assert!(held.permits(&"dns:a.example.com".parse().unwrap()));
        for name in ["dns:secret.example.com", "dns:x.secret.example.com", "dns:*.example.com"] {
            assert!(!held.permits(&name.parse().unwrap()), "{name}");
        }
    }

    #[test]
    fn what_is_neither_domain_nor_network_is_refused() {
        for text in
            ["", ".", "*.example.com", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "a b", "10.0.0.0/8/8"]
        {
            assert!(text.parse::<NameConstraint>().is_err(), "{text:?}");
        }
        let refused = "10.0.0.1/8".parse::<NameConstraint>().unwrap_err();
        assert!(refused.to_string().contains("10.0.0.0/8"), "{refused}");
        assert_eq!("10.1.2.3".parse(), Ok(NameConstraint::Ip([10, 1, 2, 3].into(), 32)));
        assert_eq!(".example.com".parse::<NameConstraint>(), "example.com".parse());
        assert_eq!("0.0.0.0/0".parse(), Ok(NameConstraint::Ip([0, 0, 0, 0].into(), 0)));
    }

    #[test]
    fn a_mask_with_holes_can_t_be_judged() {
        assert_eq!(network(&[10, 0, 0, 0, 255, 0, 0, 0]), Some(NameConstraint::Ip([10, 0, 0, 0].into(), 8)));
        assert_eq!(network(&[10, 0, 0, 0, 255, 0, 255, 0]), None);
        assert_eq!(network(&[10, 0, 0, 1, 255, 0, 0, 0]), None);
        assert_eq!(network(&[10, 0, 0]), None);
        assert_eq!(network(&[0; 32]), Some(NameConstraint::Ip("::".parse().unwrap(), 0)));
    }
}
