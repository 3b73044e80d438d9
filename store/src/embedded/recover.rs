//! The end of the journal at open: read whole, and judged.
//!
//! A frame that is incomplete at the very end was being written when the power went, and nobody
//! was told that it holds: it is dropped. But only if nothing knows better. If the head file, the
//! index or the last checkpoint has seen an entry that is not there, or a later whole frame stands
//! behind the broken one, then what is missing had been acknowledged, and the store refuses to open.

use std::fs::File;
use std::path::PathBuf;

use aws_lc_rs::digest::Context;

use super::beside::{Digest, digested};
use super::frame::{self, Found};
use super::head::HeadFound;
use super::journal::Journal;
use super::segment::{HEADER, Position, SealedAs, SegmentHeader};
use crate::{Error, Sequence, Tip};

/// What an interrupted write left at the end of the journal and was removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DroppedTail {
    /// The segment.
    pub file: PathBuf,
    /// Where the incomplete frame began.
    pub offset: u64,
    /// How many bytes were removed.
    pub bytes: u64,
}

/// Something outside the journal that knows how far it went.
#[derive(Clone, Debug)]
pub(crate) struct Witness {
    /// In words, to stand before "knows entry 7".
    pub(crate) name: String,
    pub(crate) sequence: Sequence,
    /// The header's hash there; `None` from the index, which is built again if it differs.
    pub(crate) hash: Option<[u8; 32]>,
}

/// The journal as far as it is whole.
pub(crate) struct Scanned {
    pub(crate) tip: Tip,
    pub(crate) end: Position,
    pub(crate) digest: Context,
    /// The file's length, and what is wrong between `end` and there.
    length: u64,
    broken: Option<String>,
}

impl Scanned {
    fn tip_at(&self, journal: &Journal, sequence: Sequence) -> Result<Tip, Error> {
        match sequence == self.tip.sequence {
            true => Ok(self.tip),
            false => journal.tip_at(sequence, self.end),
        }
    }
}

/// The numbers of the segments there are; refuses a gap.
pub(crate) fn segments(journal: &Journal) -> Result<u64, Error> {
    let dir = journal.layout.journal();
    let entries = match std::fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(Error::io("list", &dir)(error)),
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry.map_err(Error::io("list", &dir))?.file_name();
        numbers.extend(name.to_str().and_then(super::layout::segment_number));
    }
    numbers.sort_unstable();
    for (at, &number) in numbers.iter().enumerate() {
        let expected = at as u64 + 1;
        if number != expected {
            let path = journal.layout.segment(expected);
            return Err(Error::damaged(&path, 0, "this segment is missing, a later one is there"));
        }
    }
    Ok(numbers.len() as u64)
}

/// Checks that each sealed segment has the length its successor says. Their contents are checked
/// in the background.
pub(crate) fn check_sealed(journal: &Journal, last: u64) -> Result<(), Error> {
    let mut before: Option<SegmentHeader> = None;
    for number in 1..=last {
        let header = journal.header(number)?;
        let path = journal.layout.segment(number);
        match (&before, header.previous) {
            (None, None) if header.before == Tip::START => {}
            (Some(previous), Some(SealedAs { length, .. })) => {
                let file = journal.layout.segment(previous.number);
                let found = std::fs::metadata(&file).map_err(Error::io("look at", &file))?.len();
                if found != length {
                    let reason = format!("it was sealed with {length} bytes and has {found}");
                    return Err(Error::damaged(&file, found.min(length), reason));
                }
                if header.before.sequence < previous.before.sequence {
                    return Err(Error::damaged(&path, 24, "it begins before the segment before it"));
                }
            }
            _ => return Err(Error::damaged(&path, 24, "it does not continue the journal")),
        }
        journal.note(header.before.sequence.0 + 1, Position { segment: number, offset: HEADER });
        before = Some(header);
    }
    Ok(())
}

