//! A frame: one group commit, written with one call and synced once.
//!
//! ```text
//! magic "PKIF" · CRC32C of the rest · payload length · entries · sequence of the first · payload
//! ```
//! The payload is a run of entries, each `header length · body length · header · body`; a body
//! length of `ffffffff` is a body that was dropped. Numbers are little-endian, 32 bits, the sequence
//! 64.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::layout::MAX_PAYLOAD;
use crate::Tip;
use crate::chain::Header;

pub(crate) const MAGIC: [u8; 4] = *b"PKIF";
/// Magic, CRC, length, count, first sequence.
pub(crate) const PREFIX: usize = 24;
/// The two lengths before an entry.
const ENTRY_PREFIX: usize = 8;
const DROPPED: u32 = u32::MAX;

/// What a frame's prefix says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prefix {
    crc: u32,
    pub(crate) length: u32,
    pub(crate) count: u32,
    pub(crate) first: u64,
}

impl Prefix {
    fn parse(bytes: &[u8; PREFIX]) -> Result<Prefix, String> {
        if bytes[..4] != MAGIC {
            return Err("no frame begins here".to_owned());
        }
        let prefix = Prefix {
            crc: u32_at(bytes, 4),
            length: u32_at(bytes, 8),
            count: u32_at(bytes, 12),
            first: u64::from(u32_at(bytes, 16)) | u64::from(u32_at(bytes, 20)) << 32,
        };
        match prefix.length > MAX_PAYLOAD || prefix.count == 0 {
            true => Err("a frame with an impossible length".to_owned()),
            false => Ok(prefix),
        }
    }

