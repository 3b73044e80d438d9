//! What waits for the committer: bounded, so that a slow disk is felt by those who ask.

use std::collections::VecDeque;
use std::time::Duration;

use super::layout::Limits;
use crate::chain::{Body, Hash, check_words, encode_body, hash};
use crate::sync::mpsc::SyncSender;
use crate::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use crate::{Batch, Error, Sequence};

/// Whether an entry begins a new epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EpochStep {
    Same,
    Next,
}

/// A batch with everything done that needs no order: encoded and digested by whoever submits it.
pub(crate) struct Work {
    pub(crate) batch: Batch,
    pub(crate) body: Body,
    pub(crate) digest: Hash,
    pub(crate) step: EpochStep,
    answer: SyncSender<Result<Sequence, Error>>,
}

impl Work {
    pub(crate) fn new(
        batch: Batch,
        step: EpochStep,
        limits: &Limits,
        answer: SyncSender<Result<Sequence, Error>>,
    ) -> Result<Work, (Error, SyncSender<Result<Sequence, Error>>)> {
        if let Err(error) = check_words(&batch.who, &batch.what) {
            return Err((error, answer));
        }
        let body = encode_body(&batch.writes);
        if body.bytes.len() > limits.batch {
            let (size, limit) = (body.bytes.len(), limits.batch);
            return Err((Error::TooLarge { what: "a batch", size, limit }, answer));
        }
        let digest = hash(&body.bytes);
        Ok(Work { batch, body, digest, step, answer })
    }

    pub(crate) fn answer(self, answer: Result<Sequence, Error>) {
        // Whoever asked may have gone away; the batch stands all the same.
        let _ = self.answer.send(answer);
    }
}

/// What the committer finds in the queue.
pub(crate) enum Taken {
    /// Work for one group commit.
    Group(Vec<Work>),
    /// Nothing came in time.
    Nothing,
    /// The store is closing and nothing is left.
    Closed,
}

#[derive(Default)]
struct Waiting {
    work: VecDeque<Work>,
    bytes: usize,
    closing: bool,
    /// The committer is to look at the index, though nothing waits.
    woken: bool,
}

#[derive(Default)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many batches wait.
    pub(crate) fn len(&self) -> usize {
        self.lock().work.len()
    }

    /// Adds work, or answers at once that there is no room.
    pub(crate) fn push(&self, work: Work, limits: &Limits) {
        let mut waiting = self.lock();
        let size = work.body.bytes.len();
        let refusal = if waiting.closing {
            Some(Error::Closed)
        } else if waiting.work.len() >= limits.waiting
            || (!waiting.work.is_empty() && waiting.bytes + size > limits.waiting_bytes)
        {
            Some(Error::Busy { waiting: waiting.work.len() })
        } else {
            None
        };
        match refusal {
            Some(error) => {
                drop(waiting);
                work.answer(Err(error));
            }
            None => {
                waiting.bytes += size;
                waiting.work.push_back(work);
                drop(waiting);
                self.arrived.notify_one();
            }
        }
    }

    /// Waits for work, at most for `patience`, and takes what makes up one group commit. Nobody waits
    /// for company: a lone batch goes at once.
    pub(crate) fn take(&self, limits: &Limits, patience: Option<Duration>) -> Taken {
        let mut waiting = self.lock();
        while waiting.work.is_empty() {
            if waiting.closing {
                return Taken::Closed;
            }
            if std::mem::take(&mut waiting.woken) {
                return Taken::Nothing;
            }
            waiting = match patience {
                None => self.arrived.wait(waiting).unwrap_or_else(PoisonError::into_inner),
                Some(patience) => {
                    let (waiting, waited) =
                        self.arrived.wait_timeout(waiting, patience).unwrap_or_else(PoisonError::into_inner);
                    if waited.timed_out() && waiting.work.is_empty() && !waiting.closing {
                        return Taken::Nothing;
                    }
                    waiting
                }
            };
        }
        let (mut group, mut bytes) = (Vec::with_capacity(waiting.work.len().min(limits.group)), 0);
        while group.len() < limits.group {
            let Some(size) = waiting.work.front().map(|work| work.body.bytes.len()) else { break };
            if !group.is_empty() && bytes + size > limits.group_bytes {
                break;
            }
            bytes += size;
            group.extend(waiting.work.pop_front());
        }
        waiting.bytes = waiting.bytes.saturating_sub(bytes);
        Taken::Group(group)
    }

    /// Has the committer look after the index.
    pub(crate) fn wake(&self) {
        self.lock().woken = true;
        self.arrived.notify_all();
    }

    /// Takes no more; what waits is still committed.
    pub(crate) fn close(&self) {
        self.lock().closing = true;
        self.arrived.notify_all();
    }

    /// Closes and hands out what is left.
    pub(crate) fn drain(&self) -> Vec<Work> {
        let mut waiting = self.lock();
        waiting.closing = true;
        waiting.bytes = 0;
        waiting.work.drain(..).collect()
    }
}
