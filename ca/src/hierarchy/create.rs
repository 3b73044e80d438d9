//! `init`: a root and an issuing CA.
//!
//! Interrupted before the records are committed, it leaves keys that signed nothing durable; the next
//! `init` takes them up again instead of overwriting them, because a key file without records may also
//! be all that a lost store left behind. A root key that goes to a file elsewhere is noted here first, by
//! its identifier: only so can the next `init` tell it from somebody else's key in that place.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::rand::SecureRandom;
use store::file::{OnExisting, Visibility};
use store::{Batch, Class, Key, Store, Table};
use time::OffsetDateTime;

use super::rotate::certificate_of;
use super::{Making, certify, outside, record, subject};
use crate::authority::Current;
use crate::cert::{CommonName, KeyId};
use crate::constraints::NameConstraints;
use crate::error::Error;
use crate::issuer::{Issuer, IssuerCertificate};
use crate::key::{KeyType, PrivateKey};
use crate::keyring::{Keyring, KeyringError};
use crate::plan::Policy;
use crate::profile::ProfileKind;
use crate::records::{AuthorityRecord, CurrentRecord, KeyPlace, Role};

/// What a new PKI is to be.
#[derive(Clone, Debug)]
pub struct Init {
    /// The name that every authority's name begins with.
    pub organization: CommonName,
    /// The type of both keys.
    pub key_type: KeyType,
    /// The names the issuing CA is held to.
    pub constraints: NameConstraints,
    /// Where the root's key goes.
    pub root_key: RootKeyPlace,
}

/// Where the root's key goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RootKeyPlace {
    /// Beside the issuing CA's.
    Beside,
    /// To this file, which must not exist yet unless an interrupted `init` wrote it; it is the only copy.
    File(PathBuf),
}

/// A PKI that was made, both authorities still ready to sign.
#[derive(Clone, Debug)]
pub struct Initialised {
    /// The root: it signs its first list now, even if its key is elsewhere from here on.
    pub root: Issuer,
    /// The issuing CA.
    pub issuing: Issuer,
}

/// Makes the authorities of a new PKI.
pub fn init(
    store: &Store,
    keyring: &Keyring,
    init: &Init,
    policy: &Policy,
    who: &str,
    now: OffsetDateTime,
    random: &dyn SecureRandom,
) -> Result<Initialised, Error> {
    refuse_existing(store, keyring)?;
    store::file::make_dir(keyring.directory(), Visibility::Secret)?;
    let (root_key, root_place) = root_key(keyring, init)?;
    let issuing_key = match leftover_issuing_key(keyring, init.key_type)? {
        Some(key) => key,
        None => {
            let key = PrivateKey::generate(init.key_type)?;
            keyring.write(&keyring.issuing_path(&key.public_key().key_id()), &key, OnExisting::Refuse)?;
            key
        }
    };

    let root_subject = subject(&init.organization, ProfileKind::Root, root_key.public_key())?;
    let free = NameConstraints::default();
    let making = Making {
        kind: ProfileKind::Root,
        subject: &root_subject,
        public_key: root_key.public_key(),
        issuer: None,
        constraints: &free,
        policy,
    };
    let root = IssuerCertificate::new(certify(&making, &root_key, now, random)?)?;
    let issuing_subject = subject(&init.organization, ProfileKind::Issuing, issuing_key.public_key())?;
    let making = Making {
        kind: ProfileKind::Issuing,
        subject: &issuing_subject,
        public_key: issuing_key.public_key(),
        issuer: Some(&root),
        constraints: &init.constraints,
        policy,
    };
    let issuing = IssuerCertificate::new(certify(&making, &root_key, now, random)?)?;

    let records = [
        record(root.certificate(), Role::Root, root_place, &free, root.key_id(), now),
        record(
            issuing.certificate(),
            Role::Issuing,
            keyring.place_kind(),
            &init.constraints,
            root.key_id(),
            now,
        ),
    ];
    let what = format!("init {} root={} issuing={}", init.organization, root.key_id(), issuing.key_id());
    store.commit(batch(&records, root.key_id(), issuing.key_id(), who, what, now))?;

    // A note that stays behind says nothing that the records do not say.
    let _ = store::file::remove(&outgoing(keyring));
    let (root_key, issuing_key) = (Arc::new(root_key), Arc::new(issuing_key));
    keyring.hold(issuing.key_id(), issuing_key.clone());
    Ok(Initialised { root: Issuer::new(root, root_key)?, issuing: Issuer::new(issuing, issuing_key)? })
}

/// All records of a new PKI in one batch.
pub(crate) fn batch(
    records: &[AuthorityRecord],
    root: KeyId,
    issuing: KeyId,
    who: &str,
    what: String,
    now: OffsetDateTime,
) -> Batch {
    let mut batch = Batch::new(Class::Ledger, now.unix_timestamp(), who, what);
    batch.expect_absent(Table::<CurrentRecord>::key(CurrentRecord::PART));
    Table::put(&mut batch, CurrentRecord::PART, &CurrentRecord { root, issuing });
    for record in records {
        let key: Key = Table::<AuthorityRecord>::key(record.key_id.to_string());
        batch.expect_absent(key);
        Table::put(&mut batch, record.key_id.to_string(), record);
    }
    batch
}

