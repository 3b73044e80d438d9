//! A store written by the first version: every later one must open it and find the same.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use store::checkpoint::{AuditPublicKey, Checkpoint};
use store::{
    Batch, Class, Create, Direction, Entry, Epoch, IndexState, Key, KeyRange, OpenOptions, Sequence, Store,
    Version, Write,
};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/store-v1")
}

fn copy(from: &Path, to: &Path) {
    fs::DirBuilder::new().mode(0o700).create(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.metadata().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}

/// What `examples/golden_store.rs` committed.
fn history() -> Vec<Entry> {
    let entry = |number: u8| {
        let mut writes = vec![
            (small(number % 5), Write::Put(vec![number; usize::from(number)])),
            (Key::new("large").part("a/b%c").part([number % 3]), Write::Put(vec![number; 700])),
        ];
        if number % 3 == 2 {
            writes.push((small(number % 5), Write::Delete));
        }
        Entry {
            sequence: Sequence(u64::from(number) + 1),
            epoch: Epoch(u32::from(number >= 6)),
            class: if number % 4 == 3 { Class::State } else { Class::Ledger },
            time: 1_760_000_000 + i64::from(number),
            who: "local:1000(anna)".to_owned(),
            what: format!("change {number} — ü"),
            writes: Some(writes),
        }
    };
    (0..12).map(entry).collect()
}

fn small(number: u8) -> Key {
    Key::new("small").part(number.to_string())
}

fn batch(entry: &Entry) -> Batch {
    let mut batch = Batch::new(entry.class, entry.time, &entry.who, &entry.what);
    batch.writes = entry.writes.clone().unwrap();
    batch
}

#[test]
fn the_golden_store_opens_and_holds_what_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    copy(&golden(), &path);
    let (store, report) = Store::open(&path, OpenOptions::new(Create::Refuse)).unwrap();
    assert_eq!((report.head, report.dropped, report.warnings), (Sequence(12), None, Vec::<String>::new()));
    assert!(matches!(report.index, IndexState::Rebuilt { entries: 12, .. }));

    let entries: Vec<_> = store.follow(Sequence::ZERO, 100).unwrap().iter().map(|e| (**e).clone()).collect();
    assert_eq!(entries, history());
    let records = store.scan(&KeyRange::all(), None, 100, Direction::Ascending).unwrap();
    let found: Vec<_> =
        records.iter().map(|r| (r.key.to_string(), r.version.0.0, r.value.len(), r.value.first())).collect();
    assert_eq!(
        found,
        [
            ("large/a%2Fb%25c/%00".to_owned(), 10, 700, Some(&9)),
            ("large/a%2Fb%25c/%01".to_owned(), 11, 700, Some(&10)),
            ("large/a%2Fb%25c/%02".to_owned(), 12, 700, Some(&11)),
            ("small/0".to_owned(), 11, 10, Some(&10)),
            ("small/2".to_owned(), 8, 7, Some(&7)),
            ("small/4".to_owned(), 10, 9, Some(&9)),
        ]
    );
    assert_eq!(store.get(&small(2)).unwrap().unwrap().version, Version(Sequence(8)));

    let report = store.verify().unwrap();
    assert_eq!(report.segments.iter().map(|segment| segment.entries).collect::<Vec<_>>(), [4, 4, 4]);
    let key: AuditPublicKey = fs::read_to_string(path.join("audit.pub")).unwrap().trim().parse().unwrap();
    let note = fs::read_to_string(path.join("checkpoint")).unwrap();
    store.verify_against(&Checkpoint::parse(&note, &key).unwrap()).unwrap();

    let mut next = Batch::new(Class::Ledger, 0, "tester", "go on");
    next.put(small(2), b"new".to_vec());
    assert_eq!(store.commit(next).unwrap(), Sequence(13));
    store.verify().unwrap();
}

#[test]
fn the_same_batches_are_still_written_as_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let mut options = OpenOptions::new(Create::IfAbsent);
    options.limits.segment = 4096;
    let (store, _) = Store::open(&path, options).unwrap();
    let mut epoch = Epoch(0);
    for entry in history() {
        match entry.epoch == epoch {
            true => drop(store.commit(batch(&entry)).unwrap()),
            false => epoch = store.begin_epoch(batch(&entry)).unwrap(),
        }
    }
    let copy = dir.path().join("copy");
    store.snapshot().unwrap().copy_to(&copy).unwrap();
    for name in ["format", "head", "journal/00000001.seg", "journal/00000002.seg", "journal/00000003.seg"] {
        assert_eq!(fs::read(copy.join(name)).unwrap(), fs::read(golden().join(name)).unwrap(), "{name}");
    }
}