    /// The bytes it was parsed from.
    pub(crate) fn to_bytes(self) -> [u8; PREFIX] {
        let mut bytes = [0; PREFIX];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..8].copy_from_slice(&self.crc.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.length.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.count.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.first.to_le_bytes());
        bytes
    }

    /// The size of the whole frame.
    pub(crate) fn size(&self) -> u64 {
        PREFIX as u64 + u64::from(self.length)
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

/// A frame under construction.
pub(crate) struct Builder {
    bytes: Vec<u8>,
    count: u32,
    first: u64,
}

impl Builder {
    /// An empty frame whose first entry will have the sequence `first`, with room for so many bytes.
    pub(crate) fn new(first: u64, room: usize) -> Builder {
        let mut bytes = Vec::with_capacity(PREFIX + room + room / 4 + 512);
        bytes.resize(PREFIX, 0);
        Builder { bytes, count: 0, first }
    }

    /// Adds an entry; returns where in the frame its body begins.
    pub(crate) fn push(&mut self, header: &[u8], body: &[u8]) -> usize {
        self.bytes.extend_from_slice(&(header.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(&(body.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(header);
        let at = self.bytes.len();
        self.bytes.extend_from_slice(body);
        self.count += 1;
        at
    }

    /// Adds an entry whose body was dropped.
    pub(crate) fn push_dropped(&mut self, header: &[u8]) {
        self.bytes.extend_from_slice(&(header.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(&DROPPED.to_le_bytes());
        self.bytes.extend_from_slice(header);
        self.count += 1;
    }

    /// The frame with its length and CRC filled in.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        let length = (self.bytes.len() - PREFIX) as u32;
        self.bytes[..4].copy_from_slice(&MAGIC);
        self.bytes[8..12].copy_from_slice(&length.to_le_bytes());
        self.bytes[12..16].copy_from_slice(&self.count.to_le_bytes());
        self.bytes[16..24].copy_from_slice(&self.first.to_le_bytes());
        let crc = crc32c::crc32c(&self.bytes[8..]);
        self.bytes[4..8].copy_from_slice(&crc.to_le_bytes());
        self.bytes
    }
}

/// What lies at an offset of a segment.
pub(crate) enum Found {
    /// A whole frame; its payload is in the buffer.
    Frame(Prefix),
    /// The end: nothing more, or nothing but zeros.
    End,
    /// Bytes that are no whole frame.
    Broken(String),
}

/// Reads the frame at `offset` of a segment that is `end` bytes long.
pub(crate) fn read(file: &File, offset: u64, end: u64, payload: &mut Vec<u8>) -> io::Result<Found> {
    let left = end.saturating_sub(offset);
    let parsed = match left {
        0 => return Ok(Found::End),
        left if left < PREFIX as u64 => Err("an incomplete frame".to_owned()),
        _ => read_prefix(file, offset)?,
    };
    let (prefix, bytes) = match parsed {
        Ok(found) => found,
        // No frame begins with a zero, so only what is none can be room that was set aside.
        Err(_) if is_zero(file, offset, end)? => return Ok(Found::End),
        Err(reason) => return Ok(Found::Broken(reason)),
    };
    if prefix.size() > left {
        return Ok(Found::Broken("an incomplete frame".to_owned()));
    }
    payload.resize(prefix.length as usize, 0);
    file.read_exact_at(payload, offset + PREFIX as u64)?;
    let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[8..]), payload);
    match crc == prefix.crc {
        true => Ok(Found::Frame(prefix)),
        false => Ok(Found::Broken("a frame whose checksum is wrong".to_owned())),
    }
}

type Parsed = Result<(Prefix, [u8; PREFIX]), String>;

/// Reads a frame's prefix alone, its checksum unchecked.
pub(crate) fn read_prefix(file: &File, offset: u64) -> io::Result<Parsed> {
    let mut bytes = [0; PREFIX];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(Prefix::parse(&bytes).map(|prefix| (prefix, bytes)))
}

/// Whether a segment holds nothing but zeros from `offset` on.
fn is_zero(file: &File, mut offset: u64, end: u64) -> io::Result<bool> {
    let mut block = vec![0; 1 << 16];
    while offset < end {
        let size = usize::try_from(end - offset).unwrap_or(usize::MAX).min(block.len());
        file.read_exact_at(&mut block[..size], offset)?;
        if block[..size].iter().any(|&byte| byte != 0) {
            return Ok(false);
        }
        offset += size as u64;
    }
    Ok(true)
}

/// Whether a whole frame with entries after `after` lies anywhere in a segment from `offset` on; its
/// offset.
pub(crate) fn find(file: &File, mut offset: u64, end: u64, after: u64) -> io::Result<Option<u64>> {
    let mut block = vec![0; 1 << 16];
    let mut payload = Vec::new();
    while end.saturating_sub(offset) >= PREFIX as u64 {
        let size = usize::try_from(end - offset).unwrap_or(usize::MAX).min(block.len());
        file.read_exact_at(&mut block[..size], offset)?;
        for at in
            block[..size].windows(MAGIC.len()).enumerate().filter(|(_, w)| *w == MAGIC).map(|(at, _)| at)
        {
            let here = offset + at as u64;
            if let Found::Frame(prefix) = read(file, here, end, &mut payload)?
                && prefix.first > after
            {
                return Ok(Some(here));
            }
        }
        // The blocks overlap, so that a magic across their border is seen.
        offset += (size - (MAGIC.len() - 1)) as u64;
    }
    Ok(None)
}

/// An entry as it lies in a frame.
pub(crate) struct RawEntry<'b> {
    pub(crate) header_bytes: &'b [u8],
    pub(crate) header: Header,
    /// The body with its offset in the frame; `None` if it was dropped.
    pub(crate) body: Option<(u64, &'b [u8])>,
}

impl RawEntry<'_> {
    /// Checks that it continues `tip`; returns the tip after it.
    pub(crate) fn continues(&self, tip: &Tip) -> Result<Tip, String> {
        tip.follow(self.header_bytes, &self.header, self.body.map(|(_, body)| body))
    }
}

/// Takes a payload apart.
pub(crate) fn entries<'b>(prefix: &Prefix, payload: &'b [u8]) -> Result<Vec<RawEntry<'b>>, String> {
    let short = || "a frame that is too short for its entries".to_owned();
    let mut entries = Vec::new();
    let mut at = 0;
    for _ in 0..prefix.count {
        let lengths = payload.get(at..at + ENTRY_PREFIX).ok_or_else(short)?;
        let (header_length, body_length) = (u32_at(lengths, 0) as usize, u32_at(lengths, 4));
        at += ENTRY_PREFIX;
        let header_bytes = payload.get(at..at + header_length).ok_or_else(short)?;
        at += header_length;
        let body = match body_length {
            DROPPED => None,
            length => {
                let body = payload.get(at..at + length as usize).ok_or_else(short)?;
                let offset = (PREFIX + at) as u64;
                at += length as usize;
                Some((offset, body))
            }
        };
        entries.push(RawEntry { header_bytes, header: Header::decode(header_bytes)?, body });
    }
    if entries.first().is_none_or(|entry| entry.header.sequence != prefix.first) {
        return Err("a frame that names another first entry than it holds".to_owned());
    }
    match at == payload.len() {
        true => Ok(entries),
        false => Err("a frame that is too long for its entries".to_owned()),
    }
}
