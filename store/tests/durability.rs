//! What was acknowledged is there again, whatever happened to the process or to the index.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{change, commit, content, copy, expected, made, open, options};
use store::{
    Batch, Class, Create, Direction, Error, IndexState, Key, KeyRange, OpenOptions, Origin, Sequence, Store,
};

#[test]
fn what_was_answered_is_on_disk_without_a_close() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("store"));
    for number in 1..=20 {
        commit(&store, number..=number);
        // What a kill would leave: the files as they are now.
        let left = dir.path().join(format!("left-{number}"));
        copy(&dir.path().join("store"), &left);
        let (again, report) = Store::open(&left, options()).unwrap();
        assert_eq!((report.origin, report.head, report.dropped), (Origin::Opened, Sequence(number), None));
        assert_eq!(content(&again), expected(number));
        // Not even the index has to be there.
        drop(again);
        fs::remove_dir_all(left.join("index")).unwrap();
        let (again, report) = Store::open(&left, options()).unwrap();
        assert!(matches!(report.index, IndexState::Rebuilt { entries, .. } if entries == number));
        assert_eq!(content(&again), expected(number));
    }
}

/// The files of the index's runs, oldest first.
fn runs(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path.join("index/runs")).unwrap();
    let mut runs: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    runs.sort();
    runs
}

/// Changes that fill several runs, with what they leave in a store.
fn gathered(bytes: usize) -> OpenOptions {
    let mut options = options();
    options.limits.gathered = bytes;
    options
}

#[test]
fn what_stands_in_front_of_the_index_is_read_from_the_journal_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    // Runs are written and merged on the way, and something is gathered nearly always.
    let (store, _) = Store::open(&path, gathered(1_500)).unwrap();
    for number in 1..=60 {
        commit(&store, number..=number);
        assert_eq!(content(&store), expected(number));
        let left = dir.path().join("left");
        copy_alive(&path, &left);
        for limit in [100, 1_500, 16 << 20] {
            let (again, report) = Store::open(&left, gathered(limit)).unwrap();
            assert_eq!((report.head, report.dropped), (Sequence(number), None));
            assert!(!matches!(report.index, IndexState::Rebuilt { .. }), "{:?}", report.index);
            assert_eq!(content(&again), expected(number), "{number}");
        }
        fs::remove_dir_all(&left).unwrap();
    }
    assert!(!runs(&path).is_empty());
}

