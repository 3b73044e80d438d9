//! Finds issued certificates again: by serial, fingerprint, name, key, or end.
//!
//! Each way has its index, so nothing here reads more records than it returns; counting is
//! [`crate::tally`]'s. It refuses to guess: a word that fits several certificates is an error that lists them.

use store::spread::{cores, spread};
use store::{Direction, Key, KeyRange, Store, Stored, Table, Versioned};
use time::OffsetDateTime;

use crate::cert::{Fingerprint, Serial, printable};
use crate::error::Error;
use crate::records::{IndexRecord, IssuedRecord, index};
use crate::tally::Tally;

/// The fewest hex digits that are taken for a part of a serial or fingerprint.
pub const SHORTEST_PREFIX: usize = 8;

/// How many index entries are read at once.
const PAGE: usize = 512;
/// From so many on the records of one name are read on every core.
const MANY: usize = 1_000;

/// How much of a record is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// All of it.
    Whole,
    /// All but the certificate itself, which is most of it: for whoever finds very many.
    WithoutCertificate,
}

/// The certificate with this serial.
pub fn by_serial(store: &Store, serial: &Serial) -> Result<Option<Versioned<IssuedRecord>>, Error> {
    Ok(Table::get(store, serial.to_string())?)
}

/// The certificate with this fingerprint.
pub fn by_fingerprint(
    store: &Store,
    fingerprint: &Fingerprint,
) -> Result<Option<Versioned<IssuedRecord>>, Error> {
    match store.get(&index::by_fingerprint(fingerprint))? {
        Some(entry) => followed(store, entry).map(Some),
        None => Ok(None),
    }
}

/// All certificates of one name, in the order of their issue.
pub fn by_name(store: &Store, name: &str) -> Result<Vec<Versioned<IssuedRecord>>, Error> {
    all(store, &index::of_name(name).children(), Detail::Whole)
}

/// All certificates for one key, the SHA-256 of its SPKI: the siblings that fall with it.
pub fn by_key(store: &Store, spki_digest: &[u8; 32]) -> Result<Vec<Versioned<IssuedRecord>>, Error> {
    all(store, &index::by_key(spki_digest).children(), Detail::Whole)
}

/// What a word means: the one certificate whose serial or fingerprint begins with it (8 hex digits at
/// least), or all certificates of that name, or a short serial in full as old authorities gave them out.
/// Never empty.
pub fn resolve(store: &Store, word: &str) -> Result<Vec<Versioned<IssuedRecord>>, Error> {
    resolve_in(store, word, Detail::Whole)
}

/// [`resolve`], with so much of each record of a name.
pub fn resolve_in(store: &Store, word: &str, detail: Detail) -> Result<Vec<Versioned<IssuedRecord>>, Error> {
    let not_found = || Error::NotFound { word: printable(word) };
    let named = all(store, &index::of_name(word).children(), detail)?;
    let digits: String = word.chars().filter(|&c| c != ':').collect::<String>().to_ascii_lowercase();
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return if named.is_empty() { Err(not_found()) } else { Ok(named) };
    }
    if digits.len() < SHORTEST_PREFIX {
        let short = || in_full(store, &digits)?.ok_or_else(not_found).map(|found| vec![found]);
        return if named.is_empty() { short() } else { Ok(named) };
    }
    let mut candidates = by_digits(store, &digits)?;
    match (candidates.len(), named.is_empty()) {
        (0, true) => Err(not_found()),
        (0, false) => Ok(named),
        (1, true) => Ok(candidates),
        _ => {
            candidates.extend(named);
            Err(ambiguous(word, &candidates))
        }
    }
}

/// The error that lists certificates among which a word does not decide.
pub fn ambiguous(word: &str, candidates: &[Versioned<IssuedRecord>]) -> Error {
    let line = |found: &Versioned<IssuedRecord>| {
        let record = &found.record;
        let profile = record.profile.as_str();
        format!("{} ({profile} {}, until {})", record.serial, printable(&record.name), record.ends().date())
    };
    Error::Ambiguous { word: printable(word), candidates: candidates.iter().map(line).collect() }
}

/// The certificate with exactly this serial, leading zeros or not.
fn in_full(store: &Store, digits: &str) -> Result<Option<Versioned<IssuedRecord>>, Error> {
    match Serial::from_hex(digits) {
        Ok(serial) => by_serial(store, &serial),
        Err(_) => Ok(None),
    }
}

fn by_digits(store: &Store, digits: &str) -> Result<Vec<Versioned<IssuedRecord>>, Error> {
    // Written out in full it means itself, even where it begins another.
    if let Some(found) = in_full(store, digits)? {
        return Ok(vec![found]);
    }
    let mut found: Vec<Versioned<IssuedRecord>> = Vec::new();
    let range = beginning(&Table::<IssuedRecord>::key(digits));
    for stored in store.scan(&range, None, PAGE, Direction::Ascending)? {
        found.push(Table::<IssuedRecord>::decode(stored)?);
    }
    let range = beginning(&Key::new("issued-by-fingerprint").part(digits));
    for entry in store.scan(&range, None, PAGE, Direction::Ascending)? {
        let versioned = followed(store, entry)?;
        if !found.iter().any(|earlier| earlier.record.serial == versioned.record.serial) {
            found.push(versioned);
        }
    }
    Ok(found)
}

/// A pattern for names: `*` for any characters, `?` for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(String);

