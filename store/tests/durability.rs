//! What was acknowledged is there again, whatever happened to process, index or files; and where
//! it is not, the store says so instead of opening with less.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use store::{
    Batch, Class, Create, Direction, Error, IndexState, Key, KeyRange, OpenOptions, Origin, Sealing,
    Sequence, Store, Stored,
};

fn options() -> OpenOptions {
    OpenOptions::new(Create::IfAbsent)
}

fn open(dir: &Path) -> Store {
    Store::open(dir, options()).unwrap().0
}

fn change(number: u64) -> Batch {
    let mut batch = Batch::new(Class::Ledger, number as i64, "tester", format!("change {number}"));
    batch.put(Key::new("record").part(format!("{:04}", number % 7)), vec![number as u8; 40]);
    batch.put(Key::new("large").part(format!("{:04}", number % 5)), vec![number as u8; 300]);
    if number.is_multiple_of(3) {
        batch.delete(Key::new("record").part(format!("{:04}", (number + 2) % 7)));
    }
    batch
}

fn commit(store: &Store, numbers: std::ops::RangeInclusive<u64>) {
    for number in numbers {
        assert_eq!(store.commit(change(number)).unwrap(), Sequence(number));
    }
}

fn content(store: &Store) -> Vec<Stored> {
    store.scan(&KeyRange::all(), None, usize::MAX, Direction::Ascending).unwrap()
}

/// What a store with the changes 1 to `last` holds.
fn expected(last: u64) -> Vec<Stored> {
    let store = Store::in_memory();
    commit(&store, 1..=last);
    content(&store)
}

fn copy(from: &Path, to: &Path) {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.metadata().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}

fn segment(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("journal/{number:08}.seg"))
}

/// A closed store with the changes 1 to `last`.
fn made(dir: &Path, last: u64) -> PathBuf {
    let path = dir.join("store");
    let store = open(&path);
    commit(&store, 1..=last);
    store.close();
    path
}

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
                bytes[..4096].fill(0);
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
            "a record silently missing",
            Box::new(|path| {
                let index = sled::open(path.join("index")).unwrap();
                index.remove(Key::new("record").part("0001").as_bytes()).unwrap().unwrap();
                drop(index);
                fs::remove_file(path.join("index.clean")).unwrap();
            }),
        ),
        (
            "a record silently changed",
            Box::new(|path| {
                let index = sled::open(path.join("index")).unwrap();
                let key = Key::new("record").part("0001");
                let mut value = index.get(key.as_bytes()).unwrap().unwrap().to_vec();
                *value.last_mut().unwrap() ^= 1;
                index.insert(key.as_bytes(), value).unwrap();
                drop(index);
                fs::remove_file(path.join("index.clean")).unwrap();
            }),
        ),
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
    let other = dir.path().join("other");
    let store = open(&other);
    store.commit(Batch::new(Class::Ledger, 0, "x", "another history")).unwrap();
    store.close();
    fs::remove_dir_all(path.join("index")).unwrap();
    copy(&other.join("index"), &path.join("index"));
    let (store, report) = Store::open(&path, options()).unwrap();
    assert!(matches!(report.index, IndexState::Rebuilt { .. }), "{:?}", report.index);
    assert_eq!(content(&store), expected(5));
}

/// Opens a damaged copy: it must refuse and name the file, or hold everything.
fn refuses_or_is_whole(path: &Path, last: u64, what: &str) {
    match Store::open(path, options()) {
        Ok((store, report)) => {
            assert_eq!(report.head, Sequence(last), "{what}: {report:?}");
            assert_eq!(content(&store), expected(last), "{what}");
        }
        Err(Error::Damaged { file, .. }) => assert!(file.starts_with(path), "{what}: {file:?}"),
        Err(Error::Format { .. }) => {}
        Err(other) => panic!("{what}: {other:?}"),
    }
}

