//! The engine under a scheduler that chooses who runs next, as it ships: journal, index and all.
//!
//! In the unit tests `crate::sync` is shuttle's, so every lock, wake-up and answer is a place where
//! another thread may go on. Each test below runs under many orders, random ones and such as PCT
//! draws (few, well placed changes of priority). A lost wake-up is a deadlock, and shuttle names it.
//! What it can't show: a wait that ends by its timeout (here it never does), and what the disk does.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::sync::mpsc::sync_channel;
use shuttle::thread;
use shuttle::{Config, Runner};
use tempfile::TempDir;

use super::EpochStep;
use crate::{Batch, Class, Create, Direction, Engine, Error, Key, KeyRange, OpenOptions, Sequence, Store};

/// So long that nobody waits for it: a wake-up that does not come is a deadlock.
const FOREVER: Duration = Duration::from_secs(1 << 30);
/// Orders of each kind in the usual run, and in `tests/full`.
const SOME: usize = 100;
const MANY: usize = 5000;
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

fn start<T: 'static>(store: &Store, act: impl FnOnce(&Store) -> T + 'static) -> thread::JoinHandle<T>
where
    T: Send,
{
    let store = store.clone();
    let act = Unchecked(act);
    thread::spawn(move || act.into_inner()(&store))
}

mod runs {
    use super::*;
}
