//! An authority that signs: its certificate, checked for the part, and its private key.
//!
//! Refuses a certificate that may not sign, a key that is not its key, and a distinguished name that
//! would not come out byte for byte in the issuer field of what it signs (rcgen keeps one value for
//! each type of attribute): such chains would not verify, RFC 5280 §6.1.3 (a)(4).

use std::sync::Arc;

use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, IsCa, KeyIdMethod};
use x509_parser::prelude::{FromDer, X509Certificate, X509Name};

use crate::cert::{Certificate, KeyId, PublicKey};
use crate::constraints::{ConstraintError, NameConstraints};
use crate::key::PrivateKey;
use crate::profile::Validity;

/// Why a certificate can't be an issuer of ours.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssuerError {
    /// Its name constraints can't be judged.
    #[error("the certificate of {subject} is constrained in a way that can't be kept to")]
    Constraints {
        /// Its subject.
        subject: String,
        /// What can't be judged.
        #[source]
        source: ConstraintError,
    },
    /// The private key belongs to another certificate.
    #[error("the private key is not the key of {subject}")]
    KeyMismatch {
        /// The certificate's subject.
        subject: String,
    },
    /// It may not sign certificates.
    #[error("{subject} may not sign certificates: {reason}")]
    NotAnAuthority {
        /// Its subject.
        subject: String,
        /// What it lacks.
        reason: &'static str,
    },
    /// Its name would come out changed in what it signs.
    #[error("the name {subject} can't be written as it stands ({reason}), so no chain to it would verify")]
    Name {
        /// Its subject.
        subject: String,
        /// What can't be kept.
        reason: &'static str,
    },
}

/// A CA certificate that was checked to be able to issue.
#[derive(Clone, Debug)]
pub struct IssuerCertificate {
    certificate: Certificate,
    pem: String,
    /// Its name and its key identifier, as rcgen wants them of whoever signs.
    params: CertificateParams,
    key_identifier: Vec<u8>,
    constraints: NameConstraints,
    path_length: Option<u32>,
}

impl IssuerCertificate {
    /// Checks that a certificate may sign others and that its name survives being written.
    pub fn new(certificate: Certificate) -> Result<IssuerCertificate, IssuerError> {
        let subject = || certificate.subject_display();
        let lacks = |reason| IssuerError::NotAnAuthority { subject: subject(), reason };
        let (_, parsed) =
            X509Certificate::from_der(certificate.der()).map_err(|_| lacks("it can't be read"))?;
        let basic = parsed.basic_constraints().map_err(|_| lacks("it has two basicConstraints"))?;
        let path_length = match basic {
            Some(extension) if extension.value.ca => extension.value.path_len_constraint,
            Some(_) | None => return Err(lacks("it is not a CA certificate (RFC 5280 §4.2.1.9)")),
        };
        // Without the extension every use is allowed (RFC 5280 §4.2.1.3); adoption warns of it.
        if let Some(usage) = parsed.key_usage().map_err(|_| lacks("it has two keyUsages"))? {
            if !usage.value.key_cert_sign() {
                return Err(lacks("its keyUsage lacks keyCertSign (RFC 5280 §4.2.1.3)"));
            }
            if !usage.value.crl_sign() {
                return Err(lacks("its keyUsage lacks cRLSign, so it could not revoke (RFC 5280 §4.2.1.3)"));
            }
        }
        let extension = parsed.name_constraints().map_err(|_| lacks("it has two nameConstraints"))?;
        let constraints = NameConstraints::from_extension(extension.map(|found| found.value))
            .map_err(|source| IssuerError::Constraints { subject: subject(), source })?;
        let name = rewritable(&parsed.tbs_certificate.subject)
            .map_err(|reason| IssuerError::Name { subject: subject(), reason })?;
        let key_identifier = match certificate.subject_key_id() {
            Some(octets) => octets.to_vec(),
            None => certificate.public_key().key_id().as_bytes().to_vec(),
        };
        let pem = certificate.to_pem();
        let mut params = CertificateParams::default();
        params.distinguished_name = name;
        params.key_identifier_method = KeyIdMethod::PreSpecified(key_identifier.clone());
        Ok(IssuerCertificate { pem, params, key_identifier, constraints, path_length, certificate })
    }

    /// The certificate itself.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The same in PEM; it goes with every leaf.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The identifier under which it is recorded and published.
    pub fn key_id(&self) -> KeyId {
        self.certificate.key_id()
    }

