//! What the service counts as it happens, for the metrics: handshakes, refusals, requests, connections.
//!
//! Counts are of this process and begin at nought with it. What it refuses: names. A label is one of a few
//! words that stand in the code, never what a peer has sent.

mod requests;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) use requests::{Listener, Requests};

/// All counts of one process.
#[derive(Debug, Default)]
pub struct Counters {
    /// How TLS handshakes ended.
    pub(crate) handshakes: Words,
    /// Why peers were refused, or not permitted what they asked for.
    pub(crate) refusals: Words,
    /// What was asked for, and how it was answered.
    pub(crate) requests: Requests,
    open: [Gauge; Listener::ALL.len()],
}

impl Counters {
    /// The connections that are open on a listener.
    pub(crate) fn open(&self, listener: Listener) -> &Gauge {
        &self.open[listener as usize]
    }
}

/// Counts by a word. Meant for what is not done forty thousand times a second.
#[derive(Debug, Default)]
pub(crate) struct Words(Mutex<BTreeMap<&'static str, u64>>);

impl Words {
    /// One more.
    pub(crate) fn count(&self, word: &'static str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(word).or_default() += 1;
    }

    /// The counts now, by their words.
    pub(crate) fn now(&self) -> BTreeMap<&'static str, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// How many there are of something. A clone counts the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gauge(Arc<AtomicU64>);

/// One of those; it is gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Inside(Gauge);

impl Gauge {
    /// One more, until what this returns is dropped.
    pub(crate) fn enter(&self) -> Inside {
        self.0.fetch_add(1, Ordering::Relaxed);
        Inside(self.clone())
    }

    /// How many there are.
    pub(crate) fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_places_are_counted() {
        let counters = Counters::default();
        ["expired", "stranger", "expired"].iter().for_each(|word| counters.refusals.count(word));
        assert_eq!(counters.refusals.now(), BTreeMap::from([("expired", 2), ("stranger", 1)]));
        let socket = counters.open(Listener::Socket);
        let (first, second) = (socket.enter(), socket.enter());
        assert_eq!((socket.now(), counters.open(Listener::Https).now()), (2, 0));
        drop(first);
        assert_eq!(socket.now(), 1);
        drop(second);
        assert_eq!(socket.now(), 0);
    }
}
