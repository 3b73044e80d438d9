//! A block: a few kilobytes of records in the order of keys, the least that is read at once.
//!
//! ```text
//! CRC32C of all that follows, the run's number and the block's key · key of the next block ·
//! version that the others are counted from · records
//! ```
//! A record is what its key has beyond the one before, its version and its value; of an inline
//! value only what the one before does not begin and end with. The key of the next block, empty in
//! the last, shows when one between them is missing. A block is written once and never changed, and
//! a run's number is never used again: what passes the checksum is what was written here.

use super::change::{Change, Keyed, Slot};
use super::code::{Reader, fold, put_number, put_text, unfold};
use crate::embedded::journal::Pointer;
use crate::embedded::segment::Position;

const INLINE: u64 = 0;
const POINTER: u64 = 1;
const DELETED: u64 = 2;
/// The checksum.
const CRC: usize = 4;

fn shared(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(a, b)| a == b).count()
}

fn checksum(run: u64, first: &[u8], bytes: &[u8]) -> u32 {
    let crc = crc32c::crc32c(&run.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(crc, first), bytes)
}

/// A block under construction.
pub(crate) struct Builder {
    first: Vec<u8>,
    key: Vec<u8>,
    value: Vec<u8>,
    base: u64,
    records: Vec<u8>,
}

impl Builder {
    /// A block whose first record has the key `first`.
    pub(crate) fn new(first: &[u8], change: &Change) -> Builder {
        let base = change.version().map_or(0, |version| version.0.0);
        let key = first.to_vec();
        Builder { first: first.to_vec(), key, value: Vec::new(), base, records: Vec::new() }
    }

    /// Adds a record; keys must come in order.
    pub(crate) fn push(&mut self, key: &[u8], change: &Change) {
        let same = shared(&self.key, key);
        put_number(&mut self.records, same as u64);
        put_text(&mut self.records, &key[same..]);
        self.key.truncate(same);
        self.key.extend_from_slice(&key[same..]);
        let out = &mut self.records;
        match change {
            Change::Delete => put_number(out, DELETED),
            Change::Put(version, slot) => {
                let version = fold(version.0.0.wrapping_sub(self.base) as i64);
                match slot {
                    Slot::Inline(value) => {
                        put_number(out, (value.len() as u64) << 2 | INLINE);
                        put_number(out, version);
                        let before = shared(&self.value, value);
                        let behind = shared_end(&self.value[before..], &value[before..]);
                        put_number(out, before as u64);
                        put_number(out, behind as u64);
                        out.extend_from_slice(&value[before..value.len() - behind]);
                        self.value.clear();
                        self.value.extend_from_slice(value);
                    }
                    Slot::Pointer(pointer) => {
                        put_number(out, u64::from(pointer.length) << 2 | POINTER);
                        put_number(out, version);
                        put_number(out, pointer.at.segment);
                        put_number(out, pointer.at.offset);
                        out.extend_from_slice(&pointer.crc.to_le_bytes());
                    }
                }
            }
        }
    }

    pub(crate) fn first(&self) -> &[u8] {
        &self.first
    }

    /// How large it has become.
    pub(crate) fn size(&self) -> usize {
        self.records.len()
    }

    /// The block's bytes. `next` is the key of the one that follows in the run, empty if none does.
    pub(crate) fn finish(self, run: u64, next: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.records.len() + next.len() + 24);
        bytes.extend_from_slice(&[0; CRC]);
        put_number(&mut bytes, next.len() as u64);
        bytes.extend_from_slice(next);
        put_number(&mut bytes, self.base);
        bytes.extend_from_slice(&self.records);
        let crc = checksum(run, &self.first, &bytes[CRC..]);
        bytes[..CRC].copy_from_slice(&crc.to_le_bytes());
        bytes
    }
}

fn shared_end(one: &[u8], other: &[u8]) -> usize {
    one.iter().rev().zip(other.iter().rev()).take_while(|(a, b)| a == b).count()
}

/// A block whose checksum holds.
pub(crate) struct Block<'b> {
    /// The key of the next block, empty in the last.
    pub(crate) next: &'b [u8],
    first: &'b [u8],
    base: u64,
    records: &'b [u8],
}

impl<'b> Block<'b> {
    /// Checks a block of the run `run` that is to begin at the key `first`; `None` if it is damaged.
    pub(crate) fn open(run: u64, first: &'b [u8], bytes: &'b [u8]) -> Option<Block<'b>> {
        let (crc, rest) = bytes.split_at_checked(CRC)?;
        if crc != checksum(run, first, rest).to_le_bytes() {
            return None;
        }
        let mut reader = Reader::new(rest);
        let length = reader.length()?;
        let next = reader.take(length)?;
        let base = reader.number()?;
        Some(Block { next, first, base, records: reader.rest() })
    }

    fn walk(&self) -> Walk<'b> {
        Walk { reader: Reader::new(self.records), base: self.base, key: self.first.to_vec(), value: vec![] }
    }

    /// What it holds for `key`; the outer `None` is damage.
    pub(crate) fn find(&self, key: &[u8]) -> Option<Option<Change>> {
        let mut walk = self.walk();
        while !walk.reader.is_empty() {
            let found = walk.step()?;
            match walk.key.as_slice().cmp(key) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => return Some(Some(walk.change(found))),
                std::cmp::Ordering::Greater => break,
            }
        }
        Some(None)
    }

    /// All its records; `None` is damage.
    pub(crate) fn records(&self) -> Option<Vec<Keyed>> {
        let mut walk = self.walk();
        let mut records = Vec::new();
        while !walk.reader.is_empty() {
            let found = walk.step()?;
            records.push((walk.key.clone(), walk.change(found)));
        }
        Some(records)
    }
}

/// What a step over a record met; an inline value lies in the walk.
enum Found {
    Inline(u64),
    Pointer(u64, Pointer),
    Deleted,
}

struct Walk<'b> {
    reader: Reader<'b>,
    base: u64,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl Walk<'_> {
    fn step(&mut self) -> Option<Found> {
        let same = self.reader.length()?;
        if same > self.key.len() {
            return None;
        }
        self.key.truncate(same);
        self.reader.text(&mut self.key)?;
        let kind = self.reader.number()?;
        if kind == DELETED {
            return Some(Found::Deleted);
        }
        let version = self.base.wrapping_add(unfold(self.reader.number()?) as u64);
        let length = kind >> 2;
        match kind & 3 {
            INLINE => {
                let (before, behind) = (self.reader.length()?, self.reader.length()?);
                let middle = usize::try_from(length).ok()?.checked_sub(before)?.checked_sub(behind)?;
                let end_from = self.value.len().checked_sub(behind)?;
                if before > end_from {
                    return None;
                }
                let middle = self.reader.take(middle)?;
                self.value.splice(before..end_from, middle.iter().copied());
                Some(Found::Inline(version))
            }
            POINTER => {
                let at = Position { segment: self.reader.number()?, offset: self.reader.number()? };
                let crc = u32::from_le_bytes(self.reader.take(4)?.try_into().ok()?);
                Some(Found::Pointer(version, Pointer { at, length: u32::try_from(length).ok()?, crc }))
            }
            _ => None,
        }
    }

    fn change(&self, found: Found) -> Change {
        match found {
            Found::Inline(version) => Change::put(version, Slot::Inline(self.value.clone())),
            Found::Pointer(version, pointer) => Change::put(version, Slot::Pointer(pointer)),
            Found::Deleted => Change::Delete,
        }
    }
}
