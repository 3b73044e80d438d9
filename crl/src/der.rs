//! The few DER primitives that a list is made of, X.690 §8 and §10: lengths first, then bytes.
//!
//! Nothing is built up and copied outwards: whoever writes knows the length of what follows, so a
//! list of a million entries is written once, front to back.

use time::OffsetDateTime;

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(crate) const ENUMERATED: u8 = 0x0a;
pub(crate) const UTC_TIME: u8 = 0x17;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;
pub(crate) const SEQUENCE: u8 = 0x30;
/// `[0] EXPLICIT`, around a list's extensions.
pub(crate) const CONTEXT_0: u8 = 0xa0;

/// Content octets of the object identifiers that lists use.
pub(crate) mod oid {
    /// id-ce-cRLNumber, RFC 5280 §5.2.3.
    pub(crate) const CRL_NUMBER: &[u8] = &[0x55, 0x1d, 0x14];
    /// id-ce-cRLReasons, RFC 5280 §5.3.1.
    pub(crate) const REASON: &[u8] = &[0x55, 0x1d, 0x15];
    /// id-ce-invalidityDate, RFC 5280 §5.3.2.
    pub(crate) const INVALIDITY_DATE: &[u8] = &[0x55, 0x1d, 0x18];
    /// id-ce-authorityKeyIdentifier, RFC 5280 §5.2.1.
    pub(crate) const AUTHORITY_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 0x23];
}

/// How many octets a tag, a length and `content` octets take.
pub(crate) const fn size(content: usize) -> usize {
    1 + length_size(content) + content
}

const fn length_size(content: usize) -> usize {
    if content < 0x80 { 1 } else { 1 + significant(content) }
}

const fn significant(length: usize) -> usize {
    (usize::BITS - length.leading_zeros()).div_ceil(8) as usize
}

/// Writes a tag and a length.
pub(crate) fn header(out: &mut Vec<u8>, tag: u8, content: usize) {
    out.push(tag);
    if content < 0x80 {
        out.push(content as u8);
    } else {
        let octets = significant(content);
        out.push(0x80 | octets as u8);
        out.extend_from_slice(&content.to_be_bytes()[usize::BITS as usize / 8 - octets..]);
    }
}

/// Writes a whole value.
pub(crate) fn value(out: &mut Vec<u8>, tag: u8, content: &[u8]) {
    header(out, tag, content.len());
    out.extend_from_slice(content);
}

/// The end of 9999 in seconds since 1970, beyond which there is no GeneralizedTime.
const LAST: i64 = 253_402_300_799;

/// A `Time` of RFC 5280 §5.1.2.4: UTCTime through 2049, GeneralizedTime from 2050 on.
#[derive(Clone, Copy)]
pub(crate) struct Time {
    tag: u8,
    text: [u8; 15],
    length: usize,
}

impl Time {
    /// The most octets of one: a GeneralizedTime with its tag and its length.
    pub(crate) const LONGEST: usize = 17;

    /// Seconds are kept, fractions are not; years beyond 9999 become the end of 9999.
    pub(crate) fn new(time: OffsetDateTime) -> Time {
        let time = time.to_offset(time::UtcOffset::UTC);
        match time.year() {
            1950..=2049 => Time::utc(time),
            _ => Time::generalized(time),
        }
    }

    /// From seconds since 1970.
    pub(crate) fn from_unix(seconds: i64) -> Time {
        Time::new(
            OffsetDateTime::from_unix_timestamp(seconds.min(LAST)).unwrap_or(OffsetDateTime::UNIX_EPOCH),
        )
    }

    /// How many octets the time of these seconds takes; only its year decides.
    pub(crate) const fn size_of_unix(seconds: i64) -> usize {
        // 1950-01-01 and 2050-01-01
        const UTC: std::ops::Range<i64> = -631_152_000..2_524_608_000;
        size(if UTC.start <= seconds && seconds < UTC.end { 13 } else { 15 })
    }

    /// GeneralizedTime whatever the year, as an invalidity date needs it (RFC 5280 §5.3.2).
    pub(crate) fn generalized(time: OffsetDateTime) -> Time {
        let mut text = [0; 15];
        let year = time.year().clamp(0, 9999) as u16;
        text[..2].copy_from_slice(&digits((year / 100) as u8));
        text[2..4].copy_from_slice(&digits((year % 100) as u8));
        rest(&mut text[4..], time);
        Time { tag: GENERALIZED_TIME, text, length: 15 }
    }

    fn utc(time: OffsetDateTime) -> Time {
        let mut text = [0; 15];
        text[..2].copy_from_slice(&digits(time.year().rem_euclid(100) as u8));
        rest(&mut text[2..13], time);
        Time { tag: UTC_TIME, text, length: 13 }
    }

    /// How many octets it takes.
    pub(crate) const fn size(&self) -> usize {
        size(self.length)
    }

    /// Writes it.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        value(out, self.tag, &self.text[..self.length]);
    }
}

