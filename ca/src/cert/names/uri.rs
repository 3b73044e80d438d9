//! URIs, such as SPIFFE identities.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::dns::DnsName;
use super::error::{NameError, quoted};

/// An absolute URI with an authority, RFC 5280 §4.2.1.6 and RFC 3986.
///
/// ASCII only, `scheme://host[:port]…`; scheme and host become lower case, the host is a [`DnsName`]
/// or an address. No user and password: they would be published with the certificate.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UriName(String);

const MAX_OCTETS: usize = 2048;
const KIND: &str = "URI";

super::text_newtype!(UriName);

impl FromStr for UriName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<UriName, NameError> {
        let refuse = |reason| NameError::NotUri { value: quoted(text), reason };
        if text.is_empty() {
            return Err(NameError::Empty { kind: KIND });
        }
        if text.len() > MAX_OCTETS {
            let (length, limit) = (text.len(), MAX_OCTETS);
            return Err(NameError::TooLong { kind: KIND, value: quoted(text), length, limit });
        }
        if let Some(character) = text.chars().find(|&c| !is_uri_character(c)) {
            let character = format!("'{}'", character.escape_default());
            return Err(NameError::Character { value: quoted(text), character, place: "a URI" });
        }
        check_percent(text).map_err(refuse)?;
        let (scheme, rest) = text.split_once("://").ok_or_else(|| refuse("it isn't scheme://host…"))?;
        let letter_first = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
        if !letter_first || !scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b)) {
            return Err(refuse("its scheme isn't a letter followed by letters, digits, +, - or ."));
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        if authority.contains('@') {
            return Err(refuse("it has a user in front of the host, which would be published"));
        }
        if tail.contains(['[', ']']) || tail.matches('#').count() > 1 {
            return Err(refuse("its path has characters that must be percent-encoded"));
        }
        let authority = parse_authority(authority, text)?;
        Ok(UriName(format!("{}://{authority}{tail}", scheme.to_ascii_lowercase())))
    }
}

/// The characters of RFC 3986 §2: unreserved, reserved and the percent sign.
fn is_uri_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~:/?#[]@!$&'()*+,;=%".contains(c)
}

fn check_percent(text: &str) -> Result<(), &'static str> {
    for part in text.split('%').skip(1) {
        if !part.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
            return Err("a % is not followed by two hex digits");
        }
        if matches!(part.get(..2), Some("00" | "0a" | "0A" | "0d" | "0D")) {
            return Err("it has an encoded NUL or line end");
        }
    }
    Ok(())
}

/// Host and port in their one spelling.
fn parse_authority(authority: &str, text: &str) -> Result<String, NameError> {
    let refuse = |reason| NameError::NotUri { value: quoted(text), reason };
    let (host, port) = match authority.strip_prefix('[') {
        Some(bracketed) => {
            let (address, port) = bracketed.split_once(']').ok_or_else(|| refuse("its [ is not closed"))?;
            let address: Ipv6Addr =
                address.parse().map_err(|_| refuse("its address is not an IPv6 address"))?;
            (format!("[{address}]"), port)
        }
        None => {
            let end = authority.find(':').unwrap_or(authority.len());
            let (host, port) = authority.split_at(end);
            (parse_host(host, text)?, port)
        }
    };
    match port.strip_prefix(':') {
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) && digits.parse::<u16>().is_ok() => {
            Ok(format!("{host}:{digits}"))
        }
        None if port.is_empty() => Ok(host),
        Some(_) | None => Err(refuse("its port isn't a number up to 65535")),
    }
}

fn parse_host(host: &str, text: &str) -> Result<String, NameError> {
    if host.is_empty() {
        return Err(NameError::NotUri { value: quoted(text), reason: "it has no host" });
    }
    if host.parse::<Ipv4Addr>().is_ok() {
        return Ok(host.to_owned());
    }
    let host: DnsName = host.parse()?;
    if host.is_wildcard() {
        return Err(NameError::WildcardHost { value: quoted(host.as_str()), kind: KIND });
    }
    Ok(host.to_string())
}
