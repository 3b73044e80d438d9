//! Reads a to-be-signed list back, entry by entry and without a copy: the second pair of eyes.
//!
//! It is no parser of foreign lists (that is x509-parser's work in [`mod@crate::verify`]): it accepts
//! exactly the form that we publish, strict DER in the order of RFC 5280 §5.1, and refuses the rest.

use time::{Date, Month, OffsetDateTime, PrimitiveDateTime};

use crate::CrlNumber;
use crate::der::{self, oid};

/// Why bytes are not a list as we write them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at octet {offset} from the end")]
pub struct ReadError {
    /// What is wrong.
    pub what: &'static str,
    /// Where, counted from the end of what was to be read.
    pub offset: usize,
}

/// What is left to read.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn refuse<T>(&self, what: &'static str) -> Result<T, ReadError> {
        Err(ReadError { what, offset: self.0.len() })
    }

    pub(crate) fn next_is(&self, tag: u8) -> bool {
        self.0.first() == Some(&tag)
    }

    /// Reads a tag, a definite length of the shortest form, and the content.
    fn any(&mut self) -> Result<(u8, &'a [u8]), ReadError> {
        let [tag, first, rest @ ..] = self.0 else { return self.refuse("no value") };
        let (length, rest) = match first {
            0..=0x7f => (usize::from(*first), rest),
            0x81..=0x84 => {
                let octets = usize::from(first & 0x7f);
                let Some((length, rest)) = rest.split_at_checked(octets) else {
                    return self.refuse("a cut length");
                };
                let length = length.iter().fold(0, |sum, &octet| sum << 8 | usize::from(octet));
                if der::size(length) != 2 + octets + length {
                    return self.refuse("a length that is not the shortest form");
                }
                (length, rest)
            }
            _ => return self.refuse("a length that is not definite or over 4 octets"),
        };
        let Some((content, rest)) = rest.split_at_checked(length) else {
            return self.refuse("a value that is cut off");
        };
        self.0 = rest;
        Ok((*tag, content))
    }

    /// Reads a value of this tag.
    pub(crate) fn value(&mut self, tag: u8, what: &'static str) -> Result<&'a [u8], ReadError> {
        if !self.next_is(tag) {
            return self.refuse(what);
        }
        self.any().map(|(_, content)| content)
    }

    /// Reads a value of this tag and returns tag, length and content.
    pub(crate) fn whole(&mut self, tag: u8, what: &'static str) -> Result<&'a [u8], ReadError> {
        let before = self.0;
        self.value(tag, what)?;
        Ok(&before[..before.len() - self.0.len()])
    }

    /// Reads an INTEGER's content: minimal and not negative.
    pub(crate) fn unsigned(&mut self, what: &'static str) -> Result<&'a [u8], ReadError> {
        let content = self.value(der::INTEGER, what)?;
        match content {
            [] => self.refuse("an empty integer"),
            [0x80..=0xff, ..] => self.refuse("a negative integer"),
            [0, 0..=0x7f, ..] => self.refuse("an integer that is not the shortest form"),
            _ => Ok(content),
        }
    }

    /// Reads a Time in the form that its year demands (RFC 5280 §5.1.2.4).
    pub(crate) fn time(&mut self) -> Result<OffsetDateTime, ReadError> {
        let at = *self;
        let (tag, text) = self.any()?;
        let time = match tag {
            der::UTC_TIME if text.len() == 13 => {
                let short = number(&text[..2]).map(|year| if year < 50 { 2000 + year } else { 1900 + year });
                instant(short, &text[2..])
            }
            der::GENERALIZED_TIME if text.len() == 15 => {
                instant(number(&text[..4]).filter(|year| !(1950..2050).contains(year)), &text[4..])
            }
            _ => None,
        };
        time.map_or_else(|| at.refuse("a time in a form that RFC 5280 forbids"), Ok)
    }

    /// As [`Reader::time`]; one of the same octets as the last was read with that.
    pub(crate) fn time_like(&mut self, last: &mut LastTime<'a>) -> Result<OffsetDateTime, ReadError> {
        if let Some((octets, time)) = *last
            && let Some(rest) = self.0.strip_prefix(octets)
        {
            self.0 = rest;
            return Ok(time);
        }
        let before = self.0;
        let time = self.time()?;
        *last = Some((&before[..before.len() - self.0.len()], time));
        Ok(time)
    }

    /// Reads a GeneralizedTime of any year, as an invalidity date is (RFC 5280 §5.3.2).
    pub(crate) fn generalized_time(&mut self) -> Result<OffsetDateTime, ReadError> {
        let at = *self;
        let text = self.value(der::GENERALIZED_TIME, "no invalidity date")?;
        let time = if text.len() == 15 { instant(number(&text[..4]), &text[4..]) } else { None };
        time.map_or_else(|| at.refuse("a malformed invalidity date"), Ok)
    }

    /// Nothing may follow.
    pub(crate) fn end(&self, what: &'static str) -> Result<(), ReadError> {
        if self.is_empty() { Ok(()) } else { self.refuse(what) }
    }
}

fn number(digits: &[u8]) -> Option<u16> {
    digits.iter().try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + u16::from(digit - b'0')))
}

