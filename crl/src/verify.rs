//! Looks at a list that anybody may have made: what it says, and what is wrong with it.
//!
//! x509-parser takes it apart; the signature is checked by `ca`, for every type of key. It never
//! makes anything of what it reads: it reports.

use std::collections::BTreeSet;

use ca::cert::{Certificate, Serial, SignatureError, SignedData, date};
use time::OffsetDateTime;
use x509_parser::extensions::ParsedExtension;
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::{FromDer, X509Version};
use x509_parser::revocation_list::CertificateRevocationList;

use crate::CrlNumber;

/// Why bytes are not a list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// Not PEM, or not a list's.
    #[error("this is not the PEM of a certificate revocation list: {reason}")]
    Pem {
        /// What is wrong.
        reason: String,
    },
    /// Not the DER of a list.
    #[error("this is not a certificate revocation list: {reason}")]
    Form {
        /// What is wrong.
        reason: String,
    },
}

/// A list taken apart.
#[derive(Debug)]
pub struct ParsedList {
    der: Vec<u8>,
    version_2: bool,
    issuer: Vec<u8>,
    issuer_display: String,
    this_update: OffsetDateTime,
    next_update: Option<OffsetDateTime>,
    serials: Vec<Serial>,
    number: Option<CrlNumber>,
    key_id: Option<Vec<u8>>,
    oddities: Vec<ListFinding>,
}

/// Something that is wrong with a list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ListFinding {
    /// Another authority's.
    #[error("its issuer is not this authority")]
    Issuer,
    /// The signature is wrong, or of an algorithm that is not accepted.
    #[error("its signature can't be relied on: {0}")]
    Signature(SignatureError),
    /// The signed part names another algorithm than the signature's.
    #[error("it names two signature algorithms (RFC 5280 §5.1.1.2)")]
    Algorithms,
    /// A version 1 list.
    #[error("it is of version 1, without number and reasons")]
    Version1,
    /// Its time has not come.
    #[error("it is in force only from {}", date(*this_update))]
    NotYet {
        /// Its thisUpdate.
        this_update: OffsetDateTime,
    },
    /// Its time is over: verifiers refuse it, and with it every certificate.
    #[error("it has run out at {}", date(*next_update))]
    Expired {
        /// Its nextUpdate.
        next_update: OffsetDateTime,
    },
    /// It never runs out.
    #[error("it has no nextUpdate (RFC 5280 §5.1.2.5)")]
    NoNextUpdate,
    /// It has no number.
    #[error("it has no CRL number (RFC 5280 §5.2.3)")]
    NoNumber,
    /// It has no authority key identifier.
    #[error("it has no authority key identifier (RFC 5280 §5.2.1)")]
    NoKeyId,
    /// It has another authority's key identifier.
    #[error("its authority key identifier is not this authority's")]
    KeyId,
    /// A certificate stands in it twice.
    #[error("certificate {serial} stands in it twice")]
    Twice {
        /// The certificate.
        serial: Serial,
    },
    /// It speaks for a part of the certificates.
    #[error("it speaks for a part of the authority's certificates only (issuingDistributionPoint)")]
    Partial,
    /// It lists changes to another list.
    #[error("it is a delta list: it counts only together with its base")]
    Delta,
    /// A critical extension that nobody here understands.
    #[error("it has the critical extension {oid}, which is not understood")]
    Critical {
        /// The extension.
        oid: String,
    },
}

/// What a list says, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListReport {
    /// Who made it, by its own account.
    pub issuer: String,
    /// Its number.
    pub number: Option<CrlNumber>,
    /// When it was made.
    pub this_update: OffsetDateTime,
    /// When the next one is due at the latest.
    pub next_update: Option<OffsetDateTime>,
    /// How many certificates it names.
    pub entries: usize,
    /// Its size in octets, DER.
    pub size: usize,
    /// What is wrong with it.
    pub findings: Vec<ListFinding>,
}

impl ParsedList {
    /// Takes apart exactly one list, PEM or DER.
    ///
    /// # Errors
    /// [`VerifyError`]; also for anything behind the list.
    pub fn read(list: &[u8]) -> Result<ParsedList, VerifyError> {
        let der = if list.first() == Some(&0x30) { list.to_vec() } else { from_pem(list)? };
        let form = |reason: String| VerifyError::Form { reason };
        let (rest, parsed) =
            CertificateRevocationList::from_der(&der).map_err(|error| form(error.to_string()))?;
        if !rest.is_empty() {
            return Err(form("more follows after it".to_owned()));
        }
        SignedData::from_der(&der).map_err(|error| form(error.to_string()))?;
        let tbs = &parsed.tbs_cert_list;
        let serials = tbs
            .revoked_certificates
            .iter()
            .map(|entry| Serial::from_der_content(entry.raw_serial()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| form(error.to_string()))?;
        let (mut number, mut key_id, mut oddities) = (None, None, Vec::new());
        if tbs.signature != parsed.signature_algorithm {
            oddities.push(ListFinding::Algorithms);
        }
        for extension in tbs.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::CRLNumber(_) => number = crl_number(extension.value),
                ParsedExtension::AuthorityKeyIdentifier(found) => {
                    key_id = found.key_identifier.as_ref().map(|id| id.0.to_vec());
                }
                ParsedExtension::IssuingDistributionPoint(_) => oddities.push(ListFinding::Partial),
                _ if extension.oid.to_id_string() == DELTA => oddities.push(ListFinding::Delta),
                _ if extension.critical => {
                    oddities.push(ListFinding::Critical { oid: extension.oid.to_id_string() });
                }
                _ => {}
            }
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = serials.iter().find(|serial| !seen.insert(**serial)) {
            oddities.push(ListFinding::Twice { serial: *twice });
        }
        Ok(ParsedList {
            version_2: parsed.version() == Some(X509Version(1)),
            issuer: tbs.issuer.as_raw().to_vec(),
            issuer_display: tbs.issuer.to_string(),
            this_update: tbs.this_update.to_datetime(),
            next_update: tbs.next_update.map(|time| time.to_datetime()),
            serials,
            number,
            key_id,
            oddities,
            der,
        })
    }

