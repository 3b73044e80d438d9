//! The store's contract: every engine is held to the same tests.

#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use store::checkpoint::{AuditKey, AuditPublicKey, Checkpoint, CheckpointError, LogName};
use store::{
    Batch, Class, Create, Direction, Entry, Epoch, Error, Expectation, Expected, Key, KeyRange, OpenOptions,
    Sequence, Store, Tip, Version, Write,
};

/// Runs a test on each engine, on a store of its own.
fn each_engine(test: impl Fn(&Store)) {
    test(&Store::in_memory());
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(&dir.path().join("store"), OpenOptions::new(Create::IfAbsent)).unwrap();
    test(&store);
}

fn key(name: &str) -> Key {
    Key::new("test").part(name)
}

fn batch(what: &str) -> Batch {
    Batch::new(Class::Ledger, 1_700_000_000, "tester", what)
}

fn put(store: &Store, name: &str, value: &[u8]) -> Sequence {
    let mut batch = batch("put");
    batch.put(key(name), value.to_vec());
    store.commit(batch).unwrap()
}

fn value(store: &Store, name: &str) -> Option<Vec<u8>> {
    store.get(&key(name)).unwrap().map(|stored| stored.value)
}

#[test]
fn what_was_put_is_read_with_the_version_of_its_entry() {
    each_engine(|store| {
        assert_eq!(store.get(&key("a")).unwrap(), None);
        assert_eq!(store.head(), Sequence::ZERO);
        for (sequence, size) in [(1, 0), (2, 10), (3, 255), (4, 256), (5, 257), (6, 100_000)] {
            let bytes = vec![size as u8; size];
            assert_eq!(put(store, "a", &bytes), Sequence(sequence));
            let stored = store.get(&key("a")).unwrap().unwrap();
            assert_eq!((stored.key, stored.version), (key("a"), Version(Sequence(sequence))));
            assert_eq!(stored.value, bytes);
            assert_eq!(store.head(), Sequence(sequence));
        }
    });
}

#[test]
fn a_deleted_record_is_gone_and_deleting_nothing_is_fine() {
    each_engine(|store| {
        put(store, "a", b"1");
        for _ in 0..2 {
            let mut batch = batch("delete");
            batch.delete(key("a"));
            store.commit(batch).unwrap();
            assert_eq!(value(store, "a"), None);
        }
        assert_eq!(store.head(), Sequence(3));
    });
}

#[test]
fn a_batch_whose_expectation_fails_changes_nothing() {
    each_engine(|store| {
        let version = Version(put(store, "a", b"1"));
        let mut cases = Vec::new();
        let mut absent = batch("absent");
        absent.expect_absent(key("a"));
        cases.push(absent);
        let mut other = batch("other version");
        other.expect_unchanged(key("a"), Version(Sequence(7)));
        cases.push(other);
        let mut gone = batch("gone");
        gone.expect(key("a"), Some(version));
        gone.expect_unchanged(key("b"), version);
        cases.push(gone);
        for mut case in cases {
            case.put(key("a"), b"2".to_vec());
            case.put(key("c"), b"2".to_vec());
            let what = case.what.clone();
            let conflict = store.commit(case).unwrap_err();
            assert!(matches!(conflict, Error::Conflict { .. }), "{what}: {conflict:?}");
        }
        assert_eq!((value(store, "a"), value(store, "c")), (Some(b"1".to_vec()), None));
        assert_eq!(store.head(), Sequence(1));

        let mut right = batch("right");
        right.expect_unchanged(key("a"), version);
        right.expect(key("b"), None);
        right.put(key("a"), b"2".to_vec());
        store.commit(right).unwrap();
        assert_eq!(value(store, "a"), Some(b"2".to_vec()));
    });
}

#[test]
fn the_conflict_names_the_first_key_that_changed() {
    each_engine(|store| {
        put(store, "a", b"1");
        let mut batch = batch("two");
        batch.expect_absent(key("b"));
        batch.expect_absent(key("a"));
        let error = store.commit(batch).unwrap_err();
        assert!(matches!(&error, Error::Conflict { key: k } if *k == key("a")), "{error:?}");
    });
}

