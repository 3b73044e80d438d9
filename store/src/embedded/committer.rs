//! The one thread that writes: it takes everything waiting, makes one frame of it, syncs once,
//! and only then answers.
//!
//! The order is the promise: journal on the disk, head file, index, memory, answer. What fails
//! before the journal is on the disk is answered as failed; what fails after it does not undo it.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::catchup;
use super::clean;
use super::frame::Builder;
use super::head::{Head, HeadFile};
use super::index::{Index, Mark, Slot, Sum, encode_slot};
use super::journal::Pointer;
use super::layout::Layout;
use super::overlay::{Cell, Now, Overlay};
use super::queue::{EpochStep, Taken, Work};
use super::segment::Position;
use super::shared::{Failure, Shared};
use super::view::View;
use super::writer::{Writer, is_full};
use crate::chain::Words;
use crate::file::{FileError, OnExisting, Visibility, place, remove};
use crate::sync::thread;
use crate::{Entry, Epoch, Error, Key, Urgency, Version};

/// How often a failed index is tried again while nobody commits.
const HEAL_EVERY: Duration = Duration::from_secs(1);
/// How much room there must be before a failed index is opened again: sled writes pieces of 512 KiB.
const PROBE: usize = 4 << 20;

pub(crate) struct Committer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) index: Following,
    pub(crate) writer: Writer,
    pub(crate) head_file: HeadFile,
    pub(crate) head: Head,
    pub(crate) sum: Sum,
    /// Whether the mark of an orderly close has been taken away: it must be, before the first change.
    pub(crate) clean: clean::Marker,
}

/// The index, as the committer holds it.
pub(crate) enum Following {
    /// It is at the journal's end.
    Index(Index),
    /// It failed. What it lacks stands in front of it for the readers; before the next batch is
    /// taken it has to be opened again.
    Behind,
}

/// Answers everything that is left, however the thread ends.
struct Leave<'s>(&'s Shared);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        for work in self.0.queue.drain() {
            work.answer(Err(Error::Closed));
        }
        *self.0.view_mut() = None;
    }
}

impl Committer {
    /// Works until the queue is closed and empty.
    pub(crate) fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let leave = Leave(&shared);
        loop {
            let patience = match self.index {
                Following::Index(_) => None,
                Following::Behind => Some(HEAL_EVERY),
            };
            let group = match shared.queue.take(&shared.limits, patience) {
                Taken::Group(group) => group,
                Taken::Nothing => {
                    if let Err(error) = self.index() {
                        tracing::warn!(%error, "the index can't be opened again yet");
                    }
                    continue;
                }
                Taken::Closed => break,
            };
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
        let intact = match self.index {
            Following::Index(index) => self.shared.state().failure.is_none() && index.flush().is_ok(),
            Following::Behind => false,
        };
        if intact && let Err(error) = self.clean.write(sequence) {
            tracing::warn!(%error, "the index could not be marked as closed; it will be checked at the next start");
        }
    }

