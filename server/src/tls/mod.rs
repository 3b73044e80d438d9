//! TLS as the service speaks it.
//!
//! The handshake proves one thing about a client: that it holds the key of the certificate it shows.
//! Any certificate may be shown, and none has to be; what it is worth is decided for every request
//! (see `trust`), so that a resumed session or an open connection is never worth more than a new one.
//! What this module refuses to know: who is trusted.

mod by_name;
mod certificate;
mod client;
mod config;
mod own;

use std::sync::Arc;

use rustls::ServerConfig;
use time::OffsetDateTime;

use crate::Pki;

pub use by_name::Served;
pub(crate) use by_name::in_place;
pub(crate) use certificate::{parse, presented};
pub(crate) use config::provider;
use config::server_config;
pub use config::{ConfigError, Versions};
pub(crate) use own::OwnCertificate;
pub use own::OwnCertificateError;

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no certificate to speak with.
    #[error(transparent)]
    Certificate(#[from] OwnCertificateError),
    /// The library refuses the configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Making the certificate stopped at a defect.
    #[error("setting up TLS stopped at a defect of this program")]
    Stopped,
}

/// What an HTTPS listener speaks with. A clone speaks with the same certificate.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) own: Arc<OwnCertificate>,
}

impl Tls {
    /// Reads the service's certificate, or makes it. Blocks.
    pub(crate) fn open(pki: Pki, versions: Versions, now: OffsetDateTime) -> Result<Tls, Error> {
        // Before the first handshake: whoever asks for its names is to get it.
        pki.follow_acme_certificate();
        let own = Arc::new(OwnCertificate::open(pki.clone(), now)?);
        let by_name = Arc::new(by_name::ByName::new(own.clone(), pki));
        Ok(Tls { config: server_config(versions, by_name)?, own })
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
