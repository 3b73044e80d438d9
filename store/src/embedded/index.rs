//! The index: where the newest value of each key lies. It may be lost; the journal may not.
//!
//! sled is fast and orders keys, but `flush()` is no barrier against a power cut and a damaged file
//! can open as an empty database without an error. So nothing is believed of it: a mark in the same
//! batch says up to where it follows the journal, and a sum over all its records, kept with the
//! mark, shows at a scan whether one is missing, old or changed. sled may also panic on damage:
//! every call is caught.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use minicbor::{Decode, Encode};

use super::journal::Pointer;
use super::segment::Position;
use crate::{Direction, Epoch, Error, KeyRange, Sequence, Tip, Version};

/// Where the mark lies: before every key, for those begin with a tree's name.
const MARK: &[u8] = b"\0mark";
/// The first byte that a record's key can begin with.
const FIRST_KEY: &[u8] = &[1];
/// The index's own format; another one is rebuilt, not converted.
const FORMAT: u32 = 1;
const INLINE: u8 = 0;
const POINTER: u8 = 1;
/// sled frees its file lock a moment after it was dropped; ours says that nobody else is there.
const LOCK_RETRIES: u32 = 200;
const LOCK_RETRY: Duration = Duration::from_millis(10);
/// How often sled writes on its own, in milliseconds: what a kill loses is read from the journal.
const FLUSH_EVERY: u64 = 2000;

/// The sum of all records' digests: it can follow each change, and any difference shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Sum {
    #[n(0)]
    records: u64,
    #[n(1)]
    lanes: [u64; 4],
}

impl Sum {
    fn lanes(key: &[u8], value: &[u8]) -> [u64; 4] {
        let mut input = Vec::with_capacity(8 + key.len() + value.len());
        input.extend_from_slice(&(key.len() as u64).to_le_bytes());
        input.extend_from_slice(key);
        input.extend_from_slice(value);
        let hash = crate::chain::hash(&input);
        let mut lanes = [0; 4];
        for (lane, bytes) in lanes.iter_mut().zip(hash.chunks_exact(8)) {
            *lane = bytes.iter().fold(0, |word, &byte| word << 8 | u64::from(byte));
        }
        lanes
    }

    /// Follows the change of one record.
    pub(crate) fn change(&mut self, key: &[u8], old: Option<&[u8]>, new: Option<&[u8]>) {
        if let Some(old) = old {
            self.records = self.records.wrapping_sub(1);
            for (lane, word) in self.lanes.iter_mut().zip(Sum::lanes(key, old)) {
                *lane = lane.wrapping_sub(word);
            }
        }
        if let Some(new) = new {
            self.records = self.records.wrapping_add(1);
            for (lane, word) in self.lanes.iter_mut().zip(Sum::lanes(key, new)) {
                *lane = lane.wrapping_add(word);
            }
        }
    }
}

/// Up to where the index follows the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) tip: Tip,
    pub(crate) end: Position,
    pub(crate) sum: Sum,
}

#[derive(Encode, Decode)]
struct StoredMark {
    #[n(0)]
    format: u32,
    #[n(1)]
    sequence: u64,
    #[n(2)]
    epoch: u32,
    #[cbor(n(3), with = "minicbor::bytes")]
    hash: [u8; 32],
    #[n(4)]
    segment: u64,
    #[n(5)]
    offset: u64,
    #[n(6)]
    sum: Sum,
}

impl Mark {
    fn to_bytes(self) -> Vec<u8> {
        let stored = StoredMark {
            format: FORMAT,
            sequence: self.tip.sequence.0,
            epoch: self.tip.epoch.0,
            hash: self.tip.hash,
            segment: self.end.segment,
            offset: self.end.offset,
            sum: self.sum,
        };
        match minicbor::to_vec(&stored) {
            Ok(bytes) => bytes,
            Err(never) => unreachable!("encoding into a Vec can't fail: {never}"),
        }
    }

    fn from_bytes(bytes: &[u8]) -> Option<Mark> {
        let stored: StoredMark = minicbor::decode(bytes).ok().filter(|s: &StoredMark| s.format == FORMAT)?;
        let (sequence, epoch) = (Sequence(stored.sequence), Epoch(stored.epoch));
        Some(Mark {
            tip: Tip { sequence, epoch, hash: stored.hash },
            end: Position { segment: stored.segment, offset: stored.offset },
            sum: stored.sum,
        })
    }
}

/// What the index holds for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// The value itself.
    Inline(Vec<u8>),
    /// Where it lies in the journal.
    Pointer(Pointer),
}

pub(crate) fn encode_slot(version: Version, slot: &Slot) -> Vec<u8> {
    let mut bytes = version.0.0.to_be_bytes().to_vec();
    match slot {
        Slot::Inline(value) => {
            bytes.push(INLINE);
            bytes.extend_from_slice(value);
        }
        Slot::Pointer(pointer) => {
            bytes.push(POINTER);
            bytes.extend_from_slice(&pointer.at.segment.to_be_bytes());
            bytes.extend_from_slice(&pointer.at.offset.to_be_bytes());
            bytes.extend_from_slice(&pointer.length.to_be_bytes());
            bytes.extend_from_slice(&pointer.crc.to_be_bytes());
        }
    }
    bytes
}

/// The version in an index entry; `None` if it is damaged.
pub(crate) fn version_of(bytes: &[u8]) -> Option<Version> {
    Some(Version(Sequence(u64::from_be_bytes(bytes.get(..8)?.try_into().ok()?))))
}