    fn commit(&mut self, group: Vec<Work>) {
        let free = room(&self.shared.journal.layout);
        let index = match self.index() {
            Ok(index) => index,
            Err(error) => {
                let error = Arc::new(error);
                return refuse_all(group, || self.unusable(&error));
            }
        };
        let mut tip = self.head.tip;
        let mut frame = Builder::new(tip.sequence.0 + 1);
        let mut overlay = Overlay::new(&index);
        let mut accepted = Vec::with_capacity(group.len());
        let mut refused = Vec::new();
        let mut group = group.into_iter();
        while let Some(work) = group.next() {
            if let Some(full) = short_of_room(&work, &free, &self.shared) {
                work.answer(Err(full));
                continue;
            }
            let checked = overlay.check(&work.batch.expects).and_then(|conflict| {
                if conflict.is_none() {
                    overlay.load(&work)?;
                }
                Ok(conflict)
            });
            match checked {
                Ok(None) => {}
                Ok(Some(key)) => {
                    refused.push((work, key));
                    continue;
                }
                // Nothing was written: the whole group fails, and the index is opened again.
                Err(error) => {
                    let error = Arc::new(error);
                    self.index = Following::Behind;
                    let all = accepted.into_iter().map(|(work, _)| work);
                    let all = all.chain([work]).chain(group).chain(refused.into_iter().map(|(work, _)| work));
                    return refuse_all(all, || self.unusable(&error));
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
                    self.shared.journal.note(self.head.tip.sequence.0 + 1, at);
                    self.head = Head { tip, end: self.writer.end };
                    self.settle(&bytes, at, cells, &index);
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
    fn settle(&mut self, frame: &[u8], at: Position, cells: HashMap<Key, Cell>, index: &Index) {
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
        let applied = self.clean.remove().and_then(|()| index.apply(&changes, mark));
        if let Err(error) = applied {
            tracing::error!(%error, "the index failed; it is opened again before the next change");
            let pending = changes.into_iter().map(|(key, new)| (key.to_vec(), new)).collect();
            if let Some(view) = self.shared.view_mut().as_mut() {
                view.pending = pending;
            }
            self.index = Following::Behind;
        }
    }

    /// The index at the journal's end; opened again if it failed.
    fn index(&mut self) -> Result<Index, Error> {
        if let Following::Index(index) = &self.index {
            return Ok(index.clone());
        }
        // Without room the new one would fail as well, and readers would lose the old one.
        probe(&self.shared.journal.layout)?;
        self.clean.remove()?;
        let mut view = self.shared.view_mut();
        *view = None;
        let Shared { journal, limits, .. } = &*self.shared;
        let opened = catchup::open(&journal.layout.index(), limits);
        let place = (self.head.tip, self.head.end);
        match catchup::bring_up(journal, opened, None, place, limits) {
            Ok((index, mark, _)) => {
                *view = Some(View::new(index.clone()));
                self.index = Following::Index(index.clone());
                self.sum = mark.sum;
                Ok(index)
            }
            Err(error) => {
                let path = journal.layout.index();
                let source = Arc::new(io::Error::other(error));
                let failure = Failure { operation: "open the index again in", path, source };
                self.shared.fail(failure.clone());
                Err(failure.error())
            }
        }
    }

    /// One error for each of those that wait.
    fn unusable(&self, error: &Arc<Error>) -> Error {
        match &**error {
            Error::Full { path, source } => Error::Full { path: path.clone(), source: Arc::clone(source) },
            other => Error::Index { path: self.shared.journal.layout.index(), reason: other.to_string() },
        }
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

/// How many bytes are left on the disk; `None` if it does not say.
fn room(layout: &Layout) -> Option<u64> {
    let disk = rustix::fs::statvfs(layout.root()).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Refuses a batch while there is room yet: what is left belongs to the index, which must be able
/// to write what it has taken, and to what is urgent.
fn short_of_room(work: &Work, free: &Option<u64>, shared: &Shared) -> Option<Error> {
    let kept = match work.batch.urgency {
        Urgency::Usual => shared.limits.reserve,
        Urgency::Urgent => shared.limits.reserve / 4,
    };
    let reason = match *free {
        Some(free) if free < kept => format!("{free} bytes are left, {kept} are kept in reserve"),
        Some(_) | None => return None,
    };
    let source = Arc::new(io::Error::new(io::ErrorKind::StorageFull, reason));
    Some(Error::Full { path: shared.journal.layout.journal(), source })
}

/// Shows that the disk takes as much as an index needs to go on.
fn probe(layout: &Layout) -> Result<(), Error> {
    let path = layout.root().join("probe");
    let zeros = vec![0; PROBE];
    let full = |source| Error::Full { path: layout.index(), source: Arc::new(source) };
    place(&path, &zeros, Visibility::Secret, OnExisting::Replace).map_err(|error| match error {
        FileError::Io { source, .. } if is_full(&source) => full(source),
        other => other.into(),
    })?;
    Ok(remove(&path)?)
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

/// Starts the committer's thread.
pub(crate) fn spawn(committer: Committer) -> io::Result<thread::JoinHandle<()>> {
    thread::Builder::new().name("store-committer".to_owned()).spawn(move || committer.run())
}