#[test]
fn a_journal_cut_off_at_any_byte_is_never_taken_for_a_shorter_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = made(dir.path(), 3);
    let bytes = fs::read(segment(&path, 1)).unwrap();
    for length in 0..bytes.len() {
        fs::write(segment(&path, 1), &bytes[..length]).unwrap();
        let error = Store::open(&path, options()).map(|(_, report)| report).unwrap_err();
        match &error {
            Error::Damaged { file, .. } => assert_eq!(*file, segment(&path, 1), "cut to {length}"),
            other => panic!("cut to {length}: {other:?}"),
        }
        assert_eq!(fs::read(segment(&path, 1)).unwrap(), &bytes[..length], "the refusal changed the file");
    }
}

#[test]
fn each_witness_alone_keeps_the_end_from_being_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let random = aws_lc_rs::rand::SystemRandom::new();
    let audit = store::checkpoint::AuditKey::load_or_create(&dir.path().join("audit.key"), &random).unwrap();
    let origin = store::checkpoint::LogName::new("test").unwrap();
    let store = open(&path);
    commit(&store, 1..=3);
    store.checkpoint(&audit, &origin, 0).unwrap();
    drop(store);
    let bytes = fs::read(segment(&path, 1)).unwrap();
    fs::write(segment(&path, 1), &bytes[..bytes.len() - 1]).unwrap();
    for (witness, name) in
        [("head", "the head file"), ("index", "the index"), ("checkpoint", "the last checkpoint")]
    {
        let left = dir.path().join(witness);
        copy(&path, &left);
        for other in ["head", "index", "checkpoint"] {
            match (other == witness, other) {
                (true, _) => {}
                (false, "index") => fs::remove_dir_all(left.join("index")).unwrap(),
                (false, other) => fs::remove_file(left.join(other)).unwrap(),
            }
        }
        let error = Store::open(&left, options()).map(|(_, report)| report).unwrap_err();
        let Error::Damaged { reason, .. } = &error else { panic!("{witness}: {error:?}") };
        assert!(reason.contains(&format!("{name} knows entry 3")), "{reason}");
    }
    // With none of them left there is no telling it from a write that was never answered.
    fs::remove_file(path.join("head")).unwrap();
    fs::remove_file(path.join("checkpoint")).unwrap();
    fs::remove_dir_all(path.join("index")).unwrap();
    let (store, report) = Store::open(&path, options()).unwrap();
    assert_eq!((report.head, report.dropped.is_some()), (Sequence(2), true));
    assert_eq!(content(&store), expected(2));
}

#[test]
fn a_flipped_byte_anywhere_is_refused_or_harmless() {
    let dir = tempfile::tempdir().unwrap();
    let path = made(dir.path(), 3);
    fs::remove_dir_all(path.join("index")).unwrap();
    for name in ["journal/00000001.seg", "head", "format", "index.clean"] {
        let file = path.join(name);
        let bytes = fs::read(&file).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            fs::write(&file, changed).unwrap();
            refuses_or_is_whole(&path, 3, &format!("byte {at} of {name}"));
            // An open that succeeded has written the head file anew.
            fs::write(&file, &bytes).unwrap();
        }
    }
    refuses_or_is_whole(&path, 3, "nothing");
}

