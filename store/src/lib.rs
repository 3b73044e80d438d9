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

mod again;
mod batch;
mod chain;
pub mod checkpoint;
mod embedded;
mod entry;
mod error;
pub mod file;
mod key;
mod measure;
mod memory;
mod progress;
pub mod seal;
mod snapshot;
pub mod spread;
mod sync;
mod table;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use sync::mpsc::{Receiver, sync_channel};

use checkpoint::{AuditKey, Checkpoint, LogName};

pub use again::{Contention, again};
pub use batch::{Batch, Expectation, Urgency, Write};
pub use chain::{Hash, MAX_WORDS, Tip};
pub use embedded::{
    Create, DroppedTail, FrameContent, FrameEntries, IndexState, Limits, OpenOptions, OpenReport, Origin,
    Sealing, SegmentContent, SegmentReport, VerifyReport, inspect_segment,
};
pub use entry::{Class, Entry, Epoch, Sequence, Version};
pub use error::Error;
pub use key::{Key, KeyRange};
pub use measure::Measured;
pub use progress::Progress;
pub use snapshot::{Snapshot, SnapshotFile};
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

/// What is expected of records; cheap to clone.
pub type Expected = Arc<Vec<(Key, Expectation)>>;

/// An open store; cheap to clone, every clone is the same store.
#[derive(Clone)]
pub struct Store {
    engine: Engine,
    /// What every batch of this view of the store expects besides its own.
    conditions: Vec<Expected>,
}

#[derive(Clone)]
enum Engine {
    Memory(memory::Memory),
    Embedded(embedded::Embedded),
}

impl Store {
    /// A store that lives as long as the process: for unit tests of the crates above.
    pub fn in_memory() -> Store {
        Store { engine: Engine::Memory(memory::Memory::default()), conditions: Vec::new() }
    }

    /// Opens the store in the directory `dir` and tells what was found there.
    ///
    /// One process at a time has it open ([`Error::Locked`]). A journal that lacks what had been
    /// acknowledged is refused with [`Error::Damaged`] or [`Error::Missing`]; the index may be lost
    /// and is built again.
    pub fn open(dir: &Path, options: OpenOptions) -> Result<(Store, OpenReport), Error> {
        let (engine, report) = embedded::Embedded::open(dir, options)?;
        Ok((Store { engine: Engine::Embedded(engine), conditions: Vec::new() }, report))
    }

    /// The same store for whoever may change it only as long as `conditions` hold: every batch that is
    /// committed through it expects them too, and is refused with [`Error::Withdrawn`] once one does not
    /// hold. Whoever decides anew after an [`Error::Conflict`] stops there.
    pub fn resting_on(&self, conditions: Expected) -> Store {
        let mut store = self.clone();
        store.conditions.push(conditions);
        store
    }

    /// Commits what waits, then gives the directory back; also done when the last clone is dropped.
    /// Afterwards every clone answers [`Error::Closed`]. A store in memory stays as it is.
    pub fn close(&self) {
        match &self.engine {
            Engine::Memory(_) => {}
            Engine::Embedded(engine) => engine.close(),
        }
    }

