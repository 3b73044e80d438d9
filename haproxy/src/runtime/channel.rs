//! One command and its answer over a connection of its own.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use super::{Address, End, Runtime};
use crate::Error;

/// A command: what may be shown of it, and the payload behind it, which may be a private key.
pub(super) struct Command<'a> {
    pub line: &'a str,
    pub payload: Option<&'a str>,
}

impl Runtime {
    /// Sends a command without a payload.
    pub(super) fn ask(&self, line: &str) -> Result<String, Error> {
        self.exchange(&Command { line, payload: None })
    }

    /// Sends a command and returns the answer without the empty line at its end.
    pub(super) fn exchange(&self, command: &Command<'_>) -> Result<String, Error> {
        let text = self.written(command)?;
        let end = Instant::now() + self.bounds.deadline;
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Error::Deadline {
                instance: self.address.to_string(),
                command: command.line.to_owned(),
                seconds: self.bounds.deadline.as_secs_f64(),
            },
            _ => Error::Exchange {
                instance: self.address.to_string(),
                command: command.line.to_owned(),
                source,
            },
        };
        let mut stream = Stream::connect(&self.address, end).map_err(failed)?;
        let mut unsent = text.as_bytes();
        while !unsent.is_empty() {
            stream.limit(end).map_err(failed)?;
            match stream.write(unsent) {
                Ok(0) => return Err(failed(io::ErrorKind::WriteZero.into())),
                Ok(sent) => unsent = &unsent[sent..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
        let mut answer = Vec::new();
        let mut chunk = [0; 16_384];
        loop {
            stream.limit(end).map_err(failed)?;
            let read = match stream.read(&mut chunk) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(failed(error)),
            };
            if answer.len() + read > self.bounds.answer {
                let (command, limit) = (command.line.to_owned(), self.bounds.answer);
                return Err(Error::AnswerTooLong { instance: self.address.to_string(), command, limit });
            }
            answer.extend_from_slice(&chunk[..read]);
        }
        let answer = String::from_utf8(answer).map_err(|_| self.unexpected(command.line, "<not UTF-8>"))?;
        Ok(answer.trim_end_matches('\n').to_owned())
    }

    /// An answer that is not the one that means success.
    pub(super) fn unexpected(&self, command: &str, answer: &str) -> Error {
        const SHOWN: usize = 300;
        let answer = match answer.trim() {
            "" => "nothing".to_owned(),
            text => text.chars().take(SHOWN).flat_map(char::escape_debug).collect(),
        };
        Error::Answer { instance: self.address.to_string(), command: command.to_owned(), answer }
    }

    fn written(&self, command: &Command<'_>) -> Result<zeroize::Zeroizing<String>, Error> {
        // `;` and a newline begin a second command; an empty line ends a payload, and what follows would be
        // read as commands.
        let line = command.line;
        let payload = command.payload.unwrap_or_default();
        if line.contains(|c: char| c.is_control() || c == ';') || payload.lines().any(str::is_empty) {
            return Err(Error::word("a command", line, "one line, and a payload without empty ones"));
        }
        let text = zeroize::Zeroizing::new(match command.payload {
            None if self.end == End::Quit => format!("{line}\nquit\n"),
            None => format!("{line}\n"),
            Some(payload) => format!("{line} <<\n{}\n\n", payload.trim_end_matches('\n')),
        });
        match text.len() > self.bounds.command {
            true => Err(Error::CommandTooLong {
                command: line.to_owned(),
                found: text.len(),
                limit: self.bounds.command,
            }),
            false => Ok(text),
        }
    }
}

enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

/// What is left until `end`; an error when nothing is.
fn left(end: Instant) -> io::Result<Duration> {
    match end.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(io::ErrorKind::TimedOut.into()),
        left => Ok(left),
    }
}

impl Stream {
    fn connect(address: &Address, end: Instant) -> io::Result<Stream> {
        match address {
            Address::Tcp(address) => TcpStream::connect_timeout(address, left(end)?).map(Stream::Tcp),
            Address::Unix(path) => {
                // The standard library's connect has no deadline, and waits while the backlog is full.
                let flags = SocketFlags::CLOEXEC;
                let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
                set_socket_timeout(&socket, Timeout::Send, Some(left(end)?))?;
                connect(&socket, &SocketAddrUnix::new(path.as_str())?)?;
                Ok(Stream::Unix(UnixStream::from(socket)))
            }
        }
    }

    fn limit(&self, end: Instant) -> io::Result<()> {
        let left = Some(left(end)?);
        match self {
            Stream::Unix(stream) => stream.set_read_timeout(left).and(stream.set_write_timeout(left)),
            Stream::Tcp(stream) => stream.set_read_timeout(left).and(stream.set_write_timeout(left)),
        }
    }

    fn read(&mut self, chunk: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Unix(stream) => stream.read(chunk),
            Stream::Tcp(stream) => stream.read(chunk),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Unix(stream) => stream.write(bytes),
            Stream::Tcp(stream) => stream.write(bytes),
        }
    }
}
