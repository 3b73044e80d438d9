//! Takes over a CA that others made: its certificate, its key, and the inventory that it kept.
//!
//! A self-signed CA becomes root and issuing CA in one; one below a root becomes the issuing CA of that
//! root, whose certificate must come with it (its key may stay where it is). An authority is what its key
//! makes it: a second CA of the same name is another one and never merged.
//! Everything is checked and decided before anything is written. It refuses a certificate that can't
//! sign or whose name would come out changed, a key that is another's or weak, an index that contradicts
//! itself.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use store::file::{OnExisting, Visibility};
use store::{Batch, Store};
use time::OffsetDateTime;

use crate::blocked::{self, BlockedKey};
use crate::cert::{Certificate, CertificateError, Serial, WeakKey, date, printable};
use crate::error::Error;
use crate::hierarchy::{create, record};
use crate::index_txt::{IndexError, Row, RowReason};
use crate::issuer::{Issuer, IssuerCertificate, IssuerError};
use crate::key::PrivateKey;
use crate::keyring::Keyring;
use crate::plan::Requester;
use crate::records::{AuthorityRecord, IssuedProfile, IssuedRecord, KeyPlace, Role};

mod files;

pub use files::{files_beside, read_index};

/// Why a CA can't be adopted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdoptError {
    /// A file beside the index is not a certificate.
    #[error("{} is not a certificate", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: CertificateError,
    },
    /// A file could not be read.
    #[error("what belongs to the CA can't be read")]
    File(#[from] store::file::FileError),
    /// Its index can't be read.
    #[error("{} can't be taken over", path.display())]
    Index {
        /// The file.
        path: PathBuf,
        /// Which line, and what is wrong with it.
        #[source]
        source: IndexError,
    },
    /// It can't sign, or not so that its name survives.
    #[error("its certificate can't be that of an authority")]
    Issuer(#[from] IssuerError),
    /// Its key file is there already, and is another's.
    #[error("there is another key at {} already", path.display())]
    KeyInTheWay {
        /// The file.
        path: PathBuf,
    },
    /// No certificate was given.
    #[error("there is no certificate to adopt")]
    NoCertificate,
    /// Its root did not come with it.
    #[error(
        "{subject} is not self-signed: put the certificate of its root, {issuer}, behind it in the same file"
    )]
    NoRoot {
        /// The CA.
        subject: String,
        /// Its issuer.
        issuer: String,
    },
    /// Its time has not come, or is over.
    #[error("{subject} is valid from {} to {} only", date(*not_before), date(*not_after))]
    NotValid {
        /// The certificate.
        subject: String,
        /// Its start.
        not_before: OffsetDateTime,
        /// Its end.
        not_after: OffsetDateTime,
    },
    /// A revocation that has not happened yet.
    #[error("line {line} of the index: serial {serial} is revoked at a time that is still to come")]
    RevokedAhead {
        /// The line.
        line: usize,
        /// The serial.
        serial: Serial,
    },
    /// The chain does not hold.
    #[error("{subject} is not signed by {issuer}")]
    Signature {
        /// The certificate.
        subject: String,
        /// Who should have signed it.
        issuer: String,
        /// What is wrong.
        #[source]
        source: CertificateError,
    },
    /// More certificates than a CA and its root.
    #[error("{count} certificates are too many: a CA, and its root if it is not self-signed, are adopted")]
    TooMany {
        /// How many there are.
        count: usize,
    },
    /// Its key is weak.
    #[error("the key of {subject} is weak")]
    WeakKey {
        /// The certificate.
        subject: String,
        /// Why.
        #[source]
        source: WeakKey,
    },
}

/// What is to be adopted.
#[derive(Debug)]
pub struct Adopt {
    /// The CA's certificate; behind it, unless it is self-signed, its root's.
    pub certificates: Vec<Certificate>,
    /// The CA's key.
    pub key: PrivateKey,
    /// Its index, parsed.
    pub index: Vec<Row>,
    /// Certificates that it issued, as far as there are files of them.
    pub issued: Vec<Certificate>,
}

/// Something that works and is worth knowing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A certificate that the index does not list.
    NotListed(Serial),
    /// A file with the serial of a row that this CA did not sign.
    NotSigned(Serial),
    /// No keyUsage in the CA's certificate.
    NoKeyUsage,
    /// No subjectKeyIdentifier in the CA's certificate.
    NoSubjectKeyIdentifier,
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Note::NotListed(serial) => write!(f, "certificate {serial} is not in the index; it was left out"),
            Note::NotSigned(serial) => {
                write!(f, "the file of certificate {serial} was not signed by this CA; only its index entry was taken")
            }
            Note::NoKeyUsage => {
                f.write_str("the CA's certificate has no keyUsage: strict verifiers refuse it (RFC 5280 §4.2.1.3)")
            }
            Note::NoSubjectKeyIdentifier => f.write_str(
                "the CA's certificate has no subjectKeyIdentifier: strict verifiers refuse it (RFC 5280 §4.2.1.2)",
            ),
        }
    }
}

