//! The types of settings, parsed once at the border.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use ca::distribution::{PublicUrl, PublicUrlError};

/// An address to listen on. Port 0 is refused: nobody could know which port it became.
pub(super) fn address(value: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr =
        value.parse().map_err(|_| "an address and a port are needed, such as 127.0.0.1:8080 or [::]:80")?;
    match address.port() {
        0 => Err("port 0 would be another one at every start".to_owned()),
        _ => Ok(address),
    }
}

/// The same where the address may be left out, and then is every one: `:80`, or the port alone.
pub(super) fn port(value: &str) -> Result<SocketAddr, String> {
    match value.strip_prefix(':').unwrap_or(value).parse::<u16>() {
        Ok(port) => address(&format!("0.0.0.0:{port}")),
        Err(_not_alone) => address(value),
    }
}

/// `true` or `false`.
pub(super) fn truth(value: &str) -> Result<String, String> {
    match value {
        "true" | "false" => Ok(value.to_owned()),
        _ => Err("it must be true or false".to_owned()),
    }
}

/// The whole path of a file.
pub(super) fn file(value: &str) -> Result<String, String> {
    match std::path::Path::new(value).is_absolute() && !value.contains(char::is_control) {
        true => Ok(value.to_owned()),
        false => Err("the whole path of a file is needed, such as /etc/ssl/certs/root.pem".to_owned()),
    }
}

/// The same where the port may be left out, and then is `port`.
pub(super) fn address_or_host(value: &str, port: u16) -> Result<SocketAddr, String> {
    let bare = value.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(value);
    match bare.parse::<IpAddr>() {
        Ok(host) => Ok(SocketAddr::new(host, port)),
        Err(_) => address(value).map_err(|_| {
            "an address is needed, and a port unless it is the usual one, such as 127.0.0.1 or [::]:8443"
                .to_owned()
        }),
    }
}

/// A host and a port as clients are told of them; without a port it is `port`.
pub(super) fn host_and_port(value: &str, port: u16) -> Result<String, String> {
    if let Ok(address) = address_or_host(value, port) {
        return Ok(address.to_string());
    }
    let (host, port) = match value.rsplit_once(':') {
        None => (value, port),
        Some((host, digits)) => match digits.parse::<u16>() {
            Ok(port) if port > 0 => (host, port),
            Ok(_) | Err(_) => return Err(format!("{digits:?} is no port")),
        },
    };
    let host = host.to_ascii_lowercase();
    match is_host(&host) {
        true => Ok(format!("{host}:{port}")),
        false => Err(format!("{host:?} is no host name or address")),
    }
}

/// One of the words of a type, or whatever else it reads, in its canonical spelling.
pub(super) fn word<T: FromStr<Err: fmt::Display> + fmt::Display>(value: &str) -> Result<String, String> {
    value.parse::<T>().map(|found| found.to_string()).map_err(|error| error.to_string())
}

/// Addresses to listen on, separated by commas.
pub(super) fn addresses(value: &str) -> Result<String, String> {
    let found = value.split(',').map(|part| address(part.trim())).collect::<Result<Vec<_>, _>>()?;
    Ok(found.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
}

/// Lines of words for HAProxy, separated by semicolons.
pub(super) fn several<T>(value: &str) -> Result<String, String>
where
    T: FromStr<Err = haproxy::Error> + fmt::Display,
{
    let found = haproxy::written::several::<T>(value).map_err(|error| error.to_string())?;
    match found.is_empty() {
        true => Err("it is empty; `pki config unset` turns it off".to_owned()),
        false => Ok(found.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")),
    }
}

/// Names of groups (groupadd(8)), separated by commas.
pub(super) fn groups(value: &str) -> Result<String, String> {
    let names: Vec<&str> = value.split(',').map(str::trim).collect();
    let is_name = |name: &&str| {
        (1..=32).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'$'))
            && !name.starts_with('-')
    };
    match names.iter().find(|name| !is_name(name)) {
        None => Ok(names.join(",")),
        Some(name) => Err(format!("{name:?} is no name of a group")),
    }
}

/// A number of days from 1 to `most`.
pub(super) fn days(value: &str, most: u32) -> Result<u32, String> {
    match value.parse::<u32>() {
        Ok(days) if (1..=most).contains(&days) => Ok(days),
        _ => Err(format!("a number of days from 1 to {most} is needed")),
    }
}

