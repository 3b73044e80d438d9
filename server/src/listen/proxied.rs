//! The PROXY protocol (haproxy.org, proxy-protocol.txt, versions 1 and 2), as a receiver: where a client
//! behind a proxy really comes from.
//!
//! It is spoken with the proxies of `core.https_trusted_proxy` and with nobody else, and then always: whoever
//! guesses whether a header comes lets clients write their own. Not one octet behind the header is read. What
//! is not exactly a header is refused, and so is a client who is told to be on this machine by a proxy that
//! is not.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt};

/// How version 2 begins.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// How version 1 begins.
const WORD: &[u8] = b"PROXY ";
/// The longest header of version 1, its line's end included.
const LONGEST_LINE: usize = 107;
/// The most octets of version 2 behind its first 16: addresses, and what else a proxy tells.
const LONGEST_BLOCK: usize = 2048;

/// Whose connection it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The proxy's own, to see whether we are up.
    Proxy,
    /// That of a client.
    Client(SocketAddr),
}

/// Why a header was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    /// Neither version begins so.
    #[error("a trusted proxy sent no PROXY header")]
    Absent,
    /// The line of version 1.
    #[error("the line of the PROXY header is malformed")]
    Line,
    /// The block of version 2.
    #[error("the block of the PROXY header is malformed")]
    Block,
    /// It is longer than any header.
    #[error("the PROXY header is too long")]
    TooLong,
    /// A proxy elsewhere can't know who is on this machine.
    #[error("the PROXY header names an address of this machine")]
    Loopback,
}

impl From<Malformed> for io::Error {
    fn from(malformed: Malformed) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, malformed)
    }
}

/// Reads the header of a connection that `proxy` has opened, and nothing behind it.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin), proxy: IpAddr) -> io::Result<Origin> {
    // No header is shorter: the shortest is `PROXY UNKNOWN` and its line's end.
    let mut head = [0; 12];
    stream.read_exact(&mut head).await?;
    let origin = if head == SIGNATURE {
        let mut rest = [0; 4];
        stream.read_exact(&mut rest).await?;
        let [command, family, high, low] = rest;
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length > LONGEST_BLOCK {
            return Err(Malformed::TooLong.into());
        }
        let mut block = vec![0; length];
        stream.read_exact(&mut block).await?;
        of_block(command, family, &block)?
    } else if head.starts_with(WORD) {
        let mut line = head.to_vec();
        while !line.ends_with(b"\r\n") {
            if line.len() >= LONGEST_LINE {
                return Err(Malformed::TooLong.into());
            }
            line.push(stream.read_u8().await?);
        }
        of_line(&line)?
    } else {
        return Err(Malformed::Absent.into());
    };
    match origin {
        Origin::Client(client) if client.ip().is_loopback() && !proxy.to_canonical().is_loopback() => {
            Err(Malformed::Loopback.into())
        }
        known => Ok(known),
    }
}

