//! What the tests of stores on disk share: a history of changes and copies of directories.

#![allow(dead_code)]

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use store::{Batch, Class, Create, Direction, Key, KeyRange, OpenOptions, Sequence, Store, Stored};

pub fn options() -> OpenOptions {
    OpenOptions::new(Create::IfAbsent)
}

pub fn open(dir: &Path) -> Store {
    Store::open(dir, options()).unwrap().0
}

pub fn change(number: u64) -> Batch {
    let mut batch = Batch::new(Class::Ledger, number as i64, "tester", format!("change {number}"));
    batch.put(Key::new("record").part(format!("{:04}", number % 7)), vec![number as u8; 40]);
    batch.put(Key::new("large").part(format!("{:04}", number % 5)), vec![number as u8; 300]);
    if number.is_multiple_of(3) {
        batch.delete(Key::new("record").part(format!("{:04}", (number + 2) % 7)));
    }
    batch
}

pub fn commit(store: &Store, numbers: std::ops::RangeInclusive<u64>) {
    for number in numbers {
        assert_eq!(store.commit(change(number)).unwrap(), Sequence(number));
    }
}

pub fn content(store: &Store) -> Vec<Stored> {
    store.scan(&KeyRange::all(), None, usize::MAX, Direction::Ascending).unwrap()
}

/// What a store with the changes 1 to `last` holds.
pub fn expected(last: u64) -> Vec<Stored> {
    let store = Store::in_memory();
    commit(&store, 1..=last);
    content(&store)
}

pub fn copy(from: &Path, to: &Path) {
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

pub fn segment(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("journal/{number:08}.seg"))
}

/// A closed store with the changes 1 to `last`.
pub fn made(dir: &Path, last: u64) -> PathBuf {
    let path = dir.join("store");
    let store = open(&path);
    commit(&store, 1..=last);
    store.close();
    path
}
