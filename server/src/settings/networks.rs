//! Addresses and networks, as a list of those who are trusted with something.
//!
//! It refuses a network with bits behind its prefix (which was meant?), and one of everybody.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A list of addresses and networks.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Networks(Vec<Network>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    bits: u8,
}

/// The address as one number, and how many bits it has.
fn number(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()), 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    }
}

impl Network {
    fn contains(self, address: IpAddr) -> bool {
        let ((own, width), (other, other_width)) = (number(self.address), number(address));
        // Nothing is shifted by its whole width: no network has 0 bits.
        width == other_width && own >> (width - self.bits) == other >> (width - self.bits)
    }
}

impl Networks {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an address is in one of them, however it is written.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(address))
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Network, String> {
        let wrong = || format!("{text:?} is no address such as 192.0.2.1 or network such as 192.0.2.0/24");
        let (address, bits) = match text.split_once('/') {
            None => (text, None),
            Some((address, bits)) => (address, Some(bits.parse::<u8>().map_err(|_| wrong())?)),
        };
        let address = address.parse::<IpAddr>().map_err(|_| wrong())?.to_canonical();
        let (own, width) = number(address);
        let bits = bits.unwrap_or(width);
        if bits == 0 || bits > width || address.is_unspecified() {
            return Err(wrong());
        }
        let behind = width - bits;
        match own >> behind << behind == own {
            true => Ok(Network { address, bits }),
            false => Err(format!("{text:?} has bits behind its first {bits}")),
        }
    }
}

impl FromStr for Networks {
    type Err = String;

    fn from_str(text: &str) -> Result<Networks, String> {
        text.split(',').map(|part| part.trim().parse()).collect::<Result<_, _>>().map(Networks)
    }
}

impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, network) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{}", network.address)?;
            if network.bits < number(network.address).1 {
                write!(f, "/{}", network.bits)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_in_is_told_by_the_first_bits() {
        let some: Networks = "192.0.2.1, 198.51.100.0/25,2001:db8::/32,::ffff:203.0.113.7".parse().unwrap();
        assert_eq!(some.to_string(), "192.0.2.1,198.51.100.0/25,2001:db8::/32,203.0.113.7");
        for within in ["192.0.2.1", "::ffff:192.0.2.1", "198.51.100.127", "2001:db8:1::1", "203.0.113.7"] {
            assert!(some.contains(within.parse().unwrap()), "{within}");
        }
        for without in ["192.0.2.2", "198.51.100.128", "2001:db9::1", "::1", "::c000:201", "127.0.0.1"] {
            assert!(!some.contains(without.parse().unwrap()), "{without}");
        }
        for bad in
            ["", "a", "192.0.2.1/24", "192.0.2.0/33", "0.0.0.0/0", "::/0", "0.0.0.0", "192.0.2.1,,192.0.2.2"]
        {
            assert!(bad.parse::<Networks>().is_err(), "{bad}");
        }
        assert!(!Networks::default().contains("127.0.0.1".parse().unwrap()));
    }
}
