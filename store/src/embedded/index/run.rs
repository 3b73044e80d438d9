//! A run: records in the order of keys, written once, in blocks.
//!
//! The blocks stand one after the other in a file, with the run's filter behind them; sled holds, in
//! a tree of the run's own, where the block lies that begins with a key. Nothing of a run ever
//! changes: a newer run lies in front of it, until both are merged into one.

use std::fs::File;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use minicbor::{Decode, Encode};

use super::block::Block;
use super::change::{Change, Keyed};
use super::filter::Filter;
use super::guard;
use crate::{Direction, Error};

/// What the manifest says of a run.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Meta {
    /// Never used for another.
    #[n(0)]
    pub(crate) number: u64,
    /// The key of its first block.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(crate) first: Vec<u8>,
    #[n(2)]
    pub(crate) blocks: u64,
    #[n(3)]
    pub(crate) records: u64,
    /// The length of its blocks together: where the filter begins.
    #[n(4)]
    pub(crate) bytes: u64,
    #[n(5)]
    pub(crate) filter: u64,
    #[n(6)]
    pub(crate) filter_crc: u32,
}

/// The name of a run's tree in sled.
pub(crate) fn tree_name(number: u64) -> Vec<u8> {
    format!("run-{number:016x}").into_bytes()
}

/// The path of a run's file.
pub(crate) fn file_path(index: &Path, number: u64) -> PathBuf {
    index.join(RUNS).join(format!("{number:016x}.run"))
}

/// The directory of the runs' files, in the index's.
pub(crate) const RUNS: &str = "runs";

/// Where a block lies in its file.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) offset: u64,
    pub(crate) length: u32,
}

impl Place {
    pub(crate) fn to_bytes(self) -> [u8; 12] {
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&self.offset.to_be_bytes());
        bytes[8..].copy_from_slice(&self.length.to_be_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Place> {
        let bytes: &[u8; 12] = bytes.try_into().ok()?;
        let (offset, length) = bytes.split_at(8);
        Some(Place {
            offset: u64::from_be_bytes(offset.try_into().ok()?),
            length: u32::from_be_bytes(length.try_into().ok()?),
        })
    }
}

/// The largest block that a reader accepts; it bounds what damage can make us allocate. One record
/// of the largest inline value may make a block of its own.
const MAX_BLOCK: u32 = 64 << 20;

/// A run that can be read.
pub(crate) struct Run {
    pub(crate) meta: Meta,
    tree: sled::Tree,
    file: File,
    index: PathBuf,
    filter: Filter,
}

impl Run {
    /// Takes up a run that the manifest names.
    pub(crate) fn open(db: &sled::Db, index: &Path, meta: Meta) -> Result<Run, Error> {
        let name = tree_name(meta.number);
        if !guard(index, || Ok(db.tree_names()))?.iter().any(|known| *known == name) {
            return Err(damaged(index, "a run is missing"));
        }
        let tree = guard(index, || db.open_tree(&name))?;
        let path = file_path(index, meta.number);
        let file =
            File::open(&path).map_err(|error| damaged(index, &format!("a run can't be opened: {error}")))?;
        let length = usize::try_from(meta.filter).map_err(|_| damaged(index, "an impossible filter"))?;
        let long = file.metadata().is_ok_and(|found| found.len() == meta.bytes + meta.filter);
        if !long {
            return Err(damaged(index, "a run has another length"));
        }
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, meta.bytes).map_err(Error::io("read", &path))?;
        let whole = crc32c::crc32c(&bytes) == meta.filter_crc;
        let filter = Filter::from_bytes(&bytes).filter(|_| whole);
        let filter = filter.ok_or_else(|| damaged(index, "a filter is damaged"))?;
        Ok(Run { meta, tree, file, index: index.to_owned(), filter })
    }

    /// What was just written.
    pub(crate) fn written(meta: Meta, tree: sled::Tree, file: File, index: &Path, filter: Filter) -> Run {
        Run { meta, tree, file, index: index.to_owned(), filter }
    }

    fn damaged(&self, what: &str) -> Error {
        damaged(&self.index, what)
    }

    /// Whether something with this digest may be in it.
    pub(crate) fn may_hold(&self, digest: u64) -> bool {
        self.filter.may_hold(digest)
    }

