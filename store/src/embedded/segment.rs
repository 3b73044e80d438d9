//! A segment: one file of the journal, a header and then frames.
//!
//! ```text
//! magic "PKIJ" · CRC32C of the rest · format · reserved · number · first sequence
//!   · epoch before · hash before · length of the previous segment · its SHA-256
//! ```
//! A segment is sealed by its successor, whose header holds its length and digest. The header is
//! written with the file, in one step: there is never a segment without one.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::layout::{FORMAT, Layout};
use crate::chain::Hash;
use crate::file::{OnExisting, Visibility, place};
use crate::{Epoch, Error, Sequence, Tip};

const MAGIC: [u8; 4] = *b"PKIJ";
/// The size of a segment's header; the first frame begins here.
pub(crate) const HEADER: u64 = 128;

/// A place in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) segment: u64,
    pub(crate) offset: u64,
}

/// What a sealed segment must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SealedAs {
    pub(crate) length: u64,
    pub(crate) digest: Hash,
}

/// What a segment's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) number: u64,
    /// Where the history stood before this segment's first entry.
    pub(crate) before: Tip,
    /// The segment before this one; `None` in the first.
    pub(crate) previous: Option<SealedAs>,
}

impl SegmentHeader {
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let previous = self.previous.unwrap_or(SealedAs { length: 0, digest: [0; 32] });
        let mut bytes = Vec::with_capacity(HEADER as usize);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&FORMAT.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&self.number.to_le_bytes());
        bytes.extend_from_slice(&self.before.sequence.0.to_le_bytes());
        bytes.extend_from_slice(&self.before.epoch.0.to_le_bytes());
        bytes.extend_from_slice(&self.before.hash);
        bytes.extend_from_slice(&previous.length.to_le_bytes());
        bytes.extend_from_slice(&previous.digest);
        bytes.resize(HEADER as usize, 0);
        let crc = crc32c::crc32c(&bytes[8..]);
        bytes[4..8].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn parse(bytes: &[u8; HEADER as usize], path: &Path) -> Result<SegmentHeader, Error> {
        let refuse = |offset, reason: &str| Error::damaged(path, offset, reason);
        if bytes[..4] != MAGIC {
            return Err(refuse(0, "no journal segment begins here"));
        }
        let mut reader = Reader(&bytes[4..]);
        let crc = u32::from_le_bytes(reader.take());
        if crc != crc32c::crc32c(&bytes[8..]) {
            return Err(refuse(0, "the segment's header has a wrong checksum"));
        }
        let format = u32::from_le_bytes(reader.take());
        if format != FORMAT {
            return Err(Error::Format { file: path.to_owned(), found: format, known: FORMAT });
        }
        let _reserved: [u8; 4] = reader.take();
        let number = u64::from_le_bytes(reader.take());
        let sequence = Sequence(u64::from_le_bytes(reader.take()));
        let epoch = Epoch(u32::from_le_bytes(reader.take()));
        let before = Tip { sequence, epoch, hash: reader.take() };
        let previous = SealedAs { length: u64::from_le_bytes(reader.take()), digest: reader.take() };
        let previous = (number > 1).then_some(previous);
        let header = SegmentHeader { number, before, previous };
        // Nothing may hide in what is reserved.
        match header.to_bytes() == bytes {
            true => Ok(header),
            false => Err(refuse(0, "the segment's header is not in its one form")),
        }
    }

    /// Reads the header of the segment `number`.
    pub(crate) fn read(file: &File, number: u64, path: &Path) -> Result<SegmentHeader, Error> {
        let mut bytes = [0; HEADER as usize];
        match file.read_exact_at(&mut bytes, 0) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                let length = file.metadata().map_err(Error::io("look at", path))?.len();
                return Err(Error::damaged(path, length, "the segment's header is cut off"));
            }
            Err(error) => return Err(Error::io("read", path)(error)),
        }
        let header = SegmentHeader::parse(&bytes, path)?;
        match header.number == number {
            true => Ok(header),
            false => Err(Error::damaged(path, 16, format!("this is segment {}", header.number))),
        }
    }

    /// Creates the segment's file, durably.
    pub(crate) fn create(self, layout: &Layout) -> Result<(), Error> {
        let path = layout.segment(self.number);
        Ok(place(&path, &self.to_bytes(), Visibility::Secret, OnExisting::Refuse)?)
    }
}

/// Takes fixed pieces off a slice that is known to be long enough.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut piece = [0; N];
        let (head, tail) = self.0.split_at(N);
        piece.copy_from_slice(head);
        self.0 = tail;
        piece
    }
}
