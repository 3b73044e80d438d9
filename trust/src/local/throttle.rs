//! Slows down guessing: per peer, in memory, by a clock that only goes forward.
//!
//! Each peer waits for itself alone; nobody can lock out another. A few failures are free, then the wait
//! doubles. Only one try of a peer is under way at a time, and only so many hashes are computed at
//! once, with separate room for this machine and for others.
//!
//! What nobody can guess, a token, needs no more than that whoever keeps failing is slowed down: it may be
//! tried several times at once ([`Throttle::may_try`], [`Throttle::failed`]).

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How guessing is slowed down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Failures that cost no wait.
    pub free: u32,
    /// The wait after the next one; it doubles with each further.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
    /// After so much quiet a peer's failures are forgotten.
    pub forget: Duration,
    /// The most peers that are remembered; beyond it the one that was quiet longest is forgotten.
    pub peers: usize,
}

impl Pace {
    /// Three free, then 1 s, 2 s, 4 s … 5 min; forgotten after an hour.
    pub const DEFAULT: Pace = Pace {
        free: 3,
        first: Duration::from_secs(1),
        longest: Duration::from_secs(300),
        forget: Duration::from_secs(3600),
        peers: 10_000,
    };

    /// For tokens: a mistake or twenty are free, then 1 s, 2 s, 4 s … 1 min; forgotten after ten minutes.
    pub const TOKENS: Pace = Pace {
        free: 20,
        first: Duration::from_secs(1),
        longest: Duration::from_secs(60),
        forget: Duration::from_secs(600),
        peers: 10_000,
    };