    fn read(&self, place: &[u8]) -> Result<Vec<u8>, Error> {
        let place = Place::from_bytes(place).filter(|place| place.length <= MAX_BLOCK);
        let place = place.ok_or_else(|| self.damaged("the place of a block can't be read"))?;
        let mut bytes = vec![0; place.length as usize];
        self.file.read_exact_at(&mut bytes, place.offset).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => self.damaged("a run is shorter than it was"),
            _ => Error::io("read", &file_path(&self.index, self.meta.number))(error),
        })?;
        Ok(bytes)
    }

    fn open_block<'b>(&self, first: &'b [u8], bytes: &'b [u8]) -> Result<Block<'b>, Error> {
        Block::open(self.meta.number, first, bytes).ok_or_else(|| self.damaged("a block is damaged"))
    }

    /// What it holds for a key.
    pub(crate) fn get(&self, key: &[u8], digest: u64) -> Result<Option<Change>, Error> {
        if !self.may_hold(digest) || key < self.meta.first.as_slice() {
            return Ok(None);
        }
        let found = guard(&self.index, || self.tree.range(..=key).next_back().transpose())?;
        let (first, place) = found.ok_or_else(|| self.damaged("a block is missing"))?;
        let bytes = self.read(&place)?;
        let block = self.open_block(&first, &bytes)?;
        if !block.next.is_empty() && block.next <= key {
            return Err(self.damaged("a block is missing"));
        }
        block.find(key).ok_or_else(|| self.damaged("a block can't be read"))
    }

    /// The records from `start` to before `end`.
    pub(crate) fn scan<'r>(&'r self, start: &[u8], end: &[u8], direction: Direction) -> Scan<'r> {
        let from = match direction {
            Direction::Ascending => start.max(&self.meta.first),
            Direction::Descending => end,
        };
        Scan {
            run: self,
            start: start.to_vec(),
            end: end.to_vec(),
            direction,
            seek: Seek::At(from.to_vec()),
            records: Vec::new().into_iter(),
        }
    }

    /// Reads every block once and checks that none is missing.
    pub(crate) fn verify(&self, wanted: &dyn Fn() -> super::Wanted) -> Result<(), Error> {
        let (mut blocks, mut expected) = (0, self.meta.first.clone());
        let mut entries = self.tree.iter();
        while let Some((first, place)) = guard(&self.index, || entries.next().transpose())? {
            let bytes = self.read(&place)?;
            let block = self.open_block(&first, &bytes)?;
            if *first != *expected {
                return Err(self.damaged("a block is missing"));
            }
            expected = block.next.to_vec();
            blocks += 1;
            if wanted() == super::Wanted::No {
                return Ok(());
            }
        }
        match expected.is_empty() && blocks == self.meta.blocks {
            true => Ok(()),
            false => Err(self.damaged("a block is missing")),
        }
    }
}

fn damaged(index: &Path, reason: &str) -> Error {
    Error::Index { path: index.to_owned(), reason: reason.to_owned() }
}

/// Where a scan reads next.
enum Seek {
    /// The block that holds this key; going down, the one before it.
    At(Vec<u8>),
    /// Exactly the block that begins here; going down, the one that ends here.
    Next(Vec<u8>),
    Done,
}

/// A scan of a run; after an error it ends.
pub(crate) struct Scan<'r> {
    run: &'r Run,
    start: Vec<u8>,
    end: Vec<u8>,
    direction: Direction,
    seek: Seek,
    records: std::vec::IntoIter<Keyed>,
}

impl Scan<'_> {
    /// Reads the next block's records; `false` once there are no more.
    fn fill(&mut self) -> Result<bool, Error> {
        let run = self.run;
        let missing = || run.damaged("a block is missing");
        let seek = std::mem::replace(&mut self.seek, Seek::Done);
        let found = guard(&run.index, || {
            let entry = match (self.direction, &seek) {
                (_, Seek::Done) => None,
                (Direction::Ascending, Seek::At(key)) => run.tree.range(..=key.as_slice()).next_back(),
                (Direction::Ascending, Seek::Next(key)) => run
                    .tree
                    .get(key)
                    .transpose()
                    .map(|found| found.map(|place| (key.as_slice().into(), place))),
                (Direction::Descending, Seek::At(key) | Seek::Next(key)) => {
                    run.tree.range(..key.as_slice()).next_back()
                }
            };
            entry.transpose()
        })?;
        let (first, place) = match (found, &seek) {
            (Some(found), _) => found,
            (None, Seek::Done) => return Ok(false),
            // Nothing lies below the run's first key.
            (None, Seek::At(key)) if self.direction == Direction::Descending && *key <= run.meta.first => {
                return Ok(false);
            }
            (None, Seek::At(_) | Seek::Next(_)) => return Err(missing()),
        };
        let bytes = run.read(&place)?;
        let block = run.open_block(&first, &bytes)?;
        let reaches = |key: &[u8]| block.next.is_empty() || block.next >= key;
        match (&seek, self.direction) {
            (Seek::At(key), Direction::Ascending)
                if !block.next.is_empty() && block.next <= key.as_slice() =>
            {
                return Err(missing());
            }
            (Seek::At(key), Direction::Descending) if !reaches(key) => return Err(missing()),
            (Seek::Next(key), Direction::Descending) if block.next != key.as_slice() => return Err(missing()),
            _ => {}
        }
        let mut records = block.records().ok_or_else(|| run.damaged("a block can't be read"))?;
        self.seek = match self.direction {
            Direction::Ascending if block.next.is_empty() || block.next >= self.end.as_slice() => Seek::Done,
            Direction::Ascending => Seek::Next(block.next.to_vec()),
            Direction::Descending if *first == *run.meta.first || *first <= *self.start => Seek::Done,
            Direction::Descending => Seek::Next(first.to_vec()),
        };
        records.retain(|(key, _)| *key >= self.start && *key < self.end);
        if self.direction == Direction::Descending {
            records.reverse();
        }
        self.records = records.into_iter();
        Ok(true)
    }
}

impl Iterator for Scan<'_> {
    type Item = Result<Keyed, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(record) = self.records.next() {
                return Some(Ok(record));
            }
            match self.fill() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    self.seek = Seek::Done;
                    return Some(Err(error));
                }
            }
        }
    }
}

/// A run under construction makes the files readable for their owner alone.
pub(crate) fn create_file(path: &Path) -> Result<File, Error> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(true).mode(0o600);
    options.open(path).map_err(Error::io("make", path))
}
