//! Random histories on every engine against a model that is a map.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

mod common;

use common::copy;
use proptest::prelude::*;
use store::{
    Batch, Class, Create, Direction, Error, Key, KeyRange, OpenOptions, Sequence, Store, Version, Write,
};

/// Runs a test on each engine, on a store of its own.
fn each_engine(test: impl Fn(&Store)) {
    test(&Store::in_memory());
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(&dir.path().join("store"), OpenOptions::new(Create::IfAbsent)).unwrap();
    test(&store);
    // Nearly everything is written to the index at once, and runs are merged all the time.
    for gathered in [1, 1500] {
        let mut options = OpenOptions::new(Create::IfAbsent);
        options.limits.gathered = gathered;
        options.limits.inline_value = 100;
        let (store, _) = Store::open(&dir.path().join(format!("store-{gathered}")), options).unwrap();
        test(&store);
    }
}

fn key(name: &str) -> Key {
    Key::new("test").part(name)
}

fn batch(what: &str) -> Batch {
    Batch::new(Class::Ledger, 1_700_000_000, "tester", what)
}

#[derive(Clone, Debug)]
enum Step {
    Put(u8, u16),
    Delete(u8),
    ClaimAbsent(u8),
    Swap(u8, bool),
    Scan(u8, u8, Option<u8>, u8, bool),
    Follow(u8, u8),
}

fn step() -> impl Strategy<Value = Step> {
    let name = 0..12u8;
    prop_oneof![
        (name.clone(), 0..600u16).prop_map(|(name, size)| Step::Put(name, size)),
        name.clone().prop_map(Step::Delete),
        name.clone().prop_map(Step::ClaimAbsent),
        (name.clone(), any::<bool>()).prop_map(|(name, right)| Step::Swap(name, right)),
        (name.clone(), name.clone(), proptest::option::of(name), 0..6u8, any::<bool>())
            .prop_map(|(from, to, after, limit, up)| Step::Scan(from, to, after, limit, up)),
        (0..40u8, 0..20u8).prop_map(|(after, limit)| Step::Follow(after, limit)),
    ]
}

/// The contract in its plainest form.
#[derive(Default)]
struct Model {
    records: BTreeMap<Key, (u64, Vec<u8>)>,
    history: Vec<Vec<(Key, Write)>>,
}

impl Model {
    fn commit(&mut self, writes: Vec<(Key, Write)>) {
        let sequence = self.history.len() as u64 + 1;
        for (key, write) in &writes {
            match write {
                Write::Put(value) => self.records.insert(key.clone(), (sequence, value.clone())),
                Write::Delete => self.records.remove(key),
            };
        }
        self.history.push(writes);
    }
}

fn run(store: &Store, model: &mut Model, steps: &[Step]) {
    let name = |number: u8| key(&format!("{number:02}"));
    for (at, step) in steps.iter().enumerate() {
        let mut change = batch("step");
        let mut holds = true;
        match step {
            Step::Put(number, size) => change.put(name(*number), vec![at as u8; usize::from(*size)]),
            Step::Delete(number) => change.delete(name(*number)),
            Step::ClaimAbsent(number) => {
                change.expect_absent(name(*number));
                change.put(name(*number), b"claimed".to_vec());
                holds = !model.records.contains_key(&name(*number));
            }
            Step::Swap(number, right) => {
                let read = store.get(&name(*number)).unwrap().map(|stored| stored.version);
                let wrong = Some(Version(Sequence(u64::MAX)));
                change.expect(name(*number), if *right { read } else { wrong });
                change.put(name(*number), b"swapped".to_vec());
                holds = *right;
            }
            Step::Scan(from, to, after, limit, up) => {
                let range = KeyRange::between(&name(*from), &name(*to));
                let after = after.map(name);
                let direction = if *up { Direction::Ascending } else { Direction::Descending };
                let found = store.scan(&range, after.as_ref(), usize::from(*limit), direction).unwrap();
                let mut expected: Vec<_> =
                    model.records.iter().filter(|(key, _)| range.contains(key)).collect();
                if !*up {
                    expected.reverse();
                }
                expected.retain(|(key, _)| match (&after, up) {
                    (None, _) => true,
                    (Some(after), true) => *key > after,
                    (Some(after), false) => *key < after,
                });
                expected.truncate(usize::from(*limit));
                let found: Vec<_> =
                    found.iter().map(|s| (&s.key, s.version.0.0, s.value.as_slice())).collect();
                let expected: Vec<_> = expected
                    .iter()
                    .map(|(key, (version, value))| (*key, *version, value.as_slice()))
                    .collect();
                assert_eq!(found, expected);
                continue;
            }
            Step::Follow(after, limit) => {
                let found = store.follow(Sequence(u64::from(*after)), usize::from(*limit)).unwrap();
                let expected = model.history.iter().enumerate().skip(usize::from(*after));
                let expected: Vec<_> = expected.take(usize::from(*limit)).collect();
                assert_eq!(found.len(), expected.len());
                for (entry, (at, writes)) in found.iter().zip(expected) {
                    assert_eq!((entry.sequence.0, entry.writes.as_ref()), (at as u64 + 1, Some(writes)));
                }
                continue;
            }
        }
        let writes = change.writes.clone();
        match store.commit(change) {
            Ok(_) => {
                assert!(holds, "{step:?} should have been refused");
                model.commit(writes);
            }
            Err(Error::Conflict { .. }) => assert!(!holds, "{step:?} should have been accepted"),
            Err(other) => panic!("{other:?}"),
        }
    }
    check(store, model);
}

fn check(store: &Store, model: &Model) {
    let found = store.scan(&KeyRange::all(), None, usize::MAX, Direction::Ascending).unwrap();
    let found: Vec<_> = found.into_iter().map(|s| (s.key, (s.version.0.0, s.value))).collect();
    assert_eq!(found, model.records.clone().into_iter().collect::<Vec<_>>());
    assert_eq!(store.head().0, model.history.len() as u64);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn every_engine_does_what_the_model_does(steps in proptest::collection::vec(step(), 1..60)) {
        each_engine(|store| run(store, &mut Model::default(), &steps));
    }

    #[test]
    fn a_store_goes_on_after_each_way_of_being_opened_again(
        rounds in proptest::collection::vec((proptest::collection::vec(step(), 0..20), 0..3u8, 0..3usize), 1..5)
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        let mut options = OpenOptions::new(Create::IfAbsent);
        // Small, so that segments are sealed and old entries are read from the journal.
        options.limits.segment = 4096;
        options.limits.recent = 3;
        let mut model = Model::default();
        for (steps, ending, gathered) in rounds {
            options.limits.gathered = [1, 1500, 16 << 20][gathered];
            let (store, _) = Store::open(&path, options.clone()).unwrap();
            check(&store, &model);
            run(&store, &mut model, &steps);
            store.verify().unwrap();
            // The index as it is here and now, behind the journal by what comes yet.
            let behind = dir.path().join("behind");
            if ending == 2 {
                store.close();
                copy(&path.join("index"), &behind);
                let (store, _) = Store::open(&path, options.clone()).unwrap();
                run(&store, &mut model, &steps);
                store.close();
                std::fs::remove_dir_all(path.join("index")).unwrap();
                std::fs::rename(&behind, path.join("index")).unwrap();
            }
            store.close();
            if ending == 1 {
                std::fs::remove_dir_all(path.join("index")).unwrap();
            }
        }
    }
}
