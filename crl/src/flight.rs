//! One build at a time, shared: whoever asks while one is under way is served by the next.
//!
//! The build under way began before the question, so it may lack what the asker has just written;
//! the next one begins after it. A thousand askers during one build therefore cost one more.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// A place where wants meet and one of those who want builds for all.
///
/// `W` is what is wanted (wants add up), `R` what a build comes to.
pub struct Flight<W, R> {
    state: Mutex<State<W, R>>,
    ended: Condvar,
}

struct State<W, R> {
    /// Builds that have begun.
    begun: u64,
    /// The last build that ended with a result, and the result.
    last: Option<(u64, Arc<R>)>,
    under_way: UnderWay,
    wanted: W,
}

#[derive(PartialEq, Eq)]
enum UnderWay {
    Nothing,
    Build,
}

impl<W: Default, R> Default for Flight<W, R> {
    fn default() -> Self {
        let state = State { begun: 0, last: None, under_way: UnderWay::Nothing, wanted: W::default() };
        Flight { state: Mutex::new(state), ended: Condvar::new() }
    }
}

impl<W: Default, R> Flight<W, R> {
    /// Returns what a build came to that began after this call. `want` adds this caller's want to
    /// those that wait; `build` runs if this caller is the one to build, with all the wants.
    pub fn share(&self, want: impl FnOnce(&mut W), build: impl FnOnce(W) -> R) -> Arc<R> {
        let mut state = self.state();
        want(&mut state.wanted);
        let needed = state.begun + 1;
        loop {
            match &state.last {
                Some((ended, result)) if *ended >= needed => return Arc::clone(result),
                _ => {}
            }
            if state.under_way == UnderWay::Nothing {
                break;
            }
            state = self.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.begun += 1;
        state.under_way = UnderWay::Build;
        let number = state.begun;
        let wanted = std::mem::take(&mut state.wanted);
        drop(state);

        let landing = Landing(self);
        let result = Arc::new(build(wanted));
        self.state().last = Some((number, Arc::clone(&result)));
        drop(landing);
        result
    }

    fn state(&self) -> MutexGuard<'_, State<W, R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets the next one build, also when this one panicked.
struct Landing<'f, W: Default, R>(&'f Flight<W, R>);

impl<W: Default, R> Drop for Landing<'_, W, R> {
    fn drop(&mut self) {
        self.0.state().under_way = UnderWay::Nothing;
        self.0.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::thread;
    use std::time::{Duration, Instant};

    use super::*;

    /// Waits until this many wants have been added beside those of the build under way.
    fn until_waiting(flight: &Flight<Vec<usize>, Vec<usize>>, count: usize) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while flight.state().wanted.len() < count {
            assert!(Instant::now() < deadline, "they never came");
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn all_who_ask_during_a_build_share_the_next() {
        let flight: Arc<Flight<Vec<usize>, Vec<usize>>> = Arc::default();
        let builds = Arc::new(AtomicUsize::new(0));
        let (go, gate) = mpsc::channel::<()>();
        let first = thread::spawn({
            let (flight, builds) = (Arc::clone(&flight), Arc::clone(&builds));
            move || {
                flight.share(
                    |wanted| wanted.push(0),
                    |wanted| {
                        builds.fetch_add(1, Ordering::SeqCst);
                        gate.recv().unwrap();
                        wanted
                    },
                )
            }
        });
        while builds.load(Ordering::SeqCst) == 0 {
            thread::yield_now();
        }
        let later: Vec<_> = (1..=20)
            .map(|number| {
                let (flight, builds) = (Arc::clone(&flight), Arc::clone(&builds));
                thread::spawn(move || {
                    flight.share(
                        |wanted| wanted.push(number),
                        |wanted| {
                            builds.fetch_add(1, Ordering::SeqCst);
                            wanted
                        },
                    )
                })
            })
            .collect();
        until_waiting(&flight, 20);
        go.send(()).unwrap();
        assert_eq!(*first.join().unwrap(), [0], "the first was under way before they asked");
        for thread in later {
            let mut served = thread.join().unwrap().to_vec();
            served.sort_unstable();
            assert!(served.into_iter().eq(1..=20));
        }
        assert_eq!(builds.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn a_build_that_panics_leaves_the_way_free() {
        let flight: Arc<Flight<Vec<usize>, Vec<usize>>> = Arc::default();
        let broken = Arc::clone(&flight);
        let panicked = thread::spawn(move || broken.share(|wanted| wanted.push(1), |_| panic!("on purpose")));
        assert!(panicked.join().is_err());
        assert_eq!(*flight.share(|wanted| wanted.push(2), |wanted| wanted), [2]);
    }
}
