//! A disk that rots: journals cut at every length, bits flipped at random in journal and index. Nothing
//! that was acknowledged is ever missing without a word: what can't be read is refused with its file
//! and offset, and an index that does not agree is built again.
//!
//! The bits fall the same way every time. `tests/full` tries them all, the short form some.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{commit, content, copy, expected};
use store::{
    Create, Direction, Error, IndexState, KeyRange, OpenOptions, OpenReport, Sequence, Store, Stored,
};

const ENTRIES: u64 = 12;

/// Segments of a kilobyte and a half: several are sealed.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new(Create::Refuse);
    options.limits.segment = 1500;
    options
}

/// A closed store of several segments.
fn made(dir: &Path) -> (PathBuf, Vec<PathBuf>) {
    let path = dir.join("store");
    let mut options = options();
    options.create = Create::IfAbsent;
    let (store, _) = Store::open(&path, options).unwrap();
    commit(&store, 1..=ENTRIES);
    let segments: Vec<PathBuf> =
        (1..=store.segments()).map(|number| common::segment(&path, number)).collect();
    assert!(segments.len() >= 3, "some are sealed");
    store.close();
    (path, segments)
}

/// SplitMix64: lots that fall the same way every time.
fn lots(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed;
    move |below| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = state;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((word ^ word >> 31) % below as u64) as usize
    }
}

/// Opens it; every record is there as it was written, or reading it names the damage in `file`.
fn opens_whole_or_refuses(path: &Path, file: &Path, what: &str) -> Option<OpenReport> {
    let (store, report) = match Store::open(path, options()) {
        Ok(opened) => opened,
        Err(error) => {
            named(&error, file, what);
            return None;
        }
    };
    assert_eq!(report.head, Sequence(ENTRIES), "{what}: {report:?}");
    assert_eq!(report.dropped, None, "{what}");
    // Record by record: one that can't be read must not hide another.
    let sound: Vec<Stored> = expected(ENTRIES);
    for record in &sound {
        match store.get(&record.key) {
            Ok(found) => assert_eq!(found.as_ref(), Some(record), "{what}"),
            Err(error) => named(&error, file, what),
        }
    }
    match store.scan(&KeyRange::all(), None, usize::MAX, Direction::Ascending) {
        Ok(found) => assert_eq!(found, sound, "{what}"),
        Err(error) => named(&error, file, what),
    }
    Some(report)
}

fn named(error: &Error, file: &Path, what: &str) {
    match error {
        Error::Damaged { file: found, .. } => assert_eq!(found, file, "{what}: {error}"),
        Error::Format { file: found, .. } => assert_eq!(found, file, "{what}: {error}"),
        other => panic!("{what}: {other:?}"),
    }
}

/// Every length of every segment (each `step`th), with the index and without.
fn every_length(step: usize) -> usize {
    let dir = tempfile::tempdir().unwrap();
    let (path, segments) = made(dir.path());
    let bare = dir.path().join("bare");
    copy(&path, &bare);
    fs::remove_dir_all(bare.join("index")).unwrap();
    let mut tried = 0;
    for segment in &segments {
        let whole = fs::read(segment).unwrap();
        for length in (0..whole.len()).step_by(step) {
            for store in [&path, &bare] {
                let file = store.join(segment.strip_prefix(&path).unwrap());
                fs::write(&file, &whole[..length]).unwrap();
                let what = format!("{} cut to {length}", file.display());
                let error = Store::open(store, options()).map(|(_, report)| report).unwrap_err();
                named(&error, &file, &what);
                assert_eq!(fs::read(&file).unwrap(), &whole[..length], "{what}: the refusal changed it");
                fs::write(&file, &whole).unwrap();
                tried += 1;
            }
        }
    }
    assert!(opens_whole_or_refuses(&path, &segments[0], "mended").is_some());
    tried
}

/// Bits of the journal, at random, with the index and without.
fn journal_bits(flips: usize) -> usize {
    let dir = tempfile::tempdir().unwrap();
    let (path, segments) = made(dir.path());
    let bare = dir.path().join("bare");
    let mut pick = lots(flips as u64);
    for number in 0..flips {
        let segment = &segments[pick(segments.len())];
        let whole = fs::read(segment).unwrap();
        let (at, bit) = (pick(whole.len()), pick(8));
        let mut changed = whole.clone();
        changed[at] ^= 1 << bit;
        let what = format!("flip {number}: bit {bit} of byte {at} of {}", segment.display());
        fs::write(segment, &changed).unwrap();
        if opens_whole_or_refuses(&path, segment, &what).is_some() {
            // A sealed segment is not read at opening: then the check of the whole journal finds it.
            let (store, _) = Store::open(&path, options()).unwrap();
            let error = store.verify().unwrap_err();
            named(&error, segment, &what);
            assert!(
                matches!(&error, Error::Damaged { offset, .. } if *offset <= at as u64),
                "{what}: {error}"
            );
        }
        assert_eq!(fs::read(segment).unwrap(), changed, "{what}: somebody wrote to it");
        // Built from this journal, an index would lack something.
        copy(&path, &bare);
        fs::remove_dir_all(bare.join("index")).unwrap();
        let file = bare.join(segment.strip_prefix(&path).unwrap());
        let error = Store::open(&bare, options()).map(|(_, report)| report).unwrap_err();
        named(&error, &file, &what);
        fs::remove_dir_all(&bare).unwrap();
        fs::write(segment, &whole).unwrap();
    }
    assert!(opens_whole_or_refuses(&path, &segments[0], "mended").is_some());
    flips
}

