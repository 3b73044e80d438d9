//! How many certificates there are, without looking at each of them.
//!
//! Certificates are counted by issuer and by the day on which they end. The counts follow the store, and
//! now and then they are kept as a record of their own, `tally/issued`, with the entry that they hold up
//! to: whoever opens the store goes on from there instead of reading the whole index. A record in the
//! store needs no trust of its own: it comes and goes with the history that it speaks of. It is no hot
//! spot either: an issuance never touches it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use minicbor::{Decode, Encode};
use store::{
    Batch, Class, Direction, Entry, Format, Key, KeyRange, Record, Sequence, Store, Stored, Table, Version,
    Write,
};
use time::OffsetDateTime;

use crate::cert::KeyId;
use crate::error::Error;
use crate::records::{IndexRecord, index};

/// So many entries after the record another one is kept.
const KEPT_EVERY: u64 = 10_000;
/// Further behind than this, reading the index is quicker than reading the journal.
const FOLLOWED_AT_MOST: u64 = 2 * KEPT_EVERY;
/// Entries read at once.
const PAGE: usize = 4096;
const DAY: i64 = 86_400;

/// The record `tally/issued`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct TallyRecord {
    /// Every entry up to here is counted.
    #[n(0)]
    through: u64,
    /// Certificates by issuer and by the day, counted from 1970, on which they end.
    #[n(1)]
    counts: Vec<(KeyId, i64, u64)>,
}

impl TallyRecord {
    /// The only record of its tree.
    const PART: &'static str = "issued";
}

impl Record for TallyRecord {
    const TREE: &'static str = "tally";
    const FORMAT: Format = 1;
}

/// Counts the certificates of one store.
pub struct Tally {
    store: Store,
    state: Mutex<Option<State>>,
}

/// What is counted so far.
struct State {
    seen: Sequence,
    /// Where the record on disk stands.
    kept: Sequence,
    counts: BTreeMap<(KeyId, i64), u64>,
}

impl Tally {
    /// Nothing is read before the first question.
    pub fn new(store: Store) -> Tally {
        Tally { store, state: Mutex::new(None) }
    }

    /// How many certificates there are, expired and revoked ones included.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn issued(&self) -> Result<u64, Error> {
        self.counted(|state| Ok(state.counts.values().sum()))
    }

    /// How many certificates of each authority have not ended yet, revoked ones included.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn live(&self, now: OffsetDateTime) -> Result<BTreeMap<KeyId, u64>, Error> {
        let now = now.unix_timestamp();
        let today = now.div_euclid(DAY);
        let mut live = BTreeMap::new();
        self.counted(|state| {
            for ((issuer, _), count) in state.counts.iter().filter(|((_, day), _)| *day > today) {
                *live.entry(*issuer).or_default() += count;
            }
            Ok(())
        })?;
        // Those that end today are asked one by one.
        let range = KeyRange::between(&index::by_expiry(now), &index::by_expiry((today + 1) * DAY));
        each(&self.store, &range, |_, _, issuer| *live.entry(issuer).or_default() += 1)?;
        Ok(live)
    }

    /// How many certificates each authority has issued, expired and revoked ones included.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn issued_by(&self) -> Result<BTreeMap<KeyId, u64>, Error> {
        self.counted(|state| Ok(by_issuer(state.counts.iter())))
    }

    /// How many certificates of each authority end today or on one of the next `days` days (UTC), revoked
    /// ones included. Days are counted whole: no certificate is looked at.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn ending_within(&self, days: u32, now: OffsetDateTime) -> Result<BTreeMap<KeyId, u64>, Error> {
        let today = now.unix_timestamp().div_euclid(DAY);
        let days = today..=today.saturating_add(i64::from(days));
        self.counted(|state| Ok(by_issuer(state.counts.iter().filter(|((_, day), _)| days.contains(day)))))
    }

    /// Keeps the counts as a record if much has been committed since the last one.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn keep(&self, now: OffsetDateTime) -> Result<Kept, Error> {
        self.counted(|state| {
            if state.seen.0.saturating_sub(state.kept.0) < KEPT_EVERY {
                return Ok(Kept::NotYet);
            }
            let counts = state.counts.iter().map(|((issuer, day), count)| (*issuer, *day, *count)).collect();
            let record = TallyRecord { through: state.seen.0, counts };
            let what = format!("tally through={}", state.seen);
            let mut batch = Batch::new(Class::State, now.unix_timestamp(), "system", what);
            Table::put(&mut batch, TallyRecord::PART, &record);
            self.store.commit(batch)?;
            state.kept = state.seen;
            Ok(Kept::Now)
        })
    }

    /// Works with the counts of all that is committed now.
    fn counted<T>(&self, work: impl FnOnce(&mut State) -> Result<T, Error>) -> Result<T, Error> {
        let mut held = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let head = self.store.head();
        let mut state = match held.take() {
            Some(state) => state,
            None => State::open(&self.store, head)?,
        };
        if head.0.saturating_sub(state.seen.0) > FOLLOWED_AT_MOST {
            state.recount(&self.store, head)?;
        }
        state.follow(&self.store, head)?;
        work(held.insert(state))
    }
}

