//! The client of a running HAProxy's Runtime API: certificates and maps, and nothing else.
//!
//! HAProxy 2.6 answers "Success!" to things it has not done, so an answer is compared with the one that
//! was measured to mean success, and what was asked for is then looked at. One command goes over one
//! connection, with one deadline for all of it and a bound on what is read. Everything that stands in a
//! command is a value of a type that can hold no second command.
//!
//! What this module refuses: to commit a CA or a CRL. Nothing here is written to disk; files come
//! first, so that a HAProxy that starts reads what the running one was told.

mod certificate;
mod challenge;
mod channel;
mod map;
mod process;
mod served;

use std::net::SocketAddr;
use std::time::Duration;

pub use challenge::{Challenge, challenges_file};
pub use map::{MapChange, revoked_file};
pub use process::{Health, LoadedList, Master, Worker};
pub use served::served;

use crate::FilePath;

/// Where a Runtime API listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// On this machine.
    Unix(FilePath),
    /// Elsewhere. The API has no authentication: bind it to a network of its own.
    Tcp(SocketAddr),
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Address::Unix(path) => path.fmt(f),
            Address::Tcp(address) => address.fmt(f),
        }
    }
}

/// The most that a HAProxy may take from us, and we send to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// For one command, from the connection to the end of the answer.
    pub deadline: Duration,
    /// Octets of an answer.
    pub answer: usize,
    /// Octets of a command with its payload. HAProxy drops what exceeds `tune.bufsize` (16384 by default)
    /// and answers nothing.
    pub command: usize,
}

impl Bounds {
    /// Enough for a map of 300,000 revoked certificates.
    pub const STANDARD: Bounds =
        Bounds { deadline: Duration::from_secs(10), answer: 64 << 20, command: 15_000 };
}

/// The Runtime API of one HAProxy.
#[derive(Clone, Debug)]
pub struct Runtime {
    address: Address,
    bounds: Bounds,
    end: End,
}

/// How a socket is told that nothing more comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// A worker closes after the answer.
    Answer,
    /// A master waits for more until it is told to close.
    Quit,
}

impl Runtime {
    /// The API at this address. Nothing is connected before the first command.
    pub fn new(address: Address, bounds: Bounds) -> Runtime {
        Runtime { address, bounds, end: End::Answer }
    }

    /// The socket of a master.
    fn master(address: Address, bounds: Bounds) -> Runtime {
        Runtime { address, bounds, end: End::Quit }
    }

    /// Which HAProxy it is.
    pub fn name(&self) -> String {
        self.address.to_string()
    }
}