/// `MMDDhhmmssZ` of a year.
fn instant(year: Option<u16>, text: &[u8]) -> Option<OffsetDateTime> {
    let (b'Z', fields) = text.split_last()? else { return None };
    let mut each = fields.chunks_exact(2).map(|pair| number(pair).and_then(|n| u8::try_from(n).ok()));
    let mut next = || each.next().flatten();
    let month = Month::try_from(next()?).ok()?;
    let date = Date::from_calendar_date(i32::from(year?), month, next()?).ok()?;
    let time = time::Time::from_hms(next()?, next()?, next()?).ok()?;
    Some(PrimitiveDateTime::new(date, time).assume_utc())
}

/// The time that was read last, and its octets with their tag and length: many entries have the same.
pub(crate) type LastTime<'a> = Option<(&'a [u8], OffsetDateTime)>;

/// The fields of a TBSCertList, the entries not yet read.
pub(crate) struct TbsFields<'a> {
    pub(crate) algorithm: &'a [u8],
    pub(crate) issuer: &'a [u8],
    pub(crate) this_update: OffsetDateTime,
    pub(crate) next_update: OffsetDateTime,
    /// `None` if the field is absent.
    pub(crate) entries: Option<Reader<'a>>,
    pub(crate) extensions: Reader<'a>,
}

impl<'a> TbsFields<'a> {
    pub(crate) fn read(tbs: &'a [u8]) -> Result<TbsFields<'a>, ReadError> {
        let mut outer = Reader::new(tbs);
        let mut fields = Reader::new(outer.value(der::SEQUENCE, "no list")?);
        outer.end("more than the list")?;
        if fields.value(der::INTEGER, "no version")? != [1] {
            return fields.refuse("a version other than 2");
        }
        let algorithm = fields.whole(der::SEQUENCE, "no signature algorithm")?;
        let issuer = fields.whole(der::SEQUENCE, "no issuer")?;
        let this_update = fields.time()?;
        let next_update = fields.time()?;
        let entries = match fields.next_is(der::SEQUENCE) {
            true => Some(Reader::new(fields.value(der::SEQUENCE, "no entries")?)),
            false => None,
        };
        let mut wrapped = Reader::new(fields.value(der::CONTEXT_0, "no extensions")?);
        fields.end("more than the extensions")?;
        let extensions = Reader::new(wrapped.value(der::SEQUENCE, "no extensions")?);
        wrapped.end("more than the extensions")?;
        Ok(TbsFields { algorithm, issuer, this_update, next_update, entries, extensions })
    }
}

impl TbsFields<'_> {
    /// The list's number.
    pub(crate) fn number(&self) -> Result<CrlNumber, ReadError> {
        let mut extensions = self.extensions;
        while !extensions.is_empty() {
            let (id, mut content) = extension(&mut extensions)?;
            if id == oid::CRL_NUMBER {
                let number = content.unsigned("no CRL number")?;
                content.end("more than a CRL number")?;
                return CrlNumber::from_be_bytes(number)
                    .or_else(|_| content.refuse("a CRL number out of range"));
            }
        }
        extensions.refuse("no CRL number")
    }
}

/// One entry as it was read.
pub(crate) struct ReadEntry<'a> {
    /// The INTEGER's content.
    pub(crate) serial: &'a [u8],
    pub(crate) at: OffsetDateTime,
    /// `None` if the extensions are absent.
    pub(crate) extensions: Option<Reader<'a>>,
}

impl<'a> ReadEntry<'a> {
    /// Reads the next one; `times` is kept from one to the next.
    pub(crate) fn read(
        entries: &mut Reader<'a>,
        times: &mut LastTime<'a>,
    ) -> Result<ReadEntry<'a>, ReadError> {
        let mut entry = Reader::new(entries.value(der::SEQUENCE, "no entry")?);
        let serial = entry.unsigned("no serial")?;
        let at = entry.time_like(times)?;
        let extensions = match entry.is_empty() {
            true => None,
            false => Some(Reader::new(entry.value(der::SEQUENCE, "no entry extensions")?)),
        };
        entry.end("more than an entry")?;
        Ok(ReadEntry { serial, at, extensions })
    }
}

/// An extension that is not critical: its identifier and the content of its value.
pub(crate) fn extension<'a>(extensions: &mut Reader<'a>) -> Result<(&'a [u8], Reader<'a>), ReadError> {
    let mut extension = Reader::new(extensions.value(der::SEQUENCE, "no extension")?);
    let id = extension.value(der::OBJECT_IDENTIFIER, "no extension identifier")?;
    // A BOOLEAN here would be critical TRUE, which none of ours may be, or a FALSE that DER leaves out.
    let content = extension.value(der::OCTET_STRING, "an extension that is critical or without a value")?;
    extension.end("more than an extension")?;
    Ok((id, Reader::new(content)))
}