/// The files of the index.
fn index_files(path: &Path) -> Vec<PathBuf> {
    let files = |dir: PathBuf| fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let files = files(path.join("index")).chain(files(path.join("index/runs")));
    let mut files: Vec<_> = files.filter(|file| file.is_file()).collect();
    files.sort();
    files
}

/// What is in use of a file: behind that, sled keeps zeros.
fn used(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1)
}

/// Damages the index; the store must open whole, whatever became of it.
fn index_damage(path: &Path, file: &Path, bytes: &[u8], what: &str) -> IndexState {
    let left = path.with_file_name("left");
    copy(path, &left);
    fs::write(left.join(file.strip_prefix(path).unwrap()), bytes).unwrap();
    let (store, report) = Store::open(&left, options()).unwrap_or_else(|error| panic!("{what}: {error:?}"));
    assert_eq!((report.head, report.dropped), (Sequence(ENTRIES), None), "{what}");
    let state = report.index;
    assert_eq!(content(&store), expected(ENTRIES), "{what}: {state:?}");
    store.verify().unwrap();
    drop(store);
    // And it stays so.
    let (store, report) = Store::open(&left, options()).unwrap();
    assert_eq!(report.index, IndexState::Ready, "{what}");
    assert_eq!(content(&store), expected(ENTRIES), "{what}, opened again");
    drop(store);
    fs::remove_dir_all(&left).unwrap();
    state
}

/// The index cut to many lengths, and with bits flipped. Returns how many were built again, of how many.
fn index_rot(lengths: usize, flips: usize) -> (usize, usize) {
    let dir = tempfile::tempdir().unwrap();
    let (path, _) = made(dir.path());
    let (mut tried, mut rebuilt) = (0, 0);
    let mut judge = |state: IndexState| {
        tried += 1;
        rebuilt += usize::from(matches!(state, IndexState::Rebuilt { .. }));
    };
    for file in index_files(&path) {
        let whole = fs::read(&file).unwrap();
        let used = used(&whole);
        for length in (0..used + 64).step_by(used.div_ceil(lengths).max(1)).take_while(|at| *at < whole.len())
        {
            judge(index_damage(
                &path,
                &file,
                &whole[..length],
                &format!("{} cut to {length}", file.display()),
            ));
        }
        let mut pick = lots(used as u64);
        for _ in 0..flips {
            let (at, bit) = (pick(used), pick(8));
            let mut changed = whole.clone();
            changed[at] ^= 1 << bit;
            let what = format!("bit {bit} of byte {at} of {}", file.display());
            judge(index_damage(&path, &file, &changed, &what));
        }
    }
    (rebuilt, tried)
}

#[test]
fn a_journal_cut_at_some_lengths_is_refused_by_name() {
    assert!(every_length(97) > 50);
}

#[test]
fn some_bits_of_the_journal() {
    assert_eq!(journal_bits(100), 100);
}

#[test]
fn an_index_that_rots_is_built_again() {
    let (rebuilt, tried) = index_rot(12, 30);
    assert!(rebuilt > tried / 4, "{rebuilt} of {tried}");
}

#[test]
#[ignore = "tests/full: every length of every segment"]
#[expect(clippy::print_stdout, reason = "the figures are what one runs it for")]
fn a_journal_cut_at_every_length_is_refused_by_name() {
    println!("{} lengths, all refused with file and offset", every_length(1));
}

#[test]
#[ignore = "tests/full: two thousand bits"]
#[expect(clippy::print_stdout, reason = "the figures are what one runs it for")]
fn two_thousand_bits_of_the_journal() {
    println!("{} bits of the journal, all found", journal_bits(2_000));
}

#[test]
#[ignore = "tests/full: many lengths and bits of the index"]
#[expect(clippy::print_stdout, reason = "the figures are what one runs it for")]
fn an_index_that_rots_in_many_ways_is_built_again() {
    let (rebuilt, tried) = index_rot(200, 500);
    println!("{rebuilt} of {tried} damaged indexes were built again, the others were whole all the same");
}
