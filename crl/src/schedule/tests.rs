use ca::cert::Serial;
use proptest::prelude::*;

use super::*;
use crate::{Reason, Revocation};

const WEEK: i64 = 7 * 86_400;
const START: i64 = 1_800_000_000;

fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(seconds).unwrap()
}

fn next(previous: Option<&ListRecord>, clock: i64) -> ListRecord {
    let plan = Plan::after(previous, Placed::Yes, at(clock), Duration::seconds(WEEK)).unwrap();
    plan.record(Sequence(1), 0, [0; 32])
}

#[test]
fn a_small_step_back_never_takes_this_update_back() {
    let first = next(None, START);
    assert_eq!((first.this_update, first.next_update), (START, START + WEEK));
    for back in [1, 3_600, 365 * 86_400] {
        let second = next(Some(&first), START - back);
        assert_eq!((second.this_update, second.next_update), (START, START + WEEK), "{back} back");
        assert!(second.number > first.number);
    }
}

#[test]
fn a_list_from_the_future_is_replaced_once_the_clock_is_right_again() {
    let first = next(None, START);
    let future = next(Some(&first), START + 10 * 365 * 86_400);
    let later = next(Some(&future), START + 10 * 365 * 86_400 + 60);
    assert!(!first.is_from_the_future(at(START + 60)) && later.is_from_the_future(at(START + 60)));
    assert_eq!(later.standing(at(START + 60)), Standing::Ahead);
    let right = next(Some(&later), START + 60);
    assert_eq!(right.this_update, START + 60);
    assert!(right.number > later.number);
    // Back before the leap began is another matter: then the clock of now is the wrong one.
    assert_eq!(next(Some(&later), START - 1).this_update, later.this_update);
}

#[test]
fn a_leap_is_believed_after_two_lists_time() {
    let first = next(None, START);
    let away = START + 4 * WEEK;
    let mut record = next(Some(&first), away);
    assert!(record.leap.is_some());
    for day in 1..=15 {
        record = next(Some(&record), away + day * 86_400);
    }
    assert_eq!(record.leap, None);
}

#[test]
fn half_of_the_time_is_when_the_next_is_due() {
    let record = next(None, START);
    let standing = |clock| record.standing(at(clock));
    assert_eq!(standing(START - 1), Standing::Ahead);
    assert_eq!(standing(START + WEEK / 2 - 1), Standing::Fresh);
    assert_eq!(standing(START + WEEK / 2), Standing::Due);
    assert_eq!(standing(START + WEEK), Standing::Due, "nextUpdate itself is still good");
    assert_eq!(standing(START + WEEK + 1), Standing::Expired);
}

#[test]
fn one_leap_of_the_clock_empties_no_list() {
    let revocation =
        Revocation { at: START, reason: Reason::Superseded, not_after: START + WEEK, invalidity: None };
    let entry = Entry::new(Serial::from_bytes(&[1]).unwrap(), &revocation, Sequence(1));
    let after = |previous: &ListRecord, clock| {
        Plan::after(Some(previous), Placed::Yes, at(clock), Duration::seconds(WEEK)).unwrap()
    };
    let record = |plan: Plan| plan.record(Sequence(1), 1, [0; 32]);
    let future = START + 10 * 365 * 86_400;
    // Any number of lists in a burst while the clock is wrong.
    let mut last = next(None, START);
    for minute in 0..100 {
        let plan = after(&last, future + minute * 60);
        assert!(plan.names(&entry), "minute {minute}");
        last = record(plan);
    }
    assert!(after(&last, START + 60).names(&entry), "and when it is right again");
    // A clock that goes on from there for more than a period is believed, until it goes back.
    for day in 1..=8 {
        last = record(after(&last, future + day * 86_400));
    }
    assert!(!after(&last, future + 9 * 86_400).names(&entry));
    assert!(after(&last, START + 60).names(&entry));
}

/// A revoked certificate in the histories below.
#[derive(Clone, Debug)]
struct Case {
    entry: Entry,
    /// A placed list named it after its notAfter by the clock of that list.
    seen: bool,
}

#[derive(Clone, Debug)]
enum Step {
    /// The clock moves on, or is set back.
    Clock(i64),
    /// A certificate that ends so many seconds from now is revoked.
    Revoke(i64),
    /// A list is built and placed, or lost after its number was claimed.
    Publish(Placed),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let clock = prop_oneof![
        4 => 1..WEEK,
        2 => -86_400..86_400i64,
        1 => prop_oneof![Just(10 * 365 * 86_400), Just(-10 * 365 * 86_400), Just(-365 * 86_400i64)],
    ];
    let placed = prop_oneof![4 => Just(Placed::Yes), 1 => Just(Placed::No)];
    let step = prop_oneof![
        3 => clock.prop_map(Step::Clock),
        2 => (-WEEK..2 * WEEK).prop_map(Step::Revoke),
        5 => placed.prop_map(Step::Publish),
    ];
    proptest::collection::vec(step, 0..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn every_revoked_certificate_is_listed_until_one_list_after_its_end(steps in steps()) {
        let (mut clock, mut sequence) = (START, 0u64);
        let mut cases: Vec<Case> = Vec::new();
        let mut last: Option<(ListRecord, Placed)> = None;
        for step in steps {
            match step {
                Step::Clock(by) => clock = (clock + by).max(1),
                Step::Revoke(left) => {
                    sequence += 1;
                    let revocation = Revocation {
                        at: clock,
                        reason: Reason::Superseded,
                        not_after: (clock + left).max(0),
                        invalidity: None,
                    };
                    let serial = Serial::from_bytes(&sequence.to_be_bytes()).unwrap();
                    let entry = Entry::new(serial, &revocation, Sequence(sequence));
                    cases.push(Case { entry, seen: false });
                }
                Step::Publish(placed) => {
                    let (previous, before) = match &last {
                        Some((record, placed)) => (Some(record), *placed),
                        None => (None, Placed::No),
                    };
                    let plan = Plan::after(previous, before, at(clock), Duration::seconds(WEEK)).unwrap();
                    for case in &mut cases {
                        let named = plan.names(&case.entry);
                        prop_assert!(named || case.seen, "{:?} left out too early", case.entry);
                        prop_assert!(named || case.entry.not_after() < clock, "{:?} is live", case.entry);
                        if named && placed == Placed::Yes && case.entry.not_after() < clock {
                            case.seen = true;
                        }
                    }
                    let record = plan.record(Sequence(sequence), 0, [0; 32]);
                    if let Some(previous) = previous {
                        prop_assert!(record.number > previous.number, "the number fell");
                        let back = record.this_update < previous.this_update;
                        prop_assert!(!back || previous.is_from_the_future(at(clock)), "thisUpdate fell");
                    }
                    prop_assert!(record.this_update < record.next_update);
                    last = Some((record, placed));
                }
            }
        }
        // And they do go, once the clock has run on evenly for a while.
        let end = cases.iter().map(|case| case.entry.not_after()).max().unwrap_or(0).max(clock);
        let mut plan = None;
        for period in 1..=8 {
            let (previous, placed) = match &last {
                Some((record, placed)) => (Some(record), *placed),
                None => (None, Placed::No),
            };
            let made = Plan::after(previous, placed, at(end + period * WEEK / 2), Duration::seconds(WEEK)).unwrap();
            last = Some((made.record(Sequence(sequence), 0, [0; 32]), Placed::Yes));
            plan = Some(made);
        }
        prop_assert!(cases.iter().all(|case| !plan.unwrap().names(&case.entry)), "kept for ever");
    }
}
