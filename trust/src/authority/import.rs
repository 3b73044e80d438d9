//! Importing an authority, and letting go of one.
//!
//! Refused is whatever can't be an authority: an end entity's certificate, one without keyCertSign or a
//! name, one with a critical extension that nobody knows, one past its end, a weak key. One that is
//! imported already is no error, but another certificate of the same key takes its place only if it is
//! valid for longer.

use ca::cert::{Certificate, Fingerprint, WeakKey, date};
use store::{Batch, Class, Table, Versioned};
use time::OffsetDateTime;

use super::{Authority, Source};
use crate::entry::KeyDigest;

/// A distinguished name with nothing in it, DER.
const EMPTY_NAME: [u8; 2] = [0x30, 0x00];

/// Why a certificate is not imported as an authority.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// It is not an authority's (RFC 5280 §4.2.1.9).
    #[error("{subject} is not an authority's certificate")]
    NotAuthority {
        /// The certificate.
        subject: String,
    },
    /// It may not sign certificates (RFC 5280 §4.2.1.3).
    #[error("{subject} may not sign certificates: its keyUsage lacks keyCertSign")]
    KeyUsage {
        /// The certificate.
        subject: String,
    },
    /// It has an extension that must be understood and isn't (RFC 5280 §4.2).
    #[error("{subject} has the critical extension {oid}, which is not understood")]
    CriticalExtension {
        /// The certificate.
        subject: String,
        /// The extension.
        oid: String,
    },
    /// It has no name that its clients' certificates could give (RFC 5280 §4.1.2.6).
    #[error("the authority's certificate {fingerprint} names nobody")]
    NoName {
        /// The certificate.
        fingerprint: Fingerprint,
    },
    /// Its time is over.
    #[error("{subject} expired on {}", date(*not_after))]
    Expired {
        /// The certificate.
        subject: String,
        /// When.
        not_after: OffsetDateTime,
    },
    /// Its key is not one to rely on.
    #[error("the key of {subject} is too weak")]
    Weak {
        /// The certificate.
        subject: String,
        /// Why.
        #[source]
        source: WeakKey,
    },
}

/// What an import comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Import {
    /// This is to be committed.
    New(Batch),
    /// It is imported already.
    Already,
}

/// Decides the import of an authority; `read` is the record of its key, if there is one.
///
/// # Errors
/// [`ImportError`].
pub fn import(
    certificate: &Certificate,
    read: Option<&Versioned<Authority>>,
    source: Source,
    who: &str,
    now: OffsetDateTime,
) -> Result<Import, ImportError> {
    let subject = || certificate.subject_display();
    if !certificate.is_ca() {
        return Err(ImportError::NotAuthority { subject: subject() });
    }
    if certificate.key_usage().is_some_and(|usage| !usage.key_cert_sign()) {
        return Err(ImportError::KeyUsage { subject: subject() });
    }
    if let Some(oid) = certificate.unknown_critical_extension() {
        return Err(ImportError::CriticalExtension { subject: subject(), oid: oid.to_owned() });
    }
    if certificate.subject_raw() == EMPTY_NAME {
        return Err(ImportError::NoName { fingerprint: certificate.fingerprint() });
    }
    if now > certificate.not_after() {
        return Err(ImportError::Expired { subject: subject(), not_after: certificate.not_after() });
    }
    certificate
        .public_key()
        .check_strength()
        .map_err(|source| ImportError::Weak { subject: subject(), source })?;
    let earlier = read.and_then(|read| read.record.certificate().ok());
    if earlier.is_some_and(|earlier| earlier.not_after() >= certificate.not_after()) {
        return Ok(Import::Already);
    }
    let digest = KeyDigest::of(certificate);
    let what = format!("trust ca add key={digest} fingerprint={}", certificate.fingerprint());
    let mut batch = Batch::new(Class::Ledger, now.unix_timestamp(), who, what);
    let record = Authority {
        der: certificate.der().to_vec(),
        source: read.map_or(source, |read| read.record.source),
        added_by: who.to_owned(),
        added_at: now.unix_timestamp(),
    };
    batch.expect(Authority::key(&digest), read.map(|read| read.version));
    batch.put(Authority::key(&digest), Table::encode(&record));
    Ok(Import::New(batch))
}

/// The batch that lets go of an imported authority: its clients are nobody's from then on. What is
/// remembered of its lists stays: should it come back, an old list must not come back with it.
pub fn forget(authority: &Versioned<Authority>, who: &str, now: OffsetDateTime) -> Batch {
    let name = authority.key.last_part().map(|part| String::from_utf8_lossy(&part).into_owned());
    let what = format!("trust ca remove key={}", name.unwrap_or_default());
    let mut batch = Batch::new(Class::Ledger, now.unix_timestamp(), who, what);
    batch.urgent();
    batch.expect_unchanged(authority.key.clone(), authority.version);
    batch.delete(authority.key.clone());
    batch
}

/// What to do so that the authorities of `trusted-ca/server.ca` are those of the file: which of its
/// certificates to import, and which authorities that came from it to let go of. Those that were
/// added by hand are not touched.
pub fn follow_file<'a>(
    file: &[Certificate],
    known: impl IntoIterator<Item = &'a Versioned<Authority>>,
) -> (Vec<Certificate>, Vec<Versioned<Authority>>) {
    let in_file = |key: &store::Key| file.iter().any(|found| Authority::key(&KeyDigest::of(found)) == *key);
    let gone = known
        .into_iter()
        .filter(|known| known.record.source == Source::File && !in_file(&known.key))
        .cloned()
        .collect();
    (file.to_vec(), gone)
}