#[test]
fn an_interrupted_write_is_dropped_and_reported() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let store = open(&path);
    commit(&store, 1..=2);
    let before = dir.path().join("before");
    copy(&path, &before);
    commit(&store, 3..=3);
    drop(store);
    let start = fs::metadata(segment(&before, 1)).unwrap().len() as usize;
    let whole = fs::read(segment(&path, 1)).unwrap();
    // Every length of the frame's prefix, then some of the rest: each costs two opens.
    let lengths = (start..start + 30).chain((start + 30..whole.len()).step_by(23)).chain([whole.len()]);
    for length in lengths {
        let left = dir.path().join("left");
        copy(&before, &left);
        fs::write(segment(&left, 1), &whole[..length]).unwrap();
        let (store, report) = Store::open(&left, options()).unwrap();
        let (head, dropped) = match length {
            length if length == start => (2, 0),
            // Whole, though nobody was told: it stands.
            length if length == whole.len() => (3, 0),
            length => (2, length - start),
        };
        assert_eq!(report.head, Sequence(head), "{length}");
        assert_eq!(report.dropped.as_ref().map_or(0, |tail| tail.bytes), dropped as u64, "{length}");
        assert!(
            report.dropped.is_none_or(|tail| tail.offset == start as u64 && tail.file == segment(&left, 1))
        );
        assert_eq!(content(&store), expected(head), "{length}");
        commit(&store, head + 1..=head + 2);
        drop(store);
        let (store, report) = Store::open(&left, options()).unwrap();
        assert_eq!(report.dropped, None);
        assert_eq!(content(&store), expected(head + 2), "{length}");
        drop(store);
        fs::remove_dir_all(&left).unwrap();
    }
}

#[test]
fn room_that_was_set_aside_is_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let path = made(dir.path(), 3);
    fs::File::options().write(true).open(segment(&path, 1)).unwrap().set_len(100_000).unwrap();
    let (store, report) = Store::open(&path, options()).unwrap();
    assert_eq!((report.head, report.dropped), (Sequence(3), None));
    commit(&store, 4..=5);
    store.verify().unwrap();
    drop(store);
    assert_eq!(content(&open(&path)), expected(5));
}

#[test]
fn a_whole_frame_behind_a_broken_one_shows_that_it_was_not_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = made(dir.path(), 3);
    for witness in ["head", "index.clean"] {
        fs::remove_file(path.join(witness)).unwrap();
    }
    fs::remove_dir_all(path.join("index")).unwrap();
    let bytes = fs::read(segment(&path, 1)).unwrap();
    let frames: Vec<_> =
        bytes.windows(4).enumerate().filter(|(_, w)| w == b"PKIF").map(|(at, _)| at).collect();
    let mut changed = bytes;
    changed[frames[1] + 30] ^= 1;
    fs::write(segment(&path, 1), &changed).unwrap();
    let error = Store::open(&path, options()).map(|(_, report)| report).unwrap_err();
    assert!(matches!(&error, Error::Damaged { offset, .. } if *offset == frames[1] as u64), "{error:?}");
    assert_eq!(fs::read(segment(&path, 1)).unwrap(), changed);
}

#[test]
fn a_missing_journal_is_never_taken_for_a_new_store() {
    let dir = tempfile::tempdir().unwrap();
    let path = made(dir.path(), 3);
    for (remove, keep) in [("journal", None), ("journal/00000001.seg", None), ("journal", Some("head"))] {
        let left = dir.path().join("left");
        copy(&path, &left);
        match left.join(remove).is_dir() {
            true => fs::remove_dir_all(left.join(remove)).unwrap(),
            false => fs::remove_file(left.join(remove)).unwrap(),
        }
        if keep.is_some() {
            fs::remove_file(left.join("format")).unwrap();
            fs::remove_dir_all(left.join("index")).unwrap();
        }
        let error = Store::open(&left, options()).map(|(_, report)| report).unwrap_err();
        assert!(matches!(error, Error::Missing { .. }), "{error:?}");
        fs::remove_dir_all(&left).unwrap();
    }
}

