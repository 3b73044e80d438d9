//! How much of our time and memory a peer may take. Over any of these it is told so, or let go.

use std::time::Duration;

use crate::ops::issue::IssueMany;

/// The limits of a listener and of what comes in through it.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Octets of a request's body, from whoever is let in.
    pub body: usize,
    /// Octets of a request's body, from anybody else: strangers are many, and each may hold this much memory.
    pub body_of_strangers: usize,
    /// Octets of a request's line and headers.
    pub head: usize,
    /// How long a handshake may take.
    pub handshake_time: Duration,
    /// How long a peer may take to send a request's head; it bounds idle connections as well.
    pub head_time: Duration,
    /// How long a peer may take to send a request's body.
    pub body_time: Duration,
    /// Octets of a body that are read behind an answer that did not need them; over it the connection closes.
    pub rest: usize,
    /// How long a peer may take to send them.
    pub rest_time: Duration,
    /// How long a peer may go without taking any of our answer.
    pub write_time: Duration,
    /// How long a public connection lives at most.
    pub lifetime: Duration,
    /// Connections on the socket at once; further ones wait in the kernel's queue.
    pub local_connections: usize,
    /// Connections on the public listener at once.
    pub public_connections: usize,
    /// Connections on the public listener at once from one address.
    pub public_connections_of_one: usize,
    /// Connections on the HTTPS listener at once.
    pub https_connections: usize,
    /// Connections on the HTTPS listener at once from one address.
    pub https_connections_of_one: usize,
    /// How long a peer that lost what let it in may take to get the answer that is under way.
    pub farewell: Duration,
    /// Operations that run at once, without those below; over it the answer is 503 with Retry-After.
    pub operations: usize,
    /// Operations that only look, likewise.
    pub reads: usize,
    /// Revocations, releases and publications, likewise.
    pub revocations: usize,
    /// How long requests under way may take to finish once the service stops.
    pub drain: Duration,
}

/// Octets of one certificate request with everything around it.
pub const ONE_REQUEST: usize = 64 * 1024;

/// Who sends a request, as far as its size goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// Somebody who is let in.
    Admitted,
    /// Anybody.
    Anyone,
}

impl Limits {
    /// Octets of a request's body.
    pub fn body_of(&self, sender: Sender) -> usize {
        match sender {
            Sender::Admitted => self.body,
            Sender::Anyone => self.body.min(self.body_of_strangers),
        }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            body: ONE_REQUEST * IssueMany::LIMIT,
            body_of_strangers: ONE_REQUEST,
            head: 16 * 1024,
            handshake_time: Duration::from_secs(10),
            head_time: Duration::from_secs(10),
            body_time: Duration::from_secs(60),
            rest: 16 * ONE_REQUEST,
            rest_time: Duration::from_secs(1),
            write_time: Duration::from_secs(30),
            lifetime: Duration::from_secs(15 * 60),
            local_connections: 1024,
            public_connections: 2048,
            public_connections_of_one: 1024,
            https_connections: 2048,
            https_connections_of_one: 1024,
            farewell: Duration::from_secs(2),
            // Together fewer than the runtime's 512 threads for work that blocks.
            operations: 256,
            reads: 64,
            revocations: 64,
            drain: Duration::from_secs(10),
        }
    }
}
