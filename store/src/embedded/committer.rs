//! The one thread that writes: it takes everything waiting, makes one frame of it, syncs once,
//! and only then answers.
//!
//! The order is the promise: journal on the disk, head file, index, memory, answer. What fails
//! before the journal is on the disk is answered as failed; what fails after it does not undo it.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError};

use super::clean;
use super::frame::Builder;
use super::head::{Head, HeadFile};
use super::index::{Index, Mark, Slot, Sum, encode_slot, version_of};
use super::journal::Pointer;
use super::queue::{EpochStep, Work};
use super::segment::Position;
use super::shared::{Failure, Shared};
use super::writer::Writer;
use crate::chain::Words;
use crate::{Entry, Epoch, Error, Expectation, Key, Version};

pub(crate) struct Committer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) index: Index,
    pub(crate) writer: Writer,
    pub(crate) head_file: HeadFile,
    pub(crate) head: Head,
    pub(crate) sum: Sum,
    /// Whether the mark of an orderly close has been taken away: it must be, before the first change.
    pub(crate) clean: clean::Marker,
}

/// Answers everything that is left, however the thread ends.
struct Leave<'s>(&'s Shared);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        for work in self.0.queue.drain() {
            work.answer(Err(Error::Closed));
        }
        *self.0.index.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Committer {
    /// Works until the queue is closed and empty.
    pub(crate) fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let leave = Leave(&shared);
        loop {
            let group = shared.queue.take(&shared.limits);
            if group.is_empty() {
                break;
            }
            let failure = shared.state().failure.clone();
            match failure {
                Some(failure) => refuse_all(group, || failure.error()),
                None => self.commit(group),
            }
        }
        drop(leave);
        self.finish();
    }

    /// Leaves an index that the next open need not check.
    fn finish(self) {
        let sequence = self.head.tip.sequence;
        let intact = self.shared.state().failure.is_none() && self.index.flush().is_ok();
        drop(self.index);
        if intact && let Err(error) = self.clean.write(sequence) {
            tracing::warn!(%error, "the index could not be marked as closed; it will be checked at the next start");
        }
    }

    fn commit(&mut self, group: Vec<Work>) {
        let mut tip = self.head.tip;
        let mut frame = Builder::new(tip.sequence.0 + 1);
        let mut overlay = Overlay { index: &self.index, cells: HashMap::new() };
        let mut accepted = Vec::with_capacity(group.len());
        let mut refused = Vec::new();
        let mut group = group.into_iter();
        while let Some(work) = group.next() {
            match overlay.check(&work.batch.expects).and_then(|conflict| {
                if conflict.is_none() {
                    overlay.load(&work)?;
                }
                Ok(conflict)
            }) {
                Ok(None) => {}
                Ok(Some(key)) => {
                    refused.push((work, key));
                    continue;
                }
                // Nothing was written: the whole group fails, and with it the store.
                Err(error) => {
                    let failure = index_failure(self.shared.journal.layout.index().as_path(), error);
                    self.shared.fail(failure.clone());
                    let all = accepted.into_iter().map(|(work, _)| work);
                    refuse_all(all.chain([work]).chain(group), || failure.error());
                    refuse_all(refused.into_iter().map(|(work, _)| work), || failure.error());
                    return;
                }
            }
            let epoch = match work.step {
                EpochStep::Same => tip.epoch,
                EpochStep::Next => Epoch(tip.epoch.0.saturating_add(1)),
            };
            let Work { batch, body, digest, .. } = &work;
            let words = Words { class: batch.class, time: batch.time, who: &batch.who, what: &batch.what };
            let (header, next) = tip.next(&words, epoch, *digest);
            let at = frame.push(&header, &body.bytes);
            overlay.write(&work, Version(next.sequence), at);
            tip = next;
            accepted.push((work, tip));
        }
        if !frame.is_empty() {
            let bytes = frame.finish();
            match self.writer.append(&bytes, self.head.tip) {
                Ok(at) => {
                    let cells = overlay.cells;
                    self.head = Head { tip, end: self.writer.end };
                    self.settle(&bytes, at, cells);
                    self.answer(accepted);
                }
                Err(error) => self.refuse_group(accepted, error),
            }
        }
        // Only now, so that whoever reads again at once sees what it conflicted with.
        for (work, key) in refused {
            work.answer(Err(Error::Conflict { key }));
        }
    }

    /// Brings head file and index to the frame that is now on the disk at `at`.
    fn settle(&mut self, frame: &[u8], at: Position, cells: HashMap<Key, Cell>) {
        self.shared.journal.note(self.head_first(frame), at);
        if let Err(error) = self.head_file.write(self.head) {
            // The journal holds the truth; only the guard against a lost end is weaker now.
            tracing::warn!(%error, "the head file could not be written");
        }
        let mut changes = Vec::with_capacity(cells.len());
        for (key, cell) in &cells {
            let new = match cell.now {
                Now::Same => continue,
                Now::Deleted => None,
                Now::Put { version, offset, length } => {
                    let value = &frame[offset..offset + length];
                    Some(encode_slot(
                        version,
                        &slot(value, at, offset as u64, self.shared.limits.inline_value),
                    ))
                }
            };
            self.sum.change(key.as_bytes(), cell.old.as_deref(), new.as_deref());
            changes.push((key.as_bytes(), new));
        }
        let mark = Mark { tip: self.head.tip, end: self.head.end, sum: self.sum };
        let applied = self.clean.remove().and_then(|()| self.index.apply(changes, mark));
        if let Err(error) = applied {
            // The batches stand. Readers must not go on with an index that lacks them.
            *self.shared.index.write().unwrap_or_else(PoisonError::into_inner) = None;
            self.shared.fail(index_failure(&self.shared.journal.layout.index(), error));
        }
    }

    fn head_first(&self, frame: &[u8]) -> u64 {
        frame.get(16..24).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes)
    }

    /// Tells everybody who follows, and those who asked.
    fn answer(&self, accepted: Vec<(Work, crate::Tip)>) {
        let mut entries = Vec::with_capacity(accepted.len());
        let mut answers = Vec::with_capacity(accepted.len());
        for (mut work, tip) in accepted {
            let batch = &mut work.batch;
            let entry = Entry {
                sequence: tip.sequence,
                epoch: tip.epoch,
                class: batch.class,
                time: batch.time,
                who: std::mem::take(&mut batch.who),
                what: std::mem::take(&mut batch.what),
                writes: Some(std::mem::take(&mut batch.writes)),
            };
            entries.push((work.body.bytes.len(), Arc::new(entry)));
            answers.push((work, tip.sequence));
        }
        self.shared.advance(self.head, entries);
        for (work, sequence) in answers {
            work.answer(Ok(sequence));
        }
    }

    fn refuse_group(&mut self, accepted: Vec<(Work, crate::Tip)>, error: Error) {
        let works = accepted.into_iter().map(|(work, _)| work);
        match error {
            Error::Full { path, source } => {
                refuse_all(works, || Error::Full { path: path.clone(), source: Arc::clone(&source) });
            }
            error => {
                let failure = match error {
                    Error::Failed { operation, path, source } => Failure { operation, path, source },
                    other => Failure {
                        operation: "write to",
                        path: self.shared.journal.layout.journal(),
                        source: Arc::new(io::Error::other(other)),
                    },
                };
                self.shared.fail(failure.clone());
                refuse_all(works, || failure.error());
            }
        }
    }
}

