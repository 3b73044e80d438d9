//! Writes what will be signed: a profile's fields, a subject, a key and an issuer become a TBSCertificate.
//!
//! rcgen does the writing, with a key that captures the bytes instead of signing them, so that they can
//! be linted first (`docs/decisions/0006-rcgen-writes-we-lint.md`). Nothing comes from a CSR but its key:
//! this module never sees one.

use std::sync::Mutex;

use der::Encode;
use der::asn1::Ia5StringRef;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, CrlDistributionPoint, CustomExtension,
    DistinguishedName, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, KeyIdMethod, KeyUsagePurpose,
    SanType, SerialNumber, SignatureAlgorithm,
};

use crate::cert::{KeyId, PublicKey, Serial, SubjectAltName};
use crate::constraints::{NameConstraint, NameConstraints};
use crate::distribution::Distribution;
use crate::issuer::IssuerCertificate;
use crate::key::KeyType;
use crate::profile::{Profile, ProfileKind, Validity};
use crate::subject::Subject;

/// Everything that decides a certificate's bytes.
#[derive(Clone, Copy, Debug)]
pub struct Template<'a> {
    /// What it is for.
    pub profile: &'a Profile,
    /// Whom it names.
    pub subject: &'a Subject,
    /// The key it certifies.
    pub public_key: &'a PublicKey,
    /// Its serial number.
    pub serial: &'a Serial,
    /// Its dates.
    pub validity: Validity,
    /// Who signs it; `None` if it signs itself.
    pub issuer: Option<&'a IssuerCertificate>,
    /// What it says of lists and issuers.
    pub distribution: &'a Distribution,
    /// The names an issuing CA is held to.
    pub constraints: &'a NameConstraints,
}

/// Why bytes could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// An extension could not be encoded.
    #[error("the {extension} extension can't be encoded")]
    Extension {
        /// Which extension.
        extension: &'static str,
        /// What the encoder said.
        #[source]
        source: der::Error,
    },
    /// rcgen would not write it.
    #[error("the certificate can't be encoded")]
    Write(#[source] rcgen::Error),
}

/// A TBSCertificate, not yet linted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tbs(Vec<u8>);

impl Tbs {
    /// Its DER.
    pub fn der(&self) -> &[u8] {
        &self.0
    }

    /// The same, given up.
    pub(crate) fn into_der(self) -> Vec<u8> {
        self.0
    }

    /// Bytes to be linted that come from elsewhere.
    pub fn from_der(der: Vec<u8>) -> Tbs {
        Tbs(der)
    }
}

/// Writes the bytes.
pub fn write(template: &Template<'_>) -> Result<Tbs, TemplateError> {
    let signer = template.issuer.map_or(template.public_key, IssuerCertificate::public_key);
    let params = params(template)?;
    match template.issuer {
        Some(issuer) => encode(&params, issuer.params(), template.public_key, signer),
        None => encode(&params, &issuer_params(template, &params), template.public_key, signer),
    }
}

/// What rcgen is to write.
pub(crate) fn encode(
    params: &CertificateParams,
    issuer: &CertificateParams,
    public_key: &PublicKey,
    signer: &PublicKey,
) -> Result<Tbs, TemplateError> {
    let capture = Capture::of(signer);
    let issuer = rcgen::Issuer::from_params(issuer, &capture);
    params.signed_by(public_key, &issuer).map_err(TemplateError::Write)?;
    Ok(Tbs(capture.take()))
}

/// Of an issuer rcgen wants its name and its key identifier.
pub(crate) fn issuer_params(template: &Template<'_>, subject: &CertificateParams) -> CertificateParams {
    match template.issuer {
        Some(certificate) => certificate.params().clone(),
        None => {
            let mut params = CertificateParams::default();
            params.distinguished_name = subject.distinguished_name.clone();
            params.key_identifier_method = subject.key_identifier_method.clone();
            params
        }
    }
}

