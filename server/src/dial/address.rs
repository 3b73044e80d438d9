//! Where a service is: `HOST`, `HOST:PORT`, an IP address, with or without `https://` before it.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use ca::cert::{DnsName, printable};
use rustls_pki_types::ServerName;

/// The port of a service that names none.
pub const DEFAULT_PORT: u16 = 8443;

/// The longest text that is read as an address: the longest DNS name, `https://` and a port.
const LONGEST: usize = 270;

/// A service's address. Shown as `HOST:PORT`, an IPv6 address in brackets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    host: Host,
    port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Host {
    Ip(IpAddr),
    Name(DnsName),
}

/// Why a text is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text} is no address of a service: {reason}")]
pub struct AddressError {
    /// The text, safe to print.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Address {
    /// The host, as a resolver takes it.
    pub fn host(&self) -> String {
        match &self.host {
            Host::Ip(address) => address.to_string(),
            Host::Name(name) => name.to_string(),
        }
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What the server's certificate must be for. Every host of ours is one that TLS can name.
    pub(super) fn server_name(&self) -> ServerName<'static> {
        match &self.host {
            Host::Ip(address) => ServerName::from(*address),
            Host::Name(name) => ServerName::try_from(name.to_string())
                .unwrap_or_else(|_never| ServerName::from(IpAddr::V6(Ipv6Addr::UNSPECIFIED))),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Ip(IpAddr::V6(address)) => write!(f, "[{address}]:{}", self.port),
            Host::Ip(IpAddr::V4(address)) => write!(f, "{address}:{}", self.port),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Address, AddressError> {
        let refuse = |reason: &str| AddressError { text: printable(text), reason: reason.to_owned() };
        if text.len() > LONGEST {
            return Err(refuse("it is too long"));
        }
        let rest = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => {
                rest.strip_suffix('/').unwrap_or(rest)
            }
            Some(_) => return Err(refuse("a service is spoken to by https")),
            None => text,
        };
        if rest.contains(['/', '@', '?', '#', '%']) {
            return Err(refuse("expected HOST or HOST:PORT alone"));
        }
        // Without brackets several colons are an IPv6 address, never one with a port.
        if let Ok(address) = rest.parse::<IpAddr>() {
            return Address::of(Host::Ip(address), None).map_err(|reason| refuse(&reason));
        }
        let (host, port) = match rest.strip_prefix('[') {
            Some(bracketed) => {
                let (host, after) = bracketed.split_once(']').ok_or_else(|| refuse("a `]` is missing"))?;
                let host: Ipv6Addr =
                    host.parse().map_err(|_| refuse("no IPv6 address is in the brackets"))?;
                let port = match after {
                    "" => None,
                    after => Some(after.strip_prefix(':').ok_or_else(|| refuse("expected [IPv6]:PORT"))?),
                };
                (Host::Ip(IpAddr::V6(host)), port)
            }
            None => {
                let (host, port) = match rest.split_once(':') {
                    Some((host, port)) => (host, Some(port)),
                    None => (rest, None),
                };
                let host = match host.parse::<IpAddr>() {
                    Ok(address) => Host::Ip(address),
                    Err(_) => Host::Name(
                        host.parse().map_err(|error: ca::cert::NameError| refuse(&error.to_string()))?,
                    ),
                };
                (host, port)
            }
        };
        Address::of(host, port).map_err(|reason| refuse(&reason))
    }
}

impl Address {
    fn of(host: Host, port: Option<&str>) -> Result<Address, String> {
        match &host {
            Host::Ip(address) if address.is_unspecified() => {
                return Err("that is where a service listens, not where it is found".to_owned());
            }
            Host::Name(name) if name.is_wildcard() => return Err("a host is expected".to_owned()),
            Host::Ip(_) | Host::Name(_) => {}
        }
        let port = match port {
            None => DEFAULT_PORT,
            Some(port) => match port.parse::<u16>() {
                // `+1` is a number to Rust.
                Ok(number) if number != 0 && port.bytes().all(|octet| octet.is_ascii_digit()) => number,
                Ok(_) | Err(_) => return Err("the port must be 1 to 65535".to_owned()),
            },
        };
        Ok(Address { host, port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_alone_gets_the_port_and_ipv6_its_brackets() {
        for (text, shown) in [
            ("ca.example.org", "ca.example.org:8443"),
            ("CA.Example.org:443", "ca.example.org:443"),
            ("localhost", "localhost:8443"),
            ("192.0.2.7", "192.0.2.7:8443"),
            ("192.0.2.7:1", "192.0.2.7:1"),
            ("::1", "[::1]:8443"),
            ("[::1]", "[::1]:8443"),
            ("[2001:db8::7]:65535", "[2001:db8::7]:65535"),
            ("https://ca.example.org", "ca.example.org:8443"),
            ("HTTPS://[::1]:9443/", "[::1]:9443"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), shown, "{text}");
            assert_eq!(shown.parse::<Address>().unwrap(), address);
        }
    }

    #[test]
    fn whatever_is_no_address_is_refused() {
        for text in [
            "",
            " ",
            "a b",
            "http://a",
            "unix:///run/x",
            "a/b",
            "https://a/1.0",
            "user@a",
            "a:",
            "a:0",
            "a:65536",
            "a:+1",
            "a:b",
            "a:1:2",
            "[::1",
            "[::1]x",
            "[a]",
            "[::1]:",
            "*.example.org",
            "-a",
            "0.0.0.0",
            "[::]:8443",
            "1.2.3",
            "fe80::1%eth0",
            "a\u{202e}b",
            &"a".repeat(300),
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
