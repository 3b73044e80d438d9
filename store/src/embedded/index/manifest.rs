//! The manifest: up to where the index follows the journal, and which runs it consists of.

use minicbor::{Decode, Encode};

use super::run::Meta;
use crate::embedded::segment::{HEADER, Position};
use crate::{Epoch, Sequence, Tip};

/// The index's own format; another one is built again, not converted.
const FORMAT: u32 = 2;
const CRC: usize = 4;

/// Up to where the index follows the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) tip: Tip,
    pub(crate) end: Position,
}

impl Mark {
    /// Before the first entry.
    pub(crate) const START: Mark = Mark { tip: Tip::START, end: Position { segment: 1, offset: HEADER } };
}

/// One value in sled, written last: with it, what it names becomes the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) mark: Mark,
    /// The newest first.
    pub(crate) runs: Vec<Meta>,
}

#[derive(Encode, Decode)]
struct Stored {
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
    runs: Vec<Meta>,
}

impl Manifest {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let stored = Stored {
            format: FORMAT,
            sequence: self.mark.tip.sequence.0,
            epoch: self.mark.tip.epoch.0,
            hash: self.mark.tip.hash,
            segment: self.mark.end.segment,
            offset: self.mark.end.offset,
            runs: self.runs.clone(),
        };
        let mut bytes = vec![0; CRC];
        match minicbor::encode(&stored, &mut bytes) {
            Ok(()) => {}
            Err(never) => unreachable!("encoding into a Vec can't fail: {never}"),
        }
        let crc = crc32c::crc32c(&bytes[CRC..]);
        bytes[..CRC].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// `None` if it is damaged or of another format.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Manifest> {
        let (crc, body) = bytes.split_at_checked(CRC)?;
        if crc != crc32c::crc32c(body).to_le_bytes() {
            return None;
        }
        let stored: Stored = minicbor::decode(body).ok().filter(|stored: &Stored| stored.format == FORMAT)?;
        let (sequence, epoch) = (Sequence(stored.sequence), Epoch(stored.epoch));
        let mark = Mark {
            tip: Tip { sequence, epoch, hash: stored.hash },
            end: Position { segment: stored.segment, offset: stored.offset },
        };
        Some(Manifest { mark, runs: stored.runs })
    }
}