pub(crate) fn decode_slot(bytes: &[u8]) -> Option<(Version, Slot)> {
    let (&kind, rest) = bytes.get(8..)?.split_first()?;
    let word = |at: usize| Some(u64::from_be_bytes(rest.get(at..at + 8)?.try_into().ok()?));
    let half = |at: usize| Some(u32::from_be_bytes(rest.get(at..at + 4)?.try_into().ok()?));
    let slot = match kind {
        INLINE => Slot::Inline(rest.to_vec()),
        POINTER if rest.len() == 24 => {
            let at = Position { segment: word(0)?, offset: word(8)? };
            Slot::Pointer(Pointer { at, length: half(16)?, crc: half(20)? })
        }
        _ => return None,
    };
    Some((version_of(bytes)?, slot))
}

/// The keys that a scan looks at, the end excluded; `None` if there can be none.
pub(crate) fn bounds(
    range: &KeyRange,
    after: Option<&[u8]>,
    direction: Direction,
) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut start = range.start.as_slice().max(FIRST_KEY).to_vec();
    let mut end = range.end.clone();
    match (after, direction) {
        (Some(after), Direction::Ascending) if after >= start.as_slice() => {
            // The smallest key above `after`.
            start = [after, &[0]].concat();
        }
        (Some(after), Direction::Descending) if after < end.as_slice() => end = after.to_vec(),
        _ => {}
    }
    (start < end).then_some((start, end))
}

/// A record as the index knows it.
pub(crate) struct Indexed {
    pub(crate) key: Vec<u8>,
    pub(crate) version: Version,
    pub(crate) slot: Slot,
}

#[derive(Clone)]
pub(crate) struct Index {
    db: sled::Db,
    path: PathBuf,
}

impl Index {
    pub(crate) fn open(path: &Path, cache: u64) -> Result<Index, Error> {
        let config = sled::Config::new().path(path).cache_capacity(cache).flush_every_ms(Some(FLUSH_EVERY));
        let mut tries = 0;
        loop {
            match guard(path, || config.open()) {
                Ok(db) => return Ok(Index { db, path: path.to_owned() }),
                Err(Error::Index { reason, .. }) if reason.contains("lock") && tries < LOCK_RETRIES => {
                    tries += 1;
                    std::thread::sleep(LOCK_RETRY);
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn guard<T>(&self, act: impl FnOnce() -> sled::Result<T>) -> Result<T, Error> {
        guard(&self.path, act)
    }

    pub(crate) fn damaged(&self) -> Error {
        Error::Index { path: self.path.clone(), reason: "an entry can't be read".to_owned() }
    }

    /// Up to where it follows the journal; `None` if it does not say.
    pub(crate) fn mark(&self) -> Result<Option<Mark>, Error> {
        Ok(self.guard(|| self.db.get(MARK))?.and_then(|bytes| Mark::from_bytes(&bytes)))
    }

    /// An entry as it is stored.
    pub(crate) fn raw(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.guard(|| self.db.get(key))?.map(|bytes| bytes.to_vec()))
    }

    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<(Version, Slot)>, Error> {
        let found = self.guard(|| self.db.get(key))?;
        found.map(|bytes| decode_slot(&bytes).ok_or_else(|| self.damaged())).transpose()
    }

    pub(crate) fn scan(
        &self,
        range: &KeyRange,
        after: Option<&[u8]>,
        limit: usize,
        direction: Direction,
    ) -> Result<Vec<Indexed>, Error> {
        let Some((start, end)) = bounds(range, after, direction) else { return Ok(Vec::new()) };
        let decode = |(key, value): (sled::IVec, sled::IVec)| {
            let (version, slot) = decode_slot(&value).ok_or_else(|| self.damaged())?;
            Ok(Indexed { key: key.to_vec(), version, slot })
        };
        let found: Vec<_> = self.guard(|| {
            let found = self.db.range(start..end);
            match direction {
                Direction::Ascending => found.take(limit).collect(),
                Direction::Descending => found.rev().take(limit).collect(),
            }
        })?;
        found.into_iter().map(decode).collect()
    }

    /// Applies changes and the mark that they lead to, in one step.
    pub(crate) fn apply(&self, changes: &[(&[u8], Option<Vec<u8>>)], mark: Mark) -> Result<(), Error> {
        let mut batch = sled::Batch::default();
        for (key, value) in changes {
            match value {
                Some(value) => batch.insert(*key, value.as_slice()),
                None => batch.remove(*key),
            }
        }
        batch.insert(MARK, mark.to_bytes());
        self.guard(|| self.db.apply_batch(batch))
    }

    /// Writes one entry without a mark, for a rebuild; returns what was there.
    pub(crate) fn replace(&self, key: &[u8], value: Option<&[u8]>) -> Result<Option<Vec<u8>>, Error> {
        let old = self.guard(|| match value {
            Some(value) => self.db.insert(key, value),
            None => self.db.remove(key),
        })?;
        Ok(old.map(|bytes| bytes.to_vec()))
    }

    /// Reads everything and sums it up.
    pub(crate) fn sum(&self) -> Result<Sum, Error> {
        self.guard(|| {
            let mut sum = Sum::default();
            for entry in self.db.range(FIRST_KEY..) {
                let (key, value) = entry?;
                sum.change(&key, None, Some(&value));
            }
            Ok(sum)
        })
    }

    pub(crate) fn flush(&self) -> Result<(), Error> {
        self.guard(|| self.db.flush()).map(|_| ())
    }
}

fn guard<T>(path: &Path, act: impl FnOnce() -> sled::Result<T>) -> Result<T, Error> {
    let refuse = |reason| Error::Index { path: path.to_owned(), reason };
    match catch_unwind(AssertUnwindSafe(act)) {
        Ok(result) => result.map_err(|error| refuse(error.to_string())),
        Err(_) => Err(refuse("it broke down while it was used".to_owned())),
    }
}
