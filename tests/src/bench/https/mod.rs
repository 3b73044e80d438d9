//! The HTTPS listener, asked by clients with certificates that run on the same processors.

mod bare;
mod handshakes;
mod refusing;
mod requests;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::version::TLS13;
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use super::client::Client;
use super::site::{Serving, Site};
use crate::free_port;

pub use handshakes::with_revoked;
pub use refusing::revoked_while_open;
pub use requests::{keep_alive, sign_beside_openbao, signing};

/// A service that listens on HTTPS, and a client that it trusts.
pub struct Https {
    address: SocketAddr,
    client: Arc<ClientConfig>,
    serving: Serving,
}

/// What a client shows.
struct Shown {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// A connection, its handshake not yet begun.
type Connection = StreamOwned<ClientConnection, TcpStream>;

const PATIENCE: Duration = Duration::from_secs(60);

impl Https {
    /// Serves what `site` has.
    pub fn serve(site: &Site) -> Https {
        let name = format!("https-{}", free_port());
        let client = issued_to(site, &name);
        site.sandbox().pki(["trust", "add", &format!("{name}.crt")]).success();
        Https::serve_for(site, client)
    }

    /// Serves what `site` has, once it has imported the authority of `other` with its list; the client is
    /// one of that authority's.
    pub fn importing(site: &Site, other: &Site) -> Https {
        let client = issued_to(other, &format!("https-{}", free_port()));
        // By the files, for the command takes no list as large as the largest.
        let (theirs, ours) = (other.sandbox().dir(), site.sandbox().dir().join("trusted-ca"));
        std::fs::create_dir_all(&ours).expect("a new folder");
        for (from, to) in [("ca.crt", "server.ca"), ("ca.crl.der", "ca.crl")] {
            std::fs::copy(theirs.join(from), ours.join(to)).unwrap_or_else(|error| panic!("{from}: {error}"));
        }
        site.sandbox().pki(["config", "set", "core.trust_ca_certificates", "true"]).success();
        Https::serve_for(site, client)
    }

    fn serve_for(site: &Site, client: Arc<ClientConfig>) -> Https {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        site.sandbox().pki(["config", "set", "core.https_address", &address.to_string()]).success();
        let (_, serving) = site.serve();
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < deadline, "nobody listens at {address}");
            std::thread::sleep(Duration::from_millis(5));
        }
        let https = Https { address, client, serving };
        // Whoever connects is answered once the revocations are read, which is the start's time and not theirs.
        let mut connection = https.connect(&https.client).expect("a connection");
        ask(&mut connection, b"GET /1.0 HTTP/1.1\r\nhost: localhost\r\n\r\n", &mut Vec::new())
            .expect("an answer");
        https
    }

    /// Ends it, and leaves the directory as one that is not served on HTTPS.
    pub fn end(self, site: &Site) {
        drop(self.serving);
        site.sandbox().pki(["config", "unset", "core.https_address"]).success();
    }

    /// A connection of a client.
    fn connect(&self, client: &Arc<ClientConfig>) -> io::Result<Connection> {
        connect(self.address, client)
    }

    /// A client that the service trusts, with a connection that is kept.
    pub fn client(&self) -> io::Result<Client> {
        Ok(Client::over(self.connect(&self.client)?, ""))
    }
}

/// A connection of a client to a server.
fn connect(address: SocketAddr, client: &Arc<ClientConfig>) -> io::Result<Connection> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let name = ServerName::from(address.ip());
    let session = ClientConnection::new(client.clone(), name).map_err(io::Error::other)?;
    Ok(StreamOwned::new(session, stream))
}

/// Issues a certificate and returns a client that shows it.
fn issued_to(site: &Site, name: &str) -> Arc<ClientConfig> {
    let Shown { chain, key } = issued(site, name);
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&TLS13])
        .expect("TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyServer(provider)))
        .with_client_auth_cert(chain, key)
        .expect("a certificate with its key");
    // A resumed session is no new handshake.
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

/// Issues a certificate to a new key.
fn issued(site: &Site, name: &str) -> Shown {
    let sandbox = site.sandbox();
    // Their keys are P-256: what is measured is the service, and by such a key it has the least to do.
    sandbox.pki(["issue-client", name, "--key-type", "p256"]).success();
    let read = |ending: &str| std::fs::read(sandbox.file(&format!("{name}.{ending}"))).expect("a new file");
    let chain = vec![CertificateDer::from_pem_slice(&read("crt")).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_slice(&read("key")).expect("a key");
    Shown { chain, key }
}

/// Sends a request on a connection and reads the answer into `buffer`: its status and its length.
fn ask(connection: &mut Connection, request: &[u8], buffer: &mut Vec<u8>) -> io::Result<(u16, usize)> {
    connection.write_all(request)?;
    buffer.clear();
    let mut block = [0; 4096];
    let mut wanted = None;
    while wanted.is_none_or(|wanted| buffer.len() < wanted) {
        match connection.read(&mut block)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            size => buffer.extend_from_slice(&block[..size]),
        }
        if wanted.is_none() {
            wanted = whole_length(buffer)?;
        }
    }
    Ok((status(buffer)?, buffer.len()))
}

/// Octets of an answer with its head, as soon as all of the head is there.
fn whole_length(answer: &[u8]) -> io::Result<Option<usize>> {
    let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
    let length: usize = length.ok_or_else(|| io::Error::other("an answer without a length"))?;
    Ok(Some(end + 4 + length))
}

fn status(answer: &[u8]) -> io::Result<u16> {
    let word = answer.get(9..12).and_then(|word| std::str::from_utf8(word).ok());
    word.and_then(|word| word.parse().ok()).ok_or_else(|| io::Error::other("not an HTTP answer"))
}

/// Takes any server: what is measured is the service, and its client must cost little.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