/// A revocation that the index knows of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImportedRevocation {
    /// The certificate.
    pub serial: Serial,
    /// When it ends.
    pub not_after: OffsetDateTime,
    /// When it was revoked.
    pub at: OffsetDateTime,
    /// Why.
    pub reason: RowReason,
    /// Since when its key is known to be compromised, if that was said.
    pub invalid_since: Option<OffsetDateTime>,
}

/// An adoption that was decided; nothing is written yet.
#[derive(Debug)]
pub struct Adoption {
    /// The authority, ready to sign.
    pub issuer: Issuer,
    /// The root's record: the authority's own if it is self-signed.
    pub root: AuthorityRecord,
    /// The record of the authority that signs.
    pub issuing: AuthorityRecord,
    /// How many certificates are taken into the inventory.
    pub imported: usize,
    /// The revocations to be recorded in the same batch.
    pub revocations: Vec<ImportedRevocation>,
    /// What is worth knowing.
    pub notes: Vec<Note>,
    key: Arc<PrivateKey>,
    batch: Batch,
}

/// Checks everything and decides what will be recorded.
pub fn decide(
    adopt: Adopt,
    keyring: &Keyring,
    who: &str,
    now: OffsetDateTime,
) -> Result<Adoption, AdoptError> {
    let (certificate, root) = authorities(&adopt.certificates, now)?;
    let key = Arc::new(adopt.key);
    let issuer = Issuer::new(certificate, key.clone())?;
    let own = issuer.certificate();
    let mut notes = Vec::new();
    if own.certificate().key_usage().is_none() {
        notes.push(Note::NoKeyUsage);
    }
    if own.certificate().subject_key_id().is_none() {
        notes.push(Note::NoSubjectKeyIdentifier);
    }
    let role = match root {
        Some(_) => Role::Issuing,
        None => Role::RootAndIssuing,
    };
    let parent = root.as_ref().map_or(own.key_id(), IssuerCertificate::key_id);
    let issuing = record(own.certificate(), role, keyring.place_kind(), own.constraints(), parent, now);
    let root = match &root {
        None => issuing.clone(),
        Some(root) => {
            let place = KeyPlace::Elsewhere { note: None };
            record(root.certificate(), Role::Root, place, root.constraints(), root.key_id(), now)
        }
    };
    let (imported, revocations) = import(own.certificate(), adopt.index, adopt.issued, &mut notes, who, now)?;
    let mut records = vec![root.clone()];
    if issuing.key_id != root.key_id {
        records.push(issuing.clone());
    }
    let what = format!("init adopt issuing={} imported={}", issuing.key_id, imported.len());
    let mut batch = create::batch(&records, root.key_id, issuing.key_id, who, what, now);
    for record in &imported {
        batch.expect_absent(crate::plan::issued_key(&record.serial));
        record.put(&mut batch);
    }
    for revocation in &revocations {
        let compromised =
            imported.iter().find(|record| record.serial == revocation.serial).and_then(|r| r.key);
        if let (RowReason::KeyCompromise, Some(key)) = (revocation.reason, compromised) {
            let since = revocation.at.unix_timestamp();
            let block = BlockedKey { since, serial: revocation.serial, who: who.to_owned() };
            blocked::block(&mut batch, &key, &block);
        }
    }
    Ok(Adoption { issuer, root, issuing, imported: imported.len(), revocations, notes, key, batch })
}

impl Adoption {
    /// The batch, for the revocations to join it.
    pub fn batch_mut(&mut self) -> &mut Batch {
        &mut self.batch
    }

    /// Places the key, then commits all records at once. Interrupted between the two, it is done again.
    pub fn commit(self, store: &Store, keyring: &Keyring) -> Result<Issuer, Error> {
        create::refuse_existing(store, keyring)?;
        store::file::make_dir(keyring.directory(), Visibility::Secret)?;
        let path = keyring.path(&self.issuing);
        if path.symlink_metadata().is_ok() {
            let found = keyring.read(&path)?;
            if found.public_key() != self.key.public_key() {
                return Err(AdoptError::KeyInTheWay { path }.into());
            }
        } else {
            keyring.write(&path, &self.key, OnExisting::Refuse)?;
        }
        store.commit(self.batch)?;
        keyring.hold(self.issuing.key_id, self.key);
        Ok(self.issuer)
    }
}

