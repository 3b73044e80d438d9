//! The HTTPS listener: whoever comes by the network and may have to show a certificate.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use acme::client::solve::tls_alpn_01::PROTOCOL;
use rustls::HandshakeKind;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OnceCell, watch};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use trust::Presented;

use super::Error;
use super::connection::Accept;
use super::origins::{Origins, Place};
use super::proxied::{self, Malformed, Origin};
use super::public::bind;
use crate::counters::Words;
use crate::pki::Ends;
use crate::tls::{Tls, presented};
use crate::{Pki, clock};

/// The other end of an HTTPS connection.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// Where it comes from.
    pub(crate) remote: SocketAddr,
    /// Where it was accepted.
    pub(crate) local: SocketAddr,
    /// What it showed.
    pub(crate) presented: Arc<Presented>,
    /// Its place among the connections of its address, where a proxy had to tell that address first.
    _place: Option<Arc<Place>>,
}

impl Caller {
    /// The ends of its connection.
    pub(crate) fn ends(&self) -> Ends {
        Ends { remote: self.remote, local: self.local }
    }
}

/// A bound HTTPS address.
pub(crate) struct HttpsListener {
    listener: TcpListener,
    address: SocketAddr,
    acceptor: TlsAcceptor,
    tls: Tls,
    pki: Pki,
    changes: watch::Receiver<u64>,
    /// Who comes by way of a proxy.
    proxied: Origins,
    /// How many of them at once from one address.
    of_one_origin: usize,
    /// Set once everything that a decision looks up is in memory.
    read: OnceCell<()>,
}

impl HttpsListener {
    /// Binds `address`. A busy one is refused with the name of whoever holds it. `changes` moves whenever
    /// somebody may have lost what let them in. `of_one_origin` is how many may come at once from one address.
    pub(crate) async fn bind(
        address: SocketAddr,
        pki: Pki,
        tls: Tls,
        changes: watch::Receiver<u64>,
        of_one_origin: usize,
    ) -> Result<HttpsListener, Error> {
        let listener = bind(address).await?;
        let acceptor = TlsAcceptor::from(tls.config.clone());
        let (proxied, read) = (Origins::default(), OnceCell::new());
        Ok(HttpsListener { listener, address, acceptor, tls, pki, changes, proxied, of_one_origin, read })
    }

    /// What it is bound to.
    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap_or(self.address)
    }

    /// Reads what decisions look up before the first is made: a million revocations take a second or more, in
    /// which a thread that serves connections would serve none.
    async fn read(&self) {
        let pki = self.pki.clone();
        match tokio::task::spawn_blocking(move || pki.revoked().catch_up()).await {
            Ok(Ok(_through)) => {}
            // Each decision tries again, and lets nobody in as long as it fails.
            Ok(Err(error)) => tracing::error!(%error, "the revocations can't be read"),
            Err(_panicked) => tracing::error!("reading the revocations stopped at a defect"),
        }
    }

    /// Makes sure that the certificate of this handshake is the one in the files.
    async fn refresh(&self) {
        if self.tls.own.is_current() {
            return;
        }
        let own = Arc::clone(&self.tls.own);
        match tokio::task::spawn_blocking(move || own.refresh(clock::now())).await {
            Ok(Ok(())) => {}
            // The last good one is still in memory.
            Ok(Err(error)) => tracing::error!(%error, "the service's certificate can't be read again"),
            Err(_panicked) => tracing::error!("reading the service's certificate stopped at a defect"),
        }
    }

    /// Who is before the proxy that a connection comes from, if it comes from one.
    async fn told(&self, arrived: &mut Arrived) -> io::Result<Option<Arc<Place>>> {
        match arrived.via {
            Via::Nobody => return Ok(None),
            Via::Proxy => {}
        }
        match proxied::read(&mut arrived.stream, arrived.remote.ip()).await? {
            Origin::Proxy => {}
            Origin::Client(client) => arrived.remote = client,
        }
        let place = self.proxied.enter(Some(arrived.remote.ip()), self.of_one_origin);
        place.map(|place| Some(Arc::new(place))).map_err(|_crowded| {
            io::Error::new(io::ErrorKind::ResourceBusy, "too many connections from one address")
        })
    }

    async fn shake_hands(&self, mut arrived: Arrived) -> io::Result<(TlsStream<TcpStream>, Caller)> {
        let place = self.told(&mut arrived).await?;
        let Arrived { stream, remote, via: _ } = arrived;
        stream.set_nodelay(true)?;
        let local = stream.local_addr()?;
        self.refresh().await;
        let mut stream = self.acceptor.accept(stream).await?;
        if stream.get_ref().1.alpn_protocol() == Some(PROTOCOL) {
            // It has seen what it came for (RFC 8737 §4: nothing is said over this connection).
            stream.shutdown().await?;
            return Err(io::Error::other(Validated));
        }
        // A resumed session has the certificate of the handshake that it goes back to.
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let presented = presented(chain, remote.ip())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        Ok((stream, Caller { remote, local, presented: Arc::new(presented), _place: place }))
    }
}

