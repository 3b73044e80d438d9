//! What readers see: the index, and in front of it what is committed and not in it yet.
//!
//! A commit is answered as soon as it is in the journal and here. The changes of the newest frames
//! are gathered in the order of keys; when they have grown large they are set aside for the
//! indexer, which writes them as one run while newer ones are gathered. What is lost here with the
//! process is read from the journal again.

use std::sync::Arc;

use super::index::{Change, Changes, Index, Keyed, Merge, Removals, Slot, Source};
use crate::{Direction, Error, Version};

/// An index with changes in front of it.
pub(crate) struct View {
    pub(crate) index: Arc<Index>,
    /// What the indexer is writing.
    pub(crate) aside: Option<Arc<Changes>>,
    /// The newest.
    pub(crate) gathered: Changes,
}

/// What lies behind the gathered changes: it never changes, and is read without a lock.
pub(crate) struct Behind {
    index: Arc<Index>,
    aside: Option<Arc<Changes>>,
}

impl View {
    pub(crate) fn new(index: Index, gathered: Changes) -> View {
        View { index: Arc::new(index), aside: None, gathered }
    }

    pub(crate) fn behind(&self) -> Behind {
        Behind { index: Arc::clone(&self.index), aside: self.aside.clone() }
    }

    /// The version of the record at a key.
    pub(crate) fn version(&self, key: &[u8]) -> Result<Option<Version>, Error> {
        let set_aside = || self.aside.as_ref().and_then(|changes| changes.get(key));
        match self.gathered.get(key).or_else(set_aside) {
            Some(change) => Ok(change.version()),
            None => Ok(self.index.get(key)?.and_then(|change| change.version())),
        }
    }

    /// The gathered changes that a scan for `limit` records can need: in its order, up to so many
    /// puts, for behind the last of them lies nothing that it returns.
    pub(crate) fn ahead(&self, start: &[u8], end: &[u8], limit: usize, direction: Direction) -> Vec<Keyed> {
        let mut found = Vec::new();
        let mut puts = 0;
        let mut add = |(key, change): (&Vec<u8>, &Change)| {
            found.push((key.clone(), change.clone()));
            puts += usize::from(*change != Change::Delete);
            puts < limit
        };
        let mut range = self.gathered.range(start, end);
        match direction {
            Direction::Ascending => while range.next().is_some_and(&mut add) {},
            Direction::Descending => while range.next_back().is_some_and(&mut add) {},
        }
        found
    }
}

impl Behind {
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Change>, Error> {
        match self.aside.as_ref().and_then(|changes| changes.get(key)) {
            Some(change) => Ok(Some(change.clone())),
            None => self.index.get(key),
        }
    }

    /// The records of a scan, with `ahead` in front.
    pub(crate) fn scan(
        &self,
        ahead: Vec<Keyed>,
        (start, end): (&[u8], &[u8]),
        limit: usize,
        direction: Direction,
    ) -> Result<Vec<Indexed>, Error> {
        let mut sources: Vec<Source<'_>> = vec![Box::new(ahead.into_iter().map(Ok))];
        if let Some(aside) = &self.aside {
            let owned = |(key, change): (&Vec<u8>, &Change)| Ok((key.clone(), change.clone()));
            let range = aside.range(start, end);
            sources.push(match direction {
                Direction::Ascending => Box::new(range.map(owned)),
                Direction::Descending => Box::new(range.rev().map(owned)),
            });
        }
        sources.extend(self.index.sources(start, end, direction));
        let merged = Merge::new(sources, direction, Removals::Drop).take(limit);
        let mut found = Vec::new();
        for record in merged {
            if let (key, Change::Put(version, slot)) = record? {
                found.push(Indexed { key, version, slot });
            }
        }
        Ok(found)
    }
}

/// A record as the index knows it.
pub(crate) struct Indexed {
    pub(crate) key: Vec<u8>,
    pub(crate) version: Version,
    pub(crate) slot: Slot,
}
