//! Which authorities' lists are published, and in what order.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use ca::authority::{self, Current};
use ca::cert::KeyId;
use ca::records::{AuthorityRecord, AuthorityState};
use ca::tally::Tally;
use store::Store;
use time::{Duration, OffsetDateTime};

use crate::{Error, RevokedSet, build};

/// The authorities whose lists are kept: the current issuing CA, the earlier ones, newest first, the root.
#[derive(Debug)]
pub(crate) struct Kept {
    authorities: Vec<AuthorityRecord>,
    pub(crate) issuing: KeyId,
    pub(crate) root: KeyId,
}

impl Kept {
    /// Reads them. An earlier generation is kept while a certificate of its is in force, and then
    /// until the last revoked ones have been on a list after their end (RFC 5280 §3.3); never beyond
    /// its own end, after which no list of its would be accepted.
    pub(crate) fn load(
        store: &Store,
        revoked: &RevokedSet,
        in_force: &InForce,
        now: OffsetDateTime,
    ) -> Result<Kept, Error> {
        let current = Current::load(store).map_err(Error::Authorities)?;
        let (issuing, root) = (current.pair.record.issuing, current.pair.record.root);
        let all = authority::list(store).map_err(Error::Authorities)?;
        let earlier: Vec<AuthorityRecord> = all
            .into_iter()
            .filter(|authority| authority.key_id != issuing && authority.key_id != root)
            .filter(|authority| match authority.state {
                AuthorityState::AwaitingCertificate => false,
                AuthorityState::Current | AuthorityState::Retired | AuthorityState::Revoked => true,
            })
            .collect();
        let live = in_force.count(store, &earlier, now)?;
        let mut authorities = Vec::new();
        if issuing != root {
            authorities.push(current.issuing.record);
        }
        for authority in earlier {
            let issuer = &authority.key_id;
            let needed = live.get(issuer).is_some_and(|&count| count > 0) || is_owed(store, revoked, issuer)?;
            if needed && is_in_force(&authority, now)? {
                authorities.push(authority);
            }
        }
        authorities.push(current.root.record);
        Ok(Kept { authorities, issuing, root })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &AuthorityRecord> {
        self.authorities.iter()
    }

    pub(crate) fn find(&self, issuer: &KeyId) -> Option<&AuthorityRecord> {
        self.iter().find(|authority| authority.key_id == *issuer)
    }
}

/// Which earlier generations had certificates in force, and when that was found out.
///
/// It is a walk through the whole inventory, and an earlier generation gains no certificates: an
/// hour later is soon enough to see that its last one has ended.
#[derive(Default)]
pub(crate) struct InForce(Mutex<Option<Found>>);

struct Found {
    then: OffsetDateTime,
    earlier: Vec<KeyId>,
    live: BTreeMap<KeyId, u64>,
}

impl InForce {
    /// How many certificates of each authority are in force, true for these earlier ones.
    fn count(
        &self,
        store: &Store,
        earlier: &[AuthorityRecord],
        now: OffsetDateTime,
    ) -> Result<BTreeMap<KeyId, u64>, Error> {
        if earlier.is_empty() {
            return Ok(BTreeMap::new());
        }
        let earlier: Vec<KeyId> = earlier.iter().map(|authority| authority.key_id).collect();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.as_ref() {
            let fresh = found.then <= now && now - found.then < Duration::HOUR;
            if fresh && found.earlier == earlier {
                return Ok(found.live.clone());
            }
        }
        let live = Tally::new(store.clone()).live(now).map_err(Error::Authorities)?;
        *known = Some(Found { then: now, earlier, live: live.clone() });
        Ok(live)
    }
}

fn is_in_force(authority: &AuthorityRecord, now: OffsetDateTime) -> Result<bool, Error> {
    Ok(build::certificate_of(authority)?.certificate().not_after() >= now)
}

/// Whether a revoked certificate of this authority has yet to be on a list after its end.
fn is_owed(store: &Store, revoked: &RevokedSet, issuer: &KeyId) -> Result<bool, Error> {
    let last = build::last(store, issuer)?;
    let confirmed = last.and_then(|last| last.record.confirmed);
    let snapshot = revoked.snapshot(issuer)?;
    Ok(snapshot.list().iter().any(|entry| !confirmed.is_some_and(|seen| seen.covers(entry))))
}