/// Copies a store that is in use, as a kill at this moment would leave it. What the indexer was
/// just then replacing is not a state that a kill leaves, so then it is copied again.
fn copy_alive(from: &Path, to: &Path) {
    for _ in 0..200 {
        let names = |path: &Path| {
            runs(path).into_iter().map(|run| run.file_name().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let before = names(from);
        let copied = std::panic::catch_unwind(|| copy(from, to)).is_ok();
        std::thread::sleep(std::time::Duration::from_millis(5));
        let sled = |path: &Path| fs::read(path.join("index/db")).unwrap();
        if copied && names(from) == before && names(to) == before && sled(from) == sled(to) {
            return;
        }
        fs::remove_dir_all(to).unwrap();
    }
    panic!("the index never rests");
}

#[test]
fn damage_that_a_reader_meets_is_an_error_and_then_mended() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let (store, _) = Store::open(&path, gathered(1)).unwrap();
    commit(&store, 1..=20);
    store.close();
    let (store, report) = Store::open(&path, gathered(1)).unwrap();
    assert_eq!(report.index, IndexState::Ready);
    let all = runs(&path);
    for run in &all {
        let bytes = fs::read(run).unwrap();
        let file = fs::File::options().write(true).open(run).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &[bytes[20] ^ 4], 20).unwrap();
    }
    let found = store.scan(&KeyRange::all(), None, usize::MAX, Direction::Ascending);
    assert!(matches!(found, Err(Error::Index { .. })), "{found:?}");
    // Nobody commits: it is mended all the same.
    let begun = std::time::Instant::now();
    while store.scan(&KeyRange::all(), None, usize::MAX, Direction::Ascending).is_err() {
        assert!(begun.elapsed() < std::time::Duration::from_secs(20), "the index was not built again");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(content(&store), expected(20));
    commit(&store, 21..=25);
    assert_eq!(content(&store), expected(25));
    drop(store);
    let (store, report) = Store::open(&path, options()).unwrap();
    assert_eq!(report.index, IndexState::Ready);
    assert_eq!(content(&store), expected(25));
}

#[test]
fn a_conflict_is_judged_by_what_is_gathered_set_aside_and_written() {
    let dir = tempfile::tempdir().unwrap();
    for limit in [1, 2_000, 16 << 20] {
        let (store, _) = Store::open(&dir.path().join(format!("store-{limit}")), gathered(limit)).unwrap();
        for number in 1..=40 {
            let version = store.commit(change(number)).map(store::Version).unwrap();
            for earlier in 1..=number {
                let key = Key::new("large").part(format!("{:04}", earlier % 5));
                let found = store.get(&key).unwrap().unwrap();
                let newest = earlier + 5 > number;
                assert_eq!(
                    found.version == store::Version(Sequence(earlier)),
                    newest,
                    "{earlier} of {number}"
                );
            }
            let mut wrong = Batch::new(Class::Ledger, 0, "", "");
            wrong.expect_absent(Key::new("large").part(format!("{:04}", number % 5)));
            assert!(matches!(store.commit(wrong), Err(Error::Conflict { .. })));
            let mut gone = Batch::new(Class::Ledger, 0, "", "");
            gone.expect_unchanged(Key::new("record").part(format!("{:04}", (number + 2) % 7)), version);
            assert!(matches!(store.commit(gone), Err(Error::Conflict { .. })));
        }
    }
}

#[test]
fn an_index_in_order_is_used_and_an_old_one_is_brought_up() {
    let dir = tempfile::tempdir().unwrap();
    let path = made(dir.path(), 5);
    let old = dir.path().join("old-index");
    copy(&path.join("index"), &old);
    let (store, report) = Store::open(&path, options()).unwrap();
    assert_eq!(report.index, IndexState::Ready);
    commit(&store, 6..=9);
    drop(store);
    fs::remove_dir_all(path.join("index")).unwrap();
    copy(&old, &path.join("index"));
    let (store, report) = Store::open(&path, options()).unwrap();
    assert_eq!(report.index, IndexState::CaughtUp { entries: 4 });
    assert_eq!(content(&store), expected(9));
    commit(&store, 10..=12);
    assert_eq!(content(&store), expected(12));
}

#[test]
fn a_damaged_index_is_built_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = made(dir.path(), 30);
    let other = made(&dir.path().join("other"), 29);
    type Damage<'a> = (&'static str, Box<dyn Fn(&Path) + 'a>);
    let db = |path: &Path| path.join("index/db");
    let run = |path: &Path| runs(path).pop().unwrap();
    let cases: Vec<Damage<'_>> = vec![
        ("absent", Box::new(|path| fs::remove_dir_all(path.join("index")).unwrap())),
        (
            "a file",
            Box::new(|path| {
                fs::remove_dir_all(path.join("index")).unwrap();
                fs::write(path.join("index"), "garbage").unwrap();
            }),
        ),
        (
            "empty directory",
            Box::new(|path| {
                fs::remove_dir_all(path.join("index")).unwrap();
                fs::create_dir(path.join("index")).unwrap();
            }),
        ),
        ("truncated to nothing", Box::new(|path| fs::write(db(path), "").unwrap())),
        (
            "truncated to half",
            Box::new(|path| {
                let bytes = fs::read(db(path)).unwrap();
                fs::write(db(path), &bytes[..bytes.len() / 2]).unwrap();
            }),
        ),
        (
            "first block zeroed",
            Box::new(|path| {
                let mut bytes = fs::read(db(path)).unwrap();
                let block = bytes.len().min(4096);
                bytes[..block].fill(0);
                fs::write(db(path), bytes).unwrap();
            }),
        ),
        (
            "garbage",
            Box::new(|path| {
                let length = fs::metadata(db(path)).unwrap().len() as usize;
                fs::write(db(path), vec![0xa5; length]).unwrap();
            }),
        ),
        (
            "a block forgotten by sled",
            Box::new(|path| {
                let index = sled::open(path.join("index")).unwrap();
                let run = index.tree_names().into_iter().find(|name| name.starts_with(b"run-")).unwrap();
                let run = index.open_tree(run).unwrap();
                run.remove(run.first().unwrap().unwrap().0).unwrap().unwrap();
            }),
        ),
        ("a run forgotten by sled", {
            Box::new(|path| {
                let index = sled::open(path.join("index")).unwrap();
                let run = index.tree_names().into_iter().find(|name| name.starts_with(b"run-")).unwrap();
                assert!(index.drop_tree(run).unwrap());
            })
        }),
        (
            "a byte of a record changed",
            Box::new(|path| {
                let mut bytes = fs::read(run(path)).unwrap();
                bytes[60] ^= 1;
                fs::write(run(path), bytes).unwrap();
            }),
        ),
        (
            "a byte of the filter changed",
            Box::new(|path| {
                let mut bytes = fs::read(run(path)).unwrap();
                *bytes.last_mut().unwrap() ^= 1;
                fs::write(run(path), bytes).unwrap();
            }),
        ),
        (
            "a run cut off",
            Box::new(|path| {
                let bytes = fs::read(run(path)).unwrap();
                fs::write(run(path), &bytes[..bytes.len() - 1]).unwrap();
            }),
        ),
        ("a run gone", Box::new(|path| fs::remove_file(run(path)).unwrap())),
        (
            "of another store",
            Box::new(|path| {
                fs::remove_dir_all(path.join("index")).unwrap();
                copy(&other.join("index"), &path.join("index"));
                // Its history differs in the last entry.
            }),
        ),
    ];
    for (name, damage) in cases {
        let damaged = dir.path().join("damaged");
        copy(&path, &damaged);
        damage(&damaged);
        let (store, report) = Store::open(&damaged, options()).unwrap();
        match name {
            "of another store" => assert_eq!(report.index, IndexState::CaughtUp { entries: 1 }, "{name}"),
            // sled falls back to an older state of its own, which is whole.
            "truncated to half" => assert_ne!(report.index, IndexState::Ready, "{name}"),
            _ => assert!(matches!(report.index, IndexState::Rebuilt { .. }), "{name}: {:?}", report.index),
        }
        assert_eq!(content(&store), expected(30), "{name}");
        commit(&store, 31..=33);
        drop(store);
        let (store, report) = Store::open(&damaged, options()).unwrap();
        assert_eq!(report.index, IndexState::Ready, "{name}");
        assert_eq!(content(&store), expected(33), "{name}");
        drop(store);
        fs::remove_dir_all(&damaged).unwrap();
    }
}

