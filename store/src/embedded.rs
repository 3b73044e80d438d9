//! The engine for one machine: an append-only journal is the truth, sled is its index.
//!
//! A group commit is one frame in the journal, synced once. Everything else (head file, index,
//! recent entries in memory) follows it and can be lost. What this module refuses: to answer before
//! the frame is on the disk, to call a second sync a success after one has failed, to take a
//! missing or shortened journal for a smaller one.

mod beside;
mod catchup;
mod committer;
mod desk;
mod frame;
mod group;
mod head;
mod index;
mod indexer;
mod inspect;
mod journal;
mod layout;
mod lock;
mod open;
mod queue;
mod recover;
#[cfg(test)]
mod schedules;
mod segment;
mod shared;
mod verify;
mod view;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use catchup::IndexState;
pub use inspect::{FrameContent, FrameEntries, SegmentContent, inspect_segment};
pub use layout::Limits;
pub use open::{Create, OpenOptions, OpenReport, Origin};
pub use recover::DroppedTail;
pub use verify::{Sealing, SegmentReport, VerifyReport};

use crate::checkpoint::Checkpoint;
use crate::file::{OnExisting, Visibility, place, read_limited};
use crate::snapshot::{Snapshot, SnapshotFile};
use crate::sync::mpsc::SyncSender;
use crate::sync::thread::JoinHandle;
use crate::sync::{Mutex, PoisonError};
use crate::{Batch, Direction, Entry, Error, Key, KeyRange, Measured, Sequence, Stored, Tip};
use head::HeadFile;
use index::{Change, Slot};
use lock::Lock;
pub(crate) use queue::EpochStep;
use queue::Work;
use shared::Shared;
use view::Indexed;

#[derive(Clone)]
pub(crate) struct Embedded(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
    lock: Mutex<Option<Lock>>,
}

impl Embedded {
    pub(crate) fn open(dir: &Path, options: OpenOptions) -> Result<(Embedded, OpenReport), Error> {
        open::open(dir, options)
    }

    pub(crate) fn get(&self, key: &Key) -> Result<Option<Stored>, Error> {
        match self.0.shared.get(key.as_bytes())? {
            Some(Change::Put(version, slot)) => {
                self.stored(Indexed { key: key.as_bytes().to_vec(), version, slot }).map(Some)
            }
            Some(Change::Delete) | None => Ok(None),
        }
    }

    pub(crate) fn scan(
        &self,
        range: &KeyRange,
        after: Option<&Key>,
        limit: usize,
        direction: Direction,
    ) -> Result<Vec<Stored>, Error> {
        let found = self.0.shared.scan(range, after.map(Key::as_bytes), limit, direction)?;
        found.into_iter().map(|indexed| self.stored(indexed)).collect()
    }

    fn stored(&self, indexed: Indexed) -> Result<Stored, Error> {
        let value = match indexed.slot {
            Slot::Inline(value) => value,
            Slot::Pointer(pointer) => self.0.shared.journal.value(pointer)?,
        };
        Ok(Stored { key: Key::from_stored(indexed.key), version: indexed.version, value })
    }

    pub(crate) fn submit(&self, batch: Batch, step: EpochStep, answer: SyncSender<Result<Sequence, Error>>) {
        match Work::new(batch, step, &self.0.shared.limits, answer) {
            Ok(work) => self.0.shared.queue.push(work, &self.0.shared.limits),
            Err((error, answer)) => {
                let _ = answer.send(Err(error));
            }
        }
    }

    pub(crate) fn tip(&self) -> Tip {
        self.0.shared.head().tip
    }

    pub(crate) fn follow(&self, after: Sequence, limit: usize) -> Result<Vec<Arc<Entry>>, Error> {
        self.0.shared.follow(after, limit)
    }

    pub(crate) fn wait(&self, after: Sequence, timeout: Duration) -> Sequence {
        self.0.shared.wait(after, timeout)
    }

    pub(crate) fn measured(&self) -> Measured {
        self.0.shared.meter.read(self.0.shared.queue.len())
    }

    pub(crate) fn tip_at(&self, sequence: Sequence) -> Result<Tip, Error> {
        let head = self.0.shared.head();
        match sequence > head.tip.sequence {
            true => Err(Error::NoEntry { sequence }),
            false => self.0.shared.journal.tip_at(sequence, head.end),
        }
    }

    pub(crate) fn verify(&self) -> Result<VerifyReport, Error> {
        verify::all(&self.0.shared.journal, self.0.shared.head().end)
    }

    pub(crate) fn verify_segment(&self, number: u64) -> Result<SegmentReport, Error> {
        verify::segment(&self.0.shared.journal, number, self.0.shared.head().end)
    }

    pub(crate) fn failure(&self) -> Option<Error> {
        self.0.shared.state().failure.as_ref().map(shared::Failure::error)
    }

    pub(crate) fn segments(&self) -> u64 {
        self.0.shared.head().end.segment
    }

    /// Keeps the note beside the journal, for the next open to hold the journal against.
    pub(crate) fn keep_checkpoint(&self, note: &str) -> Result<(), Error> {
        let path = self.0.shared.journal.layout.checkpoint();
        // The lock also orders those who keep one: an older note must not come last.
        let held = self.0.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_none() {
            return Err(Error::Closed);
        }
        let new = Checkpoint::parse_unverified(note)?;
        let newer = read_limited(&path, crate::checkpoint::MAX_NOTE)
            .ok()
            .and_then(|bytes| Checkpoint::parse_unverified(&String::from_utf8(bytes).ok()?).ok())
            .is_some_and(|kept| kept.sequence > new.sequence);
        match newer {
            true => Ok(()),
            false => Ok(place(&path, note.as_bytes(), Visibility::Secret, OnExisting::Replace)?),
        }
    }

    pub(crate) fn snapshot(&self) -> Result<Snapshot, Error> {
        let layout = &self.0.shared.journal.layout;
        // Before the head is read: the copy must never lack what its checkpoint knows.
        let checkpoint = match read_limited(&layout.checkpoint(), crate::checkpoint::MAX_NOTE) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.io_kind() == Some(std::io::ErrorKind::NotFound) => None,
            Err(error) => return Err(error.into()),
        };
        let head = self.0.shared.head();
        let mut files = Vec::new();
        for number in 1..=head.end.segment {
            let path = PathBuf::from(layout::JOURNAL).join(layout::segment_name(number));
            let of = layout.segment(number);
            let length = match number < head.end.segment {
                true => std::fs::metadata(&of).map_err(Error::io("look at", &of))?.len(),
                false => head.end.offset,
            };
            files.push(SnapshotFile::prefix(path, of, length));
        }
        let marker = read_limited(&layout.marker(), crate::checkpoint::MAX_NOTE)?;
        files.push(SnapshotFile::bytes(layout::MARKER.into(), marker));
        files.push(SnapshotFile::bytes(layout::HEAD.into(), HeadFile::content(head)));
        files.extend(checkpoint.map(|bytes| SnapshotFile::bytes(layout::CHECKPOINT.into(), bytes)));
        Ok(Snapshot { tip: head.tip, files })
    }

    pub(crate) fn close(&self) {
        self.0.close();
    }
}

impl Inner {
    /// Commits what waits, ends the thread, gives the lock back.
    fn close(&self) {
        self.shared.queue.close();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // The thread answers everybody even if it breaks down; there is nobody to tell here.
            let _ = thread.join();
        }
        *self.lock.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}
