//! The public listener: plain HTTP, for what anyone may fetch.

use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::net::{TcpListener, TcpStream};

use super::connection::Accept;
use super::{Error, holder};

/// A bound public address.
pub(crate) struct PublicListener {
    listener: TcpListener,
    address: SocketAddr,
}

impl PublicListener {
    /// Binds `address`. A busy one is refused with the name of whoever holds it.
    pub(crate) async fn bind(address: SocketAddr) -> Result<PublicListener, Error> {
        Ok(PublicListener { listener: bind(address).await?, address })
    }

    /// One that is bound already.
    pub(crate) fn of(listener: std::net::TcpListener, address: SocketAddr) -> io::Result<PublicListener> {
        Ok(PublicListener { listener: TcpListener::from_std(listener)?, address })
    }

    /// Whether `address` could be bound now.
    pub(crate) fn probe(address: SocketAddr) -> Result<(), Error> {
        match std::net::TcpListener::bind(address) {
            Ok(_let_go) => Ok(()),
            Err(source) => Err(refusal(address, source)),
        }
    }

    /// What it is bound to.
    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap_or(self.address)
    }
}

/// Binds an address of the network.
pub(super) async fn bind(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|source| refusal(address, source))
}

fn refusal(address: SocketAddr, source: io::Error) -> Error {
    match source.kind() {
        io::ErrorKind::AddrInUse => Error::Busy { address, holder: holder::holder(address) },
        _ => Error::Bind { address, source },
    }
}

impl Accept for PublicListener {
    type Arrived = (TcpStream, SocketAddr);
    type Stream = TcpStream;
    type Who = SocketAddr;

    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.listener.accept().await
    }

    fn origin((_, remote): &(TcpStream, SocketAddr)) -> Option<IpAddr> {
        Some(remote.ip())
    }

    async fn establish(
        &self,
        (stream, remote): (TcpStream, SocketAddr),
    ) -> io::Result<(TcpStream, SocketAddr)> {
        stream.set_nodelay(true)?;
        Ok((stream, remote))
    }

    async fn dismissed(&self, _: &SocketAddr) {
        std::future::pending().await
    }
}