    fn wait(&self, failures: u32) -> Duration {
        match failures.checked_sub(self.free + 1) {
            None => Duration::ZERO,
            Some(doublings) => {
                let factor = 1u32.checked_shl(doublings.min(31)).unwrap_or(u32::MAX);
                self.first.checked_mul(factor).map_or(self.longest, |wait| wait.min(self.longest))
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Strikes {
    failures: u32,
    last: Instant,
    /// When the next try may begin.
    next: Instant,
    under_way: bool,
}

/// What peers have tried lately.
#[derive(Debug)]
pub struct Throttle<K: Hash + Eq + Clone> {
    pace: Pace,
    peers: Mutex<HashMap<K, Strikes>>,
}

/// The peer has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many tries; wait {} s", self.seconds())]
pub struct TooOften {
    /// For so long.
    pub wait: Duration,
}

impl TooOften {
    /// The wait in whole seconds, rounded up.
    pub fn seconds(&self) -> u64 {
        self.wait.as_secs() + u64::from(self.wait.subsec_nanos() > 0)
    }
}

impl<K: Hash + Eq + Clone> Throttle<K> {
    /// Nobody has tried anything yet.
    pub fn new(pace: Pace) -> Throttle<K> {
        Throttle { pace, peers: Mutex::new(HashMap::new()) }
    }

    /// Begins a try. It counts as failed unless [`Attempt::succeeded`] is called on what is returned:
    /// whoever hangs up in the middle has tried.
    ///
    /// # Errors
    /// [`TooOften`].
    pub fn begin(&self, peer: K, now: Instant) -> Result<Attempt<'_, K>, TooOften> {
        let mut peers = self.peers();
        match peers.get_mut(&peer) {
            Some(strikes) if strikes.under_way => return Err(TooOften { wait: self.pace.first }),
            Some(strikes) if strikes.next > now => return Err(TooOften { wait: strikes.next - now }),
            Some(strikes) => {
                if self.is_forgotten(strikes, now) {
                    strikes.failures = 0;
                }
                strikes.under_way = true;
            }
            None => {
                self.make_room(&mut peers, now)?;
                let strikes = Strikes { failures: 0, last: now, next: now, under_way: true };
                peers.insert(peer.clone(), strikes);
            }
        }
        Ok(Attempt { throttle: self, peer, begun: now, counts: Counts::Yes })
    }

    /// Whether a peer may try now, whatever else it has under way.
    ///
    /// # Errors
    /// [`TooOften`].
    pub fn may_try(&self, peer: &K, now: Instant) -> Result<(), TooOften> {
        match self.peers().get(peer) {
            Some(strikes) if strikes.next > now => Err(TooOften { wait: strikes.next - now }),
            Some(_) | None => Ok(()),
        }
    }

    /// Counts a failure of a peer.
    pub fn failed(&self, peer: K, now: Instant) {
        let mut peers = self.peers();
        if !peers.contains_key(&peer) && self.make_room(&mut peers, now).is_err() {
            return;
        }
        let fresh = Strikes { failures: 0, last: now, next: now, under_way: false };
        let strikes = peers.entry(peer).or_insert(fresh);
        if self.is_forgotten(strikes, now) {
            strikes.failures = 0;
        }
        strikes.failures = strikes.failures.saturating_add(1);
        strikes.last = now;
        strikes.next = now + self.pace.wait(strikes.failures);
    }

    fn is_forgotten(&self, strikes: &Strikes, now: Instant) -> bool {
        now.saturating_duration_since(strikes.last) >= self.pace.forget
    }

    /// Makes sure that one more can be remembered.
    fn make_room(&self, peers: &mut HashMap<K, Strikes>, now: Instant) -> Result<(), TooOften> {
        if peers.len() >= self.pace.peers {
            peers.retain(|_, strikes| strikes.under_way || !self.is_forgotten(strikes, now));
        }
        if peers.len() >= self.pace.peers {
            let idle = peers.iter().filter(|(_, strikes)| !strikes.under_way);
            let oldest = idle.min_by_key(|(_, strikes)| strikes.last).map(|(peer, _)| peer.clone());
            match oldest {
                Some(oldest) => drop(peers.remove(&oldest)),
                None => return Err(TooOften { wait: self.pace.first }),
            }
        }
        Ok(())
    }

    /// How many peers are remembered.
    pub fn len(&self) -> usize {
        self.peers().len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn peers(&self) -> MutexGuard<'_, HashMap<K, Strikes>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A try that is under way.
#[derive(Debug)]
pub struct Attempt<'a, K: Hash + Eq + Clone> {
    throttle: &'a Throttle<K>,
    peer: K,
    begun: Instant,
    counts: Counts,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counts {
    Yes,
    No,
}

impl<K: Hash + Eq + Clone> Attempt<'_, K> {
    /// It was right: the peer's failures are forgotten.
    pub fn succeeded(self) {
        self.throttle.peers().remove(&self.peer);
    }

    /// Nothing was compared: it does not count, and leaves the peer's failures as they were.
    pub fn put_off(mut self) {
        self.counts = Counts::No;
    }
}

impl<K: Hash + Eq + Clone> Drop for Attempt<'_, K> {
    fn drop(&mut self) {
        let mut peers = self.throttle.peers();
        // After a success there is nothing left to count.
        let Some(strikes) = peers.get_mut(&self.peer) else { return };
        strikes.under_way = false;
        if self.counts == Counts::Yes {
            strikes.failures = strikes.failures.saturating_add(1);
            strikes.last = self.begun;
            strikes.next = self.begun + self.throttle.pace.wait(strikes.failures);
        }
    }
}

/// From where a hash is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Asked {
    /// By a user of this machine.
    Here,
    /// Over the network.
    Elsewhere,
}

/// How many hashes may be computed at once.
#[derive(Debug)]
pub struct Slots {
    here: AtomicUsize,
    elsewhere: AtomicUsize,
}

impl Default for Slots {
    /// Two for this machine, one for others.
    fn default() -> Slots {
        Slots { here: AtomicUsize::new(2), elsewhere: AtomicUsize::new(1) }
    }
}

impl Slots {
    /// Takes one; `None` if all are taken: come back later.
    pub fn take(&self, asked: Asked) -> Option<Slot<'_>> {
        let free = self.of(asked);
        let taken = free.fetch_update(Ordering::AcqRel, Ordering::Acquire, |free| free.checked_sub(1));
        taken.ok().map(|_| Slot { slots: self, asked })
    }

    fn of(&self, asked: Asked) -> &AtomicUsize {
        match asked {
            Asked::Here => &self.here,
            Asked::Elsewhere => &self.elsewhere,
        }
    }
}

/// Room for one hash, given back when it is dropped.
#[derive(Debug)]
pub struct Slot<'a> {
    slots: &'a Slots,
    asked: Asked,
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.slots.of(self.asked).fetch_add(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn fail(throttle: &Throttle<u32>, peer: u32, now: Instant) -> Option<Duration> {
        match throttle.begin(peer, now) {
            Ok(attempt) => {
                drop(attempt);
                None
            }
            Err(TooOften { wait }) => Some(wait),
        }
    }

    #[test]
    fn failures_cost_ever_longer_waits_and_nobody_elses() {
        let throttle = Throttle::new(Pace::DEFAULT);
        let mut now = Instant::now();
        for _ in 0..4 {
            assert_eq!(fail(&throttle, 1, now), None);
        }
        for seconds in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            assert_eq!(fail(&throttle, 1, now), Some(seconds * SECOND));
            now += seconds * SECOND - SECOND / 2;
            assert_eq!(fail(&throttle, 1, now), Some(SECOND / 2), "trying too early costs nothing more");
            now += SECOND / 2;
            assert_eq!(fail(&throttle, 2, now), None, "another peer");
            throttle.begin(2, now).unwrap().succeeded();
            assert_eq!(fail(&throttle, 1, now), None);
        }
        now += Pace::DEFAULT.forget;
        for _ in 0..4 {
            assert_eq!(fail(&throttle, 1, now), None, "forgotten");
        }
        now += SECOND;
        throttle.begin(1, now).unwrap().succeeded();
        assert!(throttle.len() < 2);
    }