impl Glob {
    /// A pattern; every text is one.
    pub fn new(pattern: impl Into<String>) -> Glob {
        Glob(pattern.into())
    }

    /// Whether a name fits.
    pub fn matches(&self, name: &str) -> bool {
        let (pattern, name): (Vec<char>, Vec<char>) = (self.0.chars().collect(), name.chars().collect());
        let (mut at, mut next) = (0, 0);
        // Where the last `*` stands, and how much of the name it has swallowed.
        let mut star: Option<(usize, usize)> = None;
        while next < name.len() {
            match pattern.get(at) {
                Some('*') => {
                    star = Some((at, next));
                    at += 1;
                }
                Some(&c) if c == '?' || c == name[next] => {
                    at += 1;
                    next += 1;
                }
                Some(_) | None => match star {
                    Some((position, swallowed)) => {
                        star = Some((position, swallowed + 1));
                        at = position + 1;
                        next = swallowed + 1;
                    }
                    None => return false,
                },
            }
        }
        pattern[at..].iter().all(|&c| c == '*')
    }

    /// What every fitting name begins with.
    fn prefix(&self) -> &str {
        self.0.split(['*', '?']).next().unwrap_or_default()
    }
}

/// Where a listing goes on; opaque, and safe to hand out and take back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(Key);

impl Cursor {
    /// A cursor that was handed out as text. Any text is taken; a made-up one just begins elsewhere.
    pub fn from_text(text: &str) -> Cursor {
        Cursor(Key::from_stored(text.as_bytes().to_vec()))
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Some certificates, and where the next ones begin.
#[derive(Clone, Debug)]
pub struct Page {
    /// The certificates.
    pub records: Vec<IssuedRecord>,
    /// Where to go on; `None` at the end.
    pub next: Option<Cursor>,
}

/// Certificates by name, and within a name by issue.
pub fn list(
    store: &Store,
    names: Option<&Glob>,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<Page, Error> {
    let range = match names {
        Some(glob) if !glob.prefix().is_empty() => beginning(&index::of_name(glob.prefix())),
        Some(_) | None => Key::new("issued-by-name").children(),
    };
    page(store, &range, after, limit, |record| names.is_none_or(|glob| glob.matches(&record.name)))
}

/// Certificates that end from `from` to before `to`, the soonest first.
pub fn ending(
    store: &Store,
    from: OffsetDateTime,
    to: OffsetDateTime,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<Page, Error> {
    let range =
        KeyRange::between(&index::by_expiry(from.unix_timestamp()), &index::by_expiry(to.unix_timestamp()));
    page(store, &range, after, limit, |_| true)
}

fn page(
    store: &Store,
    range: &KeyRange,
    after: Option<&Cursor>,
    limit: usize,
    wanted: impl Fn(&IssuedRecord) -> bool,
) -> Result<Page, Error> {
    let mut records = Vec::new();
    let mut after = after.map(|cursor| cursor.0.clone());
    loop {
        let entries = store.scan(range, after.as_ref(), limit.clamp(1, PAGE), Direction::Ascending)?;
        if entries.is_empty() {
            return Ok(Page { records, next: None });
        }
        for entry in entries {
            let key = entry.key.clone();
            let record = followed(store, entry)?.record;
            after = Some(key.clone());
            if wanted(&record) {
                records.push(record);
            }
            if records.len() >= limit {
                return Ok(Page { records, next: Some(Cursor(key)) });
            }
        }
    }
}

/// How many certificates there are, expired and revoked ones included; a [`Tally`] that is kept knows it sooner.
pub fn count(store: &Store) -> Result<u64, Error> {
    Tally::new(store.clone()).issued()
}

/// Those among certificates that no other of them renews: the ends of their lines.
pub fn without_successor(records: Vec<IssuedRecord>) -> Vec<IssuedRecord> {
    let replaced: Vec<Serial> =
        records.iter().filter_map(|record| record.predecessor.map(|old| old.serial)).collect();
    records.into_iter().filter(|record| !replaced.contains(&record.serial)).collect()
}

fn all(store: &Store, range: &KeyRange, detail: Detail) -> Result<Vec<Versioned<IssuedRecord>>, Error> {
    let mut entries = Vec::new();
    let mut after: Option<Key> = None;
    loop {
        let page = store.scan(range, after.as_ref(), PAGE, Direction::Ascending)?;
        let Some(last) = page.last() else { break };
        after = Some(last.key.clone());
        entries.extend(page);
    }
    let lead = |entry| {
        let mut found = followed(store, entry)?;
        if detail == Detail::WithoutCertificate {
            found.record.der = None;
        }
        Ok(found)
    };
    let threads = if entries.len() < MANY { 1 } else { cores() };
    spread(entries, threads, lead).into_iter().collect()
}

/// The record that an index entry leads to.
fn followed(store: &Store, entry: Stored) -> Result<Versioned<IssuedRecord>, Error> {
    let key = entry.key.clone();
    let serial = Table::<IndexRecord>::decode(entry)?.record.serial;
    by_serial(store, &serial)?.ok_or_else(|| {
        let reason = format!("it leads to certificate {serial}, which is not there");
        Error::Store(store::Error::Record { key, reason })
    })
}

/// Every key that begins with the bytes of this one.
fn beginning(prefix: &Key) -> KeyRange {
    let start = prefix.as_bytes().to_vec();
    let mut end = start.clone();
    end.push(0xff);
    KeyRange { start, end }
}

#[cfg(test)]
mod tests;
