//! One question to one server: UDP, then TCP if the answer is cut off (RFC 1035 §4.2, RFC 7766).

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Message, Query};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// For one answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often a question is sent.
const TRIES: u32 = 3;

/// Whether a server is to ask others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recursion {
    Desired,
    Refused,
}

/// Asks `server` for records of a name.
pub(super) async fn ask(
    server: SocketAddr,
    name: &Name,
    kind: RecordType,
    recursion: Recursion,
) -> io::Result<Message> {
    let mut message = Message::query();
    message.metadata.recursion_desired = recursion == Recursion::Desired;
    message.add_query(Query::query(name.clone(), kind));
    let question = message.to_vec().map_err(io::Error::other)?;
    let mut failure = io::Error::from(io::ErrorKind::TimedOut);
    for _ in 0..TRIES {
        match timeout(PATIENCE, by_udp(server, &message, &question)).await {
            Ok(Ok(answer)) if answer.metadata.truncation => {
                return timeout(PATIENCE, by_tcp(server, &message, &question)).await?;
            }
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => failure = error,
            Err(_elapsed) => failure = io::Error::new(io::ErrorKind::TimedOut, "it does not answer"),
        }
    }
    Err(io::Error::new(failure.kind(), format!("asking {server} for {name}: {failure}")))
}

/// The texts that an authoritative server answers with.
pub(super) async fn texts(server: SocketAddr, name: &Name) -> io::Result<Vec<String>> {
    let answer = ask(server, name, RecordType::TXT, Recursion::Refused).await?;
    let texts = answer.answers.iter().filter(|record| record.name == *name);
    Ok(texts
        .filter_map(|record| match &record.data {
            RData::TXT(text) => Some(String::from_utf8_lossy(&text.txt_data.concat()).into_owned()),
            _ => None,
        })
        .collect())
}

async fn by_udp(server: SocketAddr, asked: &Message, question: &[u8]) -> io::Result<Message> {
    let here = match server {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = UdpSocket::bind(here).await?;
    socket.connect(server).await?;
    socket.send(question).await?;
    let mut octets = vec![0; 4096];
    loop {
        let length = socket.recv(&mut octets).await?;
        // What answers another question is somebody else's, or somebody's who guesses.
        if let Ok(answer) = Message::from_vec(&octets[..length])
            && answers(asked, &answer)
        {
            return Ok(answer);
        }
    }
}

async fn by_tcp(server: SocketAddr, asked: &Message, question: &[u8]) -> io::Result<Message> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(question.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes()[..], question].concat()).await?;
    let mut length = [0; 2];
    stream.read_exact(&mut length).await?;
    let mut octets = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut octets).await?;
    let answer = Message::from_vec(&octets).map_err(io::Error::other)?;
    match answers(asked, &answer) {
        true => Ok(answer),
        false => Err(io::Error::new(io::ErrorKind::InvalidData, "it answers another question")),
    }
}

fn answers(asked: &Message, answer: &Message) -> bool {
    asked.metadata.id == answer.metadata.id && asked.queries == answer.queries
}
