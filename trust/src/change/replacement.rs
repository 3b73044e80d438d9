//! Putting another certificate in the place of an entry's, as LXD's PUT does.
//!
//! The entry keeps its name and its rights. What it named before is denied from then on: judged by an
//! authority's signature alone it might be worth more than the entry was.

use store::{Batch, Class, Table, Versioned};
use time::OffsetDateTime;

use super::removal::put_denials;
use super::{Cause, ChangeError, Vetted};
use crate::entry::{Entry, Id, Subject};
use crate::presented::Holder;
use crate::set::State;

/// Who replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replacer {
    /// The holder of a certificate that the entry names.
    Itself,
    /// Somebody else, who needs all the rights that the entry has.
    Other,
}

/// Replaces the certificate of an entry by that of `holder`, which was vetted.
///
/// # Errors
/// [`ChangeError::Already`] if the new one has an entry, be it this one; [`ChangeError::Widens`],
/// [`ChangeError::Weak`], [`ChangeError::NotFound`] for the entry of a user.
pub fn replace_certificate(
    state: &State,
    entry: &Versioned<Entry>,
    holder: &Holder,
    vetted: &Vetted,
    replacer: Replacer,
    cause: &Cause,
    now: OffsetDateTime,
) -> Result<Batch, ChangeError> {
    if replacer == Replacer::Other {
        cause.covers(&entry.record.rights)?;
    }
    if let Some(other) = state.entry_of(holder.fingerprint()) {
        return Err(ChangeError::Already { name: other.record.name.clone() });
    }
    holder.certificate().public_key().check_strength().map_err(|source| ChangeError::Weak { source })?;
    let name = &entry.record.name;
    let before = entry.record.fingerprints();
    let Subject::Certificate { .. } = &entry.record.subject else {
        return Err(ChangeError::NotFound { word: name.to_string() });
    };
    let what = format!("trust replace {name} fingerprint={}", holder.fingerprint());
    let mut batch = Batch::new(Class::Ledger, now.unix_timestamp(), &cause.who, what);
    batch.urgent();
    cause.rests_on.demand(&mut batch);
    vetted.rests_on.demand(&mut batch);
    let before = before.into_iter().map(Id::Certificate).collect();
    put_denials(&mut batch, before, name.as_str(), now);
    let subject = Subject::Certificate {
        der: holder.certificate().der().to_vec(),
        former: Vec::new(),
        key: *holder.key(),
    };
    let record = Entry { subject, ..entry.record.clone() };
    let moved = Entry::key(&record.id());
    batch.expect_unchanged(entry.key.clone(), entry.version);
    batch.expect_absent(moved.clone());
    batch.delete(entry.key.clone());
    batch.put(moved, Table::encode(&record));
    Ok(batch)
}
