//! How long group commits take, and how many batches wait for one: counted as it happens, for whoever watches.
//!
//! It is a stopwatch and not the clock: nothing that is kept or decided depends on it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What the times are counted by, in microseconds; what takes longer than the last is counted by itself.
const BOUNDS: [u64; 12] =
    [250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 5_000_000];

/// Counts group commits.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    counts: [AtomicU64; BOUNDS.len() + 1],
    microseconds: AtomicU64,
    batches: AtomicU64,
}

/// What was counted since the store was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// How many group commits took at most so long, each with the shorter ones; ascending.
    pub within: Vec<(Duration, u64)>,
    /// How many there were.
    pub commits: u64,
    /// How long they took together.
    pub total: Duration,
    /// How many batches they held.
    pub batches: u64,
    /// How many batches wait at the moment.
    pub waiting: usize,
}

impl Meter {
    /// A group commit of so many batches ended, well or not.
    pub(crate) fn note(&self, took: Duration, batches: usize) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let place = BOUNDS.iter().position(|bound| took <= *bound).unwrap_or(BOUNDS.len());
        self.counts[place].fetch_add(1, Ordering::Relaxed);
        self.microseconds.fetch_add(took, Ordering::Relaxed);
        self.batches.fetch_add(batches as u64, Ordering::Relaxed);
    }

    /// What was counted so far. Its parts may be of moments that lie a commit apart.
    pub(crate) fn read(&self, waiting: usize) -> Measured {
        let mut commits = 0;
        let mut within = Vec::with_capacity(BOUNDS.len());
        for (index, count) in self.counts.iter().enumerate() {
            commits += count.load(Ordering::Relaxed);
            if let Some(bound) = BOUNDS.get(index) {
                within.push((Duration::from_micros(*bound), commits));
            }
        }
        Measured {
            within,
            commits,
            total: Duration::from_micros(self.microseconds.load(Ordering::Relaxed)),
            batches: self.batches.load(Ordering::Relaxed),
            waiting,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_count_holds_the_shorter_ones() {
        let meter = Meter::default();
        for (microseconds, batches) in [(1, 1), (250, 2), (251, 3), (6_000_000, 4)] {
            meter.note(Duration::from_micros(microseconds), batches);
        }
        let read = meter.read(7);
        assert_eq!(read.within[0], (Duration::from_micros(250), 2));
        assert_eq!(read.within[1], (Duration::from_micros(500), 3));
        assert_eq!(read.within.last(), Some(&(Duration::from_secs(5), 3)));
        assert_eq!((read.commits, read.batches, read.waiting), (4, 10, 7));
        assert_eq!(read.total, Duration::from_micros(6_000_502));
    }
}
