//! The one thread that writes: it takes everything waiting, makes one frame of it, syncs once,
//! and only then answers.
//!
//! The order is the promise: journal on the disk, head file, what readers see, answer. The index
//! comes after (`indexer.rs`). What fails before the journal is on the disk is answered as failed;
//! what fails after it does not undo it.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::catchup::{self, Check};
use super::frame::Builder;
use super::group::Group;
use super::head::{Head, HeadFile};
use super::index::{Change, Keyed, Mark, Slot};
use super::layout::Layout;
use super::queue::{EpochStep, Taken, Work};
use super::segment::Position;
use super::shared::{Failure, Shared};
use super::view::View;
use super::writer::{Writer, is_full};
use crate::chain::Words;
use crate::file::{FileError, OnExisting, Visibility, place, remove};
use crate::sync::thread::{self, JoinHandle};
use crate::{Entry, Epoch, Error, Key, Progress, Tip, Urgency, Version};

/// How often a failed index is tried again while nobody commits.
const HEAL_EVERY: Duration = Duration::from_secs(1);
/// How much room there must be before a failed index is opened again: sled writes pieces of 512 KiB.
const PROBE: usize = 4 << 20;

/// Runs of at most this many bytes are merged while the store closes.
const TIDY_AT_CLOSE: u64 = 4 << 20;

pub(crate) struct Committer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) writer: Writer,
    pub(crate) head_file: HeadFile,
    pub(crate) head: Head,
    pub(crate) indexer: JoinHandle<()>,
}

/// Answers everything that is left, however the thread ends.
struct Leave<'s>(&'s Shared);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        for work in self.0.queue.drain() {
            work.answer(Err(Error::Closed));
        }
        self.0.desk.close();
        *self.0.view_mut() = None;
    }
}

/// What becomes of a batch of a group.
enum Verdict {
    /// It is in the frame, its body at this offset.
    Accepted {
        tip: Tip,
        body_at: usize,
    },
    Conflict(Key),
    Full(Error),
}