#[test]
fn nothing_is_committed_by_what_no_longer_holds() {
    each_engine(|store| {
        let permit = Version(put(store, "permit", b"1"));
        let conditions =
            vec![(key("permit"), Expectation::Unchanged(permit)), (key("denial"), Expectation::Absent)];
        let view = store.resting_on(conditions.into());
        put(&view, "a", b"1");
        let mut stale = batch("stale");
        stale.expect_absent(key("a"));
        let error = view.commit(stale.clone()).unwrap_err();
        assert!(matches!(&error, Error::Conflict { key: k } if *k == key("a")), "{error:?}");
        put(store, "denial", b"1");
        // Both have changed: it is of no use to decide anew.
        for batch in [batch("nothing else"), stale] {
            let error = view.resting_on(Expected::default()).commit(batch).unwrap_err();
            assert!(matches!(&error, Error::Withdrawn { key: k } if *k == key("denial")), "{error:?}");
        }
        put(store, "b", b"1");
        assert_eq!(store.head(), Sequence(4));
        assert_eq!(value(&view, "b"), Some(b"1".to_vec()));
    });
}

#[test]
fn of_two_writes_to_one_key_the_later_wins() {
    each_engine(|store| {
        let mut first = batch("twice");
        first.put(key("a"), b"1".to_vec());
        first.put(key("a"), b"2".to_vec());
        first.put(key("b"), b"1".to_vec());
        first.delete(key("b"));
        first.delete(key("c"));
        first.put(key("c"), vec![3; 1000]);
        store.commit(first).unwrap();
        assert_eq!(value(store, "a"), Some(b"2".to_vec()));
        assert_eq!(value(store, "b"), None);
        assert_eq!(value(store, "c"), Some(vec![3; 1000]));
    });
}

#[test]
fn a_thing_that_may_be_used_once_is_used_once() {
    each_engine(|store| {
        for round in 0..20 {
            let name = format!("token-{round}");
            let version = Version(put(store, &name, b"token"));
            let winners: usize = std::thread::scope(|scope| {
                let redeem = || {
                    let mut batch = batch("redeem");
                    batch.expect_unchanged(key(&name), version);
                    batch.delete(key(&name));
                    match store.commit(batch) {
                        Ok(_) => 1,
                        Err(Error::Conflict { .. }) => 0,
                        Err(other) => panic!("{other:?}"),
                    }
                };
                let threads: Vec<_> = (0..8).map(|_| scope.spawn(redeem)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).sum()
            });
            assert_eq!(winners, 1);
        }
    });
}

#[test]
fn batches_submitted_together_see_each_other() {
    each_engine(|store| {
        let pending: Vec<_> = (0..10)
            .map(|_| {
                let mut batch = batch("claim");
                batch.expect_absent(key("claimed"));
                batch.put(key("claimed"), b"mine".to_vec());
                store.submit(batch)
            })
            .collect();
        let answers: Vec<_> = pending.into_iter().map(store::Pending::wait).collect();
        assert!(answers[0].is_ok());
        assert!(answers[1..].iter().all(|answer| matches!(answer, Err(Error::Conflict { .. }))));
    });
}

#[test]
fn a_scan_keeps_to_its_range_limit_and_direction() {
    each_engine(|store| {
        for name in ["a", "b", "b/c", "c"] {
            put(store, name, name.as_bytes());
        }
        let mut other = batch("other tree");
        other.put(Key::new("test-more").part("a"), b"x".to_vec());
        store.commit(other).unwrap();
        let names = |range: &KeyRange, after: Option<&Key>, limit, direction| -> Vec<Vec<u8>> {
            let found = store.scan(range, after, limit, direction).unwrap();
            found.into_iter().map(|stored| stored.value).collect()
        };
        let all = Key::new("test").children();
        let (up, down) = (Direction::Ascending, Direction::Descending);
        assert_eq!(names(&all, None, 10, up), [&b"a"[..], b"b", b"b/c", b"c"]);
        assert_eq!(names(&all, None, 10, down), [&b"c"[..], b"b/c", b"b", b"a"]);
        assert_eq!(names(&all, None, 2, up), [&b"a"[..], b"b"]);
        assert_eq!(names(&all, Some(&key("b")), 10, up), [&b"b/c"[..], b"c"]);
        assert_eq!(names(&all, Some(&key("b")), 10, down), [b"a"]);
        assert_eq!(names(&all, None, 0, up), [b""; 0]);
        assert_eq!(names(&KeyRange::all(), None, 10, up).len(), 5);
        assert_eq!(names(&KeyRange::between(&key("b"), &key("c")), None, 10, up), [&b"b"[..], b"b/c"]);
        assert_eq!(names(&KeyRange::between(&key("c"), &key("b")), None, 10, up), [b""; 0]);
        assert_eq!(names(&KeyRange::between(&key("b"), &key("b")), None, 10, down), [b""; 0]);
    });
}

