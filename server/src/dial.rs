//! The client's side of HTTPS: finds a service, makes sure that it is the right one, shows who we are.
//!
//! A server is known in one of two ways: authorities that we trust verify it (RFC 5280 path and RFC 9525
//! name), or it shows the very certificate that was pinned when it was first seen. [`Dialer::connect`]
//! opens no connection to one that is known in neither way, so that nothing is ever sent to it.
//! [`look`] alone speaks to a server that nobody knows, sends nothing, and returns what it shows: for the
//! first contact, where somebody else decides.
//!
//! How to use it: parse an [`Address`], read an [`Identity`], choose a [`Verification`], make a [`Dialer`]
//! and speak HTTP/1.1 over what [`Dialer::connect`] returns. TLS 1.3 alone is spoken, unless
//! [`Versions::Insecure`] was asked for; X25519MLKEM768 is offered first.

mod address;
mod error;
mod identity;
mod verify;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub use address::{Address, AddressError, DEFAULT_PORT};
pub use error::DialError;
pub use identity::{Identity, IdentityError};
pub use verify::{Authorities, Shown, Verification};

use crate::tls::{ConfigError, Versions, provider};
use verify::Gatekeeper;

/// How long a server may take to accept a connection. One that is there takes milliseconds.
pub const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// How long the handshake may take.
pub const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

/// A connection whose other end is known.
pub type Stream = TlsStream<TcpStream>;

/// Opens connections to one service, as one client.
#[derive(Clone, Debug)]
pub struct Dialer {
    address: Address,
    identity: Option<Identity>,
    verification: Verification,
    versions: Versions,
}

impl Dialer {
    /// A way to `address`: as the holder of `identity`, or as nobody, to a server that `verification` knows.
    pub fn new(
        address: Address,
        identity: Option<Identity>,
        verification: Verification,
        versions: Versions,
    ) -> Dialer {
        Dialer { address, identity, verification, versions }
    }

    /// Where it leads.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// [`DialError`]. Nothing was sent to the server then, but for the handshake.
    pub async fn connect(&self) -> Result<Stream, DialError> {
        let provider = provider();
        let gatekeeper = Arc::new(Gatekeeper::new(&self.verification, &provider)?);
        let stream = dial(&self.address, self.identity.as_ref(), self.versions, gatekeeper.clone()).await;
        match (stream, &self.verification) {
            (Err(DialError::Unverified { .. }), Verification::Pin(pinned)) => {
                match gatekeeper.shown().filter(|shown| shown.fingerprint() != *pinned) {
                    Some(shown) => Err(DialError::Changed {
                        address: self.address.clone(),
                        pinned: *pinned,
                        shown: Box::new(shown),
                    }),
                    // It did not prove that it holds the certificate's key.
                    None => Err(DialError::Unproven { address: self.address.clone() }),
                }
            }
            (ended, Verification::Authorities(_) | Verification::Pin(_)) => ended,
        }
    }
}

/// Looks what certificate a server shows, trusting nothing. The server has proven that it holds its key,
/// and is sent nothing.
///
/// # Errors
/// [`DialError`].
pub async fn look(address: &Address, versions: Versions) -> Result<Shown, DialError> {
    let gatekeeper = Arc::new(Gatekeeper::for_anyone(&provider()));
    let _stream = dial(address, None, versions, gatekeeper.clone()).await?;
    gatekeeper.shown().ok_or_else(|| DialError::Unproven { address: address.clone() })
}

async fn dial(
    address: &Address,
    identity: Option<&Identity>,
    versions: Versions,
    gatekeeper: Arc<Gatekeeper>,
) -> Result<Stream, DialError> {
    let config = config(identity, versions, gatekeeper)?;
    let late = |within| DialError::Late { address: address.clone(), within };
    let connecting = TcpStream::connect((address.host(), address.port()));
    let stream = tokio::time::timeout(CONNECT_WITHIN, connecting)
        .await
        .map_err(|_elapsed| late(CONNECT_WITHIN))?
        .and_then(|stream| stream.set_nodelay(true).map(|()| stream))
        .map_err(|source| DialError::Unreached { address: address.clone(), source })?;
    let name: ServerName<'static> = address.server_name();
    let handshake = TlsConnector::from(Arc::new(config)).connect(name, stream);
    tokio::time::timeout(HANDSHAKE_WITHIN, handshake)
        .await
        .map_err(|_elapsed| late(HANDSHAKE_WITHIN))?
        .map_err(|error| broken(address, error))
}

fn config(
    identity: Option<&Identity>,
    versions: Versions,
    gatekeeper: Arc<Gatekeeper>,
) -> Result<ClientConfig, DialError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions.protocols())
        .map_err(ConfigError::from)?
        .dangerous()
        .with_custom_certificate_verifier(gatekeeper);
    let mut config = match identity {
        Some(identity) => builder.with_client_cert_resolver(identity.resolver()),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Every connection proves both ends anew: who was removed or changed in between is found out.
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// What a handshake that failed means.
fn broken(address: &Address, error: io::Error) -> DialError {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    match cause {
        Some(rustls::Error::InvalidCertificate(_)) => {
            DialError::Unverified { address: address.clone(), source: error }
        }
        Some(_) | None => DialError::Handshake { address: address.clone(), source: error },
    }
}

#[cfg(test)]
mod tests;