/// Times of many entries, one after the other: what two have in common is worked out once. Few days
/// have a revocation, and a list may have a million entries.
pub(crate) struct Times {
    /// Seconds since 1970 that `octets` tell.
    last: Option<i64>,
    /// Tag, length and text of the last one.
    octets: [u8; Time::LONGEST],
    length: usize,
}

impl Times {
    pub(crate) const fn new() -> Times {
        Times { last: None, octets: [0; Time::LONGEST], length: 0 }
    }

    /// What [`Time::from_unix`] writes for these seconds, and how many octets of it that is.
    pub(crate) fn of_unix(&mut self, seconds: i64) -> (&[u8; Time::LONGEST], usize) {
        if self.last != Some(seconds) {
            let day = |seconds: i64| seconds.div_euclid(DAY);
            let is_same_day = |last| day(last) == day(seconds) && (0..=LAST).contains(&seconds);
            match self.last.is_some_and(is_same_day) {
                true => self.change_time(seconds.rem_euclid(DAY) as u32),
                false => self.begin(Time::from_unix(seconds)),
            }
            self.last = Some(seconds);
        }
        (&self.octets, self.length)
    }

    fn begin(&mut self, time: Time) {
        self.octets[0] = time.tag;
        self.octets[1] = time.length as u8;
        self.octets[2..].copy_from_slice(&time.text);
        self.length = 2 + time.length;
    }

    /// `hhmmssZ` ends it in either form.
    fn change_time(&mut self, second: u32) {
        let at = self.length - 7;
        let fields = [second / 3600, second / 60 % 60, second % 60];
        for (pair, field) in self.octets[at..].chunks_exact_mut(2).zip(fields) {
            pair.copy_from_slice(&digits(field as u8));
        }
    }
}

const DAY: i64 = 86_400;

fn digits(number: u8) -> [u8; 2] {
    [b'0' + number / 10 % 10, b'0' + number % 10]
}

fn rest(text: &mut [u8], time: OffsetDateTime) {
    let fields = [u8::from(time.month()), time.day(), time.hour(), time.minute(), time.second()];
    for (pair, field) in text.chunks_exact_mut(2).zip(fields) {
        pair.copy_from_slice(&digits(field));
    }
    if let Some(last) = text.last_mut() {
        *last = b'Z';
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_length_takes_as_few_octets_as_it_can() {
        for content in [0, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x1_0000, 0x100_0000] {
            let mut out = Vec::new();
            header(&mut out, SEQUENCE, content);
            assert_eq!(out.len() + content, size(content));
        }
        let mut out = Vec::new();
        header(&mut out, SEQUENCE, 0x1234);
        assert_eq!(out, [0x30, 0x82, 0x12, 0x34]);
    }

    #[test]
    fn time_changes_its_form_with_2050() {
        let written = |time| {
            let mut out = Vec::new();
            Time::new(time).write(&mut out);
            assert_eq!(out.len(), Time::new(time).size());
            (out[0], String::from_utf8(out[2..].to_vec()).unwrap())
        };
        assert_eq!(written(datetime!(2049-12-31 23:59:59.9 UTC)), (UTC_TIME, "491231235959Z".into()));
        assert_eq!(written(datetime!(2050-01-01 0:00 UTC)), (GENERALIZED_TIME, "20500101000000Z".into()));
        assert_eq!(written(datetime!(2026-11-21 19:00 +1)), (UTC_TIME, "261121180000Z".into()));
        assert_eq!(written(datetime!(1949-12-31 23:59:59 UTC)), (GENERALIZED_TIME, "19491231235959Z".into()));
        for edge in [-631_152_000, 2_524_608_000] {
            for seconds in [edge - 1, edge] {
                assert_eq!(Time::size_of_unix(seconds), Time::from_unix(seconds).size(), "{seconds}");
            }
        }
        assert_eq!(Time::size_of_unix(i64::MAX), Time::from_unix(i64::MAX).size());
        let mut out = Vec::new();
        Time::from_unix(i64::MAX).write(&mut out);
        assert_eq!(&out[2..], b"99991231235959Z");
    }

    #[test]
    fn times_in_a_row_are_written_like_each_by_itself() {
        let (noon, utc_ends) = (1_763_726_400, 2_524_608_000);
        let edges = [0, noon, utc_ends, LAST].into_iter().flat_map(|at| [at - 1, at, at + 1]);
        let odd = [noon + 61, noon + 3_599, noon - 43_200, noon + 43_199, -1, i64::MIN, i64::MAX];
        let each: Vec<i64> = edges.chain(odd).collect();
        let mut times = Times::new();
        // Each after each: the same day before or after, another day, the other form.
        for (first, second) in each.iter().flat_map(|&first| each.iter().map(move |&second| (first, second)))
        {
            for seconds in [first, second] {
                let mut out = Vec::new();
                Time::from_unix(seconds).write(&mut out);
                let (octets, length) = times.of_unix(seconds);
                assert_eq!(octets[..length], out, "{seconds} among {first} and {second}");
            }
        }
    }
}