#[test]
fn followers_get_every_entry_in_order_as_it_was_committed() {
    each_engine(|store| {
        for number in 1..=50u8 {
            let mut batch = Batch::new(
                if number % 2 == 0 { Class::State } else { Class::Ledger },
                i64::from(number) - 25,
                format!("who {number}"),
                format!("what {number} — ü"),
            );
            batch.put(key(&number.to_string()), vec![number; usize::from(number) * 20]);
            batch.delete(key("x"));
            store.commit(batch).unwrap();
        }
        let entries = store.follow(Sequence(10), 15).unwrap();
        let sequences: Vec<_> = entries.iter().map(|entry| entry.sequence.0).collect();
        assert_eq!(sequences, (11..26).collect::<Vec<_>>());
        let number = 11;
        assert_eq!(
            *entries[0],
            Entry {
                sequence: Sequence(11),
                epoch: Epoch(0),
                class: Class::Ledger,
                time: -14,
                who: "who 11".to_owned(),
                what: "what 11 — ü".to_owned(),
                writes: Some(vec![(key("11"), Write::Put(vec![number; 220])), (key("x"), Write::Delete)]),
            }
        );
        assert_eq!(store.follow(Sequence(50), 10).unwrap(), []);
        assert_eq!(store.follow(Sequence(99), 10).unwrap(), []);
        assert_eq!(store.follow(Sequence::ZERO, 0).unwrap(), []);
        assert_eq!(store.follow(Sequence::ZERO, 1000).unwrap().len(), 50);
    });
}

#[test]
fn waiting_ends_with_the_next_commit_or_the_timeout() {
    each_engine(|store| {
        let begun = Instant::now();
        assert_eq!(store.wait(Sequence::ZERO, Duration::from_millis(50)), Sequence::ZERO);
        assert!(begun.elapsed() >= Duration::from_millis(50));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| store.wait(Sequence::ZERO, Duration::from_secs(30)));
            put(store, "a", b"1");
            assert_eq!(waiting.join().unwrap(), Sequence(1));
        });
        assert_eq!(store.wait(Sequence::ZERO, Duration::from_secs(30)), Sequence(1));
    });
}

#[test]
fn a_new_epoch_begins_with_its_batch_and_stays() {
    each_engine(|store| {
        put(store, "a", b"1");
        assert_eq!(store.begin_epoch(batch("restored from a backup")).unwrap(), Epoch(1));
        put(store, "a", b"2");
        assert_eq!(store.begin_epoch(batch("restored again")).unwrap(), Epoch(2));
        let epochs: Vec<_> = store.follow(Sequence::ZERO, 10).unwrap().iter().map(|e| e.epoch.0).collect();
        assert_eq!(epochs, [0, 1, 1, 2]);
        assert_eq!(store.tip().epoch, Epoch(2));
        assert_eq!(store.tip_at(Sequence(1)).unwrap().epoch, Epoch(0));
    });
}

#[test]
fn words_that_are_too_long_are_refused() {
    each_engine(|store| {
        let long = "x".repeat(store::MAX_WORDS + 1);
        for batch in
            [Batch::new(Class::State, 0, long.clone(), ""), Batch::new(Class::State, 0, "", long.clone())]
        {
            let error = store.commit(batch).unwrap_err();
            assert!(matches!(error, Error::TooLarge { limit: store::MAX_WORDS, .. }), "{error:?}");
        }
        store.commit(Batch::new(Class::State, i64::MIN, "x".repeat(store::MAX_WORDS), "")).unwrap();
    });
}

