//! "The machine under my service dies whenever it likes, and nobody who was answered is ever wrong."
//!
//! The seed of a run is printed; the variable `PKI_SEED` repeats it.

use tests::load::World;

fn seed() -> u64 {
    let clock = || {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |since| since.as_nanos() as u64)
    };
    std::env::var("PKI_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(clock)
}

#[expect(clippy::print_stdout, reason = "the seed is what one needs when it fails")]
fn rounds(count: usize) {
    let seed = seed();
    println!("PKI_SEED={seed}");
    let mut world = World::new(seed);
    for _ in 0..count {
        world.round().unwrap_or_else(|cause| panic!("PKI_SEED={seed}: {cause}"));
    }
    let tally = world.end().unwrap_or_else(|cause| panic!("PKI_SEED={seed}: {cause}"));
    println!("{tally:?}");
    assert_eq!(tally.rounds, count);
    assert!(tally.certificates > 0 && tally.lists > 1, "there was no load: {tally:?}");
}

#[test]
fn eight_times_under_load_nothing_acknowledged_is_lost() {
    rounds(8);
}

#[test]
#[ignore = "tests/full: two hundred kills take minutes"]
fn two_hundred_times_under_load_nothing_acknowledged_is_lost() {
    rounds(200);
}
