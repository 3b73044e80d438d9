//! Takes a certificate apart into the fields that are looked at.

use time::OffsetDateTime;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{FromDer, TbsCertificate};

use super::certificate::{CertificateError, ExtendedKeyUsage, KeyUsage, MAX_OCTETS, check_size};
use super::der;
use super::public_key::PublicKey;
use super::requested::RequestedName;
use super::serial::Serial;

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fields {
    pub serial: Serial,
    pub subject: Vec<u8>,
    pub issuer: Vec<u8>,
    pub common_name: Option<String>,
    pub not_before: OffsetDateTime,
    pub not_after: OffsetDateTime,
    pub public_key: PublicKey,
    pub subject_key_id: Option<Vec<u8>>,
    pub authority_key_id: Option<Vec<u8>>,
    pub is_ca: bool,
    pub path_length: Option<u32>,
    pub key_usage: Option<KeyUsage>,
    pub extended_key_usage: Option<ExtendedKeyUsage>,
    pub names: Vec<RequestedName>,
    pub unknown_critical: Option<String>,
}

/// What [`Certificate`](super::Certificate) holds: the bytes and what they say.
pub(super) struct Whole {
    pub der: Vec<u8>,
    pub fields: Fields,
}

/// Reads a certificate.
pub(super) fn parse(der: &[u8]) -> Result<Whole, CertificateError> {
    check_size(der.len(), MAX_OCTETS)?;
    der::check(der).map_err(|source| CertificateError::Der { source })?;
    let (_, certificate) =
        X509Certificate::from_der(der).map_err(|e| CertificateError::Malformed { reason: e.to_string() })?;
    let tbs = &certificate.tbs_certificate;
    if tbs.signature != certificate.signature_algorithm {
        return Err(CertificateError::AlgorithmMismatch);
    }
    Ok(Whole { der: der.to_vec(), fields: Fields::of_tbs(tbs, None)? })
}

impl Fields {
    /// What a TBSCertificate says; `known` is a key that it probably holds and that was read before.
    pub(crate) fn of_tbs(
        tbs: &TbsCertificate<'_>,
        known: Option<&PublicKey>,
    ) -> Result<Fields, CertificateError> {
        let mut fields = Fields {
            serial: Serial::from_der_content(tbs.raw_serial())
                .map_err(|source| CertificateError::Serial { source })?,
            subject: tbs.subject.as_raw().to_vec(),
            issuer: tbs.issuer.as_raw().to_vec(),
            common_name: tbs
                .subject
                .iter_common_name()
                .last()
                .and_then(|name| name.as_str().ok())
                .map(str::to_owned),
            not_before: tbs.validity.not_before.to_datetime(),
            not_after: tbs.validity.not_after.to_datetime(),
            // Whether its point is on its curve is not asked twice of one key.
            public_key: match known.filter(|known| known.spki_der() == tbs.subject_pki.raw) {
                Some(known) => known.clone(),
                None => PublicKey::from_spki(tbs.subject_pki.raw)
                    .map_err(|source| CertificateError::Key { source })?,
            },
            subject_key_id: None,
            authority_key_id: None,
            is_ca: false,
            path_length: None,
            key_usage: None,
            extended_key_usage: None,
            names: Vec::new(),
            unknown_critical: None,
        };
        read_extensions(tbs, &mut fields)?;
        Ok(fields)
    }
}

fn read_extensions(tbs: &TbsCertificate<'_>, fields: &mut Fields) -> Result<(), CertificateError> {
    let mut seen = std::collections::BTreeSet::new();
    for extension in tbs.extensions() {
        let refuse = || CertificateError::Extension { oid: extension.oid.to_id_string() };
        if !seen.insert(extension.oid.as_bytes()) {
            return Err(refuse());
        }
        match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => fields.subject_key_id = Some(id.0.to_vec()),
            ParsedExtension::AuthorityKeyIdentifier(id) => {
                fields.authority_key_id = id.key_identifier.as_ref().map(|id| id.0.to_vec());
            }
            ParsedExtension::BasicConstraints(constraints) => {
                fields.is_ca = constraints.ca;
                fields.path_length = constraints.path_len_constraint;
            }
            ParsedExtension::KeyUsage(usage) => fields.key_usage = Some(KeyUsage(usage.flags)),
            ParsedExtension::ExtendedKeyUsage(usage) => {
                fields.extended_key_usage = Some(extended_key_usage(usage));
            }
            ParsedExtension::SubjectAlternativeName(san) => {
                fields.names = san.general_names.iter().map(RequestedName::read).collect();
            }
            ParsedExtension::ParseError { .. } => return Err(refuse()),
            ParsedExtension::UnsupportedExtension { .. } if extension.critical => {
                fields.unknown_critical = Some(extension.oid.to_id_string());
            }
            // What else a certificate carries is the path verifier's to know or to refuse.
            _ => (),
        }
    }
    Ok(())
}

fn extended_key_usage(usage: &x509_parser::extensions::ExtendedKeyUsage<'_>) -> ExtendedKeyUsage {
    let named = [
        (usage.code_signing, "codeSigning"),
        (usage.email_protection, "emailProtection"),
        (usage.time_stamping, "timeStamping"),
        (usage.ocsp_signing, "OCSPSigning"),
    ];
    let names = named.into_iter().filter(|(is_there, _)| *is_there).map(|(_, name)| name.to_owned());
    ExtendedKeyUsage {
        any: usage.any,
        client_auth: usage.client_auth,
        server_auth: usage.server_auth,
        others: names.chain(usage.other.iter().map(|oid| oid.to_id_string())).collect(),
    }
}