/// Version 1, §2.1: one line with its end.
fn of_line(line: &[u8]) -> Result<Origin, Malformed> {
    let text = line.strip_suffix(b"\r\n").and_then(|line| std::str::from_utf8(line).ok());
    let words = text.and_then(|text| text.strip_prefix("PROXY ")).ok_or(Malformed::Line)?;
    if words == "UNKNOWN" || words.starts_with("UNKNOWN ") {
        return Ok(Origin::Proxy);
    }
    let parts: Vec<&str> = words.split(' ').collect();
    let [family, source, destination, from, to] = parts[..] else { return Err(Malformed::Line) };
    let address = |text: &str| -> Option<IpAddr> {
        match family {
            "TCP4" => text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
            "TCP6" => text.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            _ => None,
        }
    };
    let port = |text: &str| {
        let canonical =
            text.bytes().all(|octet| octet.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
        text.parse::<u16>().ok().filter(|_| canonical)
    };
    match (address(source), address(destination), port(from), port(to)) {
        (Some(source), Some(_), Some(from), Some(_)) => Ok(client(source, from)),
        _ => Err(Malformed::Line),
    }
}

/// Version 2, §2.2: command and family, and the block of addresses and of what else is told.
fn of_block(command: u8, family: u8, block: &[u8]) -> Result<Origin, Malformed> {
    let (address, further) = match (command, family) {
        // LOCAL: the block is to be skipped, whatever is in it.
        (0x20, _) => return Ok(Origin::Proxy),
        (0x21, 0x11) => (4, block.get(12..)),
        (0x21, 0x21) => (16, block.get(36..)),
        _ => return Err(Malformed::Block),
    };
    told_well(further.ok_or(Malformed::Block)?)?;
    let octets = &block[..address];
    let source = match <[u8; 4]>::try_from(octets) {
        Ok(v4) => IpAddr::from(v4),
        Err(_) => IpAddr::from(<[u8; 16]>::try_from(octets).map_err(|_| Malformed::Block)?),
    };
    let port = &block[2 * address..2 * address + 2];
    Ok(client(source, u16::from_be_bytes([port[0], port[1]])))
}

/// An IPv4 address is one however it is written.
fn client(source: IpAddr, port: u16) -> Origin {
    Origin::Client(SocketAddr::new(source.to_canonical(), port))
}

/// Whether type, length and value follow each other to the very end (§2.2).
fn told_well(mut rest: &[u8]) -> Result<(), Malformed> {
    while !rest.is_empty() {
        let [_, high, low, behind @ ..] = rest else { return Err(Malformed::Block) };
        rest = behind.get(usize::from(u16::from_be_bytes([*high, *low]))..).ok_or(Malformed::Block)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is read of these octets, and what is left behind it.
    fn of(bytes: &[u8], proxy: &str) -> Result<(Origin, Vec<u8>), String> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut rest = bytes;
        let origin =
            runtime.block_on(read(&mut rest, proxy.parse().unwrap())).map_err(|error| error.to_string())?;
        Ok((origin, rest.to_vec()))
    }

    fn header(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
        let length = u16::try_from(block.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, block].concat()
    }

    /// Both forms of the header for a client.
    fn headers(source: SocketAddr, further: &[u8]) -> [Vec<u8>; 2] {
        let (word, family, octets, own) = match source.ip() {
            IpAddr::V4(v4) => ("TCP4", 0x11, v4.octets().to_vec(), "192.0.2.9"),
            IpAddr::V6(v6) => ("TCP6", 0x21, v6.octets().to_vec(), "2001:db8::9"),
        };
        let line = format!("PROXY {word} {} {own} {} 443\r\n", source.ip(), source.port());
        let mut block = octets.clone();
        block.extend(vec![1; octets.len()]);
        block.extend(source.port().to_be_bytes());
        block.extend([1, 187]);
        block.extend(further);
        [line.into_bytes(), header(0x21, family, &block)]
    }

    #[test]
    fn a_check_of_the_proxys_own_is_the_proxys() {
        for text in [
            b"PROXY UNKNOWN\r\n".to_vec(),
            b"PROXY UNKNOWN ffff::1 ::2 3 4\r\n".to_vec(),
            header(0x20, 0, b""),
            header(0x20, 0x11, b"whatever"),
        ] {
            assert_eq!(of(&text, "192.0.2.1").unwrap(), (Origin::Proxy, Vec::new()), "{text:?}");
        }
    }

    #[test]
    fn what_is_not_exactly_a_header_is_refused() {
        for line in [
            "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n",
            "PROXY TCP4 192.0.2.1  192.0.2.2 1 2\r\n",
            "PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n",
            "PROXY TCP4 2001:db8::1 192.0.2.2 1 2\r\n",
            "PROXY TCP6 192.0.2.1 2001:db8::1 1 2\r\n",
            "PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n",
            "PROXY tcp4 192.0.2.1 192.0.2.2 1 2\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n\r\n",
            "proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        ] {
            assert!(of(line.as_bytes(), "192.0.2.1").is_err(), "{line:?}");
        }
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(200));
        assert_eq!(of(long.as_bytes(), "192.0.2.1").unwrap_err(), Malformed::TooLong.to_string());
        let good = [1; 12];
        for (command, family, block) in [
            (0x22, 0x11, &good[..]),
            (0x11, 0x11, &good[..]),
            (0x21, 0x12, &good[..]),
            (0x21, 0x00, &good[..]),
            (0x21, 0x31, &good[..]),
            (0x21, 0x21, &good[..]),
            (0x21, 0x11, &good[..11]),
            (0x21, 0x11, &[1; 13][..]),
            (0x21, 0x11, &[1; 14][..]),
            (0x21, 0x11, &b"aaaabbbbccdd\x04\0\x02x"[..]),
        ] {
            assert!(
                of(&header(command, family, block), "192.0.2.1").is_err(),
                "{command} {family} {block:?}"
            );
        }
        let endless = [&SIGNATURE[..], &[0x21, 0x11, 0xff, 0xff]].concat();
        assert_eq!(of(&endless, "192.0.2.1").unwrap_err(), Malformed::TooLong.to_string());
        assert!(of(b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03ab", "192.0.2.1").is_err(), "TLS at once");
    }

    #[test]
    fn this_machine_is_named_by_this_machine_alone() {
        for text in headers("127.0.0.1:5".parse().unwrap(), &[]) {
            assert!(of(&text, "127.0.0.1").is_ok());
            assert!(of(&text, "::ffff:127.0.0.1").is_ok());
            assert_eq!(of(&text, "192.0.2.1").unwrap_err(), Malformed::Loopback.to_string());
        }
        let mapped = headers("[::ffff:127.0.0.1]:5".parse().unwrap(), &[]);
        assert!(of(&mapped[1], "192.0.2.1").is_err());
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_and_nothing_behind_it(
            ip in any::<IpAddr>(), port in any::<u16>(), behind in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let source = SocketAddr::new(ip, port);
            for text in headers(source, b"\x04\0\x01x\x03\0\0") {
                let canonical = SocketAddr::new(ip.to_canonical(), port);
                let whole = [&text[..], &behind].concat();
                prop_assert_eq!(of(&whole, "127.0.0.1").unwrap(), (Origin::Client(canonical), behind.clone()));
                for cut in 0..text.len() {
                    prop_assert!(of(&text[..cut], "127.0.0.1").is_err());
                }
            }
        }

        #[test]
        fn no_octets_make_it_stumble(
            start in 0..3_usize, bytes in prop::collection::vec(any::<u8>(), 0..80), change in 0..60_usize, to in any::<u8>(),
        ) {
            let [line, block] = headers("192.0.2.7:9".parse().unwrap(), &bytes[..bytes.len() / 2]);
            let mut text = [Vec::new(), line, block][start].clone();
            text.extend(&bytes);
            if let Some(octet) = text.get_mut(change) {
                *octet = to;
            }
            if let Ok((_, rest)) = of(&text, "127.0.0.1") {
                prop_assert!(rest.len() < text.len() && text.ends_with(&rest));
            }
        }
    }
}
