//! Where a record lies: a tree and a path, ordered as bytes.

use std::fmt;

/// A key such as `issued/4f1c…`: a tree's name and the parts below it, separated by `/`.
///
/// Keys are ordered by their bytes, so all keys under one prefix stand together. A part is escaped
/// on the way in (`%`, `/` and control characters become `%XX`), so that no part can reach out of
/// its place.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Vec<u8>);

/// Most parts are a digest in hexadecimal digits: with so much room a key is allocated once.
const USUAL_PART: usize = 1 + 64;

impl Key {
    /// The key of a tree itself, under which parts are added.
    pub fn new(tree: &'static str) -> Key {
        debug_assert!(!tree.is_empty() && tree.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'));
        let mut key = Vec::with_capacity(tree.len() + USUAL_PART);
        key.extend_from_slice(tree.as_bytes());
        Key(key)
    }

    /// Adds a part below this key.
    #[must_use]
    pub fn part(mut self, part: impl AsRef<[u8]>) -> Key {
        let mut rest = part.as_ref();
        self.0.reserve(1 + rest.len());
        self.0.push(b'/');
        while let Some(at) = rest.iter().position(|byte| matches!(byte, b'%' | b'/' | 0..=0x1f | 0x7f)) {
            self.0.extend_from_slice(&rest[..at]);
            self.0.extend(format!("%{:02X}", rest[at]).bytes());
            rest = &rest[at + 1..];
        }
        self.0.extend_from_slice(rest);
        self
    }

    /// The bytes as they are ordered and stored.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// A key read back from an engine or a journal.
    pub fn from_stored(bytes: Vec<u8>) -> Key {
        Key(bytes)
    }

    /// The last part, unescaped; `None` for a tree's own key.
    pub fn last_part(&self) -> Option<Vec<u8>> {
        let at = self.0.iter().rposition(|&b| b == b'/')?;
        Some(unescape(&self.0[at + 1..]))
    }

    /// Everything strictly below this key.
    pub fn children(&self) -> KeyRange {
        let mut start = self.0.clone();
        start.push(b'/');
        let mut end = self.0.clone();
        end.push(b'/' + 1);
        KeyRange { start, end }
    }
}

fn unescape(escaped: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some((&byte, tail)) = rest.split_first() {
        let hex = (byte == b'%').then(|| tail.get(..2)).flatten();
        match hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()) {
            Some(decoded) => {
                plain.push(decoded);
                rest = &tail[2..];
            }
            None => {
                plain.push(byte);
                rest = tail;
            }
        }
    }
    plain
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

/// A run of keys, the end excluded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// The first key's bytes, included.
    pub start: Vec<u8>,
    /// The bytes at which the range ends, excluded.
    pub end: Vec<u8>,
}

impl KeyRange {
    /// From one key to another, the end excluded.
    pub fn between(start: &Key, end: &Key) -> KeyRange {
        KeyRange { start: start.0.clone(), end: end.0.clone() }
    }

    /// Every key of the store.
    pub fn all() -> KeyRange {
        KeyRange { start: Vec::new(), end: vec![0xff] }
    }

    /// Whether a key lies in the range.
    pub fn contains(&self, key: &Key) -> bool {
        key.as_bytes() >= self.start.as_slice() && key.as_bytes() < self.end.as_slice()
    }
}
