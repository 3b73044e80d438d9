//! What is spoken: TLS 1.3, post-quantum key exchange first.

use std::sync::Arc;

use acme::client::solve::tls_alpn_01::PROTOCOL;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::ResolvesServerCert;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedProtocolVersion};

use super::client::AnyClientCertificate;

/// Which versions of TLS are spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Versions {
    /// TLS 1.3 alone.
    #[default]
    Modern,
    /// TLS 1.2 with forward secrecy too, for peers that know nothing better.
    Insecure,
}

impl Versions {
    /// The environment variable that asks for [`Versions::Insecure`].
    pub const VARIABLE: &str = "PKI_INSECURE_TLS";

    /// What the value of [`Versions::VARIABLE`] asks for. Only `1` asks for anything.
    pub fn asked(value: Option<&str>) -> Versions {
        match value {
            Some("1") => Versions::Insecure,
            Some(_) | None => Versions::Modern,
        }
    }

    pub(crate) fn protocols(self) -> &'static [&'static SupportedProtocolVersion] {
        static MODERN: &[&SupportedProtocolVersion] = &[&TLS13];
        static INSECURE: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];
        match self {
            Versions::Modern => MODERN,
            Versions::Insecure => INSECURE,
        }
    }
}

/// TLS could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("TLS can't be set up")]
pub struct ConfigError(#[from] rustls::Error);

/// The algorithms: those of aws-lc, the hybrid key exchange before the classic ones (RFC 8446 §4.2.7).
pub(crate) fn provider() -> Arc<CryptoProvider> {
    use aws_lc_rs::kx_group::{SECP256R1, SECP384R1, X25519, X25519MLKEM768};
    let kx_groups = vec![X25519MLKEM768, X25519, SECP256R1, SECP384R1];
    Arc::new(CryptoProvider { kx_groups, ..aws_lc_rs::default_provider() })
}

/// How the HTTPS listener speaks. `own` says which certificate is ours at a handshake. A
/// validator of TLS-ALPN-01 finds its protocol here, and nothing behind it (RFC 8737 §4).
pub(crate) fn server_config(
    versions: Versions,
    own: Arc<dyn ResolvesServerCert>,
) -> Result<Arc<ServerConfig>, ConfigError> {
    let provider = provider();
    let verifier = AnyClientCertificate::new(&provider);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions.protocols())?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(own);
    config.alpn_protocols = vec![b"http/1.1".to_vec(), PROTOCOL.to_vec()];
    // A request in the first flight can be replayed (RFC 8446 §8).
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}
