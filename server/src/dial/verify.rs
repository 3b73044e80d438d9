//! How a server is known: by authorities, or by the very certificate that it showed before.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ca::cert::{Certificate, Fingerprint};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature_with_raw_key,
};
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use time::OffsetDateTime;

use super::{Address, DialError};
use crate::tls::{parse, provider};

/// How a server is known.
#[derive(Clone, Debug)]
pub enum Verification {
    /// One of these authorities signed for it and its name.
    Authorities(Authorities),
    /// It shows the certificate of this fingerprint, whatever its name and dates are: as with ssh, what was
    /// trusted on first sight is that one and no other.
    Pin(Fingerprint),
}

/// Authorities that are trusted to say who a server is.
#[derive(Clone, Debug)]
pub struct Authorities(Arc<RootCertStore>);

impl Authorities {
    /// Those in PEM; what can't be used as one is left out. `None` if nothing remains.
    pub fn from_pem(pem: &[u8]) -> Option<Authorities> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(CertificateDer::pem_slice_iter(pem).flatten());
        (!roots.is_empty()).then(|| Authorities(Arc::new(roots)))
    }
}

/// What a server shows: its own certificate and those that may lead from it to an authority.
#[derive(Clone, Debug)]
pub struct Shown {
    certificate: Certificate,
    end_entity: CertificateDer<'static>,
    others: Vec<CertificateDer<'static>>,
}

impl Shown {
    /// The server's own certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The fingerprint of the server's own certificate.
    pub fn fingerprint(&self) -> Fingerprint {
        self.certificate.fingerprint()
    }

    /// Whether authorities verify it as the server of an address at a time.
    pub fn is_verified(&self, authorities: &Authorities, address: &Address, now: OffsetDateTime) -> bool {
        let seconds = u64::try_from(now.unix_timestamp()).unwrap_or_default();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let verifier = by_authorities(authorities, &provider());
        verifier.is_ok_and(|verifier| {
            let name = address.server_name();
            verifier.verify_server_cert(&self.end_entity, &self.others, &name, &[], now).is_ok()
        })
    }
}

fn by_authorities(
    authorities: &Authorities,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, rustls::server::VerifierBuilderError> {
    WebPkiServerVerifier::builder_with_provider(Arc::clone(&authorities.0), Arc::clone(provider)).build()
}

#[derive(Debug)]
enum Rule {
    Anyone,
    Authorities(Arc<WebPkiServerVerifier>),
    Pin(Fingerprint),
}

/// Lets a handshake go on, or not, and remembers what the server showed.
#[derive(Debug)]
pub(super) struct Gatekeeper {
    rule: Rule,
    algorithms: WebPkiSupportedAlgorithms,
    shown: Mutex<Option<Shown>>,
}

impl Gatekeeper {
    pub(super) fn new(
        verification: &Verification,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Gatekeeper, DialError> {
        let rule = match verification {
            Verification::Authorities(authorities) => Rule::Authorities(
                by_authorities(authorities, provider).map_err(|_no_roots| DialError::Authorities)?,
            ),
            Verification::Pin(fingerprint) => Rule::Pin(*fingerprint),
        };
        Ok(Gatekeeper::of(rule, provider))
    }

    pub(super) fn for_anyone(provider: &CryptoProvider) -> Gatekeeper {
        Gatekeeper::of(Rule::Anyone, provider)
    }

    fn of(rule: Rule, provider: &CryptoProvider) -> Gatekeeper {
        let algorithms = provider.signature_verification_algorithms;
        Gatekeeper { rule, algorithms, shown: Mutex::default() }
    }

    /// What the server showed last.
    pub(super) fn shown(&self) -> Option<Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ServerCertVerifier for Gatekeeper {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = parse(end_entity)?;
        let fingerprint = certificate.fingerprint();
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(Shown {
            certificate,
            end_entity: end_entity.clone().into_owned(),
            others: intermediates.iter().map(|other| other.clone().into_owned()).collect(),
        });
        match &self.rule {
            Rule::Anyone => Ok(ServerCertVerified::assertion()),
            Rule::Authorities(verifier) => {
                verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            }
            Rule::Pin(pinned) if *pinned == fingerprint => Ok(ServerCertVerified::assertion()),
            Rule::Pin(_) => Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // By the bare key, as the service does with clients' certificates.
        let certificate = parse(certificate)?;
        let key = SubjectPublicKeyInfoDer::from(certificate.public_key().spki_der());
        verify_tls13_signature_with_raw_key(message, &key, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