/// Checks the base of the URLs that go into certificates, and returns its canonical spelling.
///
/// [`PublicUrl`] says what a certificate can carry; here it also has to be a URL of a host.
pub(super) fn public_url(value: &str) -> Result<String, String> {
    let uri: http::Uri = value.parse().map_err(|_| "it is not a URL")?;
    match uri.scheme_str() {
        Some("http") => {}
        // RFC 5280 §8: to check the revocation of an https server one would need its revocation.
        Some("https") => return Err("lists are fetched by plain http (RFC 5280 §8)".to_owned()),
        Some(_) | None => return Err("it must begin with http://".to_owned()),
    }
    let authority = uri.authority().ok_or("it names no host")?;
    if authority.as_str().contains('@') {
        return Err("it must not carry a user or a password".to_owned());
    }
    let host = authority.host().to_ascii_lowercase();
    if !is_host(&host) {
        return Err(format!("{host:?} is no host name or address"));
    }
    if value.contains('#') || uri.query().is_some() {
        return Err("it must not have a query or a fragment".to_owned());
    }
    let path = uri.path().trim_end_matches('/');
    let canonical = match authority.port_u16() {
        Some(80) | None => format!("http://{host}{path}"),
        Some(port) => format!("http://{host}:{port}{path}"),
    };
    let url: PublicUrl = canonical.parse().map_err(|error: PublicUrlError| error.to_string())?;
    Ok(url.to_string())
}

fn is_host(host: &str) -> bool {
    if let Some(bracketed) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return bracketed.parse::<std::net::Ipv6Addr>().is_ok();
    }
    host.parse::<IpAddr>().is_ok()
        || (host.len() <= 253
            && host.split('.').all(|label| {
                (1..=63).contains(&label.len())
                    && !label.starts_with('-')
                    && !label.ends_with('-')
                    && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            }))
}

/// A span of time in its written form: `7d`, `36h`, `90m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    count: u32,
    unit: Unit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Minutes,
    Hours,
    Days,
}

impl Span {
    /// One hour.
    pub const HOUR: Span = Span { count: 1, unit: Unit::Hours };
    /// 365 days.
    pub const YEAR: Span = Span { count: 365, unit: Unit::Days };
    /// Ten times 365 days.
    pub const TEN_YEARS: Span = Span { count: 3650, unit: Unit::Days };

    /// How long it is.
    pub fn duration(self) -> time::Duration {
        let count = i64::from(self.count);
        match self.unit {
            Unit::Minutes => time::Duration::minutes(count),
            Unit::Hours => time::Duration::hours(count),
            Unit::Days => time::Duration::days(count),
        }
    }

    /// Parses a span that must lie between two others, and returns it as it is written.
    pub(super) fn between(value: &str, least: Span, most: Span) -> Result<String, String> {
        let span: Span = value.parse()?;
        if span.duration() < least.duration() || span.duration() > most.duration() {
            return Err(format!("it must be at least {least} and at most {most}"));
        }
        Ok(span.to_string())
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(value: &str) -> Result<Span, String> {
        let wrong = || "a span such as 7d, 36h or 90m is needed".to_owned();
        let unit = match value.chars().last() {
            Some('d') => Unit::Days,
            Some('h') => Unit::Hours,
            Some('m') => Unit::Minutes,
            Some(_) | None => return Err(wrong()),
        };
        let count = value[..value.len() - 1].parse().map_err(|_| wrong())?;
        Ok(Span { count, unit })
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.unit {
            Unit::Minutes => 'm',
            Unit::Hours => 'h',
            Unit::Days => 'd',
        };
        write!(f, "{}{unit}", self.count)
    }
}

/// The one of `known` that `name` is most like, if it is like one at all.
pub(super) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let near = known.iter().map(|known| (distance(name, known), *known)).min()?;
    (near.0 <= near.1.len() / 3).then_some(near.1)
}

/// The number of single-character edits between two names (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().take(256).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &b) in to.iter().enumerate() {
            let substituted = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_plain_http_and_canonical() {
        assert_eq!(public_url("http://Pki.Example:80/").unwrap(), "http://pki.example");
        assert_eq!(public_url("http://10.0.0.1:8080/pki/").unwrap(), "http://10.0.0.1:8080/pki");
        assert_eq!(public_url("http://[::1]:8080").unwrap(), "http://[::1]:8080");
        for bad in [
            "",
            "pki.example",
            "https://a",
            "ftp://a",
            "http://",
            "http://u:p@a",
            "http://a/?q",
            "http://a/#f",
            "http://a b",
            "http://-a",
            "http://a..b",
            "http://a/\u{e4}",
            "http://a/\"x",
            "http://[::zz]",
        ] {
            assert!(public_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn spans_are_counts_of_one_unit() {
        assert_eq!("36h".parse::<Span>().unwrap().duration(), time::Duration::hours(36));
        for bad in ["", "d", "7", "-7d", "7 d", "1.5d", "7w", "7\u{e4}", "99999999999d"] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses_need_a_port() {
        assert!(address("127.0.0.1:8080").is_ok());
        assert!(address("[::]:80").is_ok());
        for bad in ["", "127.0.0.1", "localhost:80", ":80", "127.0.0.1:0"] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn distances_count_edits() {
        assert_eq!(distance("abc", "abc"), 0);
        assert_eq!(distance("abc", "axcd"), 2);
        assert_eq!(distance("", "abc"), 3);
    }
}
