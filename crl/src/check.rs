//! Compares a finished to-be-signed list with what it must say: every revocation in its place, none
//! too many, the number above the last.
//!
//! It reads the bytes themselves, by a reader of its own. The rules that hold for any list whatever
//! it says are `ca`'s lint, without which nothing is signed; this is the part that only the keeper of
//! the revocations can check.

use ca::cert::Serial;
use time::OffsetDateTime;

use crate::der::{self, oid};
use crate::read::{ReadEntry, ReadError, Reader, TbsFields, extension};
use crate::{CrlNumber, Entry, ListHead, NumberError, Reason};

/// The content of an AuthorityKeyIdentifier's `[0]`.
const KEY_IDENTIFIER: u8 = 0x80;

/// What is wrong with a list that was about to be signed. It is not signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// It is not the DER of a list.
    #[error("the list is not well formed: {0}")]
    Form(#[from] ReadError),
    /// It names another signature algorithm than its key's.
    #[error("the list names another signature algorithm than its key's (RFC 5280 §5.1.1.2)")]
    Algorithm,
    /// Its issuer is not the authority's subject to the byte.
    #[error("the list's issuer differs from the authority's subject (RFC 5280 §5.1.2.3)")]
    Issuer,
    /// Its times are not those it was to have, or thisUpdate is not before nextUpdate.
    #[error("the list's thisUpdate or nextUpdate is wrong (RFC 5280 §5.1.2.4)")]
    Dates,
    /// An empty list of entries is present instead of absent.
    #[error("a list without entries must leave the field out (RFC 5280 §5.1.2.6)")]
    EmptyEntries,
    /// A revoked certificate is missing, or the entry differs from the record.
    #[error("the entry of the revoked certificate {serial} is missing, doubled, out of order or wrong")]
    Entry {
        /// The revoked certificate.
        serial: Serial,
    },
    /// It lists what is not revoked.
    #[error("the list has an entry that no revocation stands behind")]
    SurplusEntry,
    /// An extension is unknown, missing or there twice.
    #[error("the list's extensions are not exactly the authority key identifier and the CRL number")]
    Extensions,
    /// The AuthorityKeyIdentifier is not the authority's SubjectKeyIdentifier.
    #[error("the list's authority key identifier differs from the authority's (RFC 5280 §5.2.1)")]
    KeyId,
    /// The number is not above the last one.
    #[error("the CRL number {number} is not above the last one (RFC 5280 §5.2.3)")]
    Number {
        /// The list's number.
        number: CrlNumber,
    },
    /// The number can't be one.
    #[error("the CRL number is malformed")]
    MalformedNumber(#[from] NumberError),
}

/// Checks `tbs` against what it must say: `head`, a number above `last`, and `entries` in this order.
///
/// # Errors
/// The first thing that is wrong.
pub fn check<'a>(
    tbs: &[u8],
    head: &ListHead<'_>,
    last: Option<CrlNumber>,
    entries: impl Iterator<Item = &'a Entry>,
) -> Result<(), CheckError> {
    let fields = TbsFields::read(tbs)?;
    if fields.algorithm != head.algorithm {
        return Err(CheckError::Algorithm);
    }
    if fields.issuer != head.issuer {
        return Err(CheckError::Issuer);
    }
    let expected = (whole_seconds(head.this_update), whole_seconds(head.next_update));
    if (fields.this_update, fields.next_update) != expected || fields.this_update >= fields.next_update {
        return Err(CheckError::Dates);
    }
    check_entries(fields.entries, head, entries)?;
    let number = check_extensions(fields.extensions, head.key_id)?;
    if number != head.number || last.is_some_and(|last| number <= last) {
        return Err(CheckError::Number { number });
    }
    Ok(())
}

fn whole_seconds(time: OffsetDateTime) -> OffsetDateTime {
    time.replace_nanosecond(0).unwrap_or(time)
}

/// Both in lockstep: strictly ascending records prove strictly ascending, unique entries.
fn check_entries<'a>(
    read: Option<Reader<'_>>,
    head: &ListHead<'_>,
    expected: impl Iterator<Item = &'a Entry>,
) -> Result<(), CheckError> {
    let mut read = match read {
        Some(entries) if entries.is_empty() => return Err(CheckError::EmptyEntries),
        Some(entries) => entries,
        None => Reader::new(&[]),
    };
    let latest = head.latest();
    let mut times = None;
    let mut last: Option<Serial> = None;
    for entry in expected {
        let serial = *entry.serial();
        let wrong = CheckError::Entry { serial };
        if read.is_empty() || last.is_some_and(|last| last >= serial) {
            return Err(wrong);
        }
        let found = ReadEntry::read(&mut read, &mut times)?;
        let (reason, invalidity) = match found.extensions {
            Some(extensions) => check_entry_extensions(extensions, &wrong)?,
            None => (Reason::Unspecified, None),
        };
        let same = Serial::from_der_content(found.serial) == Ok(serial)
            && found.at.unix_timestamp() == entry.at().min(latest)
            && reason == entry.reason()
            && invalidity == entry.invalidity();
        if !same {
            return Err(wrong);
        }
        last = Some(serial);
    }
    if read.is_empty() { Ok(()) } else { Err(CheckError::SurplusEntry) }
}

/// At most a reason, never `unspecified`, and an invalidity date, in this order (RFC 5280 §5.3).
fn check_entry_extensions(
    mut extensions: Reader<'_>,
    wrong: &CheckError,
) -> Result<(Reason, Option<i64>), CheckError> {
    let (mut reason, mut invalidity) = (Reason::Unspecified, None);
    if extensions.is_empty() {
        return Err(wrong.clone());
    }
    while !extensions.is_empty() {
        let (id, mut content) = extension(&mut extensions)?;
        if id == oid::REASON && reason == Reason::Unspecified && invalidity.is_none() {
            let [code] = content.value(der::ENUMERATED, "no reason code")? else { return Err(wrong.clone()) };
            match Reason::from_code(*code) {
                Ok(Reason::Unspecified) | Err(_) => return Err(wrong.clone()),
                Ok(known) => reason = known,
            }
        } else if id == oid::INVALIDITY_DATE && invalidity.is_none() {
            invalidity = Some(content.generalized_time()?.unix_timestamp());
        } else {
            return Err(wrong.clone());
        }
        content.end("more than an extension's value")?;
    }
    Ok((reason, invalidity))
}

fn check_extensions(mut extensions: Reader<'_>, key_id: &[u8]) -> Result<CrlNumber, CheckError> {
    let (id, mut content) = extension(&mut extensions)?;
    if id != oid::AUTHORITY_KEY_IDENTIFIER {
        return Err(CheckError::Extensions);
    }
    let mut identifier = Reader::new(content.value(der::SEQUENCE, "no authority key identifier")?);
    content.end("more than an authority key identifier")?;
    if identifier.value(KEY_IDENTIFIER, "no key identifier")? != key_id || !identifier.is_empty() {
        return Err(CheckError::KeyId);
    }
    let (id, mut content) = extension(&mut extensions)?;
    if id != oid::CRL_NUMBER || !extensions.is_empty() {
        return Err(CheckError::Extensions);
    }
    let number = content.unsigned("no CRL number")?;
    content.end("more than a CRL number")?;
    Ok(CrlNumber::from_be_bytes(number)?)
}

#[cfg(test)]
mod tests;
