//! Names that a certificate can carry, each parsed once under one rule.
//!
//! Whatever reads a certificate later compares octets, so a name has one spelling here: lower case,
//! A-labels, no trailing dot, canonical addresses. Names that could be taken for something else
//! (numbers as host names, control and direction marks, `good\0.evil`) are refused, not repaired.

mod common;
mod dns;
mod email;
mod error;
mod slug;
mod uri;

pub use common::CommonName;
pub use dns::{DnsName, Script};
pub use email::EmailAddress;
pub(super) use error::is_invisible;
pub use error::{NameError, printable};
pub use slug::Slug;
pub use uri::UriName;

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use error::quoted;

/// A name in the subjectAltName extension, RFC 5280 §4.2.1.6.
///
/// As text it is `dns:…`, `ip:…`, `email:…` or `uri:…`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SubjectAltName {
    /// A host name.
    Dns(DnsName),
    /// A mailbox.
    Email(EmailAddress),
    /// An address; build it with [`SubjectAltName::ip`] where it comes from outside.
    Ip(IpAddr),
    /// An absolute URI.
    Uri(UriName),
}

impl SubjectAltName {
    /// An address that may stand in a certificate.
    ///
    /// An IPv4-mapped IPv6 address is refused: TLS clients compare four octets or sixteen, so it would
    /// match nothing that the IPv4 address does.
    pub fn ip(address: IpAddr) -> Result<SubjectAltName, NameError> {
        match address {
            IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
                Some(v4) => Err(NameError::Ipv4Mapped { address: v6, v4 }),
                None => Ok(SubjectAltName::Ip(address)),
            },
            IpAddr::V4(_) => Ok(SubjectAltName::Ip(address)),
        }
    }

    /// Reads an address: dotted decimal without leading zeros, or any RFC 4291 form without a zone.
    pub fn parse_ip(text: &str) -> Result<SubjectAltName, NameError> {
        if text.contains('%') {
            return Err(NameError::IpZone { value: quoted(text) });
        }
        let address = text.parse().map_err(|_| NameError::NotIp { value: quoted(text) })?;
        SubjectAltName::ip(address)
    }
}

impl FromStr for SubjectAltName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<SubjectAltName, NameError> {
        match text.split_once(':') {
            Some(("dns", name)) => Ok(SubjectAltName::Dns(name.parse()?)),
            Some(("email", name)) => Ok(SubjectAltName::Email(name.parse()?)),
            Some(("ip", name)) => SubjectAltName::parse_ip(name),
            Some(("uri", name)) => Ok(SubjectAltName::Uri(name.parse()?)),
            Some(_) | None => Err(NameError::UnknownKind { value: quoted(text) }),
        }
    }
}

impl fmt::Display for SubjectAltName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SubjectAltName::Dns(name) => write!(f, "dns:{name}"),
            SubjectAltName::Email(name) => write!(f, "email:{name}"),
            SubjectAltName::Ip(address) => write!(f, "ip:{address}"),
            SubjectAltName::Uri(name) => write!(f, "uri:{name}"),
        }
    }
}

/// Display, Debug, `as_str` and CBOR (as text, parsed again when read) for a name in a `String`.
macro_rules! text_newtype {
    ($name:ty) => {
        impl $name {
            /// The name as it stands in a certificate.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        $crate::text_cbor!($name);
    };
}

/// CBOR as text for a type with `Display` and `FromStr`: what is read again passes the same checks as what was
/// typed.
#[macro_export]
macro_rules! text_cbor {
    ($name:ty) => {
        impl<C> minicbor::Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                encoder: &mut minicbor::Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                encoder.str(&self.to_string())?.ok()
            }
        }

        impl<'b, C> minicbor::Decode<'b, C> for $name {
            fn decode(
                decoder: &mut minicbor::Decoder<'b>,
                _: &mut C,
            ) -> Result<$name, minicbor::decode::Error> {
                decoder.str()?.parse().map_err(minicbor::decode::Error::custom)
            }
        }
    };
}

use text_newtype;

crate::text_cbor!(SubjectAltName);

#[cfg(test)]
mod tests;
