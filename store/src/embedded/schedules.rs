//! The engine under a scheduler that chooses who runs next, as it ships: journal, index and all.
//!
//! In the unit tests `crate::sync` is shuttle's, so every lock, wake-up and answer is a place where
//! another thread may go on. Each test below runs under many orders, random ones and such as PCT
//! draws (few, well placed changes of priority). A lost wake-up is a deadlock, and shuttle names it.
//! What it can't show: a wait that ends by its timeout (here it never does), and what the disk does.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::sync::mpsc::sync_channel;
use shuttle::thread::{self, JoinHandle};
use shuttle::{Config, Runner};
use tempfile::TempDir;

use super::EpochStep;
use crate::{Batch, Class, Create, Direction, Engine, Error, Key, KeyRange, OpenOptions, Sequence, Store};

/// So long that nobody waits for it: a wake-up that does not come is a deadlock.
const FOREVER: Duration = Duration::from_secs(1 << 30);
/// Orders of each kind in the usual run, and in `tests/full`.
const SOME: usize = 200;
const MANY: usize = 2_000;
/// How many changes of priority PCT places.
const DEPTH: usize = 4;

fn try_orders(orders: usize, test: fn()) {
    fn run(scheduler: impl Scheduler + 'static, test: fn()) {
        let mut config = Config::new();
        // The index works on the caller's stack.
        config.stack_size = 1 << 20;
        config.silence_warnings = true;
        Runner::new(scheduler, config).run(test);
    }
    run(RandomScheduler::new(orders), test);
    run(PctScheduler::new(DEPTH, orders), test);
}

/// Each test twice: as part of every run, and with many more orders in the full one.
macro_rules! under_many_orders {
    ($($name:ident)*) => {
        $(#[test] fn $name() { try_orders(SOME, runs::$name); })*
        mod full {
            use super::{MANY, runs, try_orders};
            $(#[test] #[ignore = "tests/full: thousands of orders"] fn $name() { try_orders(MANY, runs::$name); })*
        }
    };
}

under_many_orders! {
    of_those_who_claim_a_key_at_once_one_wins
    a_version_is_replaced_once
    who_follows_sees_every_commit_once_and_in_order
    a_reader_never_goes_back
    a_close_answers_everybody_once_and_keeps_what_it_answered
    the_last_one_to_leave_closes
    a_full_queue_refuses_and_loses_nothing
    the_journal_is_whole_at_every_moment
    each_epoch_begins_once
    runs_are_written_and_merged_behind_writers_and_readers
    a_close_in_the_middle_of_a_merge_loses_nothing
}

/// In memory where there is such a place: the disk's speed is no part of this.
fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { TempDir::new_in(memory).unwrap() } else { TempDir::new().unwrap() }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new(Create::IfAbsent);
    options.limits.reserve = 0;
    // Small, so that three batches make two groups, and followers read from the journal too.
    options.limits.group = 2;
    options.limits.recent = 2;
    options
}

fn open(dir: &TempDir, options: OpenOptions) -> Store {
    Store::open(&dir.path().join("store"), options).unwrap().0
}

fn key(name: &str) -> Key {
    Key::new("test").part(name)
}

fn put(name: &str, value: &str) -> Batch {
    let mut batch = Batch::new(Class::Ledger, 1_700_000_000, "tester", value);
    batch.put(key(name), value.into());
    batch
}

fn claim(name: &str, who: &str) -> Batch {
    let mut batch = put(name, who);
    batch.expect_absent(key(name));
    batch
}

fn value(store: &Store, name: &str) -> Option<(u64, String)> {
    let stored = store.get(&key(name)).unwrap()?;
    Some((stored.version.0.0, String::from_utf8(stored.value).unwrap()))
}

/// Runs `act` in a thread of its own. Not in a scope: shuttle's wakes the one that made it too early.
fn start<T: Send + 'static>(store: &Store, act: impl FnOnce(&Store) -> T + Send + 'static) -> JoinHandle<T> {
    let store = store.clone();
    thread::spawn(move || act(&store))
}

fn join<T, const N: usize>(threads: [JoinHandle<T>; N]) -> [T; N] {
    threads.map(|thread| thread.join().unwrap())
}

/// Follows from the beginning until `count` entries have come, `limit` at a time.
fn follow(store: &Store, count: usize, limit: usize) -> Vec<(u64, String)> {
    let (mut seen, mut after) = (Vec::new(), Sequence::ZERO);
    while seen.len() < count {
        let head = store.wait(after, FOREVER);
        assert!(head > after, "woken for nothing");
        for entry in store.follow(after, limit).unwrap() {
            after = entry.sequence;
            seen.push((entry.sequence.0, entry.what.clone()));
        }
    }
    assert_eq!(store.follow(after, limit).unwrap().len(), 0);
    seen
}

mod runs {
    use super::*;

