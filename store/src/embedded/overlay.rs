//! The index as the batches of one group commit see it: those before them in the group applied.

use std::collections::HashMap;

use super::index::{Index, version_of};
use super::queue::Work;
use crate::{Error, Expectation, Key, Version};

/// A key that the group looks at.
pub(crate) struct Cell {
    /// What the index holds for it.
    pub(crate) old: Option<Vec<u8>>,
    pub(crate) now: Now,
}

/// What the group has made of it so far.
#[derive(Clone, Copy)]
pub(crate) enum Now {
    Same,
    Put { version: Version, offset: usize, length: usize },
    Deleted,
}

/// The index as the batches of one group see it, the earlier ones applied.
pub(crate) struct Overlay<'i> {
    index: &'i Index,
    pub(crate) cells: HashMap<Key, Cell>,
}

impl<'i> Overlay<'i> {
    pub(crate) fn new(index: &'i Index) -> Overlay<'i> {
        Overlay { index, cells: HashMap::new() }
    }

    fn cell(&mut self, key: &Key) -> Result<&mut Cell, Error> {
        use std::collections::hash_map::Entry::{Occupied, Vacant};
        Ok(match self.cells.entry(key.clone()) {
            Occupied(cell) => cell.into_mut(),
            Vacant(place) => {
                let old = self.index.raw(key.as_bytes())?;
                place.insert(Cell { old, now: Now::Same })
            }
        })
    }

    /// The first key that is not as expected.
    pub(crate) fn check(&mut self, expects: &[(Key, Expectation)]) -> Result<Option<Key>, Error> {
        for (key, expectation) in expects {
            let cell = self.cell(key)?;
            let found = match cell.now {
                Now::Put { version, .. } => Some(version),
                Now::Deleted => None,
                Now::Same => cell.old.as_deref().and_then(version_of),
            };
            let holds = match expectation {
                Expectation::Absent => found.is_none(),
                Expectation::Unchanged(version) => found == Some(*version),
            };
            if !holds {
                return Ok(Some(key.clone()));
            }
        }
        Ok(None)
    }

    /// Reads what a batch will overwrite, so that nothing can fail once it is in the frame.
    pub(crate) fn load(&mut self, work: &Work) -> Result<(), Error> {
        for (key, _) in &work.batch.writes {
            self.cell(key)?;
        }
        Ok(())
    }

    /// Applies a batch whose body lies at `at` in the frame.
    pub(crate) fn write(&mut self, work: &Work, version: Version, at: usize) {
        for ((key, _), value) in work.batch.writes.iter().zip(&work.body.values) {
            if let Some(cell) = self.cells.get_mut(key) {
                cell.now = match value {
                    Some((offset, length)) => Now::Put { version, offset: at + offset, length: *length },
                    None => Now::Deleted,
                };
            }
        }
    }
}
