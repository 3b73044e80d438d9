//! Changes the passphrase of every key that is here.

use store::file::OnExisting;
use store::{Batch, Class, Store, Table};
use time::OffsetDateTime;

use crate::authority;
use crate::error::Error;
use crate::keyring::{Keyring, KeyringError};
use crate::records::{AuthorityRecord, KeyPlace};

/// Writes every key again as `new` would: under its passphrase, or in the clear if it has none.
///
/// Each file is replaced in one step. Interrupted, some files are under the old passphrase and some
/// under the new; called again with the same two keyrings it reads both and finishes. Returns how many
/// keys there are here.
pub fn change_passphrase(
    store: &Store,
    old: &Keyring,
    new: &Keyring,
    who: &str,
    now: OffsetDateTime,
) -> Result<usize, Error> {
    let mut here = Vec::new();
    for record in authority::list(store)? {
        match record.key {
            KeyPlace::Here | KeyPlace::HereEncrypted => here.push(record),
            KeyPlace::Elsewhere { .. } => {}
        }
    }
    // Read all before writing any: a wrong passphrase changes nothing.
    let mut keys = Vec::new();
    for record in &here {
        let path = old.path(record);
        let key = match old.read(&path) {
            Ok(key) => key,
            Err(error @ (KeyringError::Locked { .. } | KeyringError::Key { .. })) => {
                new.read(&path).map_err(|_| error)?
            }
            Err(error) => return Err(error.into()),
        };
        keys.push((path, key));
    }
    for (path, key) in &keys {
        new.write(path, key, OnExisting::Replace)?;
    }
    let mut batch =
        Batch::new(Class::Ledger, now.unix_timestamp(), who, format!("passwd keys={}", keys.len()));
    for record in &here {
        let Some(found) = authority::find(store, &record.key_id)? else { continue };
        batch.expect_unchanged(found.key.clone(), found.version);
        let changed = AuthorityRecord { key: new.place_kind(), ..found.record };
        Table::put(&mut batch, changed.key_id.to_string(), &changed);
    }
    store.commit(batch)?;
    Ok(keys.len())
}
