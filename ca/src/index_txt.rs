//! Reads `index.txt`, the inventory that `openssl ca` and easy-rsa keep.
//!
//! One certificate a line, six fields between tabs: status (V, R or E), end, revocation (`date[,reason
//! [,detail]]`), serial in hex, file, subject. Every error names its line. It refuses what it does not
//! understand rather than to forget a revocation: an unknown status or reason, a serial that stands
//! there twice, a revoked line without a date.

use std::collections::HashMap;
use std::fmt;

use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time};

use crate::cert::{Serial, SerialError, printable};

/// Limits on an index file.
pub mod limits {
    /// How many octets a file may have.
    pub const FILE: usize = 256 * 1024 * 1024;
    /// How many octets a line may have.
    pub const LINE: usize = 16 * 1024;
}

/// One certificate of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The line it stands on, from 1.
    pub line: usize,
    /// Its serial number.
    pub serial: Serial,
    /// When it ends.
    pub ends: OffsetDateTime,
    /// Whether and why it was revoked.
    pub revocation: Option<RowRevocation>,
    /// Its subject as the index has it, `/C=…/CN=…`.
    pub subject: String,
}

/// The revocation of a [`Row`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowRevocation {
    /// When.
    pub at: OffsetDateTime,
    /// Why.
    pub reason: RowReason,
    /// Since when the key is known to be compromised, if that was said.
    pub invalid_since: Option<OffsetDateTime>,
}

/// A reason for revocation as an index can say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowReason {
    /// No longer who it was.
    AffiliationChanged,
    /// The key of the authority itself.
    CaCompromise,
    /// May come back.
    CertificateHold,
    /// No longer needed.
    CessationOfOperation,
    /// In other hands.
    KeyCompromise,
    /// Replaced.
    Superseded,
    /// Not said.
    Unspecified,
}

impl RowReason {
    /// The reason in RFC 5280's spelling (§5.3.1).
    pub fn as_str(self) -> &'static str {
        match self {
            RowReason::AffiliationChanged => "affiliationChanged",
            RowReason::CaCompromise => "cACompromise",
            RowReason::CertificateHold => "certificateHold",
            RowReason::CessationOfOperation => "cessationOfOperation",
            RowReason::KeyCompromise => "keyCompromise",
            RowReason::Superseded => "superseded",
            RowReason::Unspecified => "unspecified",
        }
    }
}

/// Why an index can't be read: which line, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the index: {problem}")]
pub struct IndexError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    #[source]
    pub problem: Problem,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Neither UTCTime nor GeneralizedTime.
    #[error("{found} is not a date (YYMMDDHHMMSSZ or YYYYMMDDHHMMSSZ)")]
    Date {
        /// What is there.
        found: String,
    },
    /// The serial of an earlier line.
    #[error("serial {serial} stands on line {earlier} already")]
    Duplicate {
        /// The serial.
        serial: Serial,
        /// The earlier line.
        earlier: usize,
    },
    /// Too few or too many fields.
    #[error("{found} fields between tabs instead of 6")]
    Fields {
        /// How many there are.
        found: usize,
    },
    /// Longer than a line of an index is.
    #[error("it has more than {limit} octets")]
    Length {
        /// How many it may have.
        limit: usize,
    },
    /// Revoked without a date, or with one and not revoked.
    #[error("its status and its revocation date don't fit together")]
    Mismatch,
    /// A reason that is not known.
    #[error("{found} is not a reason for revocation")]
    Reason {
        /// What is there.
        found: String,
    },
    /// Not a serial number.
    #[error("{found} is not a serial number")]
    Serial {
        /// What is there.
        found: String,
        /// Why not.
        #[source]
        source: SerialError,
    },
    /// Neither V, R nor E.
    #[error("{found} is not a status (V, R or E)")]
    Status {
        /// What is there.
        found: String,
    },
    /// Not UTF-8.
    #[error("it is not text")]
    Text,
}

/// Reads a whole index.
pub fn parse(file: &[u8]) -> Result<Vec<Row>, IndexError> {
    let mut rows: Vec<Row> = Vec::new();
    let mut seen: HashMap<Serial, usize> = HashMap::new();
    for (at, line) in file.split(|&octet| octet == b'\n').enumerate() {
        let number = at + 1;
        let refuse = |problem| IndexError { line: number, problem };
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        if line.len() > limits::LINE {
            return Err(refuse(Problem::Length { limit: limits::LINE }));
        }
        let text = std::str::from_utf8(line).map_err(|_| refuse(Problem::Text))?;
        let row = row(number, text).map_err(refuse)?;
        if let Some(&earlier) = seen.get(&row.serial) {
            return Err(refuse(Problem::Duplicate { serial: row.serial, earlier }));
        }
        seen.insert(row.serial, number);
        rows.push(row);
    }
    Ok(rows)
}