    pub(super) fn of_those_who_claim_a_key_at_once_one_wins() {
        let dir = scratch();
        let store = open(&dir, options());
        let claimants = ["a", "b", "c"].map(|who| {
            start(&store, move |store| match store.commit(claim("one", who)) {
                Ok(sequence) => {
                    assert_eq!(value(store, "one"), Some((sequence.0, who.to_owned())));
                    Some(who)
                }
                Err(Error::Conflict { key: of }) => {
                    assert_eq!(of, key("one"));
                    // Whoever lost sees at once what it lost to.
                    assert!(value(store, "one").is_some_and(|(_, winner)| winner != who));
                    None
                }
                Err(other) => panic!("{other:?}"),
            })
        });
        let won: Vec<&str> = join(claimants).into_iter().flatten().collect();
        assert_eq!(won.len(), 1);
        assert_eq!(value(&store, "one"), Some((1, won[0].to_owned())));
        assert_eq!(store.head(), Sequence(1));
    }

    pub(super) fn a_version_is_replaced_once() {
        const EACH: usize = 2;
        let dir = scratch();
        let store = open(&dir, options());
        let add = |store: &Store| {
            let read = store.get(&key("count")).unwrap();
            let number: usize =
                read.as_ref().map_or(0, |read| String::from_utf8_lossy(&read.value).parse().unwrap());
            let mut batch = put("count", &(number + 1).to_string());
            batch.expect(key("count"), read.map(|read| read.version));
            store.commit(batch)
        };
        let adders = [(); 2].map(|()| {
            start(&store, move |store| {
                let (mut added, mut conflicts) = (0, 0);
                while added < EACH {
                    match add(store) {
                        Ok(_) => added += 1,
                        Err(Error::Conflict { .. }) => conflicts += 1,
                        Err(other) => panic!("{other:?}"),
                    }
                }
                conflicts
            })
        });
        let conflicts = join(adders);
        assert_eq!(value(&store, "count"), Some((4, "4".to_owned())));
        // A refusal needs a success of the other between the read and the turn.
        assert!(conflicts.iter().all(|&conflicts| conflicts <= EACH), "{conflicts:?} refusals");
    }

