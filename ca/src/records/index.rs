//! Where index entries lie, and what is in them. They hold no truth: they lead to a serial.

use minicbor::{Decode, Encode};
use store::{Format, Key, KeyRange, Record};

use crate::cert::{Fingerprint, KeyId, Serial, lower_hex};

/// Where an index leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct IndexRecord {
    #[n(0)]
    pub(crate) serial: Serial,
    #[n(1)]
    pub(crate) issuer: KeyId,
}

impl Record for IndexRecord {
    const TREE: &'static str = "issued-by-name";
    const FORMAT: Format = 1;
}

/// By name, then by the second of issue, then by serial.
pub(crate) fn by_name(name: &str, issued_at: i64, serial: &Serial) -> Key {
    of_name(name).part(format!("{}-{serial}", ordered(issued_at)))
}

/// All of one name.
pub(crate) fn of_name(name: &str) -> Key {
    Key::new("issued-by-name").part(name)
}

/// All that end in one second.
pub(crate) fn by_expiry(not_after: i64) -> Key {
    Key::new("issued-by-expiry").part(ordered(not_after))
}

/// All, by their end.
pub(crate) fn expiries() -> KeyRange {
    Key::new("issued-by-expiry").children()
}

/// The second in a key of [`by_expiry`]; `None` for keys of other indices.
pub(crate) fn expiry_of(key: &Key) -> Option<i64> {
    let digits = key.as_bytes().strip_prefix(b"issued-by-expiry/")?.get(..16)?;
    let ordered = u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    Some((ordered ^ (1 << 63)) as i64)
}

pub(crate) fn by_fingerprint(fingerprint: &Fingerprint) -> Key {
    Key::new("issued-by-fingerprint").part(fingerprint.to_string())
}

/// All of one key.
pub(crate) fn by_key(spki: &[u8; 32]) -> Key {
    Key::new("issued-by-key").part(lower_hex(spki))
}

pub(crate) fn by_request(digest: &[u8; 32]) -> Key {
    Key::new("issued-by-request").part(lower_hex(digest))
}

/// Seconds as 16 hex digits that sort like the numbers; years before 1970 come first.
pub(crate) fn ordered(seconds: i64) -> String {
    format!("{:016x}", (seconds as u64) ^ (1 << 63))
}
