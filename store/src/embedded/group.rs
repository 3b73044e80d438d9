//! The records as the batches of one group commit see them: those before them in the group applied.

use std::collections::HashMap;

use super::index::KeyHash;
use super::queue::Work;
use super::view::View;
use crate::{Error, Expectation, Key, Version};

/// What the group has made of keys so far, in front of what was committed before it.
pub(crate) struct Group<'w> {
    written: HashMap<&'w Key, Option<Version>, KeyHash>,
}

impl<'w> Group<'w> {
    /// Before the first of these batches. One that is alone comes after none, so it needs no room.
    pub(crate) fn of(works: &'w [Work]) -> Group<'w> {
        let writes = match works {
            [_] => 0,
            works => works.iter().map(|work| work.batch.writes.len()).sum(),
        };
        Group { written: HashMap::with_capacity_and_hasher(writes, KeyHash::default()) }
    }

    /// The first key that is not as expected.
    pub(crate) fn check<'b>(
        &self,
        view: &View,
        expects: &'b [(Key, Expectation)],
    ) -> Result<Option<&'b Key>, Error> {
        for (key, expectation) in expects {
            let found = match self.written.get(key) {
                Some(version) => *version,
                None => view.version(key.as_bytes())?,
            };
            let holds = match expectation {
                Expectation::Absent => found.is_none(),
                Expectation::Unchanged(version) => found == Some(*version),
            };
            if !holds {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    /// Applies a batch that gets this version.
    pub(crate) fn write(&mut self, work: &'w Work, version: Version) {
        for ((key, _), value) in work.batch.writes.iter().zip(&work.body.values) {
            self.written.insert(key, value.map(|_| version));
        }
    }
}