#[test]
fn a_creation_that_was_interrupted_is_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    let empty = dir.path().join("empty");
    let refuse = OpenOptions::new(Create::Refuse);
    assert!(matches!(Store::open(&empty, refuse.clone()), Err(Error::Absent { .. })));
    assert!(!empty.exists());
    fs::create_dir_all(empty.join("journal")).unwrap();
    fs::set_permissions(&empty, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    fs::set_permissions(empty.join("journal"), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    assert!(matches!(Store::open(&empty, refuse), Err(Error::Absent { .. })));
    let (store, report) = Store::open(&empty, options()).unwrap();
    assert_eq!(report.origin, Origin::Created);
    commit(&store, 1..=2);
    drop(store);

    let path = made(dir.path(), 0);
    fs::remove_file(path.join("format")).unwrap();
    fs::remove_file(path.join("head")).unwrap();
    fs::remove_dir_all(path.join("index")).unwrap();
    commit(&open(&path), 1..=2);
    assert!(path.join("format").exists());
}

#[test]
fn a_later_format_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = made(dir.path(), 1);
    fs::write(path.join("format"), "pki store 2\n").unwrap();
    let error = Store::open(&path, options()).map(|(_, report)| report).unwrap_err();
    assert!(matches!(error, Error::Format { found: 2, known: 1, .. }), "{error:?}");
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
fn segments_are_sealed_and_every_flipped_byte_is_found_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let mut options = options();
    options.limits.segment = 1500;
    options.limits.recent = 2;
    let (store, _) = Store::open(&path, options.clone()).unwrap();
    commit(&store, 1..=8);
    let report = store.verify().unwrap();
    assert!(report.segments.len() >= 3, "{report:?}");
    assert_eq!(report.segments.iter().map(|segment| segment.entries).sum::<u64>(), 8);
    assert_eq!(report.tip, store.tip());
    assert_eq!(report.segments[0].sealing, Sealing::Sealed);
    assert_eq!(report.segments.last().unwrap().sealing, Sealing::Open);
    assert_eq!(store.segments(), report.segments.len() as u64);
    assert_eq!(store.follow(Sequence::ZERO, 100).unwrap().len(), 8);
    for number in 1..=8 {
        assert_eq!(store.follow(Sequence(number - 1), 1).unwrap()[0].sequence, Sequence(number));
    }
    let first = segment(&path, 1);
    let bytes = fs::read(&first).unwrap();
    let frame = bytes.windows(4).position(|w| w == b"PKIF").unwrap() as u64;
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0x01;
        fs::write(&first, &changed).unwrap();
        let found = store.verify_segment(1).unwrap_err();
        match &found {
            Error::Damaged { file, offset, .. } => {
                assert_eq!(*file, first);
                assert!(
                    *offset <= at as u64 && (at as u64) < frame || *offset >= frame,
                    "byte {at}: {found}"
                );
            }
            Error::Format { .. } => {}
            other => panic!("byte {at}: {other:?}"),
        }
        store.verify().unwrap_err();
    }
    fs::write(&first, &bytes).unwrap();
    store.verify().unwrap();
    drop(store);

    // A sealed segment that is shorter, longer or gone is found at open already.
    for damage in [Some(&bytes[..bytes.len() - 1]), Some(&[bytes.as_slice(), b"x"].concat()), None] {
        match damage {
            Some(bytes) => fs::write(&first, bytes).unwrap(),
            None => fs::remove_file(&first).unwrap(),
        }
        let error = Store::open(&path, options.clone()).map(|(_, report)| report).unwrap_err();
        assert!(matches!(&error, Error::Damaged { file, .. } if *file == first), "{error:?}");
    }
    fs::write(&first, &bytes).unwrap();
    let (store, _) = Store::open(&path, options).unwrap();
    assert_eq!(content(&store), expected(8));
}

#[test]
fn a_value_damaged_in_the_journal_is_not_handed_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let store = open(&path);
    let mut batch = Batch::new(Class::Ledger, 0, "", "");
    batch.put(Key::new("large"), vec![0x77; 5000]);
    store.commit(batch).unwrap();
    let mut bytes = fs::read(segment(&path, 1)).unwrap();
    let length = bytes.len();
    bytes[length - 100] ^= 1;
    fs::write(segment(&path, 1), bytes).unwrap();
    let error = store.get(&Key::new("large")).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error:?}");
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
    for name in ["format", "head", "lock", "index.clean", "journal/00000001.seg"] {
        assert_eq!(fs::metadata(path.join(name)).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
}