impl State {
    /// What the last record says; what the index holds if there is none.
    fn open(store: &Store, head: Sequence) -> Result<State, Error> {
        let Some(found) = Table::<TallyRecord>::get(store, TallyRecord::PART)? else {
            let mut state = State { seen: head, kept: Sequence::ZERO, counts: BTreeMap::new() };
            state.recount(store, head)?;
            return Ok(state);
        };
        let (record, through) = (&found.record, Sequence(found.record.through));
        let counts = record.counts.iter().map(|(issuer, day, count)| ((*issuer, *day), *count)).collect();
        Ok(State { seen: through, kept: through, counts })
    }

    /// Counts what the index holds of the history up to `head`; the rest is followed.
    fn recount(&mut self, store: &Store, head: Sequence) -> Result<(), Error> {
        let mut counts = BTreeMap::new();
        each(store, &index::expiries(), |key, version, issuer| {
            if let Some(day) = day_of(key).filter(|_| version.0 <= head) {
                *counts.entry((issuer, day)).or_default() += 1;
            }
        })?;
        (self.counts, self.seen) = (counts, head);
        Ok(())
    }

    fn follow(&mut self, store: &Store, head: Sequence) -> Result<(), Error> {
        while self.seen < head {
            let entries = store.follow(self.seen, PAGE)?;
            let Some(last) = entries.last() else { return self.recount(store, head) };
            let seen = last.sequence;
            entries.iter().try_for_each(|entry| self.count(entry))?;
            self.seen = seen;
        }
        Ok(())
    }

    /// A certificate is recorded once and never removed: each entry of the index is one more.
    fn count(&mut self, entry: &Entry) -> Result<(), Error> {
        for (key, write) in entry.writes.iter().flatten() {
            let (Some(day), Write::Put(value)) = (day_of(key), write) else { continue };
            let stored = Stored { key: key.clone(), version: Version(entry.sequence), value: value.clone() };
            let issuer = Table::<IndexRecord>::decode(stored)?.record.issuer;
            *self.counts.entry((issuer, day)).or_default() += 1;
        }
        Ok(())
    }
}

/// Whether a record was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The last one is recent enough.
    NotYet,
    /// It was.
    Now,
}

fn by_issuer<'a>(counts: impl Iterator<Item = (&'a (KeyId, i64), &'a u64)>) -> BTreeMap<KeyId, u64> {
    let mut summed = BTreeMap::new();
    for ((issuer, _), count) in counts {
        *summed.entry(*issuer).or_default() += count;
    }
    summed
}

/// The day on which the certificate of an entry of the index by expiry ends; `None` for other keys.
fn day_of(key: &Key) -> Option<i64> {
    Some(index::expiry_of(key)?.div_euclid(DAY))
}

