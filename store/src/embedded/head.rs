//! The head file: what was acknowledged last, in two slots that are written in turn.
//!
//! It is written after each group commit and never synced. That is enough for what it is for: a
//! process that was killed leaves it in the page cache, and after a power cut it is merely older
//! than the journal. It keeps a journal whose end was cut off from being taken for a shorter one.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use super::segment::Position;
use crate::{Epoch, Error, Sequence, Tip};

const MAGIC: [u8; 4] = *b"PKIH";
const SLOT: usize = 128;
/// How many bytes of a slot are in use.
const USED: usize = 68;

/// The newest entry that was acknowledged, and where its frame ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) tip: Tip,
    pub(crate) end: Position,
}

impl Head {
    fn to_slot(self) -> [u8; SLOT] {
        let mut slot = [0; SLOT];
        slot[..4].copy_from_slice(&MAGIC);
        slot[8..16].copy_from_slice(&self.tip.sequence.0.to_le_bytes());
        slot[16..24].copy_from_slice(&self.end.segment.to_le_bytes());
        slot[24..32].copy_from_slice(&self.end.offset.to_le_bytes());
        slot[32..36].copy_from_slice(&self.tip.epoch.0.to_le_bytes());
        slot[36..68].copy_from_slice(&self.tip.hash);
        let crc = crc32c::crc32c(&slot[8..USED]);
        slot[4..8].copy_from_slice(&crc.to_le_bytes());
        slot
    }

    fn from_slot(slot: &[u8]) -> Option<Head> {
        let word = |at: usize| Some(u64::from_le_bytes(slot.get(at..at + 8)?.try_into().ok()?));
        let half = |at: usize| Some(u32::from_le_bytes(slot.get(at..at + 4)?.try_into().ok()?));
        if slot.get(..4)? != MAGIC || half(4)? != crc32c::crc32c(slot.get(8..USED)?) {
            return None;
        }
        let hash = slot.get(36..68)?.try_into().ok()?;
        let tip = Tip { sequence: Sequence(word(8)?), epoch: Epoch(half(32)?), hash };
        Some(Head { tip, end: Position { segment: word(16)?, offset: word(24)? } })
    }
}

/// The open head file.
pub(crate) struct HeadFile {
    file: File,
    turn: Turn,
}

/// What the head file said at open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeadFound {
    /// There is no such file.
    Absent,
    /// There is one, and no slot of it can be read.
    Unreadable,
    /// The newest slot.
    Head(Head),
}

impl HeadFile {
    /// Reads what is there.
    pub(crate) fn read(path: &Path) -> Result<HeadFound, Error> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(HeadFound::Absent),
            Err(error) => return Err(Error::io("read", path)(error)),
        };
        let newest = bytes.chunks(SLOT).filter_map(Head::from_slot).max_by_key(|head| head.tip.sequence);
        Ok(newest.map_or(HeadFound::Unreadable, HeadFound::Head))
    }

    /// Opens it for writing, both slots set to `head`.
    pub(crate) fn open(path: &Path, head: Head) -> Result<HeadFile, Error> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(Error::io("open", path))?;
        let mut opened = HeadFile { file, turn: Turn::First };
        for _ in 0..2 {
            opened.write(head).map_err(Error::io("write", path))?;
        }
        Ok(opened)
    }

    /// Writes the slot that was not written last: a write that is cut off leaves the other.
    pub(crate) fn write(&mut self, head: Head) -> io::Result<()> {
        let (offset, next) = match self.turn {
            Turn::First => (0, Turn::Second),
            Turn::Second => (SLOT as u64, Turn::First),
        };
        self.turn = next;
        self.file.write_all_at(&head.to_slot(), offset)
    }

    /// The bytes of a head file that says `head`: for a copy of the store.
    pub(crate) fn content(head: Head) -> Vec<u8> {
        [head.to_slot(), head.to_slot()].concat()
    }
}

/// The slot that is written next.
enum Turn {
    First,
    Second,
}