    #[test]
    fn one_try_of_a_peer_is_under_way_at_a_time() {
        let throttle = Throttle::new(Pace::DEFAULT);
        let now = Instant::now();
        let attempt = throttle.begin(1, now).unwrap();
        assert!(throttle.begin(1, now).is_err());
        assert!(throttle.begin(2, now).is_ok());
        drop(attempt);
        assert!(throttle.begin(1, now).is_ok());
    }

    #[test]
    fn what_was_put_off_neither_counts_nor_forgives() {
        let throttle = Throttle::new(Pace::DEFAULT);
        let now = Instant::now();
        for _ in 0..9 {
            throttle.begin(1, now).unwrap().put_off();
        }
        for _ in 0..4 {
            throttle.begin(1, now).unwrap().put_off();
            assert_eq!(fail(&throttle, 1, now), None);
        }
        assert_eq!(fail(&throttle, 1, now), Some(SECOND));
    }

    #[test]
    fn it_remembers_so_many_and_no_more() {
        let throttle = Throttle::new(Pace { peers: 3, ..Pace::DEFAULT });
        let now = Instant::now();
        for peer in 0..100 {
            assert_eq!(fail(&throttle, peer, now + peer * SECOND), None);
            assert!(throttle.len() <= 3);
        }
        let held: Vec<_> = (200..203).map(|peer| throttle.begin(peer, now + 300 * SECOND).unwrap()).collect();
        assert!(throttle.begin(300, now + 300 * SECOND).is_err(), "those under way are kept");
        drop(held);
    }

    #[test]
    fn what_may_be_tried_several_times_at_once_is_slowed_down_by_failures_alone() {
        let throttle = Throttle::new(Pace { peers: 3, ..Pace::TOKENS });
        let mut now = Instant::now();
        for _ in 0..=Pace::TOKENS.free {
            assert_eq!(throttle.may_try(&1, now), Ok(()));
            throttle.failed(1, now);
        }
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(throttle.may_try(&1, now), Err(TooOften { wait: seconds * SECOND }));
            assert_eq!(throttle.may_try(&2, now), Ok(()), "another peer");
            now += seconds * SECOND;
            assert_eq!(throttle.may_try(&1, now), Ok(()));
            throttle.failed(1, now);
        }
        now += Pace::TOKENS.forget;
        throttle.failed(1, now);
        assert_eq!(throttle.may_try(&1, now), Ok(()), "forgotten");
        for peer in 0..100 {
            throttle.failed(peer, now);
            assert!(throttle.len() <= 3);
        }
    }

    #[test]
    fn others_leave_room_for_this_machine() {
        let slots = Slots::default();
        let elsewhere = slots.take(Asked::Elsewhere).unwrap();
        assert!(slots.take(Asked::Elsewhere).is_none());
        let here: Vec<_> = std::iter::from_fn(|| slots.take(Asked::Here)).collect();
        assert_eq!(here.len(), 2);
        drop(elsewhere);
        assert!(slots.take(Asked::Elsewhere).is_some());
        drop(here);
        assert!(slots.take(Asked::Here).is_some());
    }
}
