//! Entries in the form that nearly all of them have, judged by their octets at a glance.
//!
//! A list may have a million entries, and each one that is made waits for this. What stands in exactly
//! this form breaks no rule but perhaps those on order and date, which the caller asks of what is returned;
//! whatever looks any different is read in full by the slow way, which names what is wrong with it:
//!
//! ```text
//! SEQUENCE { serialNumber INTEGER, revocationDate UTCTime,
//!            crlEntryExtensions SEQUENCE { SEQUENCE { id-ce-cRLReasons, reason } } OPTIONAL }
//! ```

use time::OffsetDateTime;

/// Everything before the code of a reason: the two sequences, id-ce-cRLReasons, the OCTET STRING, the ENUMERATED.
const REASON: [u8; 13] = [0x30, 0x0c, 0x30, 0x0a, 0x06, 0x03, 0x55, 0x1d, 0x15, 0x04, 0x03, 0x0a, 0x01];

/// An entry of the usual form.
pub(super) struct Usual<'a> {
    /// The INTEGER's content: positive, of the shortest form, 20 octets at most.
    pub(super) serial: &'a [u8],
    /// revocationDate.
    pub(super) date: Moment,
    /// What follows it.
    pub(super) rest: &'a [u8],
}

/// A date and a time that compare like the moments they name: YYYYMMDDhhmmss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(u64);

impl Moment {
    /// The same of a time.
    pub(super) fn of(time: OffsetDateTime) -> Moment {
        let time = time.to_offset(time::UtcOffset::UTC);
        let fields = [time.month() as u8, time.day(), time.hour(), time.minute(), time.second()];
        let year = u64::try_from(time.year()).unwrap_or(0);
        Moment(fields.iter().fold(year, |sum, &field| sum * 100 + u64::from(field)))
    }

    /// Reads `YYMMDDhhmmssZ` (RFC 5280 §4.1.2.5.1).
    fn of_utc_time(text: &[u8]) -> Option<Moment> {
        let (b'Z', digits) = text.split_last()? else { return None };
        let mut fields = [0_u8; 6];
        for (field, pair) in fields.iter_mut().zip(digits.chunks_exact(2)) {
            let [tens, ones] = [pair[0].wrapping_sub(b'0'), pair[1].wrapping_sub(b'0')];
            if tens > 9 || ones > 9 {
                return None;
            }
            *field = tens * 10 + ones;
        }
        let [year, month, day, hour, minute, second] = fields;
        // 1950 to 1999 are left to the slow way: nothing was revoked then.
        let leap = year.is_multiple_of(4);
        let days = match month {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            _ => return None,
        };
        let is_date = year < 50 && (1..=days).contains(&day) && hour < 24 && minute < 60 && second < 60;
        let moment = [month, day, hour, minute, second];
        is_date.then(|| {
            Moment(moment.iter().fold(2000 + u64::from(year), |sum, &field| sum * 100 + u64::from(field)))
        })
    }
}

/// The first of some entries, if it has the usual form.
pub(super) fn first(entries: &[u8]) -> Option<Usual<'_>> {
    let [0x30, length @ 0..=0x7f, rest @ ..] = entries else { return None };
    let (entry, rest) = rest.split_at_checked(usize::from(*length))?;
    let [0x02, length @ 1..=20, entry @ ..] = entry else { return None };
    let (serial, entry) = entry.split_at_checked(usize::from(*length))?;
    match serial {
        [0x80..=0xff, ..] | [0, 0..=0x7f, ..] => return None,
        _ => {}
    }
    let [0x17, 13, entry @ ..] = entry else { return None };
    let (date, extensions) = entry.split_at_checked(13)?;
    match extensions {
        [] => {}
        // 0 says nothing and 8 belongs into delta lists; 7 is unused (RFC 5280 §5.3.1).
        [before @ .., 1..=6 | 9 | 10] if *before == REASON => {}
        _ => return None,
    }
    Some(Usual { serial, date: Moment::of_utc_time(date)?, rest })
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn entry(serial: &[u8], date: &[u8], extensions: &[u8]) -> Vec<u8> {
        let mut content = vec![0x02, serial.len() as u8];
        content.extend_from_slice(serial);
        content.extend_from_slice(&[0x17, date.len() as u8]);
        content.extend_from_slice(date);
        content.extend_from_slice(extensions);
        let mut entry = vec![0x30, content.len() as u8];
        entry.extend(content);
        entry
    }

    #[test]
    fn only_what_breaks_no_rule_is_usual() {
        let date = b"261121120000Z";
        let reason = |code: u8| [REASON.as_slice(), &[code]].concat();
        let mut two = entry(&[0x11], date, &[]);
        two.extend(entry(&[0, 0x80], date, &reason(4)));
        let one = first(&two).unwrap();
        assert_eq!((one.serial, one.date), (&[0x11][..], Moment::of(datetime!(2026-11-21 12:00 UTC))));
        let other = first(one.rest).unwrap();
        assert_eq!((other.serial, other.rest.len()), (&[0, 0x80][..], 0));
        for serial in [&[][..], &[0x80], &[0, 0x11], &[0x11; 21]] {
            assert!(first(&entry(serial, date, &[])).is_none(), "{serial:?}");
        }
        for code in [0, 7, 8, 11] {
            assert!(first(&entry(&[0x11], date, &reason(code))).is_none(), "{code}");
        }
        for date in [
            "261121120000",
            "261321120000Z",
            "260229120000Z",
            "26112112000:Z",
            "500101000000Z",
            "261121240000Z",
            "2611211200000",
            "261100120000Z",
        ] {
            assert!(first(&entry(&[0x11], date.as_bytes(), &[])).is_none(), "{date}");
        }
        assert!(first(&entry(&[0x11], b"240229235959Z", &[])).is_some());
        assert!(first(&entry(&[0x11], date, &[0x30, 0])).is_none());
        let mut cut = entry(&[0x11], date, &reason(4));
        cut.pop();
        assert!(first(&cut).is_none());
    }

    #[test]
    fn moments_compare_like_times() {
        let (early, late) = (datetime!(2026-11-21 23:59:59 UTC), datetime!(2026-11-22 01:00 +1));
        assert!(Moment::of(early) < Moment::of(late));
        assert_eq!(Moment::of(late), Moment::of_utc_time(b"261122000000Z").unwrap());
    }
}
