//! What the committer and the readers of a store share.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::desk::Desk;
use super::head::Head;
use super::index::{Change, bounds};
use super::journal::{Journal, Walk};
use super::layout::Limits;
use super::queue::Queue;
use super::view::{Behind, Indexed, View};
use crate::chain::writes;
use crate::measure::Meter;
use crate::sync::{Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use crate::{Direction, Entry, Epoch, Error, KeyRange, Sequence};

/// How many bytes of bodies one call of `follow` reads from the journal.
const FOLLOW_BYTES: usize = 8 << 20;

/// Why the store takes no more batches.
#[derive(Clone)]
pub(crate) struct Failure {
    pub(crate) operation: &'static str,
    pub(crate) path: PathBuf,
    pub(crate) source: Arc<io::Error>,
}

impl Failure {
    pub(crate) fn error(&self) -> Error {
        Error::Failed { operation: self.operation, path: self.path.clone(), source: Arc::clone(&self.source) }
    }
}

pub(crate) struct State {
    pub(crate) head: Head,
    recent: VecDeque<(usize, Arc<Entry>)>,
    recent_bytes: usize,
    pub(crate) failure: Option<Failure>,
}

pub(crate) struct Shared {
    pub(crate) journal: Journal,
    pub(crate) limits: Limits,
    pub(crate) queue: Queue,
    pub(crate) desk: Desk,
    pub(crate) meter: Meter,
    /// `None` once the store is closed, or its index failed for good.
    pub(crate) view: RwLock<Option<View>>,
    state: Mutex<State>,
    moved: Condvar,
}

impl Shared {
    pub(crate) fn new(journal: Journal, limits: Limits, view: View, head: Head) -> Shared {
        let state = State { head, recent: VecDeque::new(), recent_bytes: 0, failure: None };
        Shared {
            journal,
            limits,
            queue: Queue::default(),
            desk: Desk::default(),
            meter: Meter::default(),
            view: RwLock::new(Some(view)),
            state: Mutex::new(state),
            moved: Condvar::new(),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn view(&self) -> RwLockReadGuard<'_, Option<View>> {
        self.view.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at what has been committed; the lock is held for as long as `look` takes.
    fn with_view<T>(&self, look: impl FnOnce(&View) -> T) -> Result<T, Error> {
        match self.view().as_ref() {
            Some(view) => Ok(look(view)),
            None => Err(self.state().failure.as_ref().map_or(Error::Closed, Failure::error)),
        }
    }

    /// What was found; damage to the index is told to the committer, which builds it again.
    fn told<T>(&self, found: Result<T, Error>) -> Result<T, Error> {
        if let Err(Error::Index { path, reason }) = &found {
            tracing::error!(reason, "the index is damaged; it is checked and built again");
            self.desk.fail(Error::Index { path: path.clone(), reason: reason.clone() });
            self.queue.wake();
        }
        found
    }

    /// What is committed for a key.
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Change>, Error> {
        let look = |view: &View| match view.gathered.get(key) {
            Some(change) => Ok(change.clone()),
            None => Err(view.behind()),
        };
        match self.with_view(look)? {
            Ok(change) => Ok(Some(change)),
            Err(behind) => self.told(behind.get(key)),
        }
    }

    /// The records of a range that are committed.
    pub(crate) fn scan(
        &self,
        range: &KeyRange,
        after: Option<&[u8]>,
        limit: usize,
        direction: Direction,
    ) -> Result<Vec<Indexed>, Error> {
        let keys = bounds(range, after, direction).filter(|_| limit > 0);
        let look = |view: &View| -> Option<(Vec<_>, Behind)> {
            let (start, end) = keys.as_ref()?;
            Some((view.ahead(start, end, limit, direction), view.behind()))
        };
        match (self.with_view(look)?, &keys) {
            (Some((ahead, behind)), Some((start, end))) => {
                self.told(behind.scan(ahead, (start, end), limit, direction))
            }
            _ => Ok(Vec::new()),
        }
    }

    pub(crate) fn view_mut(&self) -> RwLockWriteGuard<'_, Option<View>> {
        self.view.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes what was committed, then wakes those who wait for it.
    pub(crate) fn advance(&self, head: Head, entries: Vec<(usize, Arc<Entry>)>) {
        let mut state = self.state();
        state.head = head;
        for (size, entry) in entries {
            state.recent_bytes += size;
            state.recent.push_back((size, entry));
        }
        while state.recent.len() > self.limits.recent || state.recent_bytes > self.limits.recent_bytes {
            let Some((size, _)) = state.recent.pop_front() else { break };
            state.recent_bytes -= size;
        }
        drop(state);
        self.moved.notify_all();
    }

    pub(crate) fn fail(&self, failure: Failure) {
        self.state().failure.get_or_insert(failure);
    }

    pub(crate) fn head(&self) -> Head {
        self.state().head
    }

    pub(crate) fn wait(&self, after: Sequence, timeout: Duration) -> Sequence {
        let (state, _) = self
            .moved
            .wait_timeout_while(self.state(), timeout, |state| state.head.tip.sequence <= after)
            .unwrap_or_else(PoisonError::into_inner);
        state.head.tip.sequence
    }

    /// Entries after `after`: the newest from memory, older ones from the journal.
    pub(crate) fn follow(&self, after: Sequence, limit: usize) -> Result<Vec<Arc<Entry>>, Error> {
        let head = {
            let state = self.state();
            if state.head.tip.sequence <= after || limit == 0 {
                return Ok(Vec::new());
            }
            let oldest = state.recent.front().map_or(u64::MAX, |(_, entry)| entry.sequence.0);
            if oldest <= after.0 + 1 {
                let skip = usize::try_from(after.0 + 1 - oldest).unwrap_or(usize::MAX);
                let recent = state.recent.iter().skip(skip).take(limit);
                return Ok(recent.map(|(_, entry)| Arc::clone(entry)).collect());
            }
            state.head
        };
        let (mut found, mut bytes) = (Vec::new(), 0);
        self.journal.entries(after, head.end, |at, entry| {
            bytes += entry.body.map_or(0, |(_, body)| body.len());
            let damaged =
                |reason: String| Error::damaged(&self.journal.layout.segment(at.segment), at.offset, reason);
            let header = &entry.header;
            found.push(Arc::new(Entry {
                sequence: Sequence(header.sequence),
                epoch: Epoch(header.epoch),
                class: header.class().ok_or_else(|| damaged("an unknown class".to_owned()))?,
                time: header.time,
                who: header.who.clone(),
                what: header.what.clone(),
                writes: entry.body.map(|(_, body)| writes(body)).transpose().map_err(damaged)?,
            }));
            Ok(if found.len() < limit && bytes < FOLLOW_BYTES { Walk::On } else { Walk::Stop })
        })?;
        Ok(found)
    }
}