fn each(store: &Store, range: &KeyRange, mut visit: impl FnMut(&Key, Version, KeyId)) -> Result<(), Error> {
    let mut after: Option<Key> = None;
    loop {
        let entries = store.scan(range, after.as_ref(), PAGE, Direction::Ascending)?;
        let Some(last) = entries.last() else { return Ok(()) };
        after = Some(last.key.clone());
        for entry in entries {
            let found = Table::<IndexRecord>::decode(entry)?;
            visit(&found.key, found.version, found.record.issuer);
        }
    }
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;
    use crate::plan::{Order, Requester};
    use crate::subject::{LeafKind, Subject};
    use crate::testing::{NOW, Pki, csr};

    fn issue(pki: &Pki, name: &str, days: u32) {
        let subject = Subject::typed(LeafKind::Client, name, &[]).unwrap();
        let by = Requester::local("test");
        let order = Order::new(&csr(), LeafKind::Client, subject, Some(days), by);
        pki.desk().issue(&order, NOW).unwrap();
    }

    #[test]
    fn it_counts_what_there_is_by_the_second_of_its_end() {
        let pki = Pki::new();
        let tally = Tally::new(pki.store.clone());
        assert_eq!((tally.issued().unwrap(), tally.live(NOW).unwrap().len()), (0, 0));
        (1..=3).for_each(|days| issue(&pki, &format!("client-{days}"), days));
        let issuing = pki.made.issuing.certificate().key_id();
        let live = |tally: &Tally, days: i64, seconds: i64| {
            let then = NOW + Duration::days(days) + Duration::seconds(seconds);
            tally.live(then).unwrap().get(&issuing).copied().unwrap_or(0)
        };
        let first = crate::inventory::by_name(&pki.store, "client-1").unwrap()[0].record.ends();
        let offset = (first - NOW).whole_seconds() - DAY;
        for tally in [&tally, &Tally::new(pki.store.clone())] {
            assert_eq!(tally.issued().unwrap(), 3);
            assert_eq!(live(tally, 0, 0), 3);
            assert_eq!(live(tally, 1, offset), 3, "its last second counts");
            assert_eq!(live(tally, 1, offset + 1), 2);
            assert_eq!(live(tally, 3, offset + 1), 0);
        }
    }

    #[test]
    fn those_that_end_soon_are_counted_by_whole_days() {
        let pki = Pki::new();
        let tally = Tally::new(pki.store.clone());
        [1, 7, 8, 30].iter().for_each(|days| issue(&pki, &format!("client-{days}"), *days));
        let issuing = pki.made.issuing.certificate().key_id();
        let soon = |days, now| tally.ending_within(days, now).unwrap().get(&issuing).copied().unwrap_or(0);
        let first = crate::inventory::by_name(&pki.store, "client-1").unwrap()[0].record.ends();
        let today = first - Duration::DAY;
        assert_eq!([0, 1, 6, 7, 8, 30].map(|days| soon(days, today)), [0, 1, 1, 2, 3, 4]);
        assert_eq!(soon(0, first), 1, "the day counts until it is over");
        assert_eq!(soon(30, first + Duration::DAY), 3, "one has ended");
        assert_eq!(tally.issued_by().unwrap(), BTreeMap::from([(issuing, 4)]));
    }

    #[test]
    fn what_was_kept_is_gone_on_from() {
        let pki = Pki::new();
        issue(&pki, "before", 1);
        let tally = Tally::new(pki.store.clone());
        assert_eq!(tally.keep(NOW).unwrap(), Kept::NotYet);
        let idle = || {
            let mut batch = Batch::new(Class::State, 0, "test", "nothing");
            batch.put(Key::new("test").part("x"), Vec::new());
            pki.store.commit(batch).unwrap();
        };
        (0..KEPT_EVERY).for_each(|_| idle());
        assert_eq!(tally.keep(NOW).unwrap(), Kept::Now);
        assert_eq!(tally.keep(NOW).unwrap(), Kept::NotYet);
        issue(&pki, "after", 1);
        let again = Tally::new(pki.store.clone());
        let record = Table::<TallyRecord>::get(&pki.store, TallyRecord::PART).unwrap().unwrap().record;
        assert_eq!(record.counts.iter().map(|(_, _, count)| count).sum::<u64>(), 1);
        assert_eq!((again.issued().unwrap(), tally.issued().unwrap()), (2, 2));
        // A record that is far behind is not followed: the index is counted.
        (0..=FOLLOWED_AT_MOST).for_each(|_| idle());
        assert_eq!(Tally::new(pki.store.clone()).issued().unwrap(), 2);
        assert_eq!(tally.issued().unwrap(), 2);
    }
}
