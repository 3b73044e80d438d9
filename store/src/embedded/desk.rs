//! What the committer, the readers and the indexer tell each other.

use std::sync::Arc;

use super::index::{Index, Mark, Wanted};
use crate::Error;
use crate::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What the indexer is to do next.
pub(crate) enum Job {
    /// Write what was set aside; the index then stands at this mark.
    Flush(Mark),
    /// Merge the runs that are due.
    Tidy,
    /// Read everything once.
    Verify(Box<Index>),
    /// End.
    Close,
}

#[derive(Default)]
pub(crate) struct Desk {
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Default)]
struct State {
    flush: Option<Mark>,
    tidy: Option<Job>,
    verify: Option<Box<Index>>,
    stage: Stage,
    course: Course,
    /// Why the index is to be opened again.
    failed: Option<Arc<Error>>,
}

/// Whether the indexer has the index in its hands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Idle,
    Busy,
}

/// Whether the store goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Course {
    #[default]
    On,
    Closing,
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, act: impl FnOnce(&mut State)) {
        act(&mut self.lock());
        self.moved.notify_all();
    }

    /// Waits while `busy` says so.
    fn wait_while(&self, mut busy: impl FnMut(&State) -> bool) {
        let waited = self.moved.wait_while(self.lock(), |state| busy(state));
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Asks for what was set aside to be written.
    pub(crate) fn flush(&self, mark: Mark) {
        self.change(|state| state.flush = Some(mark));
    }

    /// Asks for everything to be read once.
    pub(crate) fn verify(&self, index: Index) {
        self.change(|state| state.verify = Some(Box::new(index)));
    }

    /// Asks for runs to be merged.
    pub(crate) fn tidy(&self) {
        self.change(|state| state.tidy = Some(Job::Tidy));
    }

    /// Says that the index can't be used as it is: nothing is done with it until [`Desk::mend`].
    pub(crate) fn fail(&self, error: Error) {
        self.change(|state| {
            state.failed.get_or_insert(Arc::new(error));
        });
    }

    /// Why the index is to be opened again, if it is.
    pub(crate) fn failed(&self) -> Option<Arc<Error>> {
        self.lock().failed.clone()
    }

    /// Waits until nothing is set aside any more, or the index failed.
    pub(crate) fn settled(&self, set_aside: impl Fn() -> bool) {
        self.wait_while(|state| state.failed.is_none() && set_aside());
    }

    /// Waits until the indexer has laid a failed index down.
    pub(crate) fn halted(&self) {
        self.wait_while(|state| state.stage == Stage::Busy);
    }

    /// There is a new index, and nothing set aside.
    pub(crate) fn mend(&self) {
        self.change(|state| (state.failed, state.flush, state.verify) = (None, None, None));
    }

    /// Ends the indexer: it writes what was set aside and gives up everything else.
    pub(crate) fn close(&self) {
        self.change(|state| state.course = Course::Closing);
    }

    /// The next job; the indexer's hands are full until [`Desk::done`].
    pub(crate) fn next(&self) -> Job {
        let mut state = self.lock();
        loop {
            let job = match (&state.failed, state.course) {
                (Some(_), Course::Closing) => Some(Job::Close),
                (Some(_), Course::On) => None,
                (None, Course::Closing) => Some(state.flush.take().map_or(Job::Close, Job::Flush)),
                (None, Course::On) => {
                    let flush = state.flush.take().map(Job::Flush);
                    flush.or_else(|| state.tidy.take()).or_else(|| state.verify.take().map(Job::Verify))
                }
            };
            if let Some(job) = job {
                state.stage = Stage::Busy;
                return job;
            }
            state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A job was done.
    pub(crate) fn done(&self) {
        self.change(|state| state.stage = Stage::Idle);
    }

    /// What was set aside has been written in the middle of a job.
    pub(crate) fn told(&self) {
        self.moved.notify_all();
    }

    /// For a job that takes long: a flush that must not wait for it, and whether it is to go on.
    pub(crate) fn meanwhile(&self) -> (Option<Mark>, Wanted) {
        let mut state = self.lock();
        match (&state.failed, state.course) {
            (None, Course::On) => (state.flush.take(), Wanted::Yes),
            _ => (None, Wanted::No),
        }
    }
}
