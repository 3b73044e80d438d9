//! Mail addresses.

use std::str::FromStr;

use super::dns::DnsName;
use super::error::{NameError, quoted};

/// A mailbox, RFC 5280 §4.2.1.6 (rfc822Name).
///
/// Simple and strict: an ASCII dot-atom of at most 64 octets (RFC 5321 §4.5.3.1), one `@`, a host
/// name, at most 254 octets together. No quoted local parts, no comments, no display names. The local
/// part keeps its case, the domain becomes a [`DnsName`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EmailAddress(String);

const MAX_OCTETS: usize = 254;
const MAX_LOCAL_OCTETS: usize = 64;
const KIND: &str = "mail address";

super::text_newtype!(EmailAddress);

impl EmailAddress {
    /// The part behind the `@`.
    pub fn domain(&self) -> &str {
        self.0.split_once('@').map_or("", |(_, domain)| domain)
    }
}

impl FromStr for EmailAddress {
    type Err = NameError;

    fn from_str(text: &str) -> Result<EmailAddress, NameError> {
        let refuse = |reason| NameError::NotEmail { value: quoted(text), reason };
        if text.is_empty() {
            return Err(NameError::Empty { kind: KIND });
        }
        let (local, domain) = text.rsplit_once('@').ok_or_else(|| refuse("it has no @"))?;
        if local.len() > MAX_LOCAL_OCTETS {
            return Err(refuse("the part before the @ has more than 64 octets"));
        }
        if local.split('.').any(str::is_empty) {
            return Err(refuse("the part before the @ is empty or has a dot at an end or two in a row"));
        }
        if !local.bytes().all(|b| b.is_ascii_alphanumeric() || b".!#$%&'*+-/=?^_`{|}~".contains(&b)) {
            return Err(refuse("the part before the @ has characters other than RFC 5322 atoms"));
        }
        let domain: DnsName = domain.parse()?;
        if domain.is_wildcard() {
            return Err(NameError::WildcardHost { value: quoted(domain.as_str()), kind: KIND });
        }
        let address = format!("{local}@{domain}");
        if address.len() > MAX_OCTETS {
            let (length, limit) = (address.len(), MAX_OCTETS);
            return Err(NameError::TooLong { kind: KIND, value: quoted(text), length, limit });
        }
        Ok(EmailAddress(address))
    }
}