/// The CA and, unless it is self-signed, its root; both in force, strong, and signed as they say.
fn authorities(
    certificates: &[Certificate],
    now: OffsetDateTime,
) -> Result<(IssuerCertificate, Option<IssuerCertificate>), AdoptError> {
    let (own, root) = match certificates {
        [] => return Err(AdoptError::NoCertificate),
        [own] if own.is_self_issued() => (own, None),
        [own] => {
            return Err(AdoptError::NoRoot { subject: own.subject_display(), issuer: own.issuer_display() });
        }
        [own, root] if !own.is_self_issued() && root.is_self_issued() => (own, Some(root)),
        several => return Err(AdoptError::TooMany { count: several.len() }),
    };
    for certificate in [Some(own), root].into_iter().flatten() {
        let (not_before, not_after) = (certificate.not_before(), certificate.not_after());
        if now < not_before || not_after < now {
            return Err(AdoptError::NotValid {
                subject: certificate.subject_display(),
                not_before,
                not_after,
            });
        }
        let weak = |source| AdoptError::WeakKey { subject: certificate.subject_display(), source };
        certificate.public_key().check_strength().map_err(weak)?;
        let signer = root.unwrap_or(own);
        certificate.verify_signed_by(signer).map_err(|source| AdoptError::Signature {
            subject: certificate.subject_display(),
            issuer: signer.subject_display(),
            source,
        })?;
    }
    let root = root.cloned().map(IssuerCertificate::new).transpose()?;
    Ok((IssuerCertificate::new(own.clone())?, root))
}

fn import(
    ca: &Certificate,
    index: Vec<Row>,
    files: Vec<Certificate>,
    notes: &mut Vec<Note>,
    who: &str,
    now: OffsetDateTime,
) -> Result<(Vec<IssuedRecord>, Vec<ImportedRevocation>), AdoptError> {
    let mut files: HashMap<Serial, Certificate> =
        files.into_iter().map(|certificate| (certificate.serial(), certificate)).collect();
    let (mut records, mut revocations) = (Vec::new(), Vec::new());
    for row in index {
        // `openssl ca -selfsign` enters the CA itself.
        if ca.is_self_issued() && row.serial == ca.serial() {
            files.remove(&row.serial);
            continue;
        }
        let file = files.remove(&row.serial);
        let file = file.filter(|certificate| {
            let signed =
                certificate.issuer_raw() == ca.subject_raw() && certificate.verify_signed_by(ca).is_ok();
            if !signed {
                notes.push(Note::NotSigned(row.serial));
            }
            signed
        });
        let imported = imported(&row, file.as_ref(), ca, who, now);
        if let Some(revocation) = row.revocation {
            if revocation.at > now {
                return Err(AdoptError::RevokedAhead { line: row.line, serial: row.serial });
            }
            revocations.push(ImportedRevocation {
                serial: row.serial,
                not_after: imported.ends(),
                at: revocation.at,
                reason: revocation.reason,
                invalid_since: revocation.invalid_since,
            });
        }
        records.push(imported);
    }
    files.remove(&ca.serial());
    let mut left: Vec<Serial> = files.into_keys().collect();
    left.sort();
    notes.extend(left.into_iter().map(Note::NotListed));
    Ok((records, revocations))
}

/// The record of a row; what a file of the certificate says goes before what the index says.
fn imported(
    row: &Row,
    file: Option<&Certificate>,
    ca: &Certificate,
    who: &str,
    now: OffsetDateTime,
) -> IssuedRecord {
    let common_name = file.and_then(Certificate::common_name).map(printable);
    IssuedRecord {
        serial: row.serial,
        der: file.map(|certificate| certificate.der().to_vec()),
        name: common_name.unwrap_or_else(|| row.name()),
        profile: IssuedProfile::Imported,
        names: file.map(|file| file.names().iter().map(ToString::to_string).collect()).unwrap_or_default(),
        project: Requester::DEFAULT_PROJECT.to_owned(),
        requester: who.to_owned(),
        issued_at: file.map_or(now, Certificate::not_before).unix_timestamp(),
        not_before: file.map(|certificate| certificate.not_before().unix_timestamp()),
        not_after: file.map_or(row.ends, Certificate::not_after).unix_timestamp(),
        issuer: ca.key_id(),
        key: file.map(|certificate| certificate.public_key().digest()),
        request: None,
        days: None,
        predecessor: None,
        reach: None,
    }
}

#[cfg(test)]
mod tests;
