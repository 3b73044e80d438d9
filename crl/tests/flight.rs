//! One build at a time, shared, under thousands of orders of those who ask.
//!
//! The source is the crate's own, compiled here with shuttle's primitives ([`sync`]). A lost wake-up
//! is a deadlock, and shuttle names it.
#![allow(clippy::unwrap_used, reason = "a test that fails here has failed")]

#[path = "../src/flight.rs"]
#[allow(unreachable_pub, reason = "public in the crate")]
mod flight;
mod sync {
    pub(crate) use shuttle::sync::{Condvar, Mutex, MutexGuard};
    pub(crate) use std::sync::PoisonError;
}

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};

use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::sync::atomic::{AtomicUsize, Ordering};
use shuttle::sync::{Mutex, MutexGuard};
use shuttle::{Config, Runner, thread};

use flight::Flight;

/// What a build had been asked for, and what was there when it began.
struct Built {
    wanted: Vec<usize>,
    seen: Vec<usize>,
}

#[derive(Default)]
struct World {
    flight: Flight<Vec<usize>, Built>,
    written: Mutex<Vec<usize>>,
    builds: AtomicUsize,
    at_once: AtomicUsize,
    asked: AtomicUsize,
}

impl World {
    /// Whoever panics on purpose poisons what others hold: here they are all one thread.
    fn written(&self) -> MutexGuard<'_, Vec<usize>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn build(&self, wanted: Vec<usize>) -> Built {
        assert_eq!(self.at_once.fetch_add(1, Ordering::SeqCst), 0, "two build at once");
        self.builds.fetch_add(1, Ordering::SeqCst);
        let seen = self.written().clone();
        thread::yield_now();
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        Built { wanted, seen }
    }

    /// Adds a want; how many have asked is counted.
    fn want(&self, name: usize) -> impl Fn(&mut Vec<usize>) + '_ {
        move |wanted| {
            wanted.push(name);
            self.asked.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Writes, asks, and holds the answer against both.
    fn ask(&self, name: usize) {
        self.written().push(name);
        let built = self.flight.share(self.want(name), |wanted| self.build(wanted));
        assert!(built.wanted.contains(&name) && built.seen.contains(&name), "{name} was forgotten");
    }
}

fn try_orders(test: fn()) {
    let mut config = Config::new();
    config.silence_warnings = true;
    Runner::new(RandomScheduler::new(3_000), config.clone()).run(test);
    Runner::new(PctScheduler::new(4, 3_000), config).run(test);
}

#[test]
fn whoever_asks_is_served_by_a_build_that_began_afterwards() {
    try_orders(|| {
        let world = Arc::new(World::default());
        let askers: Vec<_> = (0..4)
            .map(|name| {
                let world = Arc::clone(&world);
                thread::spawn(move || world.ask(name))
            })
            .collect();
        askers.into_iter().for_each(|asker| asker.join().unwrap());
        assert!((1..=4).contains(&world.builds.load(Ordering::SeqCst)));
    });
}

#[test]
fn all_who_ask_during_a_build_share_the_next() {
    try_orders(|| {
        let world = Arc::new(World::default());
        let first = {
            let world = Arc::clone(&world);
            thread::spawn(move || {
                world.flight.share(world.want(0), |wanted| {
                    // It ends when all have asked.
                    while world.asked.load(Ordering::SeqCst) < 4 {
                        thread::yield_now();
                    }
                    world.build(wanted)
                })
            })
        };
        while world.asked.load(Ordering::SeqCst) == 0 {
            thread::yield_now();
        }
        let askers: Vec<_> = (1..4)
            .map(|name| {
                let world = Arc::clone(&world);
                thread::spawn(move || world.ask(name))
            })
            .collect();
        askers.into_iter().for_each(|asker| asker.join().unwrap());
        assert_eq!(first.join().unwrap().wanted, [0], "the first was under way before they asked");
        assert_eq!(world.builds.load(Ordering::SeqCst), 2);
    });
}

#[test]
fn a_build_that_breaks_down_forgets_nobody() {
    try_orders(|| {
        let world = Arc::new(World::default());
        let askers: Vec<_> = (0..3)
            .map(|name| {
                let world = Arc::clone(&world);
                thread::spawn(move || world.ask(name))
            })
            .collect();
        let breaks =
            || world.flight.share(world.want(9), |_| std::panic::resume_unwind(Box::new("on purpose")));
        // Served by another's build, or broken down itself.
        let _ = catch_unwind(AssertUnwindSafe(breaks));
        askers.into_iter().for_each(|asker| asker.join().unwrap());
    });
}
