//! Where a record belongs, and who answers for it: CNAMEs, zones, their servers.

use std::io;
use std::net::{IpAddr, SocketAddr};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RData, RecordType};

use super::PORT;
use super::wire::{Recursion, ask};

/// The most CNAMEs followed.
const HOPS: usize = 8;
/// The most servers of a zone that are asked.
const SERVERS: usize = 16;

/// Resolvers that find what others answer for.
#[derive(Clone, Debug)]
pub(super) struct Recursive(Vec<SocketAddr>);

impl Recursive {
    /// These resolvers; if there are none, those of this system.
    pub(super) fn new(given: Vec<SocketAddr>) -> io::Result<Recursive> {
        if !given.is_empty() {
            return Ok(Recursive(given));
        }
        let found = of_system(&std::fs::read_to_string("/etc/resolv.conf")?);
        match found.is_empty() {
            true => Err(io::Error::new(io::ErrorKind::NotFound, "/etc/resolv.conf names no resolver")),
            false => Ok(Recursive(found)),
        }
    }

    /// Asks one after the other until one answers.
    async fn ask(&self, name: &Name, kind: RecordType) -> io::Result<hickory_proto::op::Message> {
        let mut failure = io::Error::from(io::ErrorKind::NotFound);
        for server in &self.0 {
            match ask(*server, name, kind, Recursion::Desired).await {
                Ok(answer)
                    if matches!(
                        answer.metadata.response_code,
                        ResponseCode::NoError | ResponseCode::NXDomain
                    ) =>
                {
                    return Ok(answer);
                }
                Ok(answer) => {
                    let code = answer.metadata.response_code;
                    failure = io::Error::other(format!("{server} answers {code} for {name}"));
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Where a name leads by CNAME (RFC 1034 §3.6.2); itself if nowhere else.
    pub(super) async fn follow(&self, name: &Name) -> io::Result<Name> {
        let mut at = name.clone();
        for _ in 0..HOPS {
            let answer = self.ask(&at, RecordType::CNAME).await?;
            let next = answer.answers.iter().find_map(|record| match &record.data {
                RData::CNAME(target) if record.name == at => Some(target.0.clone()),
                _ => None,
            });
            match next {
                Some(next) => at = next,
                None => return Ok(at),
            }
        }
        Err(io::Error::other(format!("{name} leads over more than {HOPS} aliases")))
    }

    /// The zone that a name lies in: the nearest name above it that has an SOA record.
    pub(super) async fn zone(&self, name: &Name) -> io::Result<Name> {
        let mut at = name.clone();
        while !at.is_root() {
            let answer = self.ask(&at, RecordType::SOA).await?;
            // Of a name without one the authority section tells whose it is (RFC 2308 §3).
            let sections = answer.answers.iter().chain(&answer.authorities);
            let found = sections.filter(|record| matches!(record.data, RData::SOA(_)));
            if let Some(zone) = found.map(|record| &record.name).find(|zone| zone.zone_of(name)) {
                return Ok(zone.clone());
            }
            at = at.base_name();
        }
        Err(io::Error::new(io::ErrorKind::NotFound, format!("no zone of {name} is found")))
    }

    /// The addresses of a zone's servers.
    pub(super) async fn servers(&self, zone: &Name, port: u16) -> io::Result<Vec<SocketAddr>> {
        let answer = self.ask(zone, RecordType::NS).await?;
        let mut found: Vec<SocketAddr> = Vec::new();
        let servers = answer.answers.iter().filter_map(|record| match &record.data {
            RData::NS(server) => Some(server.0.clone()),
            _ => None,
        });
        for server in servers {
            for kind in [RecordType::A, RecordType::AAAA] {
                let Ok(answer) = self.ask(&server, kind).await else { continue };
                let addresses = answer.answers.iter().filter_map(|record| match &record.data {
                    RData::A(address) => Some(IpAddr::V4(address.0)),
                    RData::AAAA(address) => Some(IpAddr::V6(address.0)),
                    _ => None,
                });
                found.extend(addresses.map(|address| SocketAddr::new(address, port)));
            }
        }
        found.sort();
        found.dedup();
        // Where there is no way to IPv6 at all, its servers are out of reach for us, not for the authority.
        if found.iter().any(SocketAddr::is_ipv4) && !has_ipv6() {
            found.retain(SocketAddr::is_ipv4);
        }
        found.truncate(SERVERS);
        match found.is_empty() {
            true => Err(io::Error::new(io::ErrorKind::NotFound, format!("no server of {zone} is found"))),
            false => Ok(found),
        }
    }
}

/// Whether there is a route to the rest of IPv6. Nothing is sent: connecting UDP only looks at the table.
fn has_ipv6() -> bool {
    let documentation = SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], PORT));
    std::net::UdpSocket::bind("[::]:0").and_then(|socket| socket.connect(documentation)).is_ok()
}

/// The resolvers of a resolv.conf(5).
fn of_system(text: &str) -> Vec<SocketAddr> {
    let lines = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
    lines.filter_map(|rest| Some(SocketAddr::new(rest.trim().parse().ok()?, PORT))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resolvers_of_the_system_are_read() {
        let text =
            "# a comment\nsearch example\nnameserver 192.0.2.1\nnameserver\t2001:db8::1\nnameserver x\n";
        let found: Vec<String> = of_system(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["192.0.2.1:53", "[2001:db8::1]:53"]);
    }
}