impl Committer {
    /// Works until the queue is closed and empty.
    pub(crate) fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let leave = Leave(&shared);
        loop {
            let patience = shared.desk.failed().map(|_| HEAL_EVERY);
            let group = match shared.queue.take(&shared.limits, patience) {
                Taken::Group(group) => group,
                Taken::Nothing => {
                    if let Err(error) = self.mend() {
                        tracing::warn!(%error, "the index can't be opened again yet");
                    }
                    continue;
                }
                Taken::Closed => break,
            };
            let failure = shared.state().failure.clone();
            match failure {
                Some(failure) => refuse_all(group, || failure.error()),
                None => {
                    let (begun, batches) = (Instant::now(), group.len());
                    self.commit(group);
                    shared.meter.note(begun.elapsed(), batches);
                }
            }
        }
        shared.desk.close();
        let Committer { indexer, head, .. } = self;
        // It answers nobody, and says itself what failed.
        let _ = indexer.join();
        let view = shared.view_mut().take();
        drop(leave);
        if let Some(view) = view
            && let Err(error) = finish(&shared, view, head)
        {
            tracing::warn!(%error, "the index could not be brought to its end; the next start does it");
        }
    }

    fn commit(&mut self, group: Vec<Work>) {
        let free = room(&self.shared.journal.layout);
        if let Err(error) = self.mend() {
            let error = Arc::new(error);
            return refuse_all(group, || self.unusable(&error));
        }
        let (frame, tip, verdicts) = match self.decide(&group, free) {
            Ok(decided) => decided,
            // Nothing was written: the whole group fails, and the index is opened again.
            Err(error) => {
                self.shared.desk.fail(Error::Index { path: self.index_path(), reason: error.to_string() });
                let error = Arc::new(error);
                return refuse_all(group, || self.unusable(&error));
            }
        };
        let mut accepted = Vec::with_capacity(group.len());
        let mut refused = Vec::new();
        for (work, verdict) in group.into_iter().zip(verdicts) {
            match verdict {
                Verdict::Accepted { tip, body_at } => accepted.push((work, tip, body_at)),
                Verdict::Conflict(key) => refused.push((work, key)),
                Verdict::Full(error) => work.answer(Err(error)),
            }
        }
        if !accepted.is_empty() {
            match self.writer.append(&frame.finish(), self.head.tip) {
                Ok(at) => {
                    self.shared.journal.note(self.head.tip.sequence.0 + 1, at);
                    self.head = Head { tip, end: self.writer.end };
                    self.settle(&accepted, at);
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

    /// Makes a frame of the batches that hold; the error is the index's.
    fn decide(&self, works: &[Work], free: Option<u64>) -> Result<(Builder, Tip, Vec<Verdict>), Error> {
        let guard = self.shared.view();
        let view = guard.as_ref().ok_or(Error::Closed)?;
        let mut tip = self.head.tip;
        let mut frame =
            Builder::new(tip.sequence.0 + 1, works.iter().map(|work| work.body.bytes.len()).sum());
        let mut group = Group::of(works);
        let mut verdicts = Vec::with_capacity(works.len());
        for work in works {
            if let Some(full) = short_of_room(work, &free, &self.shared) {
                verdicts.push(Verdict::Full(full));
                continue;
            }
            if let Some(key) = group.check(view, &work.batch.expects)? {
                verdicts.push(Verdict::Conflict(key.clone()));
                continue;
            }
            let epoch = match work.step {
                EpochStep::Same => tip.epoch,
                EpochStep::Next => Epoch(tip.epoch.0.saturating_add(1)),
            };
            let Work { batch, body, digest, .. } = work;
            let words = Words { class: batch.class, time: batch.time, who: &batch.who, what: &batch.what };
            let (header, next) = tip.next(&words, epoch, *digest);
            let body_at = frame.push(&header, &body.bytes);
            tip = next;
            if works.len() > 1 {
                group.write(work, Version(tip.sequence));
            }
            verdicts.push(Verdict::Accepted { tip, body_at });
        }
        Ok((frame, tip, verdicts))
    }

    /// Brings the head file, and what readers see, to the frame that is now on the disk at `at`.
    fn settle(&mut self, accepted: &[(Work, Tip, usize)], at: Position) {
        if let Err(error) = self.head_file.write(self.head) {
            // The journal holds the truth; only the guard against a lost end is weaker now.
            tracing::warn!(%error, "the head file could not be written");
        }
        let inline = self.shared.limits.inline_value;
        let writes = accepted.iter().map(|(work, ..)| work.batch.writes.len()).sum();
        let mut changes: Vec<Keyed> = Vec::with_capacity(writes);
        for (work, tip, body_at) in accepted {
            for ((key, _), value) in work.batch.writes.iter().zip(&work.body.values) {
                let change = match *value {
                    None => Change::Delete,
                    Some((offset, length)) => {
                        let value = &work.body.bytes[offset..offset + length];
                        let slot = Slot::of(value, at, (body_at + offset) as u64, inline);
                        Change::Put(Version(tip.sequence), slot)
                    }
                };
                changes.push((key.as_bytes().to_vec(), change));
            }
        }
        let gathered = match self.shared.view_mut().as_mut() {
            None => return,
            Some(view) => {
                for (key, change) in changes {
                    view.gathered.insert(key, change);
                }
                view.gathered.bytes()
            }
        };
        if gathered >= self.shared.limits.gathered {
            self.set_aside(gathered);
        }
    }

    /// Hands what is gathered to the indexer; waits for it once twice as much is held.
    fn set_aside(&self, gathered: usize) {
        let shared = &self.shared;
        let set_aside = || shared.view().as_ref().is_some_and(|view| view.aside.is_some());
        if gathered >= shared.limits.gathered.saturating_mul(2) {
            shared.desk.settled(set_aside);
        }
        if shared.desk.failed().is_some() {
            return;
        }
        let handed_over = match shared.view_mut().as_mut() {
            Some(view) if view.aside.is_none() => {
                view.aside = Some(Arc::new(std::mem::take(&mut view.gathered)));
                true
            }
            Some(_) | None => false,
        };
        if handed_over {
            shared.desk.flush(self.mark());
        }
    }

    fn mark(&self) -> Mark {
        Mark { tip: self.head.tip, end: self.head.end }
    }

    fn index_path(&self) -> std::path::PathBuf {
        self.shared.journal.layout.index()
    }

    /// Opens the index again if it failed. What stood in front of it is read from the journal.
    fn mend(&mut self) -> Result<(), Error> {
        let shared = Arc::clone(&self.shared);
        if shared.desk.failed().is_none() {
            return Ok(());
        }
        // Without room the new one would fail as well, and readers would lose the old one.
        probe(&shared.journal.layout)?;
        shared.desk.halted();
        let mut view = shared.view_mut();
        *view = None;
        let Shared { journal, limits, .. } = &*shared;
        let opened = catchup::open(&self.index_path(), limits);
        let (at, unseen) = ((self.head.tip, self.head.end), Progress::default());
        match catchup::bring_up(journal, opened, Check::All, at, limits, &unseen) {
            Ok((index, changes, state)) => {
                tracing::warn!(?state, "the index was opened again");
                *view = Some(View::new(index, changes));
                shared.desk.mend();
                Ok(())
            }
            Err(error) => {
                let source = Arc::new(io::Error::other(error));
                let failure =
                    Failure { operation: "open the index again in", path: self.index_path(), source };
                shared.fail(failure.clone());
                Err(failure.error())
            }
        }
    }

    /// One error for each of those that wait.
    fn unusable(&self, error: &Arc<Error>) -> Error {
        match &**error {
            Error::Full { path, source } => Error::Full { path: path.clone(), source: Arc::clone(source) },
            Error::Closed => Error::Closed,
            other => Error::Index { path: self.index_path(), reason: in_words(other) },
        }
    }

    /// Tells everybody who follows, and those who asked.
    fn answer(&self, accepted: Vec<(Work, Tip, usize)>) {
        let mut entries = Vec::with_capacity(accepted.len());
        let mut answers = Vec::with_capacity(accepted.len());
        for (mut work, tip, _) in accepted {
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

    fn refuse_group(&mut self, accepted: Vec<(Work, Tip, usize)>, error: Error) {
        let works = accepted.into_iter().map(|(work, ..)| work);
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

/// An error with everything that caused it.
fn in_words(error: &Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.fold(error.to_string(), |words, cause| format!("{words}: {cause}"))
}

fn refuse_all(works: impl IntoIterator<Item = Work>, error: impl Fn() -> Error) {
    for work in works {
        work.answer(Err(error()));
    }
}

/// How many bytes are left on the disk; `None` if it does not say.
pub(crate) fn room(layout: &Layout) -> Option<u64> {
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

/// Leaves an index that is at the journal's end.
fn finish(shared: &Shared, view: View, head: Head) -> Result<(), Error> {
    let mark = Mark { tip: head.tip, end: head.end };
    if shared.desk.failed().is_some() || view.aside.is_some() || view.index.mark == mark {
        return Ok(());
    }
    let index = view.index.with(&view.gathered, mark)?;
    drop(view);
    index.tidy(TIDY_AT_CLOSE).map(drop)
}

/// Starts the committer's thread.
pub(crate) fn spawn(committer: Committer) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name("store-committer".to_owned()).spawn(move || committer.run())
}
