//! What can go wrong below.

use crate::Key;

/// Why the store refused or failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store was closed, or stopped after a write failed.
    #[error("the store is closed")]
    Closed,
    /// A record that the batch rests on has changed: load, decide and commit again.
    #[error("the record {key} has changed in the meantime")]
    Conflict {
        /// The first key whose expectation did not hold.
        key: Key,
    },
    /// A record's bytes are not what this version can read.
    #[error("the record {key} can't be read: {reason}")]
    Record {
        /// Where it lies.
        key: Key,
        /// What is wrong with it.
        reason: String,
    },
}
