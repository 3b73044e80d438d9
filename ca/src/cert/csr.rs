//! Certificate requests, RFC 2986: evidence that someone holds a key, and a wish.
//!
//! A [`Csr`] exists only if its signature is by its own key and that key is strong. What it asks for is
//! handed on as data ([`RequestedName`]) and nothing of it is trusted: a profile decides every field of
//! a certificate. Requested extensions other than names are not even looked at.
//!
//! Input is one DER structure, or one PEM block under the rule of `cert::pem` (a byte order mark and
//! CRLF pass, a second block or anything but white space behind it does not).

use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::cri_attributes::ParsedCriAttribute;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;

use super::algorithm::{SignatureError, SignedData};
use super::der::{self, DerError};
use super::names::{NameError, SubjectAltName};
use super::pem::{self, PemError};
use super::public_key::{KeyError, PublicKey};
use super::requested::RequestedName;
use super::weak::WeakKey;

/// How much a request may ask us to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CsrLimits {
    /// Octets of the input, PEM or DER, seen before anything is parsed.
    pub octets: usize,
    /// Requested subject alternative names.
    pub names: usize,
    /// Attributes of the request, and extensions within one.
    pub attributes: usize,
    /// Parts of the subject's name.
    pub subject_parts: usize,
}

impl CsrLimits {
    /// What every entry uses.
    pub const DEFAULT: CsrLimits =
        CsrLimits { octets: 64 * 1024, names: 100, attributes: 32, subject_parts: 32 };
}

