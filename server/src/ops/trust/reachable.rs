//! What goes into every token: which certificate the service shows, and where it is found.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ca::cert::Fingerprint;
use trust::token::{Reachable, TokenError};

use super::TrustError;
use crate::Pki;
use crate::ops::Error;
use crate::own::{self, Own};

/// Where clients find the service: `core.external_address` first, then every address that it listens on.
pub(crate) fn reachable(pki: &Pki) -> Result<Reachable, Error> {
    let settings = pki.settings()?;
    let Some(listens) = settings.https_address() else {
        return Err(trust::Error::from(TokenError::NotListening).into());
    };
    let mut addresses: Vec<String> = settings.external_address().map(str::to_owned).into_iter().collect();
    for address in addresses_of(listens, own_addresses) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    let certificate = own::in_place(pki, Own::Service)?.ok_or(TrustError::NoServerCertificate)?;
    Ok(Reachable { fingerprint: Fingerprint::of(certificate.der()), addresses })
}

/// The addresses that stand for the one that is listened on: itself, or for "every address" those of this
/// machine, which is what a client can connect to.
fn addresses_of(listens: SocketAddr, own: impl Fn() -> Vec<IpAddr>) -> Vec<String> {
    if !listens.ip().is_unspecified() {
        return vec![listens.to_string()];
    }
    let own = own().into_iter().filter(|found| listens.is_ipv6() || found.is_ipv4());
    own.map(|found| SocketAddr::new(found, listens.port()).to_string()).collect()
}

/// The addresses of this machine that others can reach, as the kernel lists them; loopback ones if there
/// are no others.
fn own_addresses() -> Vec<IpAddr> {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let (four, six) = (ipv4_of(&read("/proc/net/fib_trie")), ipv6_of(&read("/proc/net/if_inet6")));
    let all: Vec<IpAddr> = four.into_iter().map(IpAddr::V4).chain(six.into_iter().map(IpAddr::V6)).collect();
    let outside: Vec<IpAddr> = all.iter().copied().filter(|address| !address.is_loopback()).collect();
    if outside.is_empty() { all } else { outside }
}

/// The machine's own addresses in the kernel's routing table: a line `|-- ADDRESS` followed by
/// `/32 host LOCAL`.
fn ipv4_of(table: &str) -> Vec<Ipv4Addr> {
    let mut found = Vec::new();
    let mut last = None;
    for line in table.lines() {
        if let Some((_, address)) = line.split_once("|-- ") {
            last = address.trim().parse::<Ipv4Addr>().ok();
        } else if line.contains("/32 host LOCAL") {
            found.extend(last.filter(|address| !found.contains(address)));
        }
    }
    found
}

/// The machine's IPv6 addresses, those of one link left out: they mean nothing without the link.
fn ipv6_of(table: &str) -> Vec<Ipv6Addr> {
    let address = |line: &str| {
        let octets: [u8; 16] = hex::decode(line.split_whitespace().next()?).ok()?.try_into().ok()?;
        Some(Ipv6Addr::from(octets)).filter(|address| address.segments()[0] & 0xffc0 != 0xfe80)
    };
    table.lines().filter_map(address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_means_those_that_can_be_connected_to() {
        let own = || vec!["192.0.2.7".parse().unwrap(), "2001:db8::7".parse().unwrap()];
        let of = |listens: &str| addresses_of(listens.parse().unwrap(), own);
        assert_eq!(of("127.0.0.1:8443"), ["127.0.0.1:8443"]);
        assert_eq!(of("[::]:8443"), ["192.0.2.7:8443", "[2001:db8::7]:8443"]);
        assert_eq!(of("0.0.0.0:443"), ["192.0.2.7:443"]);
    }

    #[test]
    fn the_kernels_tables_are_read() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 127.0.0.0\n        /8 host LOCAL\n     |-- 127.0.0.1\n        /32 host LOCAL\n     |-- 10.0.0.255\n        /32 link BROADCAST\n     |-- 10.0.0.5\n        /32 host LOCAL\nLocal:\n     |-- 10.0.0.5\n        /32 host LOCAL\n";
        assert_eq!(ipv4_of(trie), [Ipv4Addr::LOCALHOST, Ipv4Addr::new(10, 0, 0, 5)]);
        let six = "00000000000000000000000000000001 01 80 10 80       lo\nfe800000000000000000000000000001 02 40 20 80     eth0\n20010db8000000000000000000000007 02 40 00 80     eth0\nbroken\n";
        assert_eq!(ipv6_of(six), [Ipv6Addr::LOCALHOST, "2001:db8::7".parse::<Ipv6Addr>().unwrap()]);
    }
}
