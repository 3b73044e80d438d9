//! Reading the whole journal again and checking every byte: what `pki audit verify` and the
//! background check do.

use std::path::PathBuf;

use aws_lc_rs::digest::{Context, SHA256};

use super::frame::{self, Found, PREFIX};
use super::journal::Journal;
use super::segment::{HEADER, Position, SealedAs};
use super::writer::finish;
use crate::{Error, Tip};

/// Whether a segment is still written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sealing {
    /// The newest one; checked up to the last acknowledged frame.
    Open,
    /// Closed; its length and digest were compared with its successor's header.
    Sealed,
}

/// A segment that is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentReport {
    /// Its file.
    pub file: PathBuf,
    /// Whether it is still written to.
    pub sealing: Sealing,
    /// How many bytes were read.
    pub bytes: u64,
    /// How many group commits it holds.
    pub frames: u64,
    /// How many entries it holds.
    pub entries: u64,
    /// Where the history stands after it.
    pub tip: Tip,
}

/// A journal that is whole; damage is [`Error::Damaged`] with its file and offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyReport {
    /// Its segments, oldest first.
    pub segments: Vec<SegmentReport>,
    /// The newest entry that was checked.
    pub tip: Tip,
}

/// Checks one segment: header, checksums, chain, bodies, seal.
pub(crate) fn segment(journal: &Journal, number: u64, end: Position) -> Result<SegmentReport, Error> {
    let path = journal.layout.segment(number);
    let header = journal.header(number)?;
    let file = journal.file(number)?;
    let seal = match number < end.segment {
        true => journal.header(number + 1)?.previous,
        false => None,
    };
    let bytes = match seal {
        None => end.offset,
        Some(_) => file.metadata().map_err(Error::io("look at", &path))?.len(),
    };
    let mut digest = Context::new(&SHA256);
    digest.update(&header.to_bytes());
    let mut report = SegmentReport {
        file: path.clone(),
        sealing: if seal.is_some() { Sealing::Sealed } else { Sealing::Open },
        bytes,
        frames: 0,
        entries: 0,
        tip: header.before,
    };
    let mut payload = Vec::new();
    let mut at = HEADER;
    while at < bytes {
        let damaged = |reason: String| Error::damaged(&path, at, reason);
        match frame::read(&file, at, bytes, &mut payload).map_err(Error::io("read", &path))? {
            Found::Frame(prefix) => {
                for entry in frame::entries(&prefix, &payload).map_err(damaged)? {
                    report.tip = entry.continues(&report.tip).map_err(damaged)?;
                    report.entries += 1;
                }
                let mut start = [0; PREFIX];
                std::os::unix::fs::FileExt::read_exact_at(&*file, &mut start, at)
                    .map_err(Error::io("read", &path))?;
                digest.update(&start);
                digest.update(&payload);
                report.frames += 1;
                at += prefix.size();
            }
            Found::End => return Err(damaged("frames are missing".to_owned())),
            Found::Broken(reason) => return Err(damaged(reason)),
        }
    }
    if let Some(SealedAs { length, digest: sealed }) = seal {
        if length != bytes {
            let reason = format!("it was sealed with {length} bytes and has {bytes}");
            return Err(Error::damaged(&path, bytes.min(length), reason));
        }
        if finish(digest) != sealed {
            // Every checksum holds, so it was written anew: no single byte can be named.
            return Err(Error::damaged(&path, 0, "its digest is not the one it was sealed with"));
        }
    }
    Ok(report)
}

/// Checks everything up to `end`, and that each segment continues the one before.
pub(crate) fn all(journal: &Journal, end: Position) -> Result<VerifyReport, Error> {
    let mut report = VerifyReport { segments: Vec::new(), tip: Tip::START };
    for number in 1..=end.segment {
        let header = journal.header(number)?;
        if header.before != report.tip {
            let path = journal.layout.segment(number);
            return Err(Error::damaged(&path, 24, "it does not continue the segment before it"));
        }
        let checked = segment(journal, number, end)?;
        report.tip = checked.tip;
        report.segments.push(checked);
    }
    Ok(report)
}
