//! What an authority sends is looked at before it replaces anything.
//!
//! A certificate with another key, other names or a chain that does not link would be placed, loaded and
//! only then found out, by users. Pure: the time is an argument. Whether anybody trusts the root is not
//! asked: with an authority of one's own that is nobody's business here.

use std::collections::BTreeSet;

use ca::cert::{Certificate, CertificateError, PublicKey, SubjectAltName};
use ca::key::PrivateKey;
use rcgen::{CertificateParams, DistinguishedName, SanType};
use time::{Duration, OffsetDateTime};

use super::{Limits, Names};
use crate::Error;

/// Why a certificate was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The leaf is an authority.
    #[error("it is a CA certificate")]
    Authority,
    /// It is over already.
    #[error("it ended at {not_after}")]
    Expired {
        /// Its end.
        not_after: OffsetDateTime,
    },
    /// It is not valid for a long time yet: one of the clocks is wrong.
    #[error("it begins at {not_before}; check the clock")]
    Future {
        /// Its beginning.
        not_before: OffsetDateTime,
    },
    /// It is for another key.
    #[error("it is not for the key that was asked for")]
    Key,
    /// One certificate of the chain is not signed by the next.
    #[error("certificate {position} of the chain, {subject}, is not signed by the next one, {issuer}")]
    Link {
        /// Its place, from 1.
        position: usize,
        /// Its subject.
        subject: String,
        /// The next one's subject.
        issuer: String,
    },
    /// It is for other names.
    #[error("it is for {found}, not for {asked}")]
    Names {
        /// What it is for.
        found: String,
        /// What was asked for.
        asked: String,
    },
    /// It is no chain of certificates.
    #[error("it can't be read")]
    Malformed(#[source] CertificateError),
    /// It is larger than a sound authority's.
    #[error("it is larger than {limit} octets")]
    TooLarge {
        /// The bound.
        limit: usize,
    },
    /// There are too many certificates, or none.
    #[error("the chain has {count} certificates, 1 to {limit} are taken")]
    Length {
        /// How many there are.
        count: usize,
        /// The bound.
        limit: usize,
    },
}

/// A chain that was looked at.
#[derive(Clone, Debug)]
pub struct Checked {
    chain: Vec<Certificate>,
}

impl Checked {
    /// The certificate itself.
    pub fn leaf(&self) -> &Certificate {
        &self.chain[0]
    }

    /// The certificates above it, its issuer first.
    pub fn issuers(&self) -> &[Certificate] {
        &self.chain[1..]
    }

    /// The certificate itself, PEM.
    pub fn leaf_pem(&self) -> String {
        self.leaf().to_pem()
    }

    /// The certificates above it, PEM.
    pub fn issuers_pem(&self) -> String {
        self.issuers().iter().map(Certificate::to_pem).collect()
    }

    /// All of it, PEM, the leaf first.
    pub fn chain_pem(&self) -> String {
        format!("{}{}", self.leaf_pem(), self.issuers_pem())
    }
}

/// Looks at a chain: size, order, signatures, key, names, dates.
pub fn check(
    chain: &str,
    key: &PublicKey,
    names: &Names,
    now: OffsetDateTime,
    limits: &Limits,
) -> Result<Checked, Refusal> {
    if chain.len() > limits.chain {
        return Err(Refusal::TooLarge { limit: limits.chain });
    }
    let chain = Certificate::pem_bundle(chain.as_bytes()).map_err(Refusal::Malformed)?;
    let (count, limit) = (chain.len(), limits.chain_length);
    let leaf = match chain.first() {
        Some(leaf) if count <= limit => leaf,
        Some(_) | None => return Err(Refusal::Length { count, limit }),
    };
    if leaf.is_ca() {
        return Err(Refusal::Authority);
    }
    if leaf.public_key().spki_der() != key.spki_der() {
        return Err(Refusal::Key);
    }
    check_names(leaf, names)?;
    if leaf.not_after() <= now {
        return Err(Refusal::Expired { not_after: leaf.not_after() });
    }
    if leaf.not_before() > now + CLOCK_SKEW {
        return Err(Refusal::Future { not_before: leaf.not_before() });
    }
    for (position, pair) in chain.windows(2).enumerate() {
        let [certificate, issuer] = pair else { continue };
        if certificate.verify_signed_by(issuer).is_err() {
            return Err(Refusal::Link {
                position: position + 1,
                subject: certificate.subject_display(),
                issuer: issuer.subject_display(),
            });
        }
    }
    Ok(Checked { chain })
}

/// Exactly the names asked for, in any order (RFC 8555 §7.4: neither more nor fewer).
fn check_names(leaf: &Certificate, names: &Names) -> Result<(), Refusal> {
    let stated = leaf.stated_names();
    let asked: BTreeSet<SubjectAltName> = names.as_slice().iter().cloned().collect();
    // A name that we would never ask for counts as one too many.
    let found: Option<BTreeSet<SubjectAltName>> = stated.iter().map(|name| name.accept().ok()).collect();
    match found {
        Some(found) if found == asked => Ok(()),
        Some(_) | None => {
            let shown: Vec<String> = stated.iter().take(NAMES_SHOWN).map(ToString::to_string).collect();
            Err(Refusal::Names { found: shown.join(", "), asked: names.to_string() })
        }
    }
}

/// Names of a wrong certificate that an error shows.
const NAMES_SHOWN: usize = 10;

/// An authority's clock may be ahead of ours by this much.
const CLOCK_SKEW: Duration = Duration::hours(1);

/// The request for a certificate (RFC 8555 §7.4), DER: the names alone, no common name, which would
/// only repeat one of them and may hold no long one.
pub(crate) fn request(key: &PrivateKey, names: &Names) -> Result<Vec<u8>, Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    for name in names.as_slice() {
        params.subject_alt_names.push(match name {
            SubjectAltName::Dns(name) => SanType::DnsName(name.as_str().try_into().map_err(Error::Request)?),
            SubjectAltName::Email(name) => {
                SanType::Rfc822Name(name.as_str().try_into().map_err(Error::Request)?)
            }
            SubjectAltName::Ip(address) => SanType::IpAddress(*address),
            SubjectAltName::Uri(name) => SanType::URI(name.as_str().try_into().map_err(Error::Request)?),
        });
    }
    let request = params.serialize_request(key).map_err(Error::Request)?;
    Ok(request.der().to_vec())
}

#[cfg(test)]
mod tests;
