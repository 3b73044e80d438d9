//! The revoked certificates of one authority, sorted, in chunks that a snapshot shares.
//!
//! A snapshot costs one pointer a chunk. A change after it copies the one chunk it falls into, so
//! that a list of a million is encoded from a snapshot while lookups and revocations go on.

use std::sync::Arc;

use ca::cert::Serial;
use store::Sequence;

use crate::Entry;

/// The most entries of a chunk: 22 KB, the price of a change while a snapshot is held.
const CHUNK: usize = 512;

/// What one authority has revoked.
#[derive(Clone, Debug, Default)]
pub struct RevokedList {
    /// Never empty themselves, ascending, without overlap.
    chunks: Vec<Arc<Vec<Entry>>>,
    len: usize,
    changed: Sequence,
}

impl RevokedList {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The sequence of the newest change that was seen; a release before the set was opened is not.
    pub fn changed(&self) -> Sequence {
        self.changed
    }

    /// In the order of their serials.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> + Clone {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    /// The entry of a serial, if it is revoked.
    pub fn find(&self, serial: &Serial) -> Option<&Entry> {
        let chunk = self.chunks.get(self.chunk_of(serial))?;
        let at = chunk.binary_search_by(|entry| entry.serial().cmp(serial)).ok()?;
        chunk.get(at)
    }

    /// The chunk a serial lies in, or would.
    fn chunk_of(&self, serial: &Serial) -> usize {
        let after =
            self.chunks.partition_point(|chunk| chunk.first().is_some_and(|first| first.serial() <= serial));
        after.saturating_sub(1)
    }

    /// Adds an entry or replaces the one of the same serial.
    pub fn insert(&mut self, entry: Entry) {
        self.changed = self.changed.max(entry.written());
        let index = self.chunk_of(entry.serial());
        let Some(shared) = self.chunks.get_mut(index) else {
            self.chunks.push(Arc::new(vec![entry]));
            self.len = 1;
            return;
        };
        let chunk = Arc::make_mut(shared);
        match chunk.binary_search_by(|other| other.serial().cmp(entry.serial())) {
            Ok(at) => chunk[at] = entry,
            // What comes in order (the scan at the start) fills chunks instead of halving them.
            Err(at) if at == CHUNK => {
                self.len += 1;
                self.chunks.insert(index + 1, Arc::new(vec![entry]));
            }
            Err(at) => {
                self.len += 1;
                chunk.insert(at, entry);
                if chunk.len() > CHUNK {
                    let upper = chunk.split_off(CHUNK / 2);
                    self.chunks.insert(index + 1, Arc::new(upper));
                }
            }
        }
    }

    /// Removes the entry of a serial, by the change with this sequence.
    pub fn remove(&mut self, serial: &Serial, changed: Sequence) {
        self.changed = self.changed.max(changed);
        let index = self.chunk_of(serial);
        let Some(shared) = self.chunks.get_mut(index) else { return };
        let Ok(at) = shared.binary_search_by(|entry| entry.serial().cmp(serial)) else { return };
        Arc::make_mut(shared).remove(at);
        self.len -= 1;
        if shared.is_empty() {
            self.chunks.remove(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::{Reason, Revocation};

    fn entry(number: u32, written: u64) -> Entry {
        let revocation = Revocation { at: 1, reason: Reason::Superseded, not_after: 2, invalidity: None };
        let serial = Serial::from_bytes(&number.to_be_bytes()).unwrap();
        Entry::new(serial, &revocation, Sequence(written))
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u32),
        Remove(u32),
        Fill(u32),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0..3000u32).prop_map(Step::Insert),
            (0..3000u32).prop_map(Step::Remove),
            (0..3000u32).prop_map(Step::Fill),
        ];
        proptest::collection::vec(step, 0..60)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn it_agrees_with_a_plain_map_and_snapshots_stand_still(steps in steps()) {
            let mut list = RevokedList::default();
            let mut model = BTreeMap::new();
            let mut written = 0;
            for step in steps {
                let snapshot = (list.clone(), model.clone());
                written += 1;
                match step {
                    Step::Insert(number) => {
                        list.insert(entry(number, written));
                        model.insert(number, written);
                    }
                    Step::Remove(number) => {
                        list.remove(entry(number, 0).serial(), Sequence(written));
                        model.remove(&number);
                    }
                    Step::Fill(from) => {
                        for number in from..from + 700 {
                            list.insert(entry(number, written));
                            model.insert(number, written);
                        }
                    }
                }
                for (list, model) in [(&list, &model), (&snapshot.0, &snapshot.1)] {
                    let expected: Vec<Entry> = model.iter().map(|(&n, &w)| entry(n, w)).collect();
                    prop_assert!(list.iter().copied().eq(expected));
                    prop_assert_eq!(list.len(), model.len());
                    prop_assert_eq!(list.is_empty(), model.is_empty());
                    prop_assert!(list.chunks.iter().all(|chunk| !chunk.is_empty() && chunk.len() <= CHUNK));
                }
                for number in [0, 1, 700, 1500, 3699] {
                    let found = list.find(entry(number, 0).serial()).map(|found| found.written().0);
                    prop_assert_eq!(found, model.get(&number).copied());
                }
            }
        }
    }

    #[test]
    fn what_comes_in_order_fills_its_chunks() {
        let mut list = RevokedList::default();
        (0..5_000).for_each(|number| list.insert(entry(number, 1)));
        assert_eq!(list.chunks.len(), 5_000usize.div_ceil(CHUNK));
    }
}