/// A certificate request whose signature was verified by its own, strong key.
#[derive(Clone, PartialEq, Eq)]
pub struct Csr {
    der: Vec<u8>,
    public_key: PublicKey,
    common_name: Option<String>,
    names: Vec<RequestedName>,
}

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CsrError {
    /// Two lists of requested extensions: readers would differ on which counts.
    #[error("the request has more than one extensionRequest attribute")]
    DuplicateExtensionRequest,
    /// Not strict DER.
    #[error("the request is not strict DER")]
    Der {
        /// Why.
        #[source]
        source: DerError,
    },
    /// The key can't be used.
    #[error("the request's public key is not accepted")]
    Key {
        /// Why.
        #[source]
        source: KeyError,
    },
    /// DER, but not a CertificationRequest.
    #[error("the request is malformed: {reason}")]
    Malformed {
        /// What the parser said.
        reason: String,
    },
    /// Not the one PEM block that was expected.
    #[error("the request is not one PEM block")]
    Pem {
        /// Why.
        #[source]
        source: PemError,
    },
    /// More than one common name.
    #[error("the request's subject has {count} common names; at most one is accepted")]
    SeveralCommonNames {
        /// How many.
        count: usize,
    },
    /// The signature is not one by the key in the request.
    #[error("the request's signature doesn't prove possession of its key")]
    Signature {
        /// Why.
        #[source]
        source: SignatureError,
    },
    /// Larger than any sensible request.
    #[error("the request has {size} octets; {limit} are allowed")]
    TooLarge {
        /// Octets of the input.
        size: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// More parts than any sensible request.
    #[error("the request has {count} {what}; {limit} are allowed")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many.
        count: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// RFC 2986 §4.1: the version is 0.
    #[error("the request has version {version}; only 0 exists")]
    Version {
        /// The version.
        version: u32,
    },
    /// The key can be broken.
    #[error("the request's public key is weak")]
    Weak {
        /// Why.
        #[source]
        source: WeakKey,
    },
}

impl Csr {
    /// Reads and checks a request in PEM or DER within [`CsrLimits::DEFAULT`].
    pub fn from_pem_or_der(input: &[u8]) -> Result<Csr, CsrError> {
        Csr::read(input, &CsrLimits::DEFAULT)
    }

    /// Reads and checks a request in PEM or DER.
    pub fn read(input: &[u8], limits: &CsrLimits) -> Result<Csr, CsrError> {
        if input.len() > limits.octets {
            return Err(CsrError::TooLarge { size: input.len(), limit: limits.octets });
        }
        // A SEQUENCE's tag is the digit 0, with which no PEM file begins.
        if input.first() == Some(&0x30) {
            return Csr::from_der(input, limits);
        }
        let block = pem::one(input, &["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"])
            .map_err(|source| CsrError::Pem { source })?;
        Csr::from_der(&block.der, limits)
    }

    fn from_der(der: &[u8], limits: &CsrLimits) -> Result<Csr, CsrError> {
        let malformed = |reason: &dyn std::fmt::Display| CsrError::Malformed { reason: reason.to_string() };
        der::check(der).map_err(|source| CsrError::Der { source })?;
        let (_, request) = X509CertificationRequest::from_der(der).map_err(|e| malformed(&e))?;
        let signed = SignedData::from_der(der).map_err(|e| malformed(&e))?;
        let info = &request.certification_request_info;
        if info.version.0 != 0 {
            return Err(CsrError::Version { version: info.version.0 });
        }
        at_most(info.attributes().len(), limits.attributes, "attributes")?;
        at_most(info.subject.iter_attributes().count(), limits.subject_parts, "parts in its subject")?;
        let public_key =
            PublicKey::to_be_used(info.subject_pki.raw).map_err(|source| CsrError::Key { source })?;
        // Before the signature: verifying by a huge key is work.
        public_key.check_strength().map_err(|source| CsrError::Weak { source })?;
        signed.verify(&public_key).map_err(|source| match public_key.check_point() {
            Err(source) => CsrError::Key { source },
            Ok(()) => CsrError::Signature { source },
        })?;
        let names = requested_names(&request, limits)?;
        let mut common_names = info.subject.iter_common_name();
        let common_name = common_names.next().and_then(|name| name.as_str().ok()).map(str::to_owned);
        match common_names.count() {
            0 => Ok(Csr { der: der.to_vec(), public_key, common_name, names }),
            more => Err(CsrError::SeveralCommonNames { count: more + 1 }),
        }
    }

    /// The request in DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The key whose possession the request proves.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// The common name that is asked for: unchecked, of any length, not safe to print.
    pub fn requested_common_name(&self) -> Option<String> {
        self.common_name.clone()
    }

    /// The subject alternative names that are asked for, unchecked.
    pub fn requested_names(&self) -> Vec<RequestedName> {
        self.names.clone()
    }

    /// The names that are asked for, each under the rules of [`SubjectAltName`], sorted, without
    /// duplicates.
    pub fn accepted_names(&self) -> Result<Vec<SubjectAltName>, NameError> {
        let names: std::collections::BTreeSet<_> =
            self.names.iter().map(RequestedName::accept).collect::<Result<_, _>>()?;
        Ok(names.into_iter().collect())
    }
}

impl std::fmt::Debug for Csr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Csr")
            .field("public_key", &self.public_key)
            .field("common_name", &self.common_name)
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

fn at_most(count: usize, limit: usize, what: &'static str) -> Result<(), CsrError> {
    if count > limit { Err(CsrError::TooMany { what, count, limit }) } else { Ok(()) }
}

fn requested_names(
    request: &X509CertificationRequest<'_>,
    limits: &CsrLimits,
) -> Result<Vec<RequestedName>, CsrError> {
    let mut wanted = request.certification_request_info.iter_attributes().filter_map(|attribute| {
        match attribute.parsed_attribute() {
            ParsedCriAttribute::ExtensionRequest(request) => Some(&request.extensions),
            _ => None,
        }
    });
    let Some(extensions) = wanted.next() else { return Ok(Vec::new()) };
    if wanted.next().is_some() {
        return Err(CsrError::DuplicateExtensionRequest);
    }
    at_most(extensions.len(), limits.attributes, "requested extensions")?;
    let mut names = Vec::new();
    for extension in extensions {
        match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(san) => {
                at_most(names.len() + san.general_names.len(), limits.names, "names")?;
                names.extend(san.general_names.iter().map(RequestedName::read));
            }
            ParsedExtension::ParseError { .. } => {
                let reason = format!("the requested extension {} can't be read", extension.oid);
                return Err(CsrError::Malformed { reason });
            }
            // Nothing but names is ever taken from a request.
            _ => (),
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests;