pub(crate) fn params(template: &Template<'_>) -> Result<CertificateParams, TemplateError> {
    let kind = template.profile.kind();
    let mut params = CertificateParams::default();
    params.serial_number = Some(SerialNumber::from_slice(template.serial.as_bytes()));
    params.not_before = template.validity.not_before;
    params.not_after = template.validity.not_after;
    params.distinguished_name = distinguished_name(template.subject);
    params.subject_alt_names = alternative_names(template.subject)?;
    params.key_usages = key_usages(kind, template.public_key.key_type());
    params.extended_key_usages = match kind {
        ProfileKind::Root | ProfileKind::Issuing => Vec::new(),
        ProfileKind::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
        ProfileKind::Server => vec![ExtendedKeyUsagePurpose::ServerAuth],
    };
    params.is_ca = match kind {
        ProfileKind::Root => IsCa::Ca(BasicConstraints::Unconstrained),
        ProfileKind::Issuing => IsCa::Ca(BasicConstraints::Constrained(0)),
        ProfileKind::Client | ProfileKind::Server => IsCa::ExplicitNoCa,
    };
    let key_id: KeyId = template.public_key.key_id();
    params.key_identifier_method = KeyIdMethod::PreSpecified(key_id.as_bytes().to_vec());
    params.use_authority_key_identifier_extension = template.issuer.is_some();
    if let Some(issuer) = template.issuer {
        if let Some(url) = template.distribution.crl_url(&issuer.key_id()) {
            params.crl_distribution_points = vec![CrlDistributionPoint { uris: vec![url] }];
        }
        if let Some(url) = template.distribution.issuer_url(&issuer.key_id()) {
            params.custom_extensions = vec![issuer_access(&url)?];
        }
    }
    if !template.constraints.is_empty() {
        params.name_constraints = Some(rcgen::NameConstraints {
            permitted_subtrees: template.constraints.permitted().iter().map(subtree).collect(),
            excluded_subtrees: template.constraints.excluded().iter().map(subtree).collect(),
        });
    }
    Ok(params)
}

fn distinguished_name(subject: &Subject) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    if let Some(organization) = subject.organization() {
        name.push(DnType::OrganizationName, organization.as_str());
    }
    if let Some(common_name) = subject.common_name() {
        name.push(DnType::CommonName, common_name.as_str());
    }
    name
}

fn alternative_names(subject: &Subject) -> Result<Vec<SanType>, TemplateError> {
    let name = |name: &SubjectAltName| {
        Ok(match name {
            SubjectAltName::Dns(dns) => SanType::DnsName(dns.as_str().try_into()?),
            SubjectAltName::Ip(ip) => SanType::IpAddress(*ip),
            SubjectAltName::Email(email) => SanType::Rfc822Name(email.as_str().try_into()?),
            SubjectAltName::Uri(uri) => SanType::URI(uri.as_str().try_into()?),
        })
    };
    subject.names().iter().map(name).collect::<Result<_, rcgen::Error>>().map_err(TemplateError::Write)
}

/// keyEncipherment is for RSA key transport alone: TLS 1.2 servers still offer it (RFC 5246 §7.4.2).
fn key_usages(kind: ProfileKind, key: KeyType) -> Vec<KeyUsagePurpose> {
    match kind {
        ProfileKind::Root | ProfileKind::Issuing => {
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign]
        }
        ProfileKind::Client => vec![KeyUsagePurpose::DigitalSignature],
        ProfileKind::Server if key.is_rsa() => {
            vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment]
        }
        ProfileKind::Server => vec![KeyUsagePurpose::DigitalSignature],
    }
}

fn subtree(constraint: &NameConstraint) -> GeneralSubtree {
    match constraint {
        NameConstraint::Dns(domain) => GeneralSubtree::DnsName(domain.to_string()),
        NameConstraint::Ip(network, bits) => {
            GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(*network, *bits))
        }
    }
}

/// authorityInfoAccess with one caIssuers location (RFC 5280 §4.2.2.1); rcgen has no such field.
fn issuer_access(url: &str) -> Result<CustomExtension, TemplateError> {
    use x509_cert::ext::pkix::name::GeneralName;
    use x509_cert::ext::pkix::{AccessDescription, AuthorityInfoAccessSyntax};
    let extension = "authorityInfoAccess";
    let encode = || -> der::Result<Vec<u8>> {
        let location = GeneralName::UniformResourceIdentifier(Ia5StringRef::new(url)?.into());
        let access_method = der::oid::db::rfc5280::ID_AD_CA_ISSUERS;
        AuthorityInfoAccessSyntax(vec![AccessDescription { access_method, access_location: location }])
            .to_der()
    };
    let content = encode().map_err(|source| TemplateError::Extension { extension, source })?;
    Ok(CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], content))
}

/// A key that keeps what it is asked to sign and signs nothing.
pub(crate) struct Capture {
    algorithm: &'static SignatureAlgorithm,
    captured: Mutex<Vec<u8>>,
}

impl Capture {
    /// Stands in for the private key of `issuer`.
    fn of(issuer: &PublicKey) -> Capture {
        Capture { algorithm: issuer.key_type().rcgen_algorithm(), captured: Mutex::default() }
    }

    /// Stands in for a key whose kind doesn't matter.
    pub(crate) fn of_nobody() -> Capture {
        Capture { algorithm: &rcgen::PKCS_ED25519, captured: Mutex::default() }
    }

    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.captured.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

impl rcgen::PublicKeyData for Capture {
    /// Never read: key identifiers are all given beforehand.
    fn der_bytes(&self) -> &[u8] {
        &[]
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.algorithm
    }
}

impl rcgen::SigningKey for Capture {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let mut captured = self.captured.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *captured = message.to_vec();
        Ok(Vec::new())
    }
}
