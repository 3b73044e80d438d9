//! How long tokens live, in LXD's syntax: `15d`, `2d 3H`, `1m`.
//!
//! Months and years are the calendar's, counted as LXD counts them: what runs past the end of a month
//! goes on into the next.

use std::fmt;
use std::str::FromStr;

use time::{Date, Duration, Month, OffsetDateTime};

/// A span: numbers with `S`econds, `M`inutes, `H`ours, `d`ays, `w`eeks, `m`onths and `y`ears, separated by
/// spaces, each unit at most once. Empty is for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expiry {
    counts: [u32; 7],
}

const UNITS: [char; 7] = ['S', 'M', 'H', 'd', 'w', 'm', 'y'];
/// The most of a unit: more than any calendar reaches from here.
const MOST: u32 = 1_000_000_000;

/// Why a text is no span.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Invalid expiry expression")]
pub struct ExpiryError;

impl Expiry {
    /// Whether it never ends.
    pub fn is_never(&self) -> bool {
        self.counts == [0; 7]
    }

    /// The moment that lies so far after `now`; `None` for never.
    ///
    /// # Errors
    /// [`ExpiryError`] beyond the year 9999.
    pub fn after(&self, now: OffsetDateTime) -> Result<Option<OffsetDateTime>, ExpiryError> {
        if self.is_never() {
            return Ok(None);
        }
        let [seconds, minutes, hours, days, weeks, months, years] = self.counts.map(i64::from);
        let month = i64::from(u8::from(now.month())) - 1 + months;
        let year = i64::from(now.year()) + years + month.div_euclid(12);
        let month = u8::try_from(month.rem_euclid(12) + 1).map_err(|_| ExpiryError)?;
        let month = Month::try_from(month).map_err(|_| ExpiryError)?;
        let year = i32::try_from(year).map_err(|_| ExpiryError)?;
        let first = Date::from_calendar_date(year, month, 1).map_err(|_| ExpiryError)?;
        let days = i64::from(now.day()) - 1 + days + weeks * 7;
        let span = Duration::days(days)
            + Duration::hours(hours)
            + Duration::minutes(minutes)
            + Duration::seconds(seconds);
        now.replace_date(first).checked_add(span).ok_or(ExpiryError).map(Some)
    }
}

impl FromStr for Expiry {
    type Err = ExpiryError;

    fn from_str(text: &str) -> Result<Expiry, ExpiryError> {
        let mut expiry = Expiry::default();
        let text = text.trim();
        if text.is_empty() {
            return Ok(expiry);
        }
        for part in text.split(' ') {
            let unit = part.chars().last().ok_or(ExpiryError)?;
            let at = UNITS.iter().position(|&known| known == unit).ok_or(ExpiryError)?;
            let digits = &part[..part.len() - 1];
            if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) || expiry.counts[at] > 0 {
                return Err(ExpiryError);
            }
            let count: u32 = digits.parse().map_err(|_| ExpiryError)?;
            if count > MOST {
                return Err(ExpiryError);
            }
            expiry.counts[at] = count;
        }
        Ok(expiry)
    }
}

impl fmt::Display for Expiry {
    /// The longest unit first; empty for never.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.counts.iter().zip(UNITS).rev().filter(|(count, _)| **count > 0);
        let parts: Vec<String> = parts.map(|(count, unit)| format!("{count}{unit}")).collect();
        f.write_str(&parts.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-10-31 12:00:00 UTC);

    fn after(text: &str) -> Option<OffsetDateTime> {
        text.parse::<Expiry>().unwrap().after(NOW).unwrap()
    }

    #[test]
    fn every_unit_counts_as_lxd_counts_it() {
        assert_eq!(after("1S"), Some(datetime!(2026-10-31 12:00:01 UTC)));
        assert_eq!(after("1M"), Some(datetime!(2026-10-31 12:01:00 UTC)));
        assert_eq!(after("2d 3H"), Some(datetime!(2026-11-02 15:00:00 UTC)));
        assert_eq!(after("15d"), Some(datetime!(2026-11-15 12:00:00 UTC)));
        assert_eq!(after("1w"), Some(datetime!(2026-11-07 12:00:00 UTC)));
        // Go's AddDate: 31 November is 1 December.
        assert_eq!(after("1m"), Some(datetime!(2026-12-01 12:00:00 UTC)));
        assert_eq!(after("14m"), Some(datetime!(2027-12-31 12:00:00 UTC)));
        assert_eq!(after("1y 1m 1d"), Some(datetime!(2027-12-02 12:00:00 UTC)));
        assert_eq!(after(""), None);
        assert_eq!(after("0d"), None);
    }

    #[test]
    fn nothing_else_is_a_span() {
        for bad in ["15", "d", "1D", "1h", "-1d", "1d1H", "1d  1H", "1d 2d", "1.5d", "\u{e4}", "1\u{e4}"] {
            assert_eq!(bad.parse::<Expiry>(), Err(ExpiryError), "{bad:?}");
        }
        assert_eq!("99999999999S".parse::<Expiry>(), Err(ExpiryError));
        for far in ["9000y", "1000000000d", "1000000000y"] {
            assert_eq!(far.parse::<Expiry>().unwrap().after(NOW), Err(ExpiryError), "{far}");
        }
        assert_eq!("3H 2d".parse::<Expiry>().unwrap().to_string(), "2d 3H");
    }
}
