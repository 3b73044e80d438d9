//! Carrying trust over to a renewed certificate, in the batch that records it.
//!
//! The successor has what its predecessor had: its entry with the same rights, or its denial. The
//! predecessor stays part of the lineage until its own end, so that a client whose renewal was
//! interrupted can come back and finish it.

use ca::cert::Certificate;
use store::{Batch, Table};
use time::OffsetDateTime;

use super::removal::put_denials;
use super::{Cause, ChangeError};
use crate::entry::{Denial, Entry, Former, Id, KeyDigest, Subject};
use crate::peer::Peer;
use crate::set::State;

/// The most earlier certificates that a lineage keeps; what it drops is denied.
const FORMER: usize = 8;

/// Adds to `batch` what carries the trust in `predecessor` over to `successor`; nothing if there is
/// neither an entry nor a denial.
///
/// # Errors
/// [`ChangeError::Widens`] if the entry has more rights than whoever renews, unless they are its own
/// holder: else a renewal with a key of their own would hand it to them. [`ChangeError::Already`] if the
/// successor has an entry.
pub fn carry(
    batch: &mut Batch,
    state: &State,
    predecessor: &Certificate,
    successor: &Certificate,
    peer: &Peer,
    cause: &Cause,
    now: OffsetDateTime,
) -> Result<(), ChangeError> {
    let old = (predecessor.fingerprint(), KeyDigest::of(predecessor));
    let new = (successor.fingerprint(), KeyDigest::of(successor));
    for id in [Id::Certificate(old.0), Id::Key(old.1)] {
        let denial = state.denial(&id);
        batch.expect(Denial::key(&id), denial.map(|denial| denial.version));
    }
    if let Some(denial) = state.denial_of(&old.0, &old.1) {
        // Whoever was removed stays removed under any certificate that follows.
        put_denials(batch, vec![Id::Certificate(new.0), Id::Key(new.1)], &denial.record.name, now);
    }
    let Some(entry) = state.entry_of(&old.0) else { return Ok(()) };
    let itself = match peer {
        Peer::Certificate { fingerprint, .. } => entry.record.fingerprints().contains(fingerprint),
        Peer::InProcess | Peer::Local { .. } | Peer::Nobody | Peer::Person { .. } => false,
    };
    if !itself {
        cause.covers(&entry.record.rights)?;
    }
    if let Some(other) = state.entry_of(&new.0) {
        return Err(ChangeError::Already { name: other.record.name.clone() });
    }
    let Subject::Certificate { der, former, key } = &entry.record.subject else { return Ok(()) };
    let newest = Certificate::from_der(der).map(|newest| Former {
        fingerprint: newest.fingerprint(),
        key: *key,
        not_after: newest.not_after().unix_timestamp(),
    });
    let earlier = newest.into_iter().chain(former.iter().copied());
    let (mut former, mut forgotten): (Vec<Former>, Vec<Former>) =
        earlier.partition(|former| former.not_after >= now.unix_timestamp());
    forgotten.extend(former.split_off(former.len().min(FORMER)));
    // What the lineage names no more would be judged by its signature alone, which may be worth more;
    // what is past its end too, for the clock may be ahead.
    let forgotten = forgotten.iter().map(|former| Id::Certificate(former.fingerprint)).collect();
    put_denials(batch, forgotten, entry.record.name.as_str(), now);
    let record = Entry {
        subject: Subject::Certificate { der: successor.der().to_vec(), former, key: new.1 },
        ..entry.record.clone()
    };
    let moved = Entry::key(&record.id());
    batch.expect_unchanged(entry.key.clone(), entry.version);
    batch.expect_absent(moved.clone());
    batch.delete(entry.key.clone());
    batch.put(moved, Table::encode(&record));
    Ok(())
}
