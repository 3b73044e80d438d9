//! A server that speaks TLS and does nothing else: what the machine itself lets through.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::version::TLS13;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::Shown;

/// A server with a thread for each connection; the threads end when their clients hang up.
pub(super) struct Bare {
    listener: TcpListener,
    config: Arc<ServerConfig>,
}

impl Bare {
    /// One that shows this certificate, whatever it was made for.
    pub(super) fn new(shown: Shown) -> Bare {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&TLS13])
            .expect("TLS 1.3")
            .with_no_client_auth()
            .with_single_cert(shown.chain, shown.key)
            .expect("a certificate with its key");
        Bare { listener, config: Arc::new(config) }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("a bound address")
    }

    /// Answers so many connections, each request of `request` octets with `answer`, while `work` runs.
    pub(super) fn answering<T>(
        &self,
        connections: usize,
        request: usize,
        answer: &[u8],
        work: impl FnOnce() -> T,
    ) -> T {
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for _ in 0..connections {
                    let Ok((stream, _)) = self.listener.accept() else { return };
                    scope.spawn(move || self.answer(stream, request, answer));
                }
            });
            work()
        })
    }

    /// Until the client hangs up.
    fn answer(&self, stream: TcpStream, request: usize, answer: &[u8]) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let session = ServerConnection::new(self.config.clone()).map_err(io::Error::other)?;
        let mut connection = StreamOwned::new(session, stream);
        let mut asked = vec![0; request];
        loop {
            connection.read_exact(&mut asked)?;
            connection.write_all(answer)?;
        }
    }
}