#[test]
fn an_index_that_follows_another_history_is_built_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = made(dir.path(), 5);
    // Behind ours, and just as far.
    for length in [1, 5] {
        let other = dir.path().join(format!("other-{length}"));
        let store = open(&other);
        for _ in 0..length {
            store.commit(Batch::new(Class::Ledger, 0, "x", "another history")).unwrap();
        }
        store.close();
        fs::remove_dir_all(path.join("index")).unwrap();
        copy(&other.join("index"), &path.join("index"));
        let (store, report) = Store::open(&path, options()).unwrap();
        assert!(matches!(report.index, IndexState::Rebuilt { .. }), "{:?}", report.index);
        assert_eq!(content(&store), expected(5));
    }
}

#[test]
fn a_second_opening_names_the_holder_and_a_closed_store_can_be_opened() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let store = open(&path);
    let clone = store.clone();
    commit(&store, 1..=3);
    let error = Store::open(&path, options()).map(|(_, report)| report).unwrap_err();
    let own = std::process::id();
    assert!(matches!(&error, Error::Locked { pid: Some(pid), .. } if *pid == own), "{error:?}");
    assert!(error.to_string().ends_with(&format!("is in use by process {own}")), "{error}");
    drop(store);
    assert!(matches!(Store::open(&path, options()), Err(Error::Locked { .. })));
    clone.close();
    assert!(matches!(clone.get(&Key::new("record")), Err(Error::Closed)));
    assert!(matches!(clone.commit(change(4)), Err(Error::Closed)));
    assert_eq!(content(&open(&path)), expected(3));
}

#[test]
fn closing_commits_what_waits() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let store = open(&path);
    let pending: Vec<_> = (1..=50).map(|number| store.submit(change(number))).collect();
    store.close();
    assert!(pending.into_iter().all(|pending| pending.wait().is_ok()));
    assert_eq!(content(&open(&path)), expected(50));
}

#[test]
fn batches_that_wait_together_share_a_frame_and_a_lone_one_does_not_wait() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("store"));
    let pending: Vec<_> = (1..=500).map(|number| store.submit(change(number))).collect();
    assert!(pending.into_iter().all(|pending| pending.wait().is_ok()));
    let frames = store.verify().unwrap().segments[0].frames;
    assert!(frames < 250, "{frames} frames for 500 batches");
    for number in 501..=510 {
        commit(&store, number..=number);
    }
    assert_eq!(store.verify().unwrap().segments[0].frames, frames + 10);
}

