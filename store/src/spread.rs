//! Does things on several threads: the same to many, or two at once.
//!
//! What this refuses: to depend on a thread. Where the system gives none, whoever asked does all of it. Those
//! who do depend on theirs, sled and tokio among them, break down or wait for ever without: for them
//! [`room_for`] asks beforehand.

use std::io;
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

/// Whether the system would give this process so many threads more: they are started, all at once, and end.
///
/// Twice as many, because one that has ended counts for a moment longer than can be waited for: those that are
/// started next find room beside all of these.
pub fn room_for(threads: usize) -> io::Result<()> {
    let gate = Mutex::new(());
    scope(|scope| {
        let _closed = gate.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = || drop(gate.lock());
        (0..2 * threads)
            .try_for_each(|_| Builder::new().name("room".to_owned()).spawn_scoped(scope, waits).map(|_| ()))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Condvar, mpsc};
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
    fn several_are_done_at_the_same_time_and_the_order_stays() {
        let (begun, another) = (Mutex::new(0), Condvar::new());
        // An even one doesn't get on before the odd one after it has begun, so no thread can do both.
        let work = |one: usize| {
            let mut begun = begun.lock().unwrap();
            *begun += 1;
            another.notify_all();
            let waits = |begun: &mut usize| one.is_multiple_of(2) && *begun < one + 2;
            let (_begun, waited) = another.wait_timeout_while(begun, Duration::from_secs(10), waits).unwrap();
            (one, waited.timed_out())
        };
        let made = spread((0..8).collect(), 2, work);
        assert_eq!(made, (0..8).map(|one| (one, false)).collect::<Vec<_>>());
    }

    #[test]
    fn both_are_done_at_the_same_time() {
        let (one, other) = (mpsc::channel(), mpsc::channel());
        let (to_other, to_one) = (other.0, one.0);
        let (from_other, from_one) = (Mutex::new(one.1), other.1);
        let first = || {
            to_other.send(()).unwrap();
            from_other.lock().unwrap().recv_timeout(Duration::from_secs(10)).map(|()| "one")
        };
        let second = || {
            to_one.send(()).unwrap();
            from_one.recv_timeout(Duration::from_secs(10)).map(|()| "other")
        };
        assert_eq!(both(first, second), (Ok("one"), Ok("other")));
    }
}