/// Reads the open segment whole.
pub(crate) fn scan(journal: &Journal, segment: u64) -> Result<Scanned, Error> {
    let path = journal.layout.segment(segment);
    let file = journal.file(segment)?;
    let header = SegmentHeader::read(&file, segment, &path)?;
    let length = file.metadata().map_err(Error::io("look at", &path))?.len();
    let (Whole { tip, end, broken }, digest) = digested(length, |digest| {
        digest.update(&header.to_bytes());
        whole(journal, &file, (header.before, segment), length, digest)
    })?;
    Ok(Scanned { tip, end, digest, length, broken })
}

/// How far a segment is whole, and what is wrong behind that.
struct Whole {
    tip: Tip,
    end: Position,
    broken: Option<String>,
}

/// Reads frame after frame, each checked by its checksum, the chain and the digests of its bodies.
fn whole(
    journal: &Journal,
    file: &File,
    (before, segment): (Tip, u64),
    length: u64,
    digest: &mut Digest,
) -> Result<Whole, Error> {
    let path = journal.layout.segment(segment);
    let mut scanned = Whole { tip: before, end: Position { segment, offset: HEADER }, broken: None };
    let mut payload = Vec::new();
    loop {
        let at = scanned.end;
        match frame::read(file, at.offset, length, &mut payload).map_err(Error::io("read", &path))? {
            // A block that was another's before, or ours: a power cut may leave the new length with it.
            Found::Frame(prefix) if prefix.first <= scanned.tip.sequence.0 => {
                scanned.broken = Some("a frame from before".to_owned());
                return Ok(scanned);
            }
            Found::Frame(prefix) => {
                let damaged = |reason| Error::damaged(&path, at.offset, reason);
                for entry in frame::entries(&prefix, &payload).map_err(damaged)? {
                    scanned.tip = entry.continues(&scanned.tip).map_err(damaged)?;
                }
                journal.note(prefix.first, at);
                digest.update(&prefix.to_bytes());
                digest.update(&payload);
                scanned.end.offset += prefix.size();
            }
            Found::End => return Ok(scanned),
            Found::Broken(reason) => {
                scanned.broken = Some(reason);
                return Ok(scanned);
            }
        }
    }
}

/// Holds the journal against what others know of it, then removes an incomplete end.
pub(crate) fn judge(
    journal: &Journal,
    scanned: &Scanned,
    witnesses: &[Witness],
) -> Result<Option<DroppedTail>, Error> {
    let path = journal.layout.segment(scanned.end.segment);
    let offset = scanned.end.offset;
    for witness in witnesses {
        let Witness { name, sequence, hash } = witness;
        if *sequence > scanned.tip.sequence {
            let end = scanned.broken.as_deref().unwrap_or("the journal ends");
            let last = scanned.tip.sequence;
            let reason = format!("{end} after entry {last}, but {name} knows entry {sequence}");
            return Err(Error::damaged(&path, offset, reason));
        }
        let Some(hash) = hash else { continue };
        if scanned.tip_at(journal, *sequence)?.hash != *hash {
            let reason = format!("{name} knows another entry {sequence} than the journal holds");
            return Err(Error::damaged(&path, offset, reason));
        }
    }
    if scanned.length == offset {
        return Ok(None);
    }
    let file = journal.file(scanned.end.segment)?;
    if let Some(reason) = &scanned.broken
        && let Some(behind) = frame::find(&file, offset + 1, scanned.length, scanned.tip.sequence.0)
            .map_err(Error::io("read", &path))?
    {
        let reason = format!("{reason}, and a whole frame follows at byte {behind}");
        return Err(Error::damaged(&path, offset, reason));
    }
    let cut = File::options().write(true).open(&path).map_err(Error::io("open", &path))?;
    cut.set_len(offset).and_then(|()| cut.sync_all()).map_err(Error::io("cut back", &path))?;
    let bytes = scanned.length - offset;
    // Zeros are room that was set aside, not something that was lost.
    Ok(scanned.broken.is_some().then_some(DroppedTail { file: path, offset, bytes }))
}

/// What the head file has to say.
pub(crate) fn head_witness(found: HeadFound) -> Option<Witness> {
    match found {
        HeadFound::Absent | HeadFound::Unreadable => None,
        HeadFound::Head(head) => Some(Witness {
            name: "the head file".to_owned(),
            sequence: head.tip.sequence,
            hash: Some(head.tip.hash),
        }),
    }
}
