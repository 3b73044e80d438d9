//! Spans of time as people type them: `30s`, `5m`, `2h`, `30d`, `2w`.
//!
//! Months and years are refused: nobody knows how long they are.

use std::time::Duration;

/// Parses a whole number and a unit of `s`, `m`, `h`, `d` or `w`. A bare `0` needs no unit.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let split = text.find(|c: char| !c.is_ascii_digit()).ok_or(DurationError::NoUnit)?;
    let (digits, unit) = text.split_at(split);
    if digits.is_empty() {
        return Err(DurationError::NoNumber);
    }
    let seconds_per_unit: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        "w" => 7 * 24 * 60 * 60,
        _ => return Err(DurationError::UnknownUnit { unit: unit.to_string() }),
    };
    let number: u64 = digits.parse().map_err(|_| DurationError::TooLong)?;
    let seconds = number.checked_mul(seconds_per_unit).ok_or(DurationError::TooLong)?;
    // Far beyond any certificate; keeps every later addition to a date from overflowing.
    if seconds > 100 * 366 * 24 * 60 * 60 {
        return Err(DurationError::TooLong);
    }
    Ok(Duration::from_secs(seconds))
}

/// Why a text is no span of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// It does not begin with a number.
    #[error("expected a number and a unit, like 30s, 5m, 2h, 30d or 2w")]
    NoNumber,
    /// A number alone.
    #[error("the unit is missing: write 30s, 5m, 2h, 30d or 2w")]
    NoUnit,
    /// More than a hundred years.
    #[error("longer than a hundred years")]
    TooLong,
    /// A unit we do not know.
    #[error("unknown unit {unit:?}: use s, m, h, d or w")]
    UnknownUnit {
        /// What was typed.
        unit: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_what_they_say() {
        for (text, seconds) in [
            ("0", 0),
            ("0s", 0),
            ("30s", 30),
            ("5m", 300),
            ("2h", 7200),
            ("30d", 2_592_000),
            ("2w", 1_209_600),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "30",
            "d",
            "-1d",
            "1 d",
            "1.5h",
            "1M",
            "1y",
            "1d2h",
            "٣d",
            "99999999999999999999s",
            "9999999d",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
