//! How many connections each address has open: one peer must not take the places of all others.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

type Counts = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// The addresses with open connections.
#[derive(Clone, Debug, Default)]
pub(super) struct Origins {
    counts: Counts,
}

/// A place among the connections of an address; it is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Place(Option<(Counts, IpAddr)>);

/// An address has as many connections as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Crowded;

impl Origins {
    /// Takes a place, if the address has fewer than `most`. What has no address is not counted.
    pub(super) fn enter(&self, address: Option<IpAddr>, most: usize) -> Result<Place, Crowded> {
        let Some(origin) = address.map(network) else { return Ok(Place(None)) };
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(origin).or_insert(0);
        if *count >= most {
            return Err(Crowded);
        }
        *count += 1;
        Ok(Place(Some((Arc::clone(&self.counts), origin))))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((counts, origin)) = &self.0 else { return };
        let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(origin) {
            *count -= 1;
            if *count == 0 {
                counts.remove(origin);
            }
        }
    }
}

/// What is counted as one: an IPv4 address however it is written, or a /64, which is what one IPv6
/// customer gets (RFC 6177 §2).
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        v4 @ IpAddr::V4(_) => v4,
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_share_and_gets_it_back() {
        let origins = Origins::default();
        let one: Option<IpAddr> = "192.0.2.1".parse().ok();
        let first = origins.enter(one, 2).unwrap();
        let _second = origins.enter("::ffff:192.0.2.1".parse().ok(), 2).unwrap();
        assert_eq!(origins.enter(one, 2).unwrap_err(), Crowded);
        let _other = origins.enter("192.0.2.2".parse().ok(), 2).unwrap();
        drop(first);
        let _third = origins.enter(one, 2).unwrap();
        assert!(origins.enter(None, 0).is_ok());
    }

    #[test]
    fn a_network_of_ipv6_is_one_origin() {
        let origins = Origins::default();
        let _first = origins.enter("2001:db8::1".parse().ok(), 1).unwrap();
        assert!(origins.enter("2001:db8::2".parse().ok(), 1).is_err());
        assert!(origins.enter("2001:db8:0:1::1".parse().ok(), 1).is_ok());
    }
}
