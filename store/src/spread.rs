//! Does things on several threads: the same to many, or two at once.
//!
//! What this refuses: to depend on a thread. Where the system gives none, whoever asked does all of it.

use std::panic::resume_unwind;
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, available_parallelism, scope};

/// As many threads as there are cores to run on.
pub fn cores() -> usize {
    available_parallelism().map_or(1, usize::from)
}

/// What `work` makes of each of `items`, in the order given, on up to `threads` threads, the caller's among
/// them. Each takes the next one when it is done with the last.
pub fn spread<I: Send, T: Send>(items: Vec<I>, threads: usize, work: impl Fn(I) -> T + Sync) -> Vec<T> {
    let helpers = threads.min(items.len()).saturating_sub(1);
    if helpers == 0 {
        return items.into_iter().map(work).collect();
    }
    let waiting = Mutex::new(items.into_iter().enumerate());
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
    let worker = || std::iter::from_fn(next).map(|(at, one)| (at, work(one))).collect::<Vec<_>>();
    let mut done = scope(|scope| {
        let start = |_| Builder::new().name("spread".to_owned()).spawn_scoped(scope, worker).ok();
        let started: Vec<_> = (0..helpers).map_while(start).collect();
        let mut done = worker();
        for helper in started {
            done.extend(helper.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        done
    });
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, made)| made).collect()
}

/// What `one` and `other` come to, done at the same time.
pub fn both<A: Send, B>(one: impl Fn() -> A + Sync, other: impl FnOnce() -> B) -> (A, B) {
    scope(|scope| match Builder::new().name("beside".to_owned()).spawn_scoped(scope, &one) {
        Ok(thread) => {
            let other = other();
            (thread.join().unwrap_or_else(|panic| resume_unwind(panic)), other)
        }
        Err(_) => (one(), other()),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Condvar;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_is_done_once_and_the_order_stays() {
        for (count, threads) in [(0, 4), (1, 4), (7, 0), (7, 1), (7, 3), (1_000, 8)] {
            let done = AtomicUsize::new(0);
            let made = spread((0..count).collect(), threads, |one: usize| {
                done.fetch_add(1, Ordering::SeqCst);
                one * 2
            });
            assert_eq!(made, (0..count).map(|one| one * 2).collect::<Vec<_>>(), "{count} on {threads}");
            assert_eq!(done.into_inner(), count);
        }
    }

    #[test]
    fn several_are_done_at_the_same_time() {
        let (arrived, all_here) = (Mutex::new(0), Condvar::new());
        // Neither gets on before the other has come; alone, each would wait in vain.
        let met = spread(vec![(), ()], 2, |()| {
            let mut arrived = arrived.lock().unwrap();
            *arrived += 1;
            all_here.notify_all();
            let (arrived, _) = all_here
                .wait_timeout_while(arrived, Duration::from_secs(30), |arrived| *arrived < 2)
                .unwrap();
            *arrived
        });
        assert_eq!(met, [2, 2]);
    }
}