    /// The octets that the AKI of what it signs must hold: its SKI as it stands (RFC 5280 §4.2.1.1).
    pub fn key_identifier(&self) -> &[u8] {
        &self.key_identifier
    }

    /// The names it is held to.
    pub fn constraints(&self) -> &NameConstraints {
        &self.constraints
    }

    /// How many CAs may stand between it and a leaf; `None` for any number (RFC 5280 §4.2.1.9).
    pub fn path_length(&self) -> Option<u32> {
        self.path_length
    }

    /// Its key.
    pub fn public_key(&self) -> &PublicKey {
        self.certificate.public_key()
    }

    /// Its dates.
    pub fn validity(&self) -> Validity {
        Validity { not_before: self.certificate.not_before(), not_after: self.certificate.not_after() }
    }

    /// Whether its subject is its issuer.
    pub fn is_self_issued(&self) -> bool {
        self.certificate.subject_raw() == self.certificate.issuer_raw()
    }

    /// What rcgen is told of it.
    pub(crate) fn params(&self) -> &CertificateParams {
        &self.params
    }
}

/// An authority with its private key.
#[derive(Clone)]
pub struct Issuer {
    certificate: Arc<IssuerCertificate>,
    key: Arc<PrivateKey>,
}

impl Issuer {
    /// Puts a certificate and its key together.
    pub fn new(certificate: IssuerCertificate, key: Arc<PrivateKey>) -> Result<Issuer, IssuerError> {
        if key.public_key().spki_der() != certificate.public_key().spki_der() {
            return Err(IssuerError::KeyMismatch { subject: certificate.certificate.subject_display() });
        }
        Ok(Issuer { certificate: Arc::new(certificate), key })
    }

    /// Its certificate.
    pub fn certificate(&self) -> &IssuerCertificate {
        &self.certificate
    }

    /// The private key; only [`crate::signer`] signs with it.
    pub(crate) fn key(&self) -> &PrivateKey {
        &self.key
    }
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issuer").field("subject", &self.certificate.certificate.subject_display()).finish()
    }
}

/// A name as rcgen holds it, if rcgen writes it back unchanged.
fn rewritable(name: &X509Name<'_>) -> Result<DistinguishedName, &'static str> {
    let mut written = DistinguishedName::new();
    for rdn in name.iter() {
        let mut attributes = rdn.iter();
        let (Some(attribute), None) = (attributes.next(), attributes.next()) else {
            return Err("a part of it has several values");
        };
        let oid: Vec<u64> =
            attribute.attr_type().iter().ok_or("it has an attribute of an odd type")?.collect();
        let kind = DnType::from_oid(&oid);
        if written.get(&kind).is_some() {
            return Err("it has two attributes of one type");
        }
        written.push(kind, value(attribute.attr_value()).ok_or("it has a value of an odd kind")?);
    }
    match encoded(&written) {
        Some(bytes) if bytes == name.as_raw() => Ok(written),
        Some(_) | None => Err("it is encoded in an odd way"),
    }
}

fn value(any: &x509_parser::asn1_rs::Any<'_>) -> Option<DnValue> {
    use x509_parser::asn1_rs::Tag;
    let text = || std::str::from_utf8(any.data).ok();
    Some(match any.header.tag() {
        Tag::BmpString => DnValue::BmpString(rcgen::string::BmpString::from_utf16be(any.data.to_vec()).ok()?),
        Tag::Ia5String => DnValue::Ia5String(text()?.try_into().ok()?),
        Tag::PrintableString => DnValue::PrintableString(text()?.try_into().ok()?),
        Tag::T61String => DnValue::TeletexString(text()?.try_into().ok()?),
        Tag::UniversalString => {
            DnValue::UniversalString(rcgen::string::UniversalString::from_utf32be(any.data.to_vec()).ok()?)
        }
        Tag::Utf8String => DnValue::Utf8String(text()?.to_owned()),
        _ => return None,
    })
}

/// The bytes that rcgen writes for a name.
fn encoded(name: &DistinguishedName) -> Option<Vec<u8>> {
    let mut params = CertificateParams::default();
    params.distinguished_name = name.clone();
    params.is_ca = IsCa::NoCa;
    params.key_identifier_method = KeyIdMethod::PreSpecified(Vec::new());
    let capture = crate::template::Capture::of_nobody();
    let written = params.self_signed(&capture).ok()?;
    let (_, parsed) = X509Certificate::from_der(written.der()).ok()?;
    Some(parsed.tbs_certificate.subject.as_raw().to_vec())
}
