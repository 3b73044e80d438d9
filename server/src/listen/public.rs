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
        let listener = TcpListener::from_std(listener)?;
        lengthen(&listener)?;
        Ok(PublicListener { listener, address })
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

/// Connections that the kernel keeps until they are accepted; `net.core.somaxconn` bounds it too.
const QUEUE: i32 = 4096;

/// Binds an address of the network.
pub(super) async fn bind(address: SocketAddr) -> Result<TcpListener, Error> {
    let bound = TcpListener::bind(address).await.and_then(|listener| {
        lengthen(&listener)?;
        Ok(listener)
    });
    bound.map_err(|source| refusal(address, source))
}

/// Makes the queue of a listener longer than the 128 places it is born with. Where it is full the kernel drops
/// what comes, and the client tries again a second later, or three, or seven.
fn lengthen(listener: &TcpListener) -> io::Result<()> {
    Ok(rustix::net::listen(listener, QUEUE)?)
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

#[cfg(test)]
mod tests {
    use std::net::TcpStream;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn many_come_at_once_and_none_has_to_come_again() {
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let early = std::net::TcpListener::bind(anywhere).unwrap();
        early.set_nonblocking(true).unwrap();
        let listeners =
            [PublicListener::bind(anywhere).await.unwrap(), PublicListener::of(early, anywhere).unwrap()];
        for listener in &listeners {
            let address = listener.address();
            // Nobody is accepted: whoever finds no place finds none later.
            let waiting: Result<Vec<_>, _> =
                (0..300).map(|_| TcpStream::connect_timeout(&address, Duration::from_secs(20))).collect();
            assert_eq!(waiting.unwrap().len(), 300);
        }
    }
}
