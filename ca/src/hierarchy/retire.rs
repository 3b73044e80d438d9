//! Takes authorities out of service: an issuing CA by revocation, the root's key by moving it away.

use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use store::{Batch, Class, Store, Table};
use time::OffsetDateTime;

use crate::authority::{self, Current};
use crate::cert::{Certificate, KeyId};
use crate::error::Error;
use crate::keyring::Keyring;
use crate::records::{AuthorityRecord, AuthorityState, KeyPlace, Role};

/// The retirement of an issuing CA, decided and not yet committed.
#[derive(Debug)]
pub struct Retirement {
    /// The batch that marks its record; the revocation on the root's list joins it.
    pub batch: Batch,
    /// The record as it will be.
    pub authority: AuthorityRecord,
    /// Its certificate, to be listed by its parent.
    pub certificate: Certificate,
}

/// Decides to revoke an issuing CA that no longer signs. Refused for the current one and for a root.
pub fn retire(store: &Store, key_id: &KeyId, who: &str, now: OffsetDateTime) -> Result<Retirement, Error> {
    let current = Current::load(store)?;
    let found =
        authority::find(store, key_id)?.ok_or_else(|| Error::NotFound { word: key_id.to_string() })?;
    let key_id = *key_id;
    if current.pair.record.issuing == key_id {
        return Err(Error::CurrentAuthority { key_id });
    }
    let state = found.record.state;
    match (found.record.role, state) {
        (Role::Issuing, AuthorityState::Retired | AuthorityState::Revoked) => {}
        (Role::Root | Role::RootAndIssuing, _)
        | (Role::Issuing, AuthorityState::AwaitingCertificate | AuthorityState::Current) => {
            return Err(Error::State { key_id, state, action: "revoked" });
        }
    }
    let certificate = crate::keyring::issuer_certificate(&found.record)?.certificate().clone();
    let what = format!("ca revoke issuing={key_id}");
    let mut batch = Batch::new(Class::Ledger, now.unix_timestamp(), who, what);
    batch.expect_unchanged(current.pair.key, current.pair.version);
    batch.expect_unchanged(found.key, found.version);
    let authority = AuthorityRecord { state: AuthorityState::Revoked, ..found.record };
    Table::put(&mut batch, key_id.to_string(), &authority);
    Ok(Retirement { batch, authority, certificate })
}

/// Refuses a file for the root's key that lies in the PKI's directory, by whatever way it is named.
///
/// What can't be found is left to whoever writes the file.
pub fn outside(directory: &Path, file: &Path) -> Result<(), Error> {
    let parent = match file.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return Ok(()),
    };
    match (directory.canonicalize(), parent.canonicalize()) {
        (Ok(directory), Ok(parent)) if parent.starts_with(&directory) => {
            Err(Error::InsideDirectory { path: file.to_owned() })
        }
        _ => Ok(()),
    }
}

/// Records that the root's key is elsewhere, then removes it from here.
///
/// `copy` is the SHA-256 of the key file as its copy has it: what is removed must be the same. Called
/// again after an interruption it removes what is still there.
pub fn root_offline(
    store: &Store,
    keyring: &Keyring,
    copy: &[u8; 32],
    note: Option<String>,
    who: &str,
    now: OffsetDateTime,
) -> Result<AuthorityRecord, Error> {
    let current = Current::load(store)?;
    let root = current.root.record;
    match root.role {
        Role::Root => {}
        // It signs every day: it can't be away.
        Role::RootAndIssuing | Role::Issuing if current.pair.record.issuing == root.key_id => {
            return Err(Error::CurrentAuthority { key_id: root.key_id });
        }
        Role::RootAndIssuing | Role::Issuing => {}
    }
    let path = keyring.path(&root);
    let gone = path.symlink_metadata().is_err();
    if gone && matches!(root.key, KeyPlace::Elsewhere { .. }) {
        return Ok(root);
    }
    let file = store::file::read_secret(&path)?;
    if digest(&SHA256, &file).as_ref() != copy {
        return Err(Error::KeyCopyDiffers { path });
    }
    let offline = AuthorityRecord { key: KeyPlace::Elsewhere { note }, ..root };
    let mut batch = Batch::new(
        Class::Ledger,
        now.unix_timestamp(),
        who,
        format!("ca root-offline root={}", offline.key_id),
    );
    batch.expect_unchanged(current.root.key, current.root.version);
    Table::put(&mut batch, offline.key_id.to_string(), &offline);
    store.commit(batch)?;
    keyring.forget(&offline.key_id);
    store::file::remove(&path)?;
    Ok(offline)
}
