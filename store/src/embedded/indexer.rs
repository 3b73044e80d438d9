//! The thread that brings the index after: it writes what was set aside as a run, and merges runs.
//!
//! Nobody waits for it but a committer that gathers faster than the disk takes. It stops at the
//! first error: what it could not write stays in front of the index for the readers, and the
//! committer opens the index again.

use std::io;
use std::sync::Arc;

use super::committer::room;
use super::desk::Job;
use super::index::{Index, Mark, Wanted, size};
use super::shared::Shared;
use crate::Error;
use crate::sync::thread::{self, JoinHandle};

pub(crate) struct Indexer {
    shared: Arc<Shared>,
}

/// However the thread ends, nobody waits for it.
struct Leave<'s>(&'s Shared);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let path = self.0.journal.layout.index();
        self.0.desk.fail(Error::Index { path, reason: "its thread has ended".to_owned() });
        self.0.desk.done();
    }
}

/// Starts the indexer's thread.
pub(crate) fn spawn(shared: Arc<Shared>) -> io::Result<JoinHandle<()>> {
    let indexer = Indexer { shared };
    thread::Builder::new().name("store-indexer".to_owned()).spawn(move || indexer.run())
}

impl Indexer {
    fn run(self) {
        let leave = Leave(&self.shared);
        loop {
            let done = match self.shared.desk.next() {
                Job::Flush(mark) => self.flush(mark).map(|()| self.shared.desk.tidy()),
                Job::Tidy => self.tidy(),
                Job::Verify(index) => self.verify(&index),
                Job::Close => {
                    // Nothing failed: what is left to be written is the committer's.
                    self.shared.desk.done();
                    std::mem::forget(leave);
                    return;
                }
            };
            if let Err(error) = done {
                self.failed(error);
            }
            self.shared.desk.done();
        }
    }

    fn failed(&self, error: Error) {
        tracing::error!(%error, "the index failed; it is opened again before the next change");
        self.shared.desk.fail(error);
        self.shared.queue.wake();
    }

    /// The index as it is seen now.
    fn index(&self) -> Option<Arc<Index>> {
        self.shared.view().as_ref().map(|view| Arc::clone(&view.index))
    }

    fn flush(&self, mark: Mark) -> Result<(), Error> {
        let found = self.shared.view().as_ref().map(|view| (Arc::clone(&view.index), view.aside.clone()));
        let Some((index, Some(aside))) = found else { return Ok(()) };
        let new = Arc::new(index.with(&aside, mark)?);
        if let Some(view) = self.shared.view_mut().as_mut() {
            view.index = new;
            view.aside = None;
        }
        Ok(())
    }

    /// Asked from time to time during long work: does what can't wait.
    fn meanwhile(&self) -> Wanted {
        match self.shared.desk.meanwhile() {
            (_, Wanted::No) => Wanted::No,
            (None, Wanted::Yes) => Wanted::Yes,
            (Some(mark), Wanted::Yes) => match self.flush(mark) {
                Ok(()) => {
                    self.shared.desk.told();
                    Wanted::Yes
                }
                Err(error) => {
                    self.failed(error);
                    Wanted::No
                }
            },
        }
    }

    fn tidy(&self) -> Result<(), Error> {
        while let Some(index) = self.index() {
            let due = index.due().to_vec();
            if due.is_empty() || !self.has_room(size(&due)) {
                break;
            }
            let Some(run) = index.merge(&due, &|| self.meanwhile())? else { break };
            drop(index);
            // A flush in between has made a newer one.
            let Some(index) = self.index() else { break };
            let new = Arc::new(index.replaced(&due, run)?);
            if let Some(view) = self.shared.view_mut().as_mut() {
                view.index = Arc::clone(&new);
            }
            drop((index, due));
            new.bury()?;
        }
        Ok(())
    }

    /// Whether runs of so many bytes can be merged without touching the reserve.
    fn has_room(&self, bytes: u64) -> bool {
        let needed = bytes.saturating_mul(2).saturating_add(self.shared.limits.reserve);
        room(&self.shared.journal.layout).is_none_or(|free| free > needed)
    }

    fn verify(&self, index: &Index) -> Result<(), Error> {
        index.verify(&|| self.meanwhile())
    }
}
