//! Who we are to a service: a certificate, and the key that belongs to it.

use std::fmt;
use std::sync::Arc;

use ca::cert::{Certificate, CertificateError};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// A client's certificate with its key.
#[derive(Clone)]
pub struct Identity {
    certificate: Certificate,
    resolver: Arc<SingleCertAndKey>,
}

/// Why a certificate and a key are no identity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The certificate can't be read.
    #[error("the certificate can't be read")]
    Certificate(#[from] CertificateError),
    /// The key can't be used for TLS.
    #[error("the key can't be used: {reason}")]
    Key {
        /// Why.
        reason: String,
    },
    /// The key is another one's.
    #[error("the key does not belong to the certificate")]
    Mismatch,
}

impl Identity {
    /// Reads PEM: the client's certificate first, then, if there are any, those that lead to its root.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Identity, IdentityError> {
        let bundle = Certificate::pem_bundle(chain)?;
        let certificate = match bundle.first() {
            Some(certificate) => certificate.clone(),
            None => Certificate::from_pem(chain)?,
        };
        let chain = bundle.iter().map(|certificate| CertificateDer::from(certificate.der().to_vec()));
        let unusable = |reason: String| IdentityError::Key { reason };
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| unusable(error.to_string()))?;
        let key = any_supported_type(&key).map_err(|error| unusable(error.to_string()))?;
        let certified = CertifiedKey::new(chain.collect(), key);
        certified.keys_match().map_err(|_| IdentityError::Mismatch)?;
        Ok(Identity { certificate, resolver: Arc::new(SingleCertAndKey::from(certified)) })
    }

    /// The certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    pub(super) fn resolver(&self) -> Arc<SingleCertAndKey> {
        Arc::clone(&self.resolver)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}
