//! Which user of this machine is at the other end of a connection over loopback. Linux tells in `/proc/net`.
//!
//! Nobody is let in for it: it tells apart who tries passphrases, so that one user's guessing does not slow
//! down another's.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

/// The user whose connection leads from `remote` to `local`; `None` if it comes from another machine, or was
/// closed at that end.
pub(crate) fn neighbour(remote: SocketAddr, local: SocketAddr) -> Option<u32> {
    if !remote.ip().to_canonical().is_loopback() {
        return None;
    }
    let tables = ["tcp", "tcp6"].map(|table| fs::read_to_string(Path::new("/proc/self/net").join(table)));
    tables.into_iter().flatten().find_map(|table| owner(&table, remote, local))
}

/// The owner of an open connection, from `/proc/net/tcp` or `tcp6` (proc_pid_net(5)).
fn owner(table: &str, from: SocketAddr, to: SocketAddr) -> Option<u32> {
    // What its owner has closed is listed as root's: only what is open tells.
    const ESTABLISHED: &str = "01";
    let canonical = |address: SocketAddr| (address.ip().to_canonical(), address.port());
    let user = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (here, there) = (end(fields.get(1)?)?, end(fields.get(2)?)?);
        let is_it = here == canonical(from) && there == canonical(to) && *fields.get(3)? == ESTABLISHED;
        is_it.then(|| fields.get(7)?.parse().ok()).flatten()
    };
    table.lines().skip(1).find_map(user)
}

/// One end of a connection: the address as words in this machine's order of octets, and the port.
fn end(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word =
        |at: usize| Some(u32::from_str_radix(address.get(at * 8..at * 8 + 8)?, 16).ok()?.to_ne_bytes());
    let address = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let mut octets = [0; 16];
            for (at, part) in octets.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&word(at)?);
            }
            IpAddr::V6(Ipv6Addr::from(octets))
        }
        _ => return None,
    };
    Some((address.to_canonical(), port))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn the_user_at_the_other_end_is_known_while_it_is_open() {
        for bound in ["127.0.0.1:0", "[::1]:0", "[::]:0"] {
            let listener = TcpListener::bind(bound).unwrap();
            let port = listener.local_addr().unwrap().port();
            let reached = if bound == "[::1]:0" { "::1" } else { "127.0.0.1" };
            let client = TcpStream::connect((reached, port)).unwrap();
            let (served, remote) = listener.accept().unwrap();
            let local = served.local_addr().unwrap();
            assert_eq!(neighbour(remote, local), Some(rustix::process::geteuid().as_raw()), "{bound}");
            drop(client);
            assert_eq!(neighbour(remote, local), None, "{bound}");
        }
        let elsewhere = "192.0.2.1:1".parse().unwrap();
        assert_eq!(neighbour(elsewhere, elsewhere), None);
    }

    #[test]
    fn tables_are_read_strictly() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:1F91 0100007F:1F90 06 00000000:00000000 00:00000000 00000000     0        0 0 1\n\
             1: 0100007F:1F91 0200007F:1F90 01 00000000:00000000 00:00000000 00000000  1001        0 4243 1\n\
             broken\n\
             2: 0100007F:1F91 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1002        0 4244 1\n";
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        if cfg!(target_endian = "little") {
            assert_eq!(owner(table, at("127.0.0.1:8081"), at("127.0.0.1:8080")), Some(1002));
            assert_eq!(owner(table, at("[::ffff:127.0.0.1]:8081"), at("127.0.0.2:8080")), Some(1001));
        }
        assert_eq!(owner(table, at("127.0.0.1:8080"), at("127.0.0.1:8081")), None);
        assert_eq!(end("0100007F"), None);
        assert_eq!(end("01:1F90"), None);
    }
}
