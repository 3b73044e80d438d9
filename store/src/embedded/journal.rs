//! Reading the journal: from any entry on, at any time, while the committer appends.
//!
//! Nothing here looks past the end that the caller names: what lies behind the last acknowledged
//! frame is not part of the history yet.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::frame::{self, Found, PREFIX, RawEntry};
use super::layout::Layout;
use super::segment::{HEADER, Position, SegmentHeader};
use crate::sync::{Mutex, MutexGuard, PoisonError};
use crate::{Error, Sequence, Tip};

/// Between two remembered places of a segment lie at least this many bytes.
const WAYPOINT_DISTANCE: u64 = 64 << 10;
/// How many segments are held open for reading.
const MAX_OPEN: usize = 64;

pub(crate) struct Journal {
    pub(crate) layout: Layout,
    files: Mutex<HashMap<u64, Arc<File>>>,
    /// Some frames by the sequence of their first entry; the first frame of each segment always.
    waypoints: Mutex<BTreeMap<u64, Position>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a walk over frames does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Walk {
    On,
    Stop,
}

impl Journal {
    pub(crate) fn new(layout: Layout) -> Journal {
        Journal { layout, files: Mutex::default(), waypoints: Mutex::default() }
    }

    /// The file of a segment, opened for reading.
    pub(crate) fn file(&self, segment: u64) -> Result<Arc<File>, Error> {
        let mut files = lock(&self.files);
        if let Some(file) = files.get(&segment) {
            return Ok(Arc::clone(file));
        }
        if files.len() >= MAX_OPEN {
            files.clear();
        }
        let path = self.layout.segment(segment);
        let file = Arc::new(File::open(&path).map_err(Error::io("open", &path))?);
        files.insert(segment, Arc::clone(&file));
        Ok(file)
    }

    /// Remembers where a frame begins, if no remembered one is near.
    pub(crate) fn note(&self, first: u64, at: Position) {
        let mut waypoints = lock(&self.waypoints);
        let near = waypoints.range(..=first).next_back().is_some_and(|(_, known)| {
            known.segment == at.segment && at.offset < known.offset + WAYPOINT_DISTANCE
        });
        if !near {
            waypoints.insert(first, at);
        }
    }

    /// A place at or before the frame that holds `sequence`.
    fn before(&self, sequence: u64) -> Position {
        let start = Position { segment: 1, offset: HEADER };
        lock(&self.waypoints).range(..=sequence).next_back().map_or(start, |(_, at)| *at)
    }

    /// Walks over whole frames from `from` to `end`. Every frame is checked by its CRC; damage is an
    /// error, for up to `end` everything has been acknowledged.
    pub(crate) fn walk(
        &self,
        from: Position,
        end: Position,
        mut visit: impl FnMut(Position, &frame::Prefix, &[u8]) -> Result<Walk, Error>,
    ) -> Result<(), Error> {
        let mut payload = Vec::new();
        let mut at = from;
        while at.segment <= end.segment {
            let path = self.layout.segment(at.segment);
            let file = self.file(at.segment)?;
            let stop = match at.segment == end.segment {
                true => end.offset,
                false => file.metadata().map_err(Error::io("look at", &path))?.len(),
            };
            while at.offset < stop {
                let found =
                    frame::read(&file, at.offset, stop, &mut payload).map_err(Error::io("read", &path))?;
                match found {
                    Found::Frame(prefix) => {
                        self.note(prefix.first, at);
                        if visit(at, &prefix, &payload)? == Walk::Stop {
                            return Ok(());
                        }
                        at.offset += prefix.size();
                    }
                    Found::End => {
                        return Err(Error::damaged(&path, at.offset, "frames are missing"));
                    }
                    Found::Broken(reason) => return Err(Error::damaged(&path, at.offset, reason)),
                }
            }
            at = Position { segment: at.segment + 1, offset: HEADER };
        }
        Ok(())
    }

    /// Where the frame begins that holds `sequence`, which lies before `end`. Reads prefixes only.
    fn locate(&self, sequence: u64, end: Position) -> Result<Position, Error> {
        let mut at = self.before(sequence);
        while at.segment <= end.segment {
            let path = self.layout.segment(at.segment);
            let file = self.file(at.segment)?;
            let stop = match at.segment == end.segment {
                true => end.offset,
                false => file.metadata().map_err(Error::io("look at", &path))?.len(),
            };
            while at.offset + PREFIX as u64 <= stop {
                let parsed = frame::read_prefix(&file, at.offset).map_err(Error::io("read", &path))?;
                let (prefix, _) = parsed.map_err(|reason| Error::damaged(&path, at.offset, reason))?;
                self.note(prefix.first, at);
                if sequence < prefix.first + u64::from(prefix.count) {
                    return Ok(at);
                }
                at.offset += prefix.size();
            }
            at = Position { segment: at.segment + 1, offset: HEADER };
        }
        Err(Error::NoEntry { sequence: Sequence(sequence) })
    }

    /// Visits the entries after `after`, up to `end`, each with its frame's place.
    pub(crate) fn entries(
        &self,
        after: Sequence,
        end: Position,
        mut visit: impl FnMut(Position, &RawEntry<'_>) -> Result<Walk, Error>,
    ) -> Result<(), Error> {
        let from = self.locate(after.0 + 1, end)?;
        self.walk(from, end, |at, prefix, payload| {
            let entries = frame::entries(prefix, payload)
                .map_err(|reason| Error::damaged(&self.layout.segment(at.segment), at.offset, reason))?;
            for entry in entries.iter().filter(|entry| entry.header.sequence > after.0) {
                if visit(at, entry)? == Walk::Stop {
                    return Ok(Walk::Stop);
                }
            }
            Ok(Walk::On)
        })
    }

    /// The history as it stood when `sequence` was the newest entry.
    pub(crate) fn tip_at(&self, sequence: Sequence, end: Position) -> Result<Tip, Error> {
        let mut found = None;
        if sequence == Sequence::ZERO {
            return Ok(Tip::START);
        }
        self.entries(Sequence(sequence.0 - 1), end, |_, entry| {
            let epoch = crate::Epoch(entry.header.epoch);
            found = Some(Tip { sequence, epoch, hash: crate::chain::hash(entry.header_bytes) });
            Ok(Walk::Stop)
        })?;
        found.ok_or(Error::NoEntry { sequence })
    }

    /// Reads a value that the index points to.
    pub(crate) fn value(&self, pointer: Pointer) -> Result<Vec<u8>, Error> {
        let path = self.layout.segment(pointer.at.segment);
        let mut value = vec![0; pointer.length as usize];
        self.file(pointer.at.segment)?
            .read_exact_at(&mut value, pointer.at.offset)
            .map_err(Error::io("read", &path))?;
        match crc32c::crc32c(&value) == pointer.crc {
            true => Ok(value),
            false => Err(Error::damaged(&path, pointer.at.offset, "a value's checksum is wrong")),
        }
    }

    pub(crate) fn header(&self, segment: u64) -> Result<SegmentHeader, Error> {
        SegmentHeader::read(&*self.file(segment)?, segment, &self.layout.segment(segment))
    }
}

/// Where in the journal a large value lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pointer {
    pub(crate) at: Position,
    pub(crate) length: u32,
    pub(crate) crc: u32,
}
