//! What becomes of a key, and where the value lies that it gets.

use std::collections::{BTreeMap, HashSet};

use super::filter::{KeyHash, digest};
use crate::embedded::journal::Pointer;
use crate::embedded::segment::Position;
use crate::{Sequence, Version};

/// Where a value lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// Here.
    Inline(Vec<u8>),
    /// In the journal alone.
    Pointer(Pointer),
}

impl Slot {
    /// The slot of a value that lies at `offset` of the frame at `frame`: small ones are kept in the
    /// index, large ones in the journal alone.
    pub(crate) fn of(value: &[u8], frame: Position, offset: u64, inline: usize) -> Slot {
        match u32::try_from(value.len()) {
            Ok(length) if value.len() > inline => Slot::Pointer(Pointer {
                at: Position { segment: frame.segment, offset: frame.offset + offset },
                length,
                crc: crc32c::crc32c(value),
            }),
            _ => Slot::Inline(value.to_vec()),
        }
    }
}

/// What the newest batch that wrote a key did to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It put a value.
    Put(Version, Slot),
    /// It removed what lay there. Kept while an older record may lie below.
    Delete,
}

impl Change {
    /// The version of the record that this leaves, if it leaves one.
    pub(crate) fn version(&self) -> Option<Version> {
        match self {
            Change::Put(version, _) => Some(*version),
            Change::Delete => None,
        }
    }

    /// What it takes in memory beside its key, roughly, in bytes.
    pub(crate) fn size(&self) -> usize {
        match self {
            Change::Put(_, Slot::Inline(value)) => ENTRY + value.len(),
            Change::Put(_, Slot::Pointer(_)) | Change::Delete => ENTRY,
        }
    }

    /// A put of `slot` by the entry `sequence`.
    pub(crate) fn put(sequence: u64, slot: Slot) -> Change {
        Change::Put(Version(Sequence(sequence)), slot)
    }
}

/// What an entry of [`Changes`] takes beside the bytes of key and value: two allocations, its place in
/// the tree, and its digest.
const ENTRY: usize = 136;

/// A record or its removal, as it goes from one place of the index to the other.
pub(crate) type Keyed = (Vec<u8>, Change);

/// Changes in the order of keys.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    map: BTreeMap<Vec<u8>, Change>,
    /// Digests of all keys: most questions are about a key that is new, and are answered by these.
    digests: HashSet<u64, KeyHash>,
    bytes: usize,
}

impl Changes {
    /// Adds a change; of two changes of one key the later stays.
    pub(crate) fn insert(&mut self, key: Vec<u8>, change: Change) {
        self.digests.insert(digest(&key));
        self.bytes += key.len() + change.size();
        let length = key.len();
        if let Some(replaced) = self.map.insert(key, change) {
            self.bytes = self.bytes.saturating_sub(length + replaced.size());
        }
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<&Change> {
        match self.digests.contains(&digest(key)) {
            true => self.map.get(key),
            false => None,
        }
    }

    /// The changes from `start` to before `end`.
    pub(crate) fn range(
        &self,
        start: &[u8],
        end: &[u8],
    ) -> impl DoubleEndedIterator<Item = (&Vec<u8>, &Change)> {
        self.map.range::<[u8], _>((std::ops::Bound::Included(start), std::ops::Bound::Excluded(end)))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Vec<u8>, &Change)> {
        self.map.iter()
    }

    /// What they take in memory, roughly.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}
