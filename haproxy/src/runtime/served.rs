//! What a TLS listener serves, found out as a client would.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ca::cert::{Certificate, DnsName};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};

use crate::Error;

/// Shakes hands for `name` and returns the certificate that is served.
///
/// Whoever issued it and until when it runs is not looked at: the question is which one it is. That the
/// server holds its key is proven. One `deadline` counts for all of it.
pub fn served(address: SocketAddr, name: &DnsName, deadline: Duration) -> Result<Certificate, Error> {
    let end = Instant::now() + deadline;
    let failed = |source| Error::Handshake { address, name: name.clone(), source };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let witness = Arc::new(Witness { provider: Arc::clone(&provider), seen: Mutex::new(None) });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(io::Error::other(error)))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&witness) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    let server = ServerName::try_from(name.to_string()).map_err(|error| failed(io::Error::other(error)))?;
    let mut connection =
        ClientConnection::new(Arc::new(config), server).map_err(|error| failed(io::Error::other(error)))?;
    let mut stream = TcpStream::connect_timeout(&address, deadline).map_err(failed)?;
    while connection.is_handshaking() {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(failed(io::ErrorKind::TimedOut.into()));
        }
        stream.set_read_timeout(Some(left)).and(stream.set_write_timeout(Some(left))).map_err(failed)?;
        if connection.wants_write() {
            connection.write_tls(&mut stream).map_err(failed)?;
        } else {
            if connection.read_tls(&mut stream).map_err(failed)? == 0 {
                return Err(failed(io::ErrorKind::UnexpectedEof.into()));
            }
            connection.process_new_packets().map_err(|error| failed(io::Error::other(error)))?;
        }
    }
    let seen = witness.seen.lock().unwrap_or_else(PoisonError::into_inner).take();
    let der = seen.ok_or_else(|| failed(io::Error::other("no certificate was shown")))?;
    Certificate::from_der(&der).map_err(Error::Leaf)
}

/// Takes any certificate, and notes which one.
#[derive(Debug)]
struct Witness {
    provider: Arc<CryptoProvider>,
    seen: Mutex<Option<Vec<u8>>>,
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(end_entity.to_vec());
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