    /// The list, DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Its issuer, DER.
    pub fn issuer(&self) -> &[u8] {
        &self.issuer
    }

    /// When it was made.
    pub fn this_update(&self) -> OffsetDateTime {
        self.this_update
    }

    /// When the next one is due at the latest, if it says so.
    pub fn next_update(&self) -> Option<OffsetDateTime> {
        self.next_update
    }

    /// Its number, if it has one that can be.
    pub fn number(&self) -> Option<CrlNumber> {
        self.number
    }

    /// The certificates that it names, in its order.
    pub fn serials(&self) -> &[Serial] {
        &self.serials
    }

    /// Whether it speaks for all that its authority signed, in a way that everybody understands.
    pub fn is_whole(&self) -> bool {
        self.version_2 && self.oddities.is_empty()
    }

    /// What is signed, how, and the signature.
    pub(crate) fn signed(&self) -> Result<SignedData<'_>, VerifyError> {
        SignedData::from_der(&self.der).map_err(|error| VerifyError::Form { reason: error.to_string() })
    }

    /// What it says, and what is wrong with it at `now`; its signature and issuer are looked at if
    /// the authority is given.
    ///
    /// # Errors
    /// [`VerifyError::Form`].
    pub fn report(
        &self,
        authority: Option<&Certificate>,
        now: OffsetDateTime,
    ) -> Result<ListReport, VerifyError> {
        let mut findings = Vec::new();
        if let Some(authority) = authority {
            self.compare(authority, &mut findings)?;
        }
        if !self.version_2 {
            findings.push(ListFinding::Version1);
        }
        if now < self.this_update {
            findings.push(ListFinding::NotYet { this_update: self.this_update });
        }
        match self.next_update {
            None => findings.push(ListFinding::NoNextUpdate),
            Some(next_update) if next_update < now => findings.push(ListFinding::Expired { next_update }),
            Some(_) => {}
        }
        if self.number.is_none() {
            findings.push(ListFinding::NoNumber);
        }
        if self.key_id.is_none() {
            findings.push(ListFinding::NoKeyId);
        }
        findings.extend(self.oddities.iter().cloned());
        Ok(ListReport {
            issuer: self.issuer_display.clone(),
            number: self.number,
            this_update: self.this_update,
            next_update: self.next_update,
            entries: self.serials.len(),
            size: self.der.len(),
            findings,
        })
    }

    fn compare(&self, authority: &Certificate, findings: &mut Vec<ListFinding>) -> Result<(), VerifyError> {
        if self.issuer != authority.subject_raw() {
            findings.push(ListFinding::Issuer);
        }
        if let Err(error) = self.signed()?.verify(authority.public_key()) {
            findings.push(ListFinding::Signature(error));
        }
        let expected = authority.subject_key_id();
        if self.key_id.as_deref().zip(expected).is_some_and(|(found, expected)| found != expected) {
            findings.push(ListFinding::KeyId);
        }
        Ok(())
    }
}

/// id-ce-deltaCRLIndicator, RFC 5280 §5.2.4.
const DELTA: &str = "2.5.29.27";

/// Looks at a list, PEM or DER: `pki crl verify`.
///
/// # Errors
/// [`VerifyError`] if it is none.
pub fn verify(
    list: &[u8],
    authority: Option<&Certificate>,
    now: OffsetDateTime,
) -> Result<ListReport, VerifyError> {
    ParsedList::read(list)?.report(authority, now)
}

fn from_pem(text: &[u8]) -> Result<Vec<u8>, VerifyError> {
    let refuse = |reason: String| VerifyError::Pem { reason };
    let (rest, pem) = parse_x509_pem(text).map_err(|error| refuse(error.to_string()))?;
    if pem.label != "X509 CRL" {
        return Err(refuse(format!("it holds {:?}", pem.label)));
    }
    if rest.windows(10).any(|window| window == b"-----BEGIN") {
        return Err(refuse("it holds more than one block".to_owned()));
    }
    Ok(pem.contents)
}

/// The number in the DER INTEGER of an extension, if it can be one.
fn crl_number(value: &[u8]) -> Option<CrlNumber> {
    let mut reader = crate::read::Reader::new(value);
    let content = reader.unsigned("no number").ok()?;
    reader.end("more than a number").ok()?;
    CrlNumber::from_be_bytes(content).ok()
}
