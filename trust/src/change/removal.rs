//! Removing an entry: what is left behind is a denial, which beats every other way in.

use std::collections::BTreeSet;

use ca::cert::{Certificate, Fingerprint};
use ca::inventory;
use crl::Target;
use store::{Batch, Class, Store, Table, Versioned};
use time::OffsetDateTime;

use super::entries::{keys, shown};
use super::{Cause, ChangeError};
use crate::entry::{Denial, Entry, Id, KeyDigest};
use crate::error::Error;
use crate::set::State;

/// A decided removal.
#[derive(Clone, Debug)]
pub struct Removal {
    /// What is to be committed.
    pub batch: Batch,
    /// The certificates that are let in no more: connections of these are to be closed.
    pub certificates: Vec<Fingerprint>,
    /// Those of them that the batch revokes, for the lists that are to be published.
    pub revoked: Vec<Target>,
}

/// Removes an entry and denies all it admitted: its certificates, and their keys as far as no other
/// entry has them. With `revoke` those of them that are ours are revoked as well, in the same batch.
///
/// # Errors
/// [`ChangeError::Widens`], [`Error::Store`], [`Error::Revocation`].
pub fn remove(
    store: &Store,
    state: &State,
    entry: &Versioned<Entry>,
    revoke: Option<&crl::Request>,
    cause: &Cause,
    now: OffsetDateTime,
) -> Result<Removal, Error> {
    let record = &entry.record;
    cause.covers(&record.rights)?;
    let what = format!("trust remove {} {}", record.name, shown(record));
    let mut batch = Batch::new(Class::Ledger, now.unix_timestamp(), &cause.who, what);
    // A full disk must not keep anyone from being locked out.
    batch.urgent();
    cause.rests_on.demand(&mut batch);
    batch.expect_unchanged(entry.key.clone(), entry.version);
    batch.delete(entry.key.clone());
    let certificates = record.fingerprints();
    let mut ids: Vec<Id> = certificates.iter().copied().map(Id::Certificate).collect();
    let others: BTreeSet<KeyDigest> = state
        .entries()
        .iter()
        .filter(|other| other.key != entry.key)
        .flat_map(|other| keys(&other.record))
        .collect();
    ids.extend(keys(record).into_iter().filter(|key| !others.contains(key)).map(Id::Key));
    if let Id::User(uid) = record.id() {
        ids.push(Id::User(uid));
    }
    put_denials(&mut batch, ids, record.name.as_str(), now);
    let mut revoked = Vec::new();
    if let Some(request) = revoke {
        for fingerprint in &certificates {
            let Some(issued) = inventory::by_fingerprint(store, fingerprint)? else { continue };
            let target = Target::from(&issued.record);
            crl::revoke_into(store, &mut batch, &target, request)?;
            revoked.push(target);
        }
    }
    Ok(Removal { batch, certificates, revoked })
}

/// Denies a certificate that has no entry, such as one that an authority's signature lets in.
///
/// # Errors
/// [`ChangeError::Already`] if it has an entry, which is then the thing to remove.
pub fn deny(
    state: &State,
    certificate: &Certificate,
    cause: &Cause,
    now: OffsetDateTime,
) -> Result<Removal, ChangeError> {
    cause.covers(&crate::rights::Rights::FULL)?;
    let fingerprint = certificate.fingerprint();
    if let Some(entry) = state.entry_of(&fingerprint) {
        return Err(ChangeError::Already { name: entry.record.name.clone() });
    }
    let name = ca::cert::printable(certificate.common_name().unwrap_or_default());
    let what = format!("trust remove {name} fingerprint={fingerprint}");
    let mut batch = Batch::new(Class::Ledger, now.unix_timestamp(), &cause.who, what);
    batch.urgent();
    cause.rests_on.demand(&mut batch);
    let ids = vec![Id::Certificate(fingerprint), Id::Key(KeyDigest::of(certificate))];
    batch.expect_absent(Entry::key(&ids[0]));
    put_denials(&mut batch, ids, &name, now);
    Ok(Removal { batch, certificates: vec![fingerprint], revoked: Vec::new() })
}

/// Adds denials to a batch. One that is there already may be replaced: it says the same.
pub(crate) fn put_denials(batch: &mut Batch, ids: Vec<Id>, name: &str, now: OffsetDateTime) {
    let denial =
        Denial { name: name.to_owned(), denied_by: batch.who.clone(), denied_at: now.unix_timestamp() };
    for id in ids {
        batch.put(Denial::key(&id), Table::encode(&denial));
    }
}
