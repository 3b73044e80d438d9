//! Writes the to-be-signed list, RFC 5280 §5.1, front to back into one buffer of the exact size.
//!
//! Two passes over the entries: the first adds up lengths, the second writes. A million entries need
//! their 49 MB of output and nothing beside it. What is written here is read again by
//! [`crate::check()`] before anything may sign it.

use time::OffsetDateTime;

use crate::der::{self, Time, Times, oid};
use crate::{CrlNumber, Entry, Reason};

/// Which certificates a list speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All that the authority signed. The list carries no issuingDistributionPoint, which only a
    /// part of that scope needs (RFC 5280 §5.2.5); certificates name it as shard 0.
    Whole,
}

/// What a list says beside its entries.
#[derive(Clone, Copy, Debug)]
pub struct ListHead<'a> {
    /// The AlgorithmIdentifier of the signature to come, DER.
    pub algorithm: &'a [u8],
    /// The authority's subject, DER, as its certificate has it to the byte.
    pub issuer: &'a [u8],
    /// The authority's SubjectKeyIdentifier.
    pub key_id: &'a [u8],
    /// Its number.
    pub number: CrlNumber,
    /// When it was made.
    pub this_update: OffsetDateTime,
    /// When the next one is due at the latest.
    pub next_update: OffsetDateTime,
    /// Which certificates it speaks for.
    pub scope: Scope,
}

impl ListHead<'_> {
    /// The latest revocationDate that an entry may have: thisUpdate, whatever the clock said when it was
    /// revoked (a list that announces revocations to come would say that they don't hold yet).
    pub(crate) fn latest(&self) -> i64 {
        self.this_update.unix_timestamp()
    }
}

/// The DER of a TBSCertList. The entries must come in ascending order of their serials.
pub fn to_be_signed<'a>(head: &ListHead<'_>, entries: impl Iterator<Item = &'a Entry> + Clone) -> Vec<u8> {
    let Scope::Whole = head.scope;
    let this_update = Time::new(head.this_update);
    let next_update = Time::new(head.next_update);
    let extensions = extensions(head);
    // Asked once: a list may have a million entries.
    let latest = head.latest();
    let date_of = |entry: &Entry| entry.at().min(latest);
    let revoked: usize = entries.clone().map(|entry| der::size(entry_content(entry, date_of(entry)))).sum();
    // RFC 5280 §5.1.2.6: without entries the field itself is absent.
    let revoked_field = if revoked == 0 { 0 } else { der::size(revoked) };
    let version = [1]; // v2, §5.1.2.1
    let content = der::size(version.len())
        + head.algorithm.len()
        + head.issuer.len()
        + this_update.size()
        + next_update.size()
        + revoked_field
        + extensions.len();

    // With room for the signature, which is put around these bytes where they lie.
    let mut out = Vec::with_capacity(der::size(content) + SIGNATURE);
    der::header(&mut out, der::SEQUENCE, content);
    der::value(&mut out, der::INTEGER, &version);
    out.extend_from_slice(head.algorithm);
    out.extend_from_slice(head.issuer);
    this_update.write(&mut out);
    next_update.write(&mut out);
    if revoked_field != 0 {
        der::header(&mut out, der::SEQUENCE, revoked);
        let mut times = Times::new();
        entries.for_each(|entry| write_entry(&mut out, entry, times.of_unix(date_of(entry))));
    }
    out.extend_from_slice(&extensions);
    out
}

/// AuthorityKeyIdentifier (§5.2.1) and CRLNumber (§5.2.3), neither critical, under their `[0]`.
fn extensions(head: &ListHead<'_>) -> Vec<u8> {
    const KEY_IDENTIFIER: u8 = 0x80; // [0] IMPLICIT OCTET STRING in AuthorityKeyIdentifier
    let mut key_id = Vec::new();
    der::header(&mut key_id, der::SEQUENCE, der::size(head.key_id.len()));
    der::value(&mut key_id, KEY_IDENTIFIER, head.key_id);
    let mut number = Vec::new();
    der::value(&mut number, der::INTEGER, head.number.der_content());

    let mut each = extension(oid::AUTHORITY_KEY_IDENTIFIER, &key_id);
    each.extend(extension(oid::CRL_NUMBER, &number));
    let mut out = Vec::new();
    der::header(&mut out, der::CONTEXT_0, der::size(each.len()));
    der::value(&mut out, der::SEQUENCE, &each);
    out
}

/// One extension; critical is FALSE and, as a default, absent (X.690 §11.5).
fn extension(id: &[u8], content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    der::header(&mut out, der::SEQUENCE, der::size(id.len()) + der::size(content.len()));
    der::value(&mut out, der::OBJECT_IDENTIFIER, id);
    der::value(&mut out, der::OCTET_STRING, content);
    out
}

