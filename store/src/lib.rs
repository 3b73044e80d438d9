//! Keeps versioned records under ordered keys and commits batches atomically.
//!
//! Everything `pki` knows lies here. The contract is small on purpose, and one test suite
//! (`tests/contract.rs`) holds every engine to it:
//!
//! - [`Store::get`] and [`Store::scan`] read what has been committed.
//! - [`Store::commit`] applies a [`Batch`] whole or not at all. The batch lists the [`Version`]s it
//!   rests on; if one has changed the answer is [`Error::Conflict`] and the caller decides anew.
//!   A commit that returned is durable: it survives `kill -9` and power loss.
//! - [`Store::follow`] hands out what was committed after a sequence, in order. Derived state (the
//!   revoked set, settings, published files) is driven by it.
//!
//! Nothing may be decided on a bare scan: a scan carries no versions that a batch could expect of
//! keys that are *absent*. What this crate refuses to know: what a certificate is.

mod batch;
mod entry;
mod error;
pub mod file;
mod key;
mod memory;
pub mod seal;
mod table;

use std::time::Duration;

pub use batch::{Batch, Expectation, Write};
pub use entry::{Class, Entry, Sequence, Version};
pub use error::Error;
pub use key::{Key, KeyRange};
pub use table::{Format, Record, Table, Versioned};

/// A value as it was read, with the version that a [`Batch`] may expect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Where it lies.
    pub key: Key,
    /// The sequence of the entry that wrote it.
    pub version: Version,
    /// The bytes that were put.
    pub value: Vec<u8>,
}

/// Which end of the range a scan begins at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the smallest key up.
    Ascending,
    /// From the largest key down.
    Descending,
}

/// An open store; cheap to clone, every clone is the same store.
#[derive(Clone)]
pub struct Store {
    engine: Engine,
}

#[derive(Clone)]
enum Engine {
    Memory(memory::Memory),
}

impl Store {
    /// A store that lives as long as the process: for unit tests of the crates above.
    pub fn in_memory() -> Store {
        Store { engine: Engine::Memory(memory::Memory::default()) }
    }

    /// Reads one record; `None` if there is none.
    pub fn get(&self, key: &Key) -> Result<Option<Stored>, Error> {
        match &self.engine {
            Engine::Memory(engine) => engine.get(key),
        }
    }

    /// Reads up to `limit` records of `range`, in `direction`, beginning after the key `after`.
    pub fn scan(
        &self,
        range: &KeyRange,
        after: Option<&Key>,
        limit: usize,
        direction: Direction,
    ) -> Result<Vec<Stored>, Error> {
        match &self.engine {
            Engine::Memory(engine) => engine.scan(range, after, limit, direction),
        }
    }

    /// Commits a batch and returns once it is durable, with the sequence it got.
    ///
    /// Blocks the calling thread: from async code call it inside `spawn_blocking`.
    pub fn commit(&self, batch: Batch) -> Result<Sequence, Error> {
        self.submit(batch).wait()
    }

    /// Hands a batch to the committer without waiting. Batches submitted together share one
    /// `fdatasync` (group commit); [`Pending::wait`] answers when this one is durable or refused.
    pub fn submit(&self, batch: Batch) -> Pending {
        match &self.engine {
            Engine::Memory(engine) => Pending::ready(engine.commit(batch)),
        }
    }

    /// The sequence of the newest durable entry; [`Sequence::ZERO`] in an empty store.
    pub fn head(&self) -> Sequence {
        match &self.engine {
            Engine::Memory(engine) => engine.head(),
        }
    }

    /// Up to `limit` entries that were committed after `after`, oldest first.
    pub fn follow(&self, after: Sequence, limit: usize) -> Result<Vec<std::sync::Arc<Entry>>, Error> {
        match &self.engine {
            Engine::Memory(engine) => engine.follow(after, limit),
        }
    }

    /// Waits until something was committed after `after`, at most `timeout`; returns the head.
    pub fn wait(&self, after: Sequence, timeout: Duration) -> Sequence {
        match &self.engine {
            Engine::Memory(engine) => engine.wait(after, timeout),
        }
    }
}

/// A batch under way.
pub struct Pending {
    answer: std::sync::mpsc::Receiver<Result<Sequence, Error>>,
}

impl Pending {
    fn ready(answer: Result<Sequence, Error>) -> Pending {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        let _ = sender.send(answer);
        Pending { answer: receiver }
    }

    /// Waits until the batch is durable or refused.
    pub fn wait(self) -> Result<Sequence, Error> {
        self.answer.recv().unwrap_or(Err(Error::Closed))
    }
}
