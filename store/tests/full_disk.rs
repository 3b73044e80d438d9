//! A disk that is full: the batch fails with its cause, reads go on, and work goes on by itself
//! when there is room again.
//!
//! A limit on the size of a file stands in for the disk. It belongs to the process, and its signal
//! must be ignored, so this test has a process of its own that starts itself through `sh`.

#![allow(clippy::unwrap_used)]

use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use store::{Batch, Class, Create, Direction, Error, IndexState, Key, KeyRange, OpenOptions, Store, Write};

const LIMIT: u64 = 1 << 20;

fn main() {
    if std::env::args().any(|argument| argument == "inner") {
        return inner();
    }
    // `cargo test` may only want the list of tests.
    if std::env::args().any(|argument| argument == "--list") {
        return;
    }
    let status = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" inner"])
        .arg(std::env::current_exe().unwrap())
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
}

fn change(number: u64, size: usize) -> Batch {
    let mut batch = Batch::new(Class::Ledger, 0, "tester", "change");
    batch.put(Key::new("record").part(number.to_string()), vec![number as u8; size]);
    batch
}

fn limit(bytes: Option<u64>) {
    let maximum = getrlimit(Resource::Fsize).maximum;
    setrlimit(Resource::Fsize, Rlimit { current: bytes, maximum }).unwrap();
}

fn inner() {
    journal_fills();
    index_fills();
}

/// A journal of small segments: the index, written to all the time, fails first. It is opened again
/// by itself once there is room, whether somebody commits or not.
fn index_fills() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let mut options = OpenOptions::new(Create::IfAbsent);
    options.limits.segment = LIMIT / 4;
    options.limits.gathered = 20_000;
    let (store, _) = Store::open(&path, options).unwrap();
    let change = |number: u64| {
        let mut batch = Batch::new(Class::Ledger, 0, "", "");
        for copy in 0..10 {
            let word = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(copy);
            let key = Key::new("record").part(format!("{word:016x}"));
            // Nothing that one has in common with the next: they take their room.
            let noise = |at: u64| (word ^ at << 32).wrapping_mul(0xd6e8_feb8_6659_fd93).to_be_bytes();
            batch.put(key, (0..25).flat_map(noise).collect());
        }
        batch.delete(Key::new("last").part((number - 1).to_string()));
        batch.put(Key::new("last").part(number.to_string()), vec![]);
        batch
    };
    let whole = |store: &Store, last: u64| {
        assert_eq!(store.head().0, last);
        let found = store.scan(&Key::new("last").children(), None, 10, Direction::Descending).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].key, Key::new("last").part(last.to_string()));
        assert!(store.get(&Key::new("last").part((last - 1).to_string())).unwrap().is_none());
        let all = Key::new("record").children();
        let found = store.scan(&all, None, usize::MAX, Direction::Ascending).unwrap();
        assert_eq!(found.len() as u64, last * 10);
        for number in 1..=last {
            for (key, write) in change(number).writes.iter().take(10) {
                assert_eq!(Write::Put(store.get(key).unwrap().unwrap().value), *write);
            }
        }
    };
    limit(Some(LIMIT));
    let mut last = 0;
    let error = loop {
        match store.commit(change(last + 1)) {
            Ok(_) => last += 1,
            Err(error) => break error,
        }
        assert!(last < 5_000, "the index never fills");
    };
    assert!(matches!(&error, Error::Full { path, .. } if path.ends_with("index")), "{error:?}");
    // sled may fail to read back what it could not write; it must not hand out anything older.
    for number in 1..=last {
        match store.get(&Key::new("last").part(number.to_string())) {
            Ok(found) => assert_eq!(found.is_some(), number == last, "{number} of {last}"),
            Err(error) => assert!(matches!(error, Error::Index { .. }), "{error:?}"),
        }
    }
    limit(None);
    let begun = Instant::now();
    while store.scan(&KeyRange::all(), None, usize::MAX, Direction::Ascending).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(20), "the index was not opened again");
        std::thread::sleep(Duration::from_millis(50));
    }
    whole(&store, last);
    for _ in 0..3 {
        last += 1;
        store.commit(change(last)).unwrap();
        whole(&store, last);
    }
    drop(store);
    let (store, report) = Store::open(&path, OpenOptions::new(Create::Refuse)).unwrap();
    assert_eq!(report.index, IndexState::Ready);
    whole(&store, last);
}

fn journal_fills() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let (store, _) = Store::open(&path, OpenOptions::new(Create::IfAbsent)).unwrap();
    limit(Some(LIMIT));
    let mut last = 0;
    let error = loop {
        match store.commit(change(last + 1, 100_000)) {
            Ok(_) => last += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Full { .. }), "{error:?}");
    assert_eq!(last, 10);
    let whole = |store: &Store, last: u64| {
        assert_eq!(store.head().0, last);
        for number in 1..=last {
            let stored = store.get(&Key::new("record").part(number.to_string())).unwrap().unwrap();
            assert!(stored.value.iter().all(|&byte| byte == number as u8));
        }
        store.verify().unwrap();
    };
    whole(&store, last);

    // What still fits is taken, and nothing of the refused one was kept.
    last += 1;
    store.commit(change(last, 100)).unwrap();
    assert!(matches!(store.commit(change(99, 100_000)), Err(Error::Full { .. })));
    whole(&store, last);
    let length = std::fs::metadata(path.join("journal/00000001.seg")).unwrap().len();
    assert_eq!(length, store.verify().unwrap().segments[0].bytes, "a part of the refused batch is left");
    let copy = dir.path().join("copy");
    limit(None);
    store.snapshot().unwrap().copy_to(&copy).unwrap();
    whole(&Store::open(&copy, OpenOptions::new(Create::Refuse)).unwrap().0, last);

    // There is room again.
    last += 1;
    store.commit(change(last, 100_000)).unwrap();
    whole(&store, last);
    drop(store);
    let (store, report) = Store::open(&path, OpenOptions::new(Create::Refuse)).unwrap();
    assert_eq!(report.dropped, None);
    whole(&store, last);
}