    /// Reads one record; `None` if there is none.
    pub fn get(&self, key: &Key) -> Result<Option<Stored>, Error> {
        match &self.engine {
            Engine::Memory(engine) => engine.get(key),
            Engine::Embedded(engine) => engine.get(key),
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
            Engine::Embedded(engine) => engine.scan(range, after, limit, direction),
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
        self.submit_step(batch, embedded::EpochStep::Same)
    }

    /// Commits a batch whose entry is the first of a new [`Epoch`]; returns that epoch.
    pub fn begin_epoch(&self, batch: Batch) -> Result<Epoch, Error> {
        let sequence = self.submit_step(batch, embedded::EpochStep::Next).wait()?;
        Ok(self.tip_at(sequence)?.epoch)
    }

    fn submit_step(&self, mut batch: Batch, step: embedded::EpochStep) -> Pending {
        let (sender, answer) = sync_channel(1);
        // First: where both fail, deciding anew is of no use.
        let conditions = self.conditions.iter().flat_map(|expected| expected.iter().cloned());
        batch.expects.splice(0..0, conditions);
        match &self.engine {
            Engine::Memory(engine) => {
                let _ = sender.send(engine.commit(batch, step));
            }
            Engine::Embedded(engine) => engine.submit(batch, step, sender),
        }
        Pending { answer, conditions: self.conditions.clone() }
    }

    /// The sequence of the newest durable entry; [`Sequence::ZERO`] in an empty store.
    pub fn head(&self) -> Sequence {
        self.tip().sequence
    }

    /// The newest durable entry, its epoch and the hash of its header.
    pub fn tip(&self) -> Tip {
        match &self.engine {
            Engine::Memory(engine) => engine.tip(),
            Engine::Embedded(engine) => engine.tip(),
        }
    }

    /// The same as it stood when `sequence` was the newest; [`Error::NoEntry`] if it never was.
    pub fn tip_at(&self, sequence: Sequence) -> Result<Tip, Error> {
        match &self.engine {
            Engine::Memory(engine) => engine.tip_at(sequence),
            Engine::Embedded(engine) => engine.tip_at(sequence),
        }
    }

    /// Up to `limit` entries that were committed after `after`, oldest first. Fewer if they are
    /// large; none only if there are none.
    pub fn follow(&self, after: Sequence, limit: usize) -> Result<Vec<Arc<Entry>>, Error> {
        match &self.engine {
            Engine::Memory(engine) => engine.follow(after, limit),
            Engine::Embedded(engine) => engine.follow(after, limit),
        }
    }

    /// Waits until something was committed after `after`, at most `timeout`; returns the head.
    pub fn wait(&self, after: Sequence, timeout: Duration) -> Sequence {
        match &self.engine {
            Engine::Memory(engine) => engine.wait(after, timeout),
            Engine::Embedded(engine) => engine.wait(after, timeout),
        }
    }

    /// How long group commits took since the store was opened, and how many batches wait. A store in
    /// memory has nothing to tell.
    pub fn measured(&self) -> Measured {
        match &self.engine {
            Engine::Memory(_) => Measured::default(),
            Engine::Embedded(engine) => engine.measured(),
        }
    }

    /// Signs a checkpoint of the newest entry and keeps a copy, which the next open holds the
    /// journal against. `time` is in seconds since 1970-01-01T00:00:00Z.
    pub fn checkpoint(&self, key: &AuditKey, origin: &LogName, time: i64) -> Result<String, Error> {
        let note = Checkpoint::new(origin.clone(), self.tip(), time).sign(key)?;
        match &self.engine {
            Engine::Memory(_) => {}
            Engine::Embedded(engine) => engine.keep_checkpoint(&note)?,
        }
        Ok(note)
    }

    /// Shows that the history continues the one a checkpoint speaks of; else
    /// [`Error::Inconsistent`].
    pub fn verify_against(&self, checkpoint: &Checkpoint) -> Result<(), Error> {
        let sequence = checkpoint.sequence;
        let differs = |reason| Error::Inconsistent { sequence, reason };
        match self.tip_at(sequence) {
            Ok(tip) if tip.hash != checkpoint.hash => Err(differs("it has another entry there")),
            Ok(tip) if tip.epoch != checkpoint.epoch => Err(differs("that entry has another epoch")),
            Ok(_) => Ok(()),
            Err(Error::NoEntry { .. }) => Err(differs("it ends before")),
            Err(other) => Err(other),
        }
    }

    /// Reads the whole journal again and checks every byte: checksums, chain, bodies, seals. Damage
    /// is [`Error::Damaged`].
    pub fn verify(&self) -> Result<VerifyReport, Error> {
        match &self.engine {
            Engine::Memory(_) => Err(Error::InMemory),
            Engine::Embedded(engine) => engine.verify(),
        }
    }

    /// As [`Store::verify`] for one segment, from 1 to [`Store::segments`]: for checking piece by
    /// piece in the background.
    pub fn verify_segment(&self, number: u64) -> Result<SegmentReport, Error> {
        match &self.engine {
            Engine::Memory(_) => Err(Error::InMemory),
            Engine::Embedded(engine) => engine.verify_segment(number),
        }
    }

    /// Why the store takes no more changes until it is opened again; `None` while it takes them.
    pub fn failure(&self) -> Option<Error> {
        match &self.engine {
            Engine::Memory(_) => None,
            Engine::Embedded(engine) => engine.failure(),
        }
    }

    /// How many segments the journal has.
    pub fn segments(&self) -> u64 {
        match &self.engine {
            Engine::Memory(_) => 0,
            Engine::Embedded(engine) => engine.segments(),
        }
    }

    /// What a copy of the store at this moment consists of; commits go on while it is read.
    pub fn snapshot(&self) -> Result<Snapshot, Error> {
        match &self.engine {
            Engine::Memory(_) => Err(Error::InMemory),
            Engine::Embedded(engine) => engine.snapshot(),
        }
    }
}

/// A batch under way.
pub struct Pending {
    answer: Receiver<Result<Sequence, Error>>,
    conditions: Vec<Expected>,
}

impl Pending {
    /// Waits until the batch is durable or refused.
    pub fn wait(self) -> Result<Sequence, Error> {
        match self.answer.recv().unwrap_or(Err(Error::Closed)) {
            // The condition was read before whatever else is expected of the same key.
            Err(Error::Conflict { key }) if self.rests_on(&key) => Err(Error::Withdrawn { key }),
            answer => answer,
        }
    }

    fn rests_on(&self, key: &Key) -> bool {
        self.conditions.iter().any(|conditions| conditions.iter().any(|(rested, _)| rested == key))
    }
}
