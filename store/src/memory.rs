//! The engine without a disk: the contract in its plainest form, for tests of the crates above.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::chain::{Words, check_words, encode_body, hash};
use crate::embedded::EpochStep;
use crate::{
    Batch, Direction, Entry, Epoch, Error, Expectation, Key, KeyRange, Sequence, Stored, Tip, Version, Write,
};

#[derive(Clone, Default)]
pub(crate) struct Memory {
    shared: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Default)]
struct State {
    records: BTreeMap<Key, (Version, Vec<u8>)>,
    entries: Vec<Arc<Entry>>,
    /// The history after each entry.
    tips: Vec<Tip>,
}

impl Memory {
    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, key: &Key) -> Result<Option<Stored>, Error> {
        Ok(self.state().records.get(key).map(|(version, value)| Stored {
            key: key.clone(),
            version: *version,
            value: value.clone(),
        }))
    }

    pub(crate) fn scan(
        &self,
        range: &KeyRange,
        after: Option<&Key>,
        limit: usize,
        direction: Direction,
    ) -> Result<Vec<Stored>, Error> {
        let state = self.state();
        let low = Key::from_stored(range.start.clone());
        let high = Key::from_stored(range.end.clone());
        let bounds = match (after, direction) {
            (Some(after), Direction::Ascending) if *after >= low => {
                (Bound::Excluded(after.clone()), Bound::Excluded(high))
            }
            (Some(after), Direction::Descending) if *after < high => {
                (Bound::Included(low), Bound::Excluded(after.clone()))
            }
            _ => (Bound::Included(low), Bound::Excluded(high)),
        };
        if bounds_are_empty(&bounds) {
            return Ok(Vec::new());
        }
        let stored = |(key, (version, value)): (&Key, &(Version, Vec<u8>))| Stored {
            key: key.clone(),
            version: *version,
            value: value.clone(),
        };
        let found = state.records.range(bounds);
        Ok(match direction {
            Direction::Ascending => found.take(limit).map(stored).collect(),
            Direction::Descending => found.rev().take(limit).map(stored).collect(),
        })
    }

    pub(crate) fn commit(&self, batch: Batch, step: EpochStep) -> Result<Sequence, Error> {
        check_words(&batch.who, &batch.what)?;
        let body = hash(&encode_body(&batch.writes).bytes);
        let mut state = self.state();
        for (key, expectation) in &batch.expects {
            let found = state.records.get(key).map(|(version, _)| *version);
            let holds = match expectation {
                Expectation::Absent => found.is_none(),
                Expectation::Unchanged(version) => found == Some(*version),
            };
            if !holds {
                return Err(Error::Conflict { key: key.clone() });
            }
        }
        let tip = state.tips.last().copied().unwrap_or(Tip::START);
        let epoch = match step {
            EpochStep::Same => tip.epoch,
            EpochStep::Next => Epoch(tip.epoch.0.saturating_add(1)),
        };
        let words = Words { class: batch.class, time: batch.time, who: &batch.who, what: &batch.what };
        let (_, tip) = tip.next(&words, epoch, body);
        let sequence = tip.sequence;
        for (key, write) in &batch.writes {
            match write {
                Write::Put(value) => {
                    state.records.insert(key.clone(), (Version(sequence), value.clone()));
                }
                Write::Delete => {
                    state.records.remove(key);
                }
            }
        }
        state.entries.push(Arc::new(Entry {
            sequence,
            epoch,
            class: batch.class,
            time: batch.time,
            who: batch.who,
            what: batch.what,
            writes: Some(batch.writes),
        }));
        state.tips.push(tip);
        self.shared.1.notify_all();
        Ok(sequence)
    }

    pub(crate) fn tip(&self) -> Tip {
        self.state().tips.last().copied().unwrap_or(Tip::START)
    }

    pub(crate) fn tip_at(&self, sequence: Sequence) -> Result<Tip, Error> {
        let found = match sequence.0.checked_sub(1).map(usize::try_from) {
            None => Some(Tip::START),
            Some(Ok(at)) => self.state().tips.get(at).copied(),
            Some(Err(_)) => None,
        };
        found.ok_or(Error::NoEntry { sequence })
    }

    pub(crate) fn follow(&self, after: Sequence, limit: usize) -> Result<Vec<Arc<Entry>>, Error> {
        let state = self.state();
        let from = usize::try_from(after.0).unwrap_or(usize::MAX).min(state.entries.len());
        Ok(state.entries[from..].iter().take(limit).cloned().collect())
    }

    pub(crate) fn wait(&self, after: Sequence, timeout: Duration) -> Sequence {
        let state = self.state();
        let (state, _) = self
            .shared
            .1
            .wait_timeout_while(state, timeout, |state| state.entries.len() as u64 <= after.0)
            .unwrap_or_else(PoisonError::into_inner);
        Sequence(state.entries.len() as u64)
    }
}

/// `BTreeMap::range` panics on a range that ends before it begins.
fn bounds_are_empty(bounds: &(Bound<Key>, Bound<Key>)) -> bool {
    match bounds {
        (Bound::Included(low), Bound::Excluded(high)) => low >= high,
        (Bound::Excluded(low), Bound::Excluded(high)) => low >= high,
        _ => false,
    }
}