    pub(super) fn who_follows_sees_every_commit_once_and_in_order() {
        let dir = scratch();
        let store = open(&dir, options());
        let followers = [1, 3].map(|limit| start(&store, move |store| follow(store, 5, limit)));
        let pairs = [["a", "b"], ["c", "d"]];
        let writers = pairs.map(|names| {
            start(&store, move |store| {
                // Handed in together: they keep their order.
                let pending = names.map(|name| store.submit(put(name, name)));
                pending.map(|pending| pending.wait().unwrap())
            })
        });
        let alone = store.commit(put("e", "e")).unwrap();
        let mut answered = BTreeMap::from([(alone.0, "e".to_owned())]);
        for ([first, second], names) in join(writers).into_iter().zip(pairs) {
            assert!(first < second);
            answered.extend([(first.0, names[0].to_owned()), (second.0, names[1].to_owned())]);
        }
        let expected: Vec<_> = answered.into_iter().collect();
        assert_eq!(expected.iter().map(|(sequence, _)| *sequence).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        assert_eq!(join(followers), [expected.clone(), expected]);
    }

    pub(super) fn a_reader_never_goes_back() {
        let dir = scratch();
        let store = open(&dir, options());
        let writers = ["1", "2"].map(|number| {
            start(&store, move |store| {
                let mut batch = put("left", number);
                batch.put(key("right"), number.into());
                let sequence = store.commit(batch).unwrap();
                // Answered means: there for everybody.
                assert!(store.head() >= sequence);
                assert!(value(store, "left").unwrap().0 >= sequence.0);
            })
        });
        let version = |name| value(&store, name).map_or(0, |(version, _)| version);
        let mut last = (0, 0);
        for _ in 0..4 {
            // One after the other, so the second is at least as new; a scan sees both as one.
            let (left, right) = (version("left"), version("right"));
            assert!(left >= last.0 && right >= last.1 && right >= left, "{left}, {right} after {last:?}");
            let all = store.scan(&KeyRange::all(), None, 9, Direction::Ascending).unwrap();
            let versions: Vec<_> = all.iter().map(|stored| stored.version.0.0).collect();
            match versions[..] {
                [] => assert_eq!(right, 0),
                [left, other] => assert!(left == other && left >= right, "{versions:?} after {right}"),
                _ => panic!("{all:?}"),
            }
            last = (left, right);
        }
        join(writers);
    }

    pub(super) fn a_close_answers_everybody_once_and_keeps_what_it_answered() {
        let dir = scratch();
        let store = open(&dir, options());
        let writers = ["a", "b", "c"].map(|name| {
            start(&store, move |store| {
                let Engine::Embedded(engine) = &store.engine else { panic!("a store in memory") };
                let (sender, answers) = sync_channel(2);
                engine.submit(claim(name, name), EpochStep::Same, sender);
                let first = answers.recv().unwrap();
                assert!(answers.recv().is_err(), "answered twice");
                match first {
                    Ok(sequence) => Some(sequence.0),
                    Err(Error::Closed) => None,
                    Err(other) => panic!("{other:?}"),
                }
            })
        });
        join([(); 2].map(|()| start(&store, Store::close)));
        assert!(matches!(store.get(&key("a")), Err(Error::Closed)));
        assert!(matches!(store.commit(put("d", "d")), Err(Error::Closed)));
        let mut kept: Vec<u64> = join(writers).into_iter().flatten().collect();
        kept.sort_unstable();
        let (again, report) = Store::open(&dir.path().join("store"), options()).unwrap();
        assert_eq!(report.head, Sequence(kept.len() as u64));
        let all = again.scan(&KeyRange::all(), None, 9, Direction::Ascending).unwrap();
        let mut versions: Vec<_> = all.iter().map(|stored| stored.version.0.0).collect();
        versions.sort_unstable();
        assert_eq!(versions, kept);
    }

    pub(super) fn the_last_one_to_leave_closes() {
        let dir = scratch();
        let store = open(&dir, options());
        let writers = ["a", "b"].map(|name| start(&store, move |store| store.submit(put(name, name))));
        drop(store);
        for pending in join(writers) {
            // By now every clone is gone, and the answer comes all the same.
            pending.wait().unwrap();
        }
        assert_eq!(open(&dir, options()).head(), Sequence(2));
    }

    pub(super) fn a_full_queue_refuses_and_loses_nothing() {
        let dir = scratch();
        let mut options = options();
        options.limits.waiting = 1;
        let store = open(&dir, options);
        let writers = ["a", "b", "c"].map(|name| {
            start(&store, move |store| match store.commit(put(name, name)) {
                Ok(_) => {
                    assert!(value(store, name).is_some());
                    1
                }
                Err(Error::Busy { waiting }) => {
                    assert_eq!((waiting, value(store, name)), (1, None));
                    0
                }
                Err(other) => panic!("{other:?}"),
            })
        });
        let kept: u64 = join(writers).into_iter().sum();
        assert!(kept >= 1);
        assert_eq!(store.head(), Sequence(kept));
    }

    pub(super) fn the_journal_is_whole_at_every_moment() {
        let dir = scratch();
        let mut options = options();
        // A segment for each group.
        options.limits.segment = 1;
        let store = open(&dir, options);
        let writers =
            ["a", "b", "c"].map(|name| start(&store, move |store| store.commit(put(name, name)).unwrap()));
        for _ in 0..2 {
            let before = store.tip();
            let report = store.verify().unwrap();
            assert!(report.tip.sequence >= before.sequence);
            assert_eq!(store.tip_at(before.sequence).unwrap(), before);
        }
        join(writers);
        assert_eq!(store.verify().unwrap().tip, store.tip());
    }

    pub(super) fn each_epoch_begins_once() {
        let dir = scratch();
        let store = open(&dir, options());
        let beginners =
            ["a", "b"].map(|name| start(&store, move |store| store.begin_epoch(put(name, name)).unwrap().0));
        store.commit(put("c", "c")).unwrap();
        let mut epochs = join(beginners);
        epochs.sort_unstable();
        assert_eq!(epochs[0] + 1, epochs[1]);
        assert_eq!(store.tip().epoch.0, epochs[1]);
    }

    /// Each group is set aside at once, and the fourth run brings a merge.
    fn at_once() -> OpenOptions {
        let mut options = options();
        options.limits.gathered = 1;
        options
    }

    pub(super) fn runs_are_written_and_merged_behind_writers_and_readers() {
        let dir = scratch();
        let store = open(&dir, at_once());
        let writers = ["a", "b"].map(|name| {
            start(&store, move |store| {
                for value in ["1", "2", "3"] {
                    let mut batch = put(name, value);
                    // What was there must be found in whatever lies in front or behind.
                    batch.expect(key(name), store.get(&key(name)).unwrap().map(|stored| stored.version));
                    batch.delete(key(&format!("{name}-old")));
                    batch.put(key(&format!("{name}-{value}")), value.into());
                    store.commit(batch).unwrap();
                    assert_eq!(self::value(store, name).unwrap().1, value);
                }
            })
        });
        let mut before = 0;
        for _ in 0..3 {
            let all = store.scan(&KeyRange::all(), None, 99, Direction::Descending).unwrap();
            assert!(all.is_sorted_by(|one, other| one.key > other.key) && all.len() >= before, "{all:?}");
            before = all.len();
        }
        join(writers);
        let all = store.scan(&KeyRange::all(), None, 99, Direction::Ascending).unwrap();
        assert_eq!(all.len(), 8);
        store.close();
        let (again, report) = Store::open(&dir.path().join("store"), at_once()).unwrap();
        assert_eq!((report.head, report.index), (Sequence(6), crate::IndexState::Ready));
        assert_eq!(again.scan(&KeyRange::all(), None, 99, Direction::Ascending).unwrap(), all);
    }

    pub(super) fn a_close_in_the_middle_of_a_merge_loses_nothing() {
        let dir = scratch();
        let store = open(&dir, at_once());
        for number in ["1", "2", "3", "4"] {
            store.commit(put(number, number)).unwrap();
        }
        store.close();
        let (again, report) = Store::open(&dir.path().join("store"), at_once()).unwrap();
        assert_eq!((report.head, report.index), (Sequence(4), crate::IndexState::Ready));
        assert_eq!(again.scan(&KeyRange::all(), None, 99, Direction::Ascending).unwrap().len(), 4);
    }
}
