//! Certificates, RFC 5280 §4: read once, then only looked at.
//!
//! Ours and foreign ones alike. It refuses what is not strict DER, not version 3 or 1, or carries a
//! key that can't be used; it does not judge names, lifetimes or constraints: that is the path's
//! ([`super::verify_path`]) and the linter's work.

use std::fmt::Write;
use std::sync::Arc;

use time::OffsetDateTime;
use x509_cert::der::Decode;

use super::algorithm::{SignatureError, SignedData};
use super::der::DerError;
use super::digest::{Fingerprint, KeyId};
use super::names::SubjectAltName;
use super::parsing::{self, Fields, Whole};
use super::pem::{self, PemError};
use super::public_key::{KeyError, PublicKey};
use super::requested::RequestedName;
use super::serial::{Serial, SerialError};

/// A certificate. Cloning is cheap, equality is that of the DER.
#[derive(Clone)]
pub struct Certificate(Arc<Whole>);

/// The most octets of one certificate.
pub(super) const MAX_OCTETS: usize = 64 * 1024;
/// The most octets of a bundle in PEM.
const MAX_BUNDLE_OCTETS: usize = 16 * 1024 * 1024;

/// Why a certificate can't be read, or wasn't signed by another.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// The algorithm inside the signed part differs from the one beside the signature (§4.1.1.2).
    #[error("the certificate names two different signature algorithms")]
    AlgorithmMismatch,
    /// Not strict DER.
    #[error("the certificate is not strict DER")]
    Der {
        /// Why.
        #[source]
        source: DerError,
    },
    /// The same extension twice (§4.2), or one that can't be read.
    #[error("the certificate's extension {oid} is malformed or there twice")]
    Extension {
        /// Its object identifier.
        oid: String,
    },
    /// The key can't be used.
    #[error("the certificate's public key is not accepted")]
    Key {
        /// Why.
        #[source]
        source: KeyError,
    },
    /// DER, but not a certificate.
    #[error("the certificate is malformed: {reason}")]
    Malformed {
        /// What the parser said.
        reason: String,
    },
    /// The issuer's name in one is not the subject of the other.
    #[error("the certificate's issuer is {issuer}, not {subject}")]
    OtherIssuer {
        /// The name of the certificate's issuer.
        issuer: String,
        /// The subject of the certificate it was compared with.
        subject: String,
    },
    /// Not the PEM that was expected.
    #[error("the certificate can't be read from PEM")]
    Pem {
        /// Why.
        #[source]
        source: PemError,
    },
    /// A serial number that RFC 5280 rules out.
    #[error("the certificate's serial number is not accepted")]
    Serial {
        /// Why.
        #[source]
        source: SerialError,
    },
    /// Not signed by that key.
    #[error("the certificate was not signed by {subject}")]
    Signature {
        /// The subject of the supposed issuer.
        subject: String,
        /// Why.
        #[source]
        source: SignatureError,
    },
    /// Larger than any sensible certificate or bundle.
    #[error("the input has {size} octets; {limit} are allowed")]
    TooLarge {
        /// Octets of the input.
        size: usize,
        /// How many are allowed.
        limit: usize,
    },
}

/// The keyUsage bits (§4.2.1.3) that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyUsage(pub(super) u16);

impl KeyUsage {
    /// The key may sign, other than certificates and lists.
    pub fn digital_signature(self) -> bool {
        self.0 & 1 != 0
    }

    /// The key may wrap keys (RSA key transport).
    pub fn key_encipherment(self) -> bool {
        self.0 >> 2 & 1 != 0
    }

    /// The key may sign certificates.
    pub fn key_cert_sign(self) -> bool {
        self.0 >> 5 & 1 != 0
    }

    /// The key may sign revocation lists.
    pub fn crl_sign(self) -> bool {
        self.0 >> 6 & 1 != 0
    }
}

/// What an extendedKeyUsage extension (§4.2.1.12) lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtendedKeyUsage {
    pub(super) any: bool,
    pub(super) client_auth: bool,
    pub(super) server_auth: bool,
    pub(super) others: Vec<String>,
}

impl ExtendedKeyUsage {
    /// anyExtendedKeyUsage.
    pub fn any(&self) -> bool {
        self.any
    }

    /// TLS clients.
    pub fn client_auth(&self) -> bool {
        self.client_auth
    }

    /// TLS servers.
    pub fn server_auth(&self) -> bool {
        self.server_auth
    }

    /// All others, by name or object identifier.
    pub fn others(&self) -> &[String] {
        &self.others
    }
}

impl Certificate {
    /// Reads one certificate in DER.
    pub fn from_der(der: &[u8]) -> Result<Certificate, CertificateError> {
        Ok(Certificate(Arc::new(parsing::parse(der)?)))
    }

    /// One that says this: its to-be-signed part was read before it was signed.
    pub(crate) fn signed(fields: Fields, der: Vec<u8>) -> Certificate {
        Certificate(Arc::new(Whole { der, fields }))
    }

    /// What it says.
    #[cfg(test)]
    pub(crate) fn fields(&self) -> &Fields {
        &self.0.fields
    }

    /// Reads exactly one certificate in PEM, under the rule of `cert::pem`.
    pub fn from_pem(text: &[u8]) -> Result<Certificate, CertificateError> {
        check_size(text.len(), MAX_OCTETS * 2)?;
        let block = pem::one(text, &["CERTIFICATE"]).map_err(|source| CertificateError::Pem { source })?;
        Certificate::from_der(&block.der)
    }

    /// Reads one or more certificates in PEM, in the order in which they stand; text around them is
    /// ignored, other blocks are refused.
    pub fn pem_bundle(text: &[u8]) -> Result<Vec<Certificate>, CertificateError> {
        check_size(text.len(), MAX_BUNDLE_OCTETS)?;
        let blocks = pem::many(text, "CERTIFICATE").map_err(|source| CertificateError::Pem { source })?;
        blocks.iter().map(|block| Certificate::from_der(&block.der)).collect()
    }