#[test]
fn the_chain_depends_on_every_part_of_an_entry_and_on_the_engine_not_at_all() {
    let hash = |change: &dyn Fn(&mut Batch)| {
        let hashes = std::cell::RefCell::new(Vec::new());
        each_engine(|store| {
            let mut first = Batch::new(Class::Ledger, 5, "who", "what");
            first.put(key("a"), b"1".to_vec());
            change(&mut first);
            store.commit(first).unwrap();
            put(store, "b", b"2");
            hashes.borrow_mut().push(store.tip().hash);
        });
        let hashes = hashes.into_inner();
        assert_eq!(hashes[0], hashes[1]);
        hashes[0]
    };
    let mut seen = vec![hash(&|_| {})];
    let changes: [&dyn Fn(&mut Batch); 6] = [
        &|batch| batch.class = Class::State,
        &|batch| batch.time = 6,
        &|batch| batch.who = "other".to_owned(),
        &|batch| batch.what = "other".to_owned(),
        &|batch| batch.put(key("a"), b"3".to_vec()),
        &|batch| batch.writes.clear(),
    ];
    for change in changes {
        seen.push(hash(change));
    }
    let count = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), count);
}

#[test]
fn a_checkpoint_is_signed_and_the_history_is_held_against_it() {
    let dir = tempfile::tempdir().unwrap();
    let random = aws_lc_rs::rand::SystemRandom::new();
    let audit = AuditKey::load_or_create(&dir.path().join("audit.key"), &random).unwrap();
    let origin = LogName::new("ca.example/pki").unwrap();
    let public = audit.public(origin.clone());
    assert_eq!(public.to_string().parse::<AuditPublicKey>().unwrap(), public);
    each_engine(|store| {
        put(store, "a", b"1");
        let tip = store.tip();
        let note = store.checkpoint(&audit, &origin, 1_800_000_000).unwrap();
        put(store, "a", b"2");
        let checkpoint = Checkpoint::parse(&note, &public).unwrap();
        assert_eq!(checkpoint, Checkpoint::new(origin.clone(), tip, 1_800_000_000));
        store.verify_against(&checkpoint).unwrap();

        let other = Store::in_memory();
        assert!(matches!(other.verify_against(&checkpoint), Err(Error::Inconsistent { .. })));
        put(&other, "b", b"1");
        assert!(matches!(other.verify_against(&checkpoint), Err(Error::Inconsistent { .. })));
        store.verify_against(&Checkpoint::new(origin.clone(), Tip::START, 0)).unwrap();

        let lines: Vec<_> = note.lines().collect();
        assert_eq!(lines[..2], ["ca.example/pki", "1"]);
        assert_eq!(lines[3..6], ["epoch 0", "time 2027-01-15T08:00:00Z", ""]);
        assert!(lines[6].starts_with("— ca.example/pki "));
        let text_end = note.rfind("\n\n").unwrap();
        for at in 0..text_end {
            let mut changed = note.clone().into_bytes();
            changed[at] ^= 1;
            let Ok(changed) = String::from_utf8(changed) else { continue };
            assert!(Checkpoint::parse(&changed, &public).is_err(), "byte {at} of {note}");
        }
    });
    // The same key from its file; another key does not do.
    let again = AuditKey::load_or_create(&dir.path().join("audit.key"), &random).unwrap();
    assert_eq!(again.public(origin.clone()), public);
    let other = AuditKey::load_or_create(&dir.path().join("other.key"), &random).unwrap();
    let note = Checkpoint::new(origin.clone(), Tip::START, 0).sign(&other).unwrap();
    let error = Checkpoint::parse(&note, &public).unwrap_err();
    assert!(matches!(error, CheckpointError::Unsigned { .. }), "{error:?}");
    // A signature by somebody unknown beside ours is ignored.
    let ours = Checkpoint::new(origin, Tip::START, 0).sign(&audit).unwrap();
    let both = format!("{ours}{}", note.lines().last().unwrap());
    Checkpoint::parse(&both, &public).unwrap();
}
