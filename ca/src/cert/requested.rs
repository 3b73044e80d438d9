//! Names as they stand in what others made: data, not yet names of ours.

use std::net::IpAddr;

use x509_parser::extensions::GeneralName;

use super::names::{NameError, SubjectAltName, printable};

/// A GeneralName (RFC 5280 §4.2.1.6) that came from outside, unchecked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestedName {
    /// A dNSName.
    Dns(String),
    /// An rfc822Name.
    Email(String),
    /// An iPAddress: 4 or 16 octets if it is well formed.
    Ip(Vec<u8>),
    /// A name of a kind that is never issued, with that kind's name.
    Other(&'static str),
    /// A uniformResourceIdentifier.
    Uri(String),
}

impl RequestedName {
    pub(super) fn read(name: &GeneralName<'_>) -> RequestedName {
        match name {
            GeneralName::DNSName(text) => RequestedName::Dns((*text).to_owned()),
            GeneralName::RFC822Name(text) => RequestedName::Email((*text).to_owned()),
            GeneralName::URI(text) => RequestedName::Uri((*text).to_owned()),
            GeneralName::IPAddress(octets) => RequestedName::Ip(octets.to_vec()),
            GeneralName::DirectoryName(_) => RequestedName::Other("directoryName"),
            GeneralName::EDIPartyName(_) => RequestedName::Other("ediPartyName"),
            GeneralName::OtherName(..) => RequestedName::Other("otherName"),
            GeneralName::RegisteredID(_) => RequestedName::Other("registeredID"),
            GeneralName::X400Address(_) => RequestedName::Other("x400Address"),
            GeneralName::Invalid(..) => RequestedName::Other("malformed name"),
        }
    }

    /// The name under the rules of [`SubjectAltName`].
    pub fn accept(&self) -> Result<SubjectAltName, NameError> {
        match self {
            RequestedName::Dns(text) => Ok(SubjectAltName::Dns(text.parse()?)),
            RequestedName::Email(text) => Ok(SubjectAltName::Email(text.parse()?)),
            RequestedName::Uri(text) => Ok(SubjectAltName::Uri(text.parse()?)),
            RequestedName::Ip(octets) => match address(octets) {
                Some(address) => SubjectAltName::ip(address),
                None => Err(NameError::NotIp { value: hex::encode(octets) }),
            },
            RequestedName::Other(kind) => Err(NameError::UnknownKind { value: (*kind).to_owned() }),
        }
    }
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    match octets.len() {
        4 => <[u8; 4]>::try_from(octets).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(octets).ok().map(IpAddr::from),
        _ => None,
    }
}

/// For people: escaped, safe to print.
impl std::fmt::Display for RequestedName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            RequestedName::Dns(text) => write!(f, "dns:{}", printable(text)),
            RequestedName::Email(text) => write!(f, "email:{}", printable(text)),
            RequestedName::Uri(text) => write!(f, "uri:{}", printable(text)),
            RequestedName::Ip(octets) => match address(octets) {
                Some(address) => write!(f, "ip:{address}"),
                None => write!(f, "ip:{}", printable(&hex::encode(octets))),
            },
            RequestedName::Other(kind) => f.write_str(kind),
        }
    }
}
