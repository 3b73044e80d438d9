//! Damage to the journal and to the files beside it: the store says what is wrong and where, and
//! never opens with less than what was acknowledged.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;

use common::{commit, content, copy, expected, made, open, options, segment};
use store::{Batch, Class, Create, Error, Key, OpenOptions, Origin, Sealing, Sequence, Store};

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
    for name in ["journal/00000001.seg", "head", "format"] {
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
        let left_over = fs::metadata(segment(&left, 1)).unwrap().len();
        assert_eq!(left_over, store.verify().unwrap().segments[0].bytes, "{length}");
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
    fs::remove_file(path.join("head")).unwrap();
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
fn old_frames_at_the_end_are_what_the_disk_held_there_before() {
    let dir = tempfile::tempdir().unwrap();
    let path = made(dir.path(), 3);
    let bytes = fs::read(segment(&path, 1)).unwrap();
    let frames: Vec<_> =
        bytes.windows(4).enumerate().filter(|(_, w)| w == b"PKIF").map(|(at, _)| at).collect();
    let old = &bytes[frames[1]..];
    // The file had grown for a frame that never came; what lies there is of this very journal.
    for stale in [old.to_vec(), [&[0x5a; 40], old].concat(), [old, &[0x5a; 40]].concat()] {
        let left = dir.path().join("left");
        copy(&path, &left);
        fs::write(segment(&left, 1), [bytes.as_slice(), &stale].concat()).unwrap();
        let (store, report) = Store::open(&left, options()).unwrap();
        assert_eq!(report.head, Sequence(3));
        assert_eq!(report.dropped.map(|tail| tail.bytes), Some(stale.len() as u64));
        assert_eq!(content(&store), expected(3));
        commit(&store, 4..=4);
        store.verify().unwrap();
        drop(store);
        fs::remove_dir_all(&left).unwrap();
    }
    // In the place of one that is known to have been there it is damage.
    let mut changed = bytes[..frames[2]].to_vec();
    changed.extend_from_slice(&bytes[frames[1]..frames[2]]);
    fs::write(segment(&path, 1), &changed).unwrap();
    let error = Store::open(&path, options()).map(|(_, report)| report).unwrap_err();
    assert!(matches!(&error, Error::Damaged { offset, .. } if *offset == frames[2] as u64), "{error:?}");
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
fn entries_of_another_history_are_not_taken_for_ours() {
    let dir = tempfile::tempdir().unwrap();
    let made = |name: &str| {
        let path = dir.path().join(name);
        let store = open(&path);
        store.commit(Batch::new(Class::Ledger, 0, "tester", name)).unwrap();
        store.commit(Batch::new(Class::Ledger, 0, "tester", "same")).unwrap();
        store.close();
        path
    };
    let (one, two) = (made("one"), made("two"));
    let mut ours = fs::read(segment(&one, 1)).unwrap();
    let theirs = fs::read(segment(&two, 1)).unwrap();
    let second = ours.windows(4).rposition(|w| w == b"PKIF").unwrap();
    ours.truncate(second);
    ours.extend_from_slice(&theirs[second..]);
    fs::write(segment(&one, 1), ours).unwrap();
    fs::remove_file(one.join("head")).unwrap();
    fs::remove_dir_all(one.join("index")).unwrap();
    let error = Store::open(&one, options()).map(|(_, report)| report).unwrap_err();
    let Error::Damaged { reason, offset, .. } = &error else { panic!("{error:?}") };
    assert!(reason.contains("does not continue") && *offset == second as u64, "{error}");
}

#[test]
fn a_sealed_segment_is_held_against_the_digest_in_its_successor() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let mut options = options();
    options.limits.segment = 1500;
    let (store, _) = Store::open(&path, options).unwrap();
    commit(&store, 1..=4);
    store.verify_segment(1).unwrap();
    let mut successor = fs::read(segment(&path, 2)).unwrap();
    successor[80] ^= 1;
    let crc = crc32c::crc32c(&successor[8..128]);
    successor[4..8].copy_from_slice(&crc.to_le_bytes());
    fs::write(segment(&path, 2), successor).unwrap();
    let error = store.verify_segment(1).unwrap_err();
    let Error::Damaged { file, reason, .. } = &error else { panic!("{error:?}") };
    assert!(*file == segment(&path, 1) && reason.contains("digest"), "{error}");
}
