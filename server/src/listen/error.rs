//! Why a door stayed shut.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why a listener could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address could not be bound.
    #[error("can't listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another program listens there.
    #[error("can't listen on {address}: {holder} listens there")]
    Busy {
        /// The address.
        address: SocketAddr,
        /// Which program, as far as we may see.
        holder: String,
    },
    /// There is nothing to speak TLS with.
    #[error("can't speak TLS on {address}")]
    Tls {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: Box<crate::tls::Error>,
    },
    /// Something that is no socket lies where the socket belongs.
    #[error("{path} is not a socket, and is in its place")]
    NotASocket {
        /// Where.
        path: PathBuf,
    },
    /// Another service answers on the socket.
    #[error("another service answers on {path}")]
    SocketBusy {
        /// Where.
        path: PathBuf,
    },
    /// The socket could not be made or put in its place.
    #[error("can't make the socket {path}")]
    Socket {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}
