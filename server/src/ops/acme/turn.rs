//! One order for a certificate at a time, whoever in this process wants one.
//!
//! The minute's job and any number of commands may find the same certificate due. Each takes the turn of its first
//! name before it looks what is to be done, and keeps it until the files are placed and the hook has ended: whoever
//! comes second either finds the work done or does what is left. Nothing of this is stored: a process that is killed
//! holds up nobody, and another process has no way to the store while this one runs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use super::drive;
use crate::Pki;
use crate::ops::Error;

/// How long somebody waits for the order of somebody else: longer than an authority's silence is borne with, and a
/// hook besides.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// What is said of a certificate that somebody else's order brought.
pub(super) const SOMEBODY_ELSE: &str =
    "another order for it was under way: that was waited for, and no second one placed";

/// Who is at work on which certificate, by first name.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    taken: Mutex<BTreeMap<String, Arc<AsyncMutex<Brought>>>>,
}

/// What whoever had their turn has brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Brought {
    /// Another certificate.
    Certificate,
    /// None.
    #[default]
    Nothing,
}

/// Nobody else works on this certificate until it is dropped. Orders are placed with one alone.
#[derive(Debug)]
pub(super) struct Turn {
    held: OwnedMutexGuard<Brought>,
    /// What was brought while this one was waited for.
    pub(super) meanwhile: Brought,
}

impl Turn {
    /// Tells whoever waits that there is another certificate.
    pub(super) fn brought(&mut self) {
        *self.held = Brought::Certificate;
    }
}

/// What to do while it is somebody else's turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meanwhile {
    /// Leave it: the job looks again in a minute.
    Leave,
    /// Wait: somebody wants to hear of the outcome.
    Wait,
}

impl Turns {
    /// The lock of one certificate; those that nobody holds or waits for are forgotten.
    fn lock(&self, first: &str) -> Arc<AsyncMutex<Brought>> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.retain(|_, lock| Arc::strong_count(lock) > 1);
        Arc::clone(taken.entry(first.to_owned()).or_default())
    }
}

/// Takes the turn of the certificate with this first name; `None` if it is somebody else's and is left to them.
pub(super) fn take(pki: &Pki, first: &str, meanwhile: Meanwhile) -> Result<Option<Turn>, Error> {
    match meanwhile {
        Meanwhile::Leave => Ok(at_once(pki, first).ok()),
        Meanwhile::Wait => wait(pki, first).map(Some),
    }
}

/// The same, and waits for somebody else's to end.
pub(super) fn wait(pki: &Pki, first: &str) -> Result<Turn, Error> {
    let lock = match at_once(pki, first) {
        Ok(turn) => return Ok(turn),
        Err(lock) => lock,
    };
    tracing::info!(name = first, "waiting for the order that is under way");
    match drive::block_on(pki, async { tokio::time::timeout(PATIENCE, lock.lock_owned()).await })? {
        Ok(held) => Ok(Turn { meanwhile: *held, held }),
        Err(_elapsed) => Err(::acme::Error::Busy { names: first.to_owned() }.into()),
    }
}

/// The turn, or the lock of whoever has it.
fn at_once(pki: &Pki, first: &str) -> Result<Turn, Arc<AsyncMutex<Brought>>> {
    let lock = pki.acme_turns().lock(first);
    let mut held = Arc::clone(&lock).try_lock_owned().map_err(|_taken| lock)?;
    // What may have been brought before is nothing that was waited for.
    *held = Brought::Nothing;
    Ok(Turn { held, meanwhile: Brought::Nothing })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn one_at_a_time_for_each_certificate_and_nothing_is_left() {
        let pki = Pki::in_memory(Path::new("/nowhere"), 0).unwrap();
        let mut first = take(&pki, "a.example", Meanwhile::Leave).unwrap().unwrap();
        assert!(take(&pki, "a.example", Meanwhile::Leave).unwrap().is_none());
        let other = take(&pki, "b.example", Meanwhile::Leave).unwrap().unwrap();
        let waiting = [(); 2].map(|()| {
            let pki = pki.clone();
            std::thread::spawn(move || take(&pki, "a.example", Meanwhile::Wait).unwrap().unwrap().meanwhile)
        });
        // Until they wait: the map, the turn and both of them hold the lock.
        let owners = || {
            let taken = pki.acme_turns().taken.lock().unwrap();
            taken.get("a.example").map_or(0, Arc::strong_count)
        };
        while owners() < 4 {
            std::thread::yield_now();
        }
        assert_eq!(first.meanwhile, Brought::Nothing);
        first.brought();
        drop(first);
        // All who waited hear of it, whoever comes later does not.
        assert_eq!(waiting.map(|one| one.join().unwrap()), [Brought::Certificate; 2]);
        assert_eq!(take(&pki, "a.example", Meanwhile::Wait).unwrap().unwrap().meanwhile, Brought::Nothing);
        drop(other);
        let _last = take(&pki, "c.example", Meanwhile::Leave).unwrap().unwrap();
        assert_eq!(pki.acme_turns().taken.lock().unwrap().len(), 1);
    }

    #[test]
    fn a_service_that_ends_keeps_nobody_waiting() {
        let pki = Pki::in_memory(Path::new("/nowhere"), 0).unwrap();
        let _held = take(&pki, "a.example", Meanwhile::Wait).unwrap().unwrap();
        pki.stop().stop();
        assert!(matches!(take(&pki, "a.example", Meanwhile::Wait), Err(Error::Stopping)));
    }
}