/// A connection before anything was read from it.
pub(crate) struct Arrived {
    stream: TcpStream,
    remote: SocketAddr,
    via: Via,
}

/// By way of whom a connection comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Via {
    /// Whoever is at the other end.
    Nobody,
    /// A proxy of `core.https_trusted_proxy`, which says whose it is.
    Proxy,
}

/// A validator of TLS-ALPN-01 came, looked and went.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("a validator looked at the certificate that proves a name")]
struct Validated;

/// A handshake that is under way: whoever breaks it off because it takes too long drops it.
struct Handshake<'a> {
    counts: &'a Words,
    result: &'static str,
}

impl<'a> Handshake<'a> {
    fn begin(counts: &'a Words) -> Handshake<'a> {
        Handshake { counts, result: "broken-off" }
    }

    fn end(mut self, result: &'static str) {
        self.result = result;
    }
}

impl Drop for Handshake<'_> {
    fn drop(&mut self) {
        self.counts.count(self.result);
    }
}

/// Why a handshake failed, in one word for the metrics.
fn reason(error: &io::Error) -> &'static str {
    match error.get_ref().and_then(|source| source.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::AlertReceived(_)) => "alert-received",
        Some(rustls::Error::InvalidCertificate(_)) => "certificate",
        Some(rustls::Error::PeerIncompatible(_)) => "incompatible",
        Some(_) => "malformed",
        None if error.get_ref().is_some_and(|source| source.is::<Validated>()) => "validation",
        None if error.get_ref().is_some_and(|source| source.is::<Malformed>()) => "proxy-header",
        None if error.kind() == io::ErrorKind::InvalidData => "certificate",
        None => "connection-lost",
    }
}

impl Accept for HttpsListener {
    type Arrived = Arrived;
    type Stream = TlsStream<TcpStream>;
    type Who = Caller;

    async fn accept(&self) -> io::Result<Arrived> {
        // Whoever comes meanwhile waits in the kernel's queue.
        self.read.get_or_init(|| self.read()).await;
        let (stream, remote) = self.listener.accept().await?;
        // Where the settings can't be read nobody is trusted: a header is then no TLS.
        let trusted = self.pki.settings().is_ok_and(|now| now.trusted_proxies().contains(remote.ip()));
        Ok(Arrived { stream, remote, via: if trusted { Via::Proxy } else { Via::Nobody } })
    }

    fn origin(arrived: &Arrived) -> Option<IpAddr> {
        match arrived.via {
            Via::Nobody => Some(arrived.remote.ip()),
            // Counted when it is known whose it is: all clients of a proxy have its address.
            Via::Proxy => None,
        }
    }

    async fn establish(&self, arrived: Arrived) -> io::Result<(TlsStream<TcpStream>, Caller)> {
        let handshake = Handshake::begin(&self.pki.counters().handshakes);
        match self.shake_hands(arrived).await {
            Ok((stream, caller)) => {
                handshake.end(match stream.get_ref().1.handshake_kind() {
                    Some(HandshakeKind::Resumed) => "resumed",
                    _ => "full",
                });
                Ok((stream, caller))
            }
            Err(error) => {
                handshake.end(reason(&error));
                Err(error)
            }
        }
    }

    async fn dismissed(&self, caller: &Caller) {
        let mut changes = self.changes.clone();
        changes.mark_unchanged();
        let lets_in = || self.pki.lets_in(&caller.presented, clock::now());
        let mut was_in = lets_in();
        loop {
            // Whoever tells of changes has ended: so does the service.
            if changes.changed().await.is_err() {
                return std::future::pending().await;
            }
            // A stranger may stay one: what it may ask for is decided for each request.
            let is_in = lets_in();
            if was_in && !is_in {
                return;
            }
            was_in = is_in;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::Versions;

    #[tokio::test]
    async fn nobody_is_let_near_before_the_revocations_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let (home, now) = (dir.path().join("pki"), clock::now());
        let (keys, init) = (crate::testing::keys(), crate::testing::plain_init());
        drop(Pki::init(&home, keys, &init, &crate::peer::own(), now).unwrap());
        let pki = crate::testing::reopened_at(&home, now);
        let (_changing, changes) = watch::channel(0);
        let tls = Tls::open(pki.clone(), Versions::default(), now).unwrap();
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = HttpsListener::bind(anywhere, pki.clone(), tls, changes, 4).await.unwrap();
        let client = TcpStream::connect(listener.address());
        assert!(!pki.revoked().is_read());
        let (arrived, connected) = tokio::join!(listener.accept(), client);
        connected.unwrap();
        assert_eq!(arrived.unwrap().remote.ip(), anywhere.ip());
        assert!(pki.revoked().is_read());
    }
}