/// Octets that the longest signature, RSA-8192, and what belongs to it need.
const SIGNATURE: usize = 1_100;

/// A reason's extension up to its last octet, the code: reasonCode in an OCTET STRING that holds an ENUMERATED.
const REASON_BEFORE: [u8; 11] = [
    der::SEQUENCE,
    10,
    der::OBJECT_IDENTIFIER,
    3,
    0x55,
    0x1d,
    0x15,
    der::OCTET_STRING,
    3,
    der::ENUMERATED,
    1,
];
/// A reason's extension is always this long.
const REASON_EXTENSION: usize = REASON_BEFORE.len() + 1;
/// And an invalidity date's: GeneralizedTime has 15 characters.
const INVALIDITY_EXTENSION: usize = 26;

/// How long the extensions of an entry are, their SEQUENCE excluded.
fn entry_extensions(entry: &Entry) -> usize {
    // RFC 5280 §5.3.1: unspecified should be said by saying nothing.
    let reason = if entry.reason() == Reason::Unspecified { 0 } else { REASON_EXTENSION };
    let invalidity = if entry.invalidity().is_some() { INVALIDITY_EXTENSION } else { 0 };
    reason + invalidity
}

/// How many octets a serial's INTEGER has as content: a sign octet in front where the top bit is set.
fn serial_content(entry: &Entry) -> usize {
    let octets = entry.serial().as_bytes();
    octets.len() + usize::from(octets.first().is_some_and(|&first| first >= 0x80))
}

fn entry_content(entry: &Entry, date: i64) -> usize {
    let extensions = match entry_extensions(entry) {
        0 => 0,
        extensions => der::size(extensions),
    };
    der::size(serial_content(entry)) + Time::size_of_unix(date) + extensions
}

/// The longest entry: tag and length; a serial of 20 octets and its sign; a time; both extensions in their
/// SEQUENCE. Shorter than 128 octets, so that every length in it is one octet.
const LONGEST_ENTRY: usize = 2 + 2 + 21 + Time::LONGEST + 2 + REASON_EXTENSION + INVALIDITY_EXTENSION;

/// Octets of one entry, put together before they go to the list: a million of them are written.
struct Octets {
    octets: [u8; LONGEST_ENTRY],
    length: usize,
}

impl Octets {
    /// Puts the first `length` of so many octets there: to copy a known number is quicker.
    fn put<const N: usize>(&mut self, part: &[u8; N], length: usize) {
        self.octets[self.length..self.length + N].copy_from_slice(part);
        self.length += length;
    }
}

fn write_entry(out: &mut Vec<u8>, entry: &Entry, (date, date_length): (&[u8; Time::LONGEST], usize)) {
    let mut octets = Octets { octets: [0; LONGEST_ENTRY], length: 0 };
    let serial = entry.serial().as_bytes();
    let sign = serial.first().is_some_and(|&first| first >= 0x80);
    // The length of the whole follows when it is known.
    octets.put(&[der::SEQUENCE, 0, der::INTEGER, (serial.len() + usize::from(sign)) as u8], 4);
    if sign {
        octets.put(&[0], 1);
    }
    match <&[u8; 20]>::try_from(serial) {
        Ok(usual) => octets.put(usual, 20),
        Err(_) => {
            octets.octets[octets.length..octets.length + serial.len()].copy_from_slice(serial);
            octets.length += serial.len();
        }
    }
    octets.put(date, date_length);
    let extensions = entry_extensions(entry);
    if extensions > 0 {
        octets.put(&[der::SEQUENCE, extensions as u8], 2);
        if entry.reason() != Reason::Unspecified {
            octets.put(&REASON_BEFORE, REASON_BEFORE.len());
            octets.put(&[entry.reason().code()], 1);
        }
        if let Some(since) = entry.invalidity() {
            octets.put(&invalidity_date(since), INVALIDITY_EXTENSION);
        }
    }
    octets.octets[1] = (octets.length - 2) as u8;
    out.extend_from_slice(&octets.octets[..octets.length]);
}

/// An invalidityDate extension (RFC 5280 §5.3.2).
fn invalidity_date(since: i64) -> [u8; INVALIDITY_EXTENSION] {
    let since = OffsetDateTime::from_unix_timestamp(since).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let mut date = Vec::new();
    Time::generalized(since).write(&mut date);
    let mut octets = [0; INVALIDITY_EXTENSION];
    octets.copy_from_slice(&extension(oid::INVALIDITY_DATE, &date));
    octets
}