/// Refuses where a PKI is, and where one was whose records are gone.
pub(crate) fn refuse_existing(store: &Store, keyring: &Keyring) -> Result<(), Error> {
    if let Some(current) = Current::find(store)? {
        return Err(Error::AlreadyInitialised { root: current.root.record.key_id });
    }
    // Certificates are published only after the records are durable.
    let published = keyring.directory().parent().map(|parent| parent.join("root.crt"));
    match published.filter(|path| path.symlink_metadata().is_ok()) {
        Some(path) => Err(Error::RecordsMissing { path }),
        None => Ok(()),
    }
}

fn root_key(keyring: &Keyring, init: &Init) -> Result<(PrivateKey, KeyPlace), Error> {
    match &init.root_key {
        RootKeyPlace::File(path) => {
            outside(keyring.directory().parent().unwrap_or(keyring.directory()), path)?;
            let key = match interrupted(keyring, path, init.key_type)? {
                Some(key) => key,
                None => {
                    let key = PrivateKey::generate(init.key_type)?;
                    let note = key.public_key().key_id().to_string();
                    let place = outgoing(keyring);
                    store::file::place(&place, note.as_bytes(), Visibility::Secret, OnExisting::Replace)?;
                    keyring.write(path, &key, OnExisting::Refuse)?;
                    key
                }
            };
            Ok((key, KeyPlace::Elsewhere { note: Some(path.display().to_string()) }))
        }
        RootKeyPlace::Beside => {
            let path = keyring.root_path();
            let key = match leftover(keyring, &path, init.key_type)? {
                Some(key) => key,
                None => {
                    let key = PrivateKey::generate(init.key_type)?;
                    keyring.write(&path, &key, OnExisting::Refuse)?;
                    key
                }
            };
            Ok((key, keyring.place_kind()))
        }
    }
}

/// Where the identifier of a root key is noted before it goes elsewhere.
fn outgoing(keyring: &Keyring) -> PathBuf {
    keyring.directory().join("root-key-out")
}

/// The root's key that an interrupted `init` wrote to this file. Any other key there is left alone.
fn interrupted(keyring: &Keyring, path: &Path, key_type: KeyType) -> Result<Option<PrivateKey>, Error> {
    let Ok(note) = store::file::read_secret(&outgoing(keyring)) else { return Ok(None) };
    let noted = std::str::from_utf8(&note).ok().and_then(|note| note.parse::<KeyId>().ok());
    match keyring.read(path) {
        Ok(key) if Some(key.public_key().key_id()) == noted => leftover(keyring, path, key_type),
        Err(error @ KeyringError::Locked { .. }) => Err(error.into()),
        Ok(_) | Err(_) => Ok(None),
    }
}

/// The root of a PKI whose `init` was interrupted after its commit, from the file that its key went to.
pub fn root_from(store: &Store, keyring: &Keyring, path: &Path) -> Result<Issuer, Error> {
    let root = IssuerCertificate::new(certificate_of(&Current::load(store)?.root.record)?)?;
    let issuer = Issuer::new(root, Arc::new(keyring.read(path)?))?;
    let _ = store::file::remove(&outgoing(keyring));
    Ok(issuer)
}

/// A key that an interrupted `init` left, written again as this one wants it.
fn leftover(keyring: &Keyring, path: &Path, key_type: KeyType) -> Result<Option<PrivateKey>, Error> {
    if path.symlink_metadata().is_err() {
        return Ok(None);
    }
    let key = keyring.read(path)?;
    if key.key_type() != key_type {
        return Err(Error::LeftoverKey { path: path.to_owned(), found: key.key_type(), asked: key_type });
    }
    keyring.write(path, &key, OnExisting::Replace)?;
    Ok(Some(key))
}

/// The same for the issuing CA, whose file is named after its key.
fn leftover_issuing_key(keyring: &Keyring, key_type: KeyType) -> Result<Option<PrivateKey>, Error> {
    let listing = |source| list_error(keyring.directory(), source);
    for entry in std::fs::read_dir(keyring.directory()).map_err(listing)? {
        let path = entry.map_err(listing)?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let named = path.extension().is_some_and(|extension| extension == "key");
        let Some(key_id) = stem.parse::<KeyId>().ok().filter(|_| named) else { continue };
        match leftover(keyring, &path, key_type)? {
            Some(key) if key.public_key().key_id() == key_id => return Ok(Some(key)),
            Some(_) | None => {}
        }
    }
    Ok(None)
}

fn list_error(path: &Path, source: std::io::Error) -> Error {
    Error::File(store::file::FileError::Io { operation: "list", path: path.to_owned(), source })
}
