//! What readers see: the index, and in front of it what the index could not take.
//!
//! If sled fails (a full disk, for the most part) after a frame is in the journal, the batches in
//! it have been committed and readers must see them. They are kept here until the index has been
//! opened again; no further batch is taken meanwhile, so there is one group of them at most.

use std::collections::BTreeMap;

use super::index::{Index, Indexed, Slot, bounds, decode_slot};
use crate::{Direction, Error, KeyRange, Version};

/// An index with changes in front of it.
pub(crate) struct View {
    pub(crate) index: Index,
    pub(crate) pending: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl View {
    pub(crate) fn new(index: Index) -> View {
        View { index, pending: BTreeMap::new() }
    }

    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<(Version, Slot)>, Error> {
        match self.pending.get(key) {
            None => self.index.get(key),
            Some(None) => Ok(None),
            Some(Some(bytes)) => decode_slot(bytes).map(Some).ok_or_else(|| self.index.damaged()),
        }
    }

    pub(crate) fn scan(
        &self,
        range: &KeyRange,
        after: Option<&[u8]>,
        limit: usize,
        direction: Direction,
    ) -> Result<Vec<Indexed>, Error> {
        if self.pending.is_empty() {
            return self.index.scan(range, after, limit, direction);
        }
        // So many that `limit` are left if every pending change is a deletion among them.
        let enough = limit.saturating_add(self.pending.len());
        let found = self.index.scan(range, after, enough, direction)?;
        let mut merged: BTreeMap<Vec<u8>, Indexed> =
            found.into_iter().map(|indexed| (indexed.key.clone(), indexed)).collect();
        let Some((start, end)) = bounds(range, after, direction) else { return Ok(Vec::new()) };
        for (key, change) in self.pending.range(start..end) {
            match change {
                None => drop(merged.remove(key)),
                Some(bytes) => {
                    let (version, slot) = decode_slot(bytes).ok_or_else(|| self.index.damaged())?;
                    merged.insert(key.clone(), Indexed { key: key.clone(), version, slot });
                }
            }
        }
        Ok(match direction {
            Direction::Ascending => merged.into_values().take(limit).collect(),
            Direction::Descending => merged.into_values().rev().take(limit).collect(),
        })
    }
}
