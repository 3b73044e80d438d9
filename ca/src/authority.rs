//! The authorities on record: which there are, which of them sign now.

use store::{Key, Record, Store, Table, Versioned};

use crate::cert::KeyId;
use crate::error::Error;
use crate::followed::Followed;
use crate::issuer::Issuer;
use crate::keyring::Keyring;
use crate::records::{AuthorityRecord, CurrentRecord, RestsOn};

/// The root and the issuing CA in force, with the versions that were read.
#[derive(Clone, Debug)]
pub struct Current {
    /// Which they are.
    pub pair: Versioned<CurrentRecord>,
    /// The root.
    pub root: Versioned<AuthorityRecord>,
    /// The issuing CA; the root again where an adopted CA is both.
    pub issuing: Versioned<AuthorityRecord>,
}

impl Current {
    /// Reads them once, and again when they change.
    pub fn followed(store: &Store) -> Followed<Current> {
        Followed::new(store.clone(), &[AuthorityRecord::TREE, CurrentRecord::TREE])
    }

    /// Reads them; [`Error::NotInitialised`] before `init`.
    pub fn load(store: &Store) -> Result<Current, Error> {
        Current::find(store)?.ok_or(Error::NotInitialised)
    }

    /// Reads them, `None` before `init`.
    pub fn find(store: &Store) -> Result<Option<Current>, Error> {
        let Some(pair) = Table::<CurrentRecord>::get(store, CurrentRecord::PART)? else {
            return Ok(None);
        };
        let root = find(store, &pair.record.root)?.ok_or_else(|| unknown(&pair.record.root))?;
        let issuing = find(store, &pair.record.issuing)?.ok_or_else(|| unknown(&pair.record.issuing))?;
        Ok(Some(Current { pair, root, issuing }))
    }

    /// The issuing CA, ready to sign, and the records that a signature by it rests on.
    pub fn issuer(&self, keyring: &Keyring) -> Result<(Issuer, RestsOn), Error> {
        let issuer = keyring.issuer(&self.issuing.record)?;
        let rests_on = RestsOn::nothing()
            .and(self.pair.key.clone(), Some(self.pair.version))
            .and(self.issuing.key.clone(), Some(self.issuing.version));
        Ok((issuer, rests_on))
    }
}

/// Reads one authority.
pub fn find(store: &Store, key_id: &KeyId) -> Result<Option<Versioned<AuthorityRecord>>, Error> {
    Ok(Table::get(store, key_id.to_string())?)
}

/// Every authority there ever was, the newest first.
pub fn list(store: &Store) -> Result<Vec<AuthorityRecord>, Error> {
    const PAGE: usize = 100;
    let mut found: Vec<AuthorityRecord> = Vec::new();
    let mut after: Option<Key> = None;
    loop {
        let page = Table::<AuthorityRecord>::list(store, after.as_ref(), PAGE)?;
        after = page.last().map(|last| last.key.clone());
        let full = page.len() == PAGE;
        found.extend(page.into_iter().map(|versioned| versioned.record));
        if !full {
            break;
        }
    }
    found.sort_by_key(|record| (std::cmp::Reverse(record.created_at), record.role, record.key_id));
    Ok(found)
}

/// The one authority whose key identifier begins with `word`, which has 8 hex digits at least.
pub fn resolve(store: &Store, word: &str) -> Result<Versioned<AuthorityRecord>, Error> {
    const SHORTEST: usize = 8;
    let not_found = || Error::NotFound { word: crate::cert::printable(word) };
    let digits: String = word.chars().filter(|&c| c != ':').collect::<String>().to_ascii_lowercase();
    if digits.len() < SHORTEST || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(not_found());
    }
    let matching: Vec<AuthorityRecord> =
        list(store)?.into_iter().filter(|record| record.key_id.to_string().starts_with(&digits)).collect();
    match matching.as_slice() {
        [] => Err(not_found()),
        [one] => find(store, &one.key_id)?.ok_or_else(not_found),
        several => Err(Error::Ambiguous {
            word: digits,
            candidates: several.iter().map(|record| record.key_id.to_string()).collect(),
        }),
    }
}

fn unknown(key_id: &KeyId) -> Error {
    Error::NotFound { word: key_id.to_string() }
}