fn refuse_all(works: impl IntoIterator<Item = Work>, error: impl Fn() -> Error) {
    for work in works {
        work.answer(Err(error()));
    }
}

fn index_failure(path: &Path, error: Error) -> Failure {
    Failure { operation: "use the index", path: path.to_owned(), source: Arc::new(io::Error::other(error)) }
}

/// Where a value is kept: small ones in the index, large ones in the journal alone.
pub(crate) fn slot(value: &[u8], frame: Position, offset: u64, inline: usize) -> Slot {
    match u32::try_from(value.len()) {
        Ok(length) if value.len() > inline => Slot::Pointer(Pointer {
            at: Position { segment: frame.segment, offset: frame.offset + offset },
            length,
            crc: crc32c::crc32c(value),
        }),
        _ => Slot::Inline(value.to_vec()),
    }
}

/// A key that the group looks at.
struct Cell {
    /// What the index holds for it.
    old: Option<Vec<u8>>,
    now: Now,
}

/// What the group has made of it so far.
#[derive(Clone, Copy)]
enum Now {
    Same,
    Put { version: Version, offset: usize, length: usize },
    Deleted,
}

/// The index as the batches of one group see it, the earlier ones applied.
struct Overlay<'i> {
    index: &'i Index,
    cells: HashMap<Key, Cell>,
}

impl Overlay<'_> {
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
    fn check(&mut self, expects: &[(Key, Expectation)]) -> Result<Option<Key>, Error> {
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
    fn load(&mut self, work: &Work) -> Result<(), Error> {
        for (key, _) in &work.batch.writes {
            self.cell(key)?;
        }
        Ok(())
    }

    /// Applies a batch whose body lies at `at` in the frame.
    fn write(&mut self, work: &Work, version: Version, at: usize) {
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

/// Starts the committer's thread.
pub(crate) fn spawn(committer: Committer) -> io::Result<std::thread::JoinHandle<()>> {
    std::thread::Builder::new().name("store-committer".to_owned()).spawn(move || committer.run())
}
