//! Changing a zone (RFC 2136), signed by a shared key (TSIG, RFC 8945).
//!
//! It blocks, over TCP, for a few seconds at most: a record has to be taken away in a destructor too. An
//! answer counts only if it carries the key's signature over our request.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType, TSigner};
use time::OffsetDateTime;

/// For connecting, and for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A server that takes changes.
#[derive(Clone)]
pub struct Updates {
    pub(super) server: SocketAddr,
    pub(super) key: Option<TSigner>,
    pub(super) ttl: u32,
    pub(super) patience: Duration,
}

impl fmt::Debug for Updates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Updates").field("server", &self.server).finish_non_exhaustive()
    }
}

impl Updates {
    /// Adds a TXT record to those that are there: two orders may prove the same name at once.
    pub(super) fn put(&self, zone: &Name, owner: &Name, value: &str, now: OffsetDateTime) -> io::Result<()> {
        // RFC 2136 §2.5.1.
        self.change(zone, record(owner, value, self.ttl, DNSClass::IN), now)
    }

    /// Removes this one TXT record.
    pub(super) fn remove(
        &self,
        zone: &Name,
        owner: &Name,
        value: &str,
        now: OffsetDateTime,
    ) -> io::Result<()> {
        // RFC 2136 §2.5.4: class NONE, TTL 0.
        self.change(zone, record(owner, value, 0, DNSClass::NONE), now)
    }

    fn change(&self, zone: &Name, record: Record, now: OffsetDateTime) -> io::Result<()> {
        let mut message = Message::query();
        message.metadata.op_code = OpCode::Update;
        message.metadata.message_type = MessageType::Query;
        message.metadata.recursion_desired = false;
        message.add_query(Query::query(zone.clone(), RecordType::SOA));
        message.add_authority(record);
        let seconds = u64::try_from(now.unix_timestamp()).unwrap_or(0);
        let verifier = match &self.key {
            Some(key) => message.finalize(key, seconds).map_err(io::Error::other)?,
            None => None,
        };
        let octets = self.exchange(&message.to_vec().map_err(io::Error::other)?)?;
        let answer = Message::from_vec(&octets).map_err(io::Error::other)?;
        let code = answer.metadata.response_code;
        if answer.metadata.id != message.metadata.id {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it answers another request"));
        }
        if code != ResponseCode::NoError {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!("the server {} refuses to change the zone {zone}: {code}", self.server),
            ));
        }
        match verifier {
            Some(mut verifier) => match verifier.verify(&octets) {
                Ok(_signed) => Ok(()),
                Err(error) => Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("the answer of {} is not signed by the key: {error}", self.server),
                )),
            },
            None => Ok(()),
        }
    }

    fn exchange(&self, request: &[u8]) -> io::Result<Vec<u8>> {
        let failed = |error: io::Error| {
            io::Error::new(error.kind(), format!("the server {} can't be asked: {error}", self.server))
        };
        let mut stream = TcpStream::connect_timeout(&self.server, PATIENCE).map_err(failed)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let length = u16::try_from(request.len()).map_err(io::Error::other)?;
        stream.write_all(&[&length.to_be_bytes()[..], request].concat()).map_err(failed)?;
        let mut length = [0; 2];
        stream.read_exact(&mut length).map_err(failed)?;
        let mut octets = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut octets).map_err(failed)?;
        Ok(octets)
    }
}

fn record(owner: &Name, value: &str, ttl: u32, class: DNSClass) -> Record {
    let mut record = Record::from_rdata(owner.clone(), ttl, RData::TXT(TXT::new(vec![value.to_owned()])));
    record.dns_class = class;
    record
}