#[test]
fn more_than_can_wait_is_refused_and_the_rest_stands() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options();
    options.limits.waiting = 4;
    options.limits.batch = 100_000;
    let (store, _) = Store::open(&dir.path().join("store"), options).unwrap();
    let pending: Vec<_> = (1..=2000).map(|number| store.submit(change(number))).collect();
    let answers: Vec<_> = pending.into_iter().map(store::Pending::wait).collect();
    let (done, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert!(refused.iter().all(|answer| matches!(answer, Err(Error::Busy { waiting: 4 }))));
    assert!(!refused.is_empty() && !done.is_empty());
    assert_eq!(store.head().0, done.len() as u64);

    let mut large = change(1);
    large.put(Key::new("large"), vec![0; 100_000]);
    assert!(matches!(store.commit(large), Err(Error::TooLarge { limit: 100_000, .. })));
}

#[test]
fn the_last_room_on_the_disk_is_kept_for_what_is_urgent() {
    let dir = tempfile::tempdir().unwrap();
    let disk = rustix::fs::statvfs(dir.path()).unwrap();
    let mut options = options();
    // Twice of what is free: as if the disk were filled to half of the reserve.
    options.limits.reserve = disk.f_bavail * disk.f_frsize * 2;
    let (store, _) = Store::open(&dir.path().join("store"), options).unwrap();
    let error = store.commit(change(1)).unwrap_err();
    assert!(matches!(error, Error::Full { .. }), "{error:?}");
    assert_eq!(content(&store), []);
    let mut urgent = change(1);
    urgent.urgent();
    store.commit(urgent).unwrap();
    assert_eq!(content(&store), expected(1));
}

#[test]
fn a_snapshot_taken_during_commits_is_a_whole_store() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options();
    options.limits.segment = 5000;
    let (store, _) = Store::open(&dir.path().join("store"), options).unwrap();
    commit(&store, 1..=10);
    std::thread::scope(|scope| {
        let busy = scope.spawn(|| commit(&store, 11..=400));
        for number in 0..8 {
            let snapshot = store.snapshot().unwrap();
            let to = dir.path().join(format!("copy-{number}"));
            snapshot.copy_to(&to).unwrap();
            let (copy, report) = Store::open(&to, OpenOptions::new(Create::Refuse)).unwrap();
            assert_eq!(copy.tip(), snapshot.tip);
            assert_eq!(report.dropped, None);
            assert_eq!(content(&copy), expected(snapshot.tip.sequence.0));
            copy.verify().unwrap();
        }
        busy.join().unwrap();
    });
}

#[test]
fn no_secret_place_is_open_to_others() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = made(dir.path(), 3);
    for name in ["", "journal"] {
        assert_eq!(fs::metadata(path.join(name)).unwrap().permissions().mode() & 0o777, 0o700, "{name}");
    }
    for name in ["format", "head", "lock", "journal/00000001.seg"] {
        assert_eq!(fs::metadata(path.join(name)).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
}

#[test]
fn following_large_entries_takes_several_calls_and_misses_none() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options();
    options.limits.recent = 0;
    options.limits.batch = usize::MAX;
    let (store, _) = Store::open(&dir.path().join("store"), options).unwrap();
    for number in 1..=6u8 {
        let mut batch = Batch::new(Class::State, 0, "tester", "large");
        batch.put(Key::new("large"), vec![number; 3 << 20]);
        store.commit(batch).unwrap();
    }
    let (mut after, mut calls) = (Sequence::ZERO, 0);
    loop {
        let entries = store.follow(after, 100).unwrap();
        let Some(last) = entries.last() else { break };
        assert_eq!(entries[0].sequence.0, after.0 + 1);
        assert!(entries.len() <= 3);
        after = last.sequence;
        calls += 1;
    }
    assert_eq!((after, calls), (Sequence(6), 2));
    // The largest batch is bounded, whatever the options say.
    let mut batch = Batch::new(Class::State, 0, "tester", "too large");
    batch.put(Key::new("large"), vec![0; 33 << 20]);
    assert!(matches!(store.commit(batch), Err(Error::TooLarge { .. })));
}