fn row(line: usize, text: &str) -> Result<Row, Problem> {
    let fields = fields(text);
    let [status, ends, revoked, serial, _file, subject] = fields.as_slice() else {
        return Err(Problem::Fields { found: fields.len() });
    };
    let revocation = match (status.as_str(), revoked.is_empty()) {
        // E is V that `openssl ca -updatedb` found to have ended.
        ("V" | "E", true) => None,
        ("R", false) => Some(revocation(revoked)?),
        ("V" | "E" | "R", _) => return Err(Problem::Mismatch),
        _ => return Err(Problem::Status { found: printable(status) }),
    };
    let serial_error = |source| Problem::Serial { found: printable(serial), source };
    Ok(Row {
        line,
        serial: Serial::from_hex(serial).map_err(serial_error)?,
        ends: date(ends)?,
        revocation,
        subject: subject.clone(),
    })
}

/// Splits at tabs; OpenSSL writes a tab inside a field with a backslash in front.
fn fields(text: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match (c, characters.peek()) {
            ('\\', Some('\t')) => {
                characters.next();
                push(&mut fields, '\t');
            }
            ('\t', _) => fields.push(String::new()),
            (c, _) => push(&mut fields, c),
        }
    }
    fields
}

fn push(fields: &mut [String], c: char) {
    if let Some(field) = fields.last_mut() {
        field.push(c);
    }
}

fn revocation(field: &str) -> Result<RowRevocation, Problem> {
    let mut parts = field.splitn(3, ',');
    let at = date(parts.next().unwrap_or_default())?;
    let name = parts.next();
    let detail = parts.next();
    let plain = |reason| Ok((reason, None));
    let since = |reason| Ok((reason, Some(date(detail.unwrap_or_default())?)));
    let (reason, invalid_since) = match name.unwrap_or("unspecified") {
        "unspecified" => plain(RowReason::Unspecified),
        "keyCompromise" => plain(RowReason::KeyCompromise),
        "CACompromise" | "cACompromise" => plain(RowReason::CaCompromise),
        "affiliationChanged" => plain(RowReason::AffiliationChanged),
        "superseded" => plain(RowReason::Superseded),
        "cessationOfOperation" => plain(RowReason::CessationOfOperation),
        // With a hold instruction OpenSSL names its object identifier; RFC 5280 has given them up.
        "certificateHold" | "holdInstruction" => plain(RowReason::CertificateHold),
        "keyTime" => since(RowReason::KeyCompromise),
        "CAkeyTime" => since(RowReason::CaCompromise),
        other => Err(Problem::Reason { found: printable(other) }),
    }?;
    Ok(RowRevocation { at, reason, invalid_since })
}

/// UTCTime, whose years 50 to 99 are of the last century (RFC 5280 §4.1.2.5.1), or GeneralizedTime.
fn date(text: &str) -> Result<OffsetDateTime, Problem> {
    let refuse = || Problem::Date { found: printable(text) };
    let digits = text.strip_suffix('Z').filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
    let digits = digits.ok_or_else(refuse)?;
    let (year, rest) = match digits.len() {
        12 => {
            let (year, rest) = digits.split_at(2);
            let year: i32 = year.parse().map_err(|_| refuse())?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        14 => {
            let (year, rest) = digits.split_at(4);
            (year.parse().map_err(|_| refuse())?, rest)
        }
        _ => return Err(refuse()),
    };
    let part = |at: usize| rest.get(at..at + 2).and_then(|digits| digits.parse::<u8>().ok());
    let (month, day) = part(0).zip(part(2)).ok_or_else(refuse)?;
    let ((hour, minute), second) = part(4).zip(part(6)).zip(part(8)).ok_or_else(refuse)?;
    let month = Month::try_from(month).map_err(|_| refuse())?;
    let date = Date::from_calendar_date(year, month, day).map_err(|_| refuse())?;
    let time = Time::from_hms(hour, minute, second).map_err(|_| refuse())?;
    Ok(PrimitiveDateTime::new(date, time).assume_utc())
}

impl Row {
    /// The last common name of its subject, unescaped; the whole subject if it has none.
    pub fn name(&self) -> String {
        let mut name = None;
        for (at, _) in self.subject.match_indices("/CN=") {
            let value = &self.subject[at + "/CN=".len()..];
            name = Some(&value[..end_of_value(value)]);
        }
        printable(&unescaped(name.unwrap_or(&self.subject)))
    }
}

/// Where the next `/TYPE=` begins; a slash alone belongs to the value.
fn end_of_value(value: &str) -> usize {
    let begins_attribute = |rest: &str| {
        rest.split_once('=').is_some_and(|(kind, _)| {
            !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.')
        })
    };
    let mut slashes = value.match_indices('/').map(|(at, _)| at);
    slashes.find(|&at| begins_attribute(&value[at + 1..])).unwrap_or(value.len())
}

/// Octets that OpenSSL wrote as `\xHH`; left as they stand where they are not UTF-8.
fn unescaped(text: &str) -> String {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\\x") {
        octets.extend_from_slice(&rest.as_bytes()[..at]);
        let code = rest.get(at + 2..at + 4).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match code {
            Some(code) => {
                octets.push(code);
                rest = &rest[at + 4..];
            }
            None => {
                octets.extend_from_slice(b"\\x");
                rest = &rest[at + 2..];
            }
        }
    }
    octets.extend_from_slice(rest.as_bytes());
    String::from_utf8(octets).unwrap_or_else(|_| text.to_owned())
}

impl fmt::Display for RowReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests;
