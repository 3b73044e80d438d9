//! "Whatever happened, in whatever order, everything says the same about every certificate."
//!
//! Random histories run in process, with the clock as an argument. After every step the published
//! lists (read by a parser that is not ours), `pki list`, `pki verify` and the set that the service
//! asks are held against a plain model; at the end of some, OpenSSL judges too. A history that fails
//! is made as short as it can be, and kept in `tests/suite/histories/regressions.txt`.

pub mod lists;
pub mod model;
mod world;

use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

use model::Reason;
use world::World;

const NAMES: usize = 3;
const KEYS: usize = 3;
/// How many histories of a run OpenSSL sees: it is a process each time.
const FOR_OPENSSL: usize = 6;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// One thing that happens.
#[derive(Clone, Debug)]
pub enum Step {
    Issue {
        name: usize,
        key: usize,
        days: Option<u32>,
    },
    Renew(usize),
    Revoke(usize, Reason),
    Release(usize),
    /// The clock goes on, or is set back.
    Clock(i64),
    Rotate,
    Publish,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let days = prop_oneof![Just(None), Just(Some(1)), (2..40u32).prop_map(Some)];
    let reason = prop_oneof![
        2 => Just(Reason::Unspecified),
        2 => Just(Reason::KeyCompromise),
        2 => Just(Reason::Superseded),
        3 => Just(Reason::Hold),
    ];
    let forward = prop_oneof![
        Just(1),
        Just(50),
        Just(HOUR),
        Just(DAY),
        Just(4 * DAY),
        Just(8 * DAY),
        Just(33 * DAY),
        Just(400 * DAY)
    ];
    let back = prop_oneof![Just(-1), Just(-HOUR), Just(-4 * DAY), Just(-40 * DAY), Just(-450 * DAY)];
    prop_oneof![
        5 => (0..NAMES, 0..KEYS, days).prop_map(|(name, key, days)| Step::Issue { name, key, days }),
        2 => (0..8usize).prop_map(Step::Renew),
        5 => (0..8usize, reason).prop_map(|(which, reason)| Step::Revoke(which, reason)),
        2 => (0..8usize).prop_map(Step::Release),
        5 => forward.prop_map(Step::Clock),
        1 => back.prop_map(Step::Clock),
        1 => Just(Step::Rotate),
        4 => Just(Step::Publish),
        1 => Just(Step::Reopen),
    ]
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            "suite/histories/regressions.txt",
        ))),
        ..ProptestConfig::default()
    }
}

fn run(steps: &[Step]) -> Result<(), TestCaseError> {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let failed =
        |at: usize, step: &Step, why: String| TestCaseError::fail(format!("step {at}, {step:?}: {why}"));
    let mut world = World::new();
    for (at, step) in steps.iter().enumerate() {
        world.step(step).map_err(|why| failed(at, step, why))?;
    }
    if ASKED.fetch_add(1, Ordering::SeqCst) < FOR_OPENSSL {
        let asked = world.publish_all().and_then(|()| world.ask_openssl());
        asked.map_err(|why| failed(steps.len(), &Step::Publish, why))?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(config(100))]

    #[test]
    fn everything_agrees_after_every_step(steps in proptest::collection::vec(step(), 1..30)) {
        run(&steps)?;
    }
}

proptest! {
    #![proptest_config(config(1_000))]

    #[test]
    #[ignore = "tests/full: a thousand histories"]
    fn everything_agrees_in_a_thousand_histories(steps in proptest::collection::vec(step(), 1..60)) {
        run(&steps)?;
    }
}