    /// The certificate in DER.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// The certificate in PEM.
    pub fn to_pem(&self) -> String {
        pem::write_public("CERTIFICATE", self.der())
    }

    /// Its serial number.
    pub fn serial(&self) -> Serial {
        self.0.fields.serial
    }

    /// SHA-256 over its DER.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self.der())
    }

    /// The subject's name in DER.
    pub fn subject_raw(&self) -> &[u8] {
        &self.0.fields.subject
    }

    /// The issuer's name in DER.
    pub fn issuer_raw(&self) -> &[u8] {
        &self.0.fields.issuer
    }

    /// The subject's name for people, RFC 4514, safe to print.
    pub fn subject_display(&self) -> String {
        name_display(self.subject_raw())
    }

    /// The issuer's name for people, RFC 4514, safe to print.
    pub fn issuer_display(&self) -> String {
        name_display(self.issuer_raw())
    }

    /// The subject's last common name as it stands there: unchecked, not safe to print.
    pub fn common_name(&self) -> Option<&str> {
        self.0.fields.common_name.as_deref()
    }

    /// Start of validity.
    pub fn not_before(&self) -> OffsetDateTime {
        self.0.fields.not_before
    }

    /// End of validity, included.
    pub fn not_after(&self) -> OffsetDateTime {
        self.0.fields.not_after
    }

    /// The subject's public key.
    pub fn public_key(&self) -> &PublicKey {
        &self.0.fields.public_key
    }

    /// The key's identifier: the SKI extension if it has 20 octets, else computed as for our own.
    pub fn key_id(&self) -> KeyId {
        let stated = self.subject_key_id().and_then(|octets| KeyId::try_from(octets).ok());
        stated.unwrap_or_else(|| self.public_key().key_id())
    }

    /// The subjectKeyIdentifier extension as it stands there (§4.2.1.2).
    pub fn subject_key_id(&self) -> Option<&[u8]> {
        self.0.fields.subject_key_id.as_deref()
    }

    /// The keyIdentifier of the authorityKeyIdentifier extension (§4.2.1.1).
    pub fn authority_key_id(&self) -> Option<&[u8]> {
        self.0.fields.authority_key_id.as_deref()
    }

    /// Whether basicConstraints say that it is an authority's (§4.2.1.9).
    pub fn is_ca(&self) -> bool {
        self.0.fields.is_ca
    }

    /// How many authorities may stand between it and an end entity, if limited.
    pub fn path_length(&self) -> Option<u32> {
        self.0.fields.path_length
    }

    /// Whether subject and issuer are the same name.
    pub fn is_self_issued(&self) -> bool {
        self.subject_raw() == self.issuer_raw()
    }

    /// The keyUsage extension, if there is one.
    pub fn key_usage(&self) -> Option<KeyUsage> {
        self.0.fields.key_usage
    }

    /// The extendedKeyUsage extension, if there is one.
    pub fn extended_key_usage(&self) -> Option<&ExtendedKeyUsage> {
        self.0.fields.extended_key_usage.as_ref()
    }

    /// A critical extension that nobody here knows (§4.2): whoever can't understand it must not rely on
    /// the certificate.
    pub fn unknown_critical_extension(&self) -> Option<&str> {
        self.0.fields.unknown_critical.as_deref()
    }

    /// The subject alternative names that follow our rules, in their order.
    pub fn names(&self) -> Vec<SubjectAltName> {
        self.0.fields.names.iter().filter_map(|name| name.accept().ok()).collect()
    }

    /// All subject alternative names as they stand there, unchecked.
    pub fn stated_names(&self) -> &[RequestedName] {
        &self.0.fields.names
    }

    /// Checks that `issuer`'s subject is this certificate's issuer and that its key signed it. Dates
    /// and constraints are not looked at.
    pub fn verify_signed_by(&self, issuer: &Certificate) -> Result<(), CertificateError> {
        if self.issuer_raw() != issuer.subject_raw() {
            let (issuer, subject) = (self.issuer_display(), issuer.subject_display());
            return Err(CertificateError::OtherIssuer { issuer, subject });
        }
        let signed = SignedData::from_der(self.der())
            .map_err(|e| CertificateError::Malformed { reason: e.to_string() })?;
        signed
            .verify(issuer.public_key())
            .map_err(|source| CertificateError::Signature { subject: issuer.subject_display(), source })
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Certificate) -> bool {
        self.der() == other.der()
    }
}

impl Eq for Certificate {}

impl std::hash::Hash for Certificate {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.der().hash(state);
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Certificate({} {})", self.serial(), self.subject_display())
    }
}

pub(super) fn check_size(size: usize, limit: usize) -> Result<(), CertificateError> {
    if size > limit { Err(CertificateError::TooLarge { size, limit }) } else { Ok(()) }
}

/// A name in RFC 4514's form. What that form leaves as it is but a terminal would obey is written as
/// hex pairs, which the form allows for any octet (§2.4).
fn name_display(der: &[u8]) -> String {
    let mut text = String::new();
    let written = match x509_cert::name::Name::from_der(der) {
        Ok(name) => write!(text, "{name}").is_ok(),
        Err(_) => false,
    };
    if !written {
        return format!("#{}", hex::encode(der));
    }
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() || super::names::is_invisible(character) {
            let mut octets = [0; 4];
            for octet in character.encode_utf8(&mut octets).bytes() {
                let _ = write!(shown, "\\{octet:02x}");
            }
        } else {
            shown.push(character);
        }
    }
    shown
}

#[cfg(test)]
mod tests;
