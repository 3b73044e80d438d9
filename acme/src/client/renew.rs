//! When a certificate is due again: pure arithmetic, no clock.
//!
//! At two thirds of its lifetime, whatever that is (never a fixed number of days: lifetimes are
//! shrinking), less a share that depends on the name alone, so that a thousand certificates issued in
//! one night do not come back in one night. After failures the pauses grow.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use time::OffsetDateTime;

/// When a certificate of this validity is to be renewed. `name` spreads the moment over the twentieth
/// of the lifetime before two thirds of it. Whole seconds.
pub fn due(not_before: OffsetDateTime, not_after: OffsetDateTime, name: &str) -> OffsetDateTime {
    let lifetime = (not_after - not_before).max(time::Duration::ZERO);
    let hash = digest(&SHA256, name.as_bytes());
    let share = hash.as_ref().iter().take(4).fold(0u32, |sum, octet| sum << 8 | u32::from(*octet));
    let spread = (lifetime / 20) * (f64::from(share) / f64::from(u32::MAX));
    let due: OffsetDateTime = not_before + lifetime * 2 / 3 - spread;
    due.replace_nanosecond(0).unwrap_or(due)
}

/// The pause after the `failures`-th failure in a row (from 1): 10 min, 1 h, 4 h, 12 h, then a day.
/// If the authority asked for more, that, up to a week.
pub fn pause(failures: u32, asked: Option<Duration>) -> Duration {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    let ours = Duration::from_secs(match failures {
        0 | 1 => 10 * MINUTE,
        2 => HOUR,
        3 => 4 * HOUR,
        4 => 12 * HOUR,
        5.. => DAY,
    });
    ours.max(asked.unwrap_or_default().min(Duration::from_secs(7 * DAY)))
}

/// How often in a row a certificate was not good, and when the next attempt is due, once another has come
/// that is `due` then. One that is due as it comes (a wrong clock, or an authority that dates back) counts as
/// a failure after the `failures` before it: else it would be asked for again and again.
pub fn after_issue(due: OffsetDateTime, now: OffsetDateTime, failures: u32) -> (u32, OffsetDateTime) {
    match due <= now {
        true => {
            let failures = failures.saturating_add(1);
            (failures, now + pause(failures, None))
        }
        false => (0, due),
    }
}

/// The pause after the `failures`-th failure in a row (from 1) to have a certificate served that lies in its
/// place: nobody but this machine is asked.
pub fn deploy_pause(failures: u32) -> Duration {
    const MINUTE: u64 = 60;
    Duration::from_secs(match failures {
        0..=2 => MINUTE,
        3 | 4 => 5 * MINUTE,
        5 | 6 => 15 * MINUTE,
        7.. => 60 * MINUTE,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;

    const WEEK: i64 = 7 * 86_400;

    proptest! {
        /// A certificate's whole life in a few lines: somebody looks once a minute at most, the authority fails
        /// for some time and asks to wait now and then.
        #[test]
        fn renewals_come_in_the_window_and_failures_seldom(
            days in 1i64..400,
            name in "[a-z]{1,12}",
            down in 0i64..30,
            looks in proptest::collection::vec(0i64..120, 64),
            asked in proptest::collection::vec(proptest::option::of(0u64..40_000), 32),
        ) {
            let begin = datetime!(2026-01-01 00:00 UTC);
            let life = time::Duration::days(days);
            let due = due(begin, begin + life, &format!("{name}.example")).unix_timestamp();
            let up = due + down * 86_400;
            let (mut now, mut next, mut failures) = (begin.unix_timestamp(), due, 0u32);
            let mut attempts: Vec<i64> = Vec::new();
            let mut late = looks.iter().cycle();
            let renewed = loop {
                // Whoever looks comes a little after it is due.
                now = now.max(next) + late.next().copied().unwrap_or_default();
                attempts.push(now);
                if now >= up {
                    break now;
                }
                failures += 1;
                let asked = asked[failures as usize % asked.len()].map(Duration::from_secs);
                next = now + i64::try_from(pause(failures, asked).as_secs()).unwrap();
            };
            let (begin, end) = (begin.unix_timestamp(), (begin + life).unix_timestamp());
            prop_assert!(attempts[0] >= begin + (end - begin) * 6 / 10, "not before its time");
            prop_assert!(attempts[0] <= begin + (end - begin) * 2 / 3 + 120, "and not after it");
            // At most a day's pause, or what the authority asked for, after it is back.
            prop_assert!(renewed <= up.max(due) + 86_400 + 120, "none is missed");
            for (at, first) in attempts.iter().enumerate() {
                let within = attempts[at..].iter().take_while(|later| **later < first + WEEK).count();
                prop_assert!(within < 12, "{within} in a week");
            }
        }
    }

    #[test]
    fn a_certificate_is_due_at_two_thirds_of_its_life_or_a_little_before() {
        let from = datetime!(2026-01-01 00:00 UTC);
        for days in [1, 6, 47, 90, 398] {
            let life = time::Duration::days(days);
            for name in ["a.example", "b.example", "c.example"] {
                let at = due(from, from + life, name) - from;
                assert!(at <= life * 2 / 3 && at >= life * 2 / 3 - life / 20, "{name} {days}: {at}");
                assert_eq!((at, at.subsec_nanoseconds()), (due(from, from + life, name) - from, 0));
            }
        }
    }

    #[test]
    fn different_names_are_due_at_different_times() {
        let from = datetime!(2026-01-01 00:00 UTC);
        let to = datetime!(2026-04-01 00:00 UTC);
        let mut times: Vec<_> = (0..100).map(|n| due(from, to, &format!("{n}.example"))).collect();
        times.sort();
        let spread = times[99] - times[0];
        assert!(spread > time::Duration::days(3), "{spread}");
    }

    #[test]
    fn one_that_is_due_as_it_comes_is_a_failure() {
        let now = datetime!(2026-01-01 00:00 UTC);
        let later = now + time::Duration::days(60);
        assert_eq!(after_issue(later, now, 7), (0, later));
        let (mut at, mut failures, mut orders) = (now, 0, 0);
        while at < now + time::Duration::days(7) {
            (failures, at) = after_issue(now, at, failures);
            orders += 1;
        }
        assert!(orders < 12, "{orders}");
    }

    #[test]
    fn a_backwards_validity_is_due_at_once() {
        let from = datetime!(2026-01-01 00:00 UTC);
        assert_eq!(due(from, from - time::Duration::days(1), "a.example"), from);
    }

    #[test]
    fn fewer_than_twelve_attempts_a_week_while_an_authority_fails() {
        let week = Duration::from_secs(7 * 86_400);
        let mut passed = Duration::ZERO;
        let mut attempts = 1;
        for failures in 1.. {
            passed += pause(failures, None);
            if passed >= week {
                break;
            }
            attempts += 1;
        }
        assert!(attempts < 12, "{attempts}");
        let decade = Duration::from_secs(10 * 365 * 86_400);
        assert_eq!(pause(1, Some(decade)), week);
        assert_eq!(pause(1, Some(Duration::from_secs(1))), Duration::from_secs(600));
    }
}
