//! The smallest HTTP client that keeps its connection, for TCP and for the service's socket: it must
//! cost little, for it runs on the same processors as what it measures.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::measure::{Samples, milliseconds};

trait Both: Read + Write + Send {}
impl<T: Read + Write + Send> Both for T {}

/// A connection that is kept.
pub struct Client {
    stream: BufReader<Box<dyn Both>>,
    fields: String,
}

const PATIENCE: Duration = Duration::from_secs(120);

impl Client {
    /// To a service's socket in `directory`, however long its path.
    pub fn to_socket(directory: &Path) -> io::Result<Client> {
        let folder = File::open(directory)?;
        let short = format!("/proc/self/fd/{}/pki.socket", folder.as_raw_fd());
        let stream = UnixStream::connect(short)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Client { stream: BufReader::new(Box::new(stream)), fields: String::new() })
    }

    /// To an address, with further header lines (each with its line end).
    pub fn to_address(address: &str, fields: &str) -> io::Result<Client> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Client { stream: BufReader::new(Box::new(stream)), fields: fields.to_owned() })
    }

    /// Over a connection of any kind.
    pub fn over(stream: impl Read + Write + Send + 'static, fields: &str) -> Client {
        Client { stream: BufReader::new(Box::new(stream)), fields: fields.to_owned() }
    }

    /// Sends a request and reads the whole answer: its status and body.
    pub fn ask(&mut self, method: &str, path: &str, body: &[u8]) -> io::Result<(u16, Vec<u8>)> {
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{}Content-Length: {}\r\n\r\n",
            self.fields,
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body);
        self.stream.get_mut().write_all(&request)?;
        let status = self.line()?;
        let status = status.split(' ').nth(1).and_then(|word| word.parse().ok()).ok_or_else(odd)?;
        let (mut length, mut chunked) = (0, false);
        loop {
            let line = self.line()?.to_ascii_lowercase();
            match line.split_once(':') {
                None if line.is_empty() => break,
                Some(("content-length", value)) => length = value.trim().parse().map_err(|_| odd())?,
                Some(("transfer-encoding", value)) => chunked = value.trim() == "chunked",
                Some(_) => {}
                None => return Err(odd()),
            }
        }
        let mut answer = Vec::new();
        match chunked {
            false => self.take(length, &mut answer)?,
            true => loop {
                let size = usize::from_str_radix(self.line()?.trim(), 16).map_err(|_| odd())?;
                self.take(size, &mut answer)?;
                self.line()?;
                if size == 0 {
                    break;
                }
            },
        }
        Ok((status, answer))
    }

    fn take(&mut self, length: usize, into: &mut Vec<u8>) -> io::Result<()> {
        let before = into.len();
        into.resize(before + length, 0);
        self.stream.read_exact(&mut into[before..])
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        match line.strip_suffix("\r\n") {
            Some(line) => Ok(line.to_owned()),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

fn odd() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "not an HTTP answer")
}

/// What a crowd of clients met.
pub struct Crowd {
    /// Requests answered a second.
    pub rate: f64,
    /// Milliseconds of each request.
    pub times: Samples,
}

/// `clients` clients at once, each with a connection of its own, send `requests` one after another until
/// none is left.
///
/// # Panics
/// If a request is not answered with success.
pub fn crowd(
    clients: usize,
    requests: Vec<Vec<u8>>,
    path: &str,
    connect: impl Fn() -> io::Result<Client> + Sync,
) -> Crowd {
    let left = Mutex::new(requests);
    let next = || left.lock().expect("nobody panics with it").pop();
    let count = left.lock().expect("nobody panics with it").len();
    let begun = Instant::now();
    let times: Vec<Vec<f64>> = std::thread::scope(|scope| {
        let work = || {
            let mut client = connect().unwrap_or_else(|error| panic!("{path}: {error}"));
            let mut times = Vec::new();
            while let Some(body) = next() {
                let begun = Instant::now();
                let (status, answer) =
                    client.ask("POST", path, &body).unwrap_or_else(|error| panic!("{path}: {error}"));
                times.push(milliseconds(begun.elapsed()));
                assert!(status < 300, "{path}: {status} {}", String::from_utf8_lossy(&answer));
            }
            times
        };
        let running: Vec<_> = (0..clients).map(|_| scope.spawn(work)).collect();
        running.into_iter().map(|thread| thread.join().expect("a client went through")).collect()
    });
    let seconds = begun.elapsed().as_secs_f64();
    Crowd { rate: count as f64 / seconds, times: times.into_iter().flatten().collect() }
}
