//! The clock of the service: the only place below the CLI that asks what time it is.
//!
//! Everything else takes the time as an argument, so that a test can say what it is.

use time::OffsetDateTime;

/// The time now, whole seconds: certificates and lists know no fractions (RFC 5280 §4.1.2.5).
pub fn now() -> OffsetDateTime {
    let now = OffsetDateTime::now_utc();
    now.replace_nanosecond(0).unwrap_or(now)
}
