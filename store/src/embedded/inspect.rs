//! One segment on its own, without the store around it: what its bytes say, frame by frame.
//!
//! Opening a store judges a journal as a whole and stops at the first thing that is wrong. Here the
//! same reader goes over one file that may hold anything, and reports. It changes nothing, and it
//! refuses a segment whose header can't be read.

use std::fs::File;
use std::path::Path;

use super::frame::{self, Builder, Found};
use super::segment::{HEADER, SegmentHeader};
use crate::chain;
use crate::{Error, Sequence, Tip};

/// What a segment's bytes say.
#[derive(Clone, Debug)]
pub struct SegmentContent {
    /// Where the history stood before its first entry, by its header.
    pub before: Tip,
    /// Its whole frames, in order.
    pub frames: Vec<FrameContent>,
    /// Where its last whole frame ends.
    pub end: u64,
    /// What is wrong behind that; `None` if nothing, or nothing but zeros, follows.
    pub broken: Option<String>,
}

/// One frame whose length and checksum are right.
#[derive(Clone, Debug)]
pub struct FrameContent {
    /// Where it begins.
    pub offset: u64,
    /// The sequence that it gives its first entry.
    pub first: Sequence,
    /// Its entries, or why it can't be taken apart.
    pub entries: Result<FrameEntries, String>,
}

/// A frame taken apart.
#[derive(Clone, Debug)]
pub struct FrameEntries {
    /// The frame put together again from its entries.
    pub bytes: Vec<u8>,
    /// How many writes each entry's body has; `None` if it was dropped, and why if it can't be read.
    pub writes: Vec<Option<Result<usize, String>>>,
    /// The tip after it if it continues the one before, or why it does not.
    pub tip: Result<Tip, String>,
}

/// Reads the segment `number` from `file`; `path` names it in errors.
pub fn inspect_segment(file: &File, number: u64, path: &Path) -> Result<SegmentContent, Error> {
    let before = SegmentHeader::read(file, number, path)?.before;
    let length = file.metadata().map_err(Error::io("look at", path))?.len();
    let mut content = SegmentContent { before, frames: Vec::new(), end: HEADER, broken: None };
    let mut tip = before;
    let mut payload = Vec::new();
    loop {
        let offset = content.end;
        let prefix = match frame::read(file, offset, length, &mut payload).map_err(Error::io("read", path))? {
            Found::Frame(prefix) => prefix,
            Found::End => return Ok(content),
            Found::Broken(reason) => {
                content.broken = Some(reason);
                return Ok(content);
            }
        };
        let entries = take_apart(&prefix, &payload, tip);
        if let Ok(FrameEntries { tip: Ok(after), .. }) = &entries {
            tip = *after;
        }
        content.frames.push(FrameContent { offset, first: Sequence(prefix.first), entries });
        content.end += prefix.size();
    }
}

fn take_apart(prefix: &frame::Prefix, payload: &[u8], before: Tip) -> Result<FrameEntries, String> {
    let entries = frame::entries(prefix, payload)?;
    let mut builder = Builder::new(prefix.first, 0);
    let mut writes = Vec::new();
    let mut tip = Ok(before);
    for entry in &entries {
        match entry.body {
            Some((_, body)) => {
                builder.push(entry.header_bytes, body);
            }
            None => builder.push_dropped(entry.header_bytes),
        }
        writes.push(entry.body.map(|(_, body)| chain::writes(body).map(|writes| writes.len())));
        tip = tip.and_then(|tip| entry.continues(&tip));
    }
    Ok(FrameEntries { bytes: builder.finish(), writes, tip })
}
