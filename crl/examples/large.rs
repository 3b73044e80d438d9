//! How long a list of N takes and what it weighs: `cargo run --release -p crl --example large -- 1000000`.
#![allow(clippy::print_stdout, reason = "an example's whole purpose is to print")]

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use aws_lc_rs::rand::SystemRandom;
use ca::cert::Serial;
use ca::constraints::NameConstraints;
use ca::hierarchy::{Init, RootKeyPlace, init};
use ca::key::{KeyType, ScryptCost};
use ca::keyring::Keyring;
use ca::plan::Policy;
use crl::{Publisher, Reason, Request, RevokedSet, Target, Validity, Which};
use store::Store;
use time::{Duration, OffsetDateTime};

fn main() -> Result<(), Box<dyn Error>> {
    let count: usize = std::env::args().nth(1).map_or(Ok(100_000), |count| count.parse())?;
    let now = OffsetDateTime::from_unix_timestamp(1_800_000_000)?;
    let directory = tempfile::TempDir::new()?;
    let store = Store::in_memory();
    let random = SystemRandom::new();
    let keyring = Arc::new(Keyring::new(directory.path().join("keys"), None, ScryptCost::CHEAP));
    let wanted = Init {
        organization: "Example".parse()?,
        key_type: KeyType::P384,
        constraints: NameConstraints::default(),
        root_key: RootKeyPlace::Beside,
    };
    let made = init(&store, &keyring, &wanted, &Policy::default(), "example", now, &random)?;
    let issuer = made.issuing.certificate().key_id();
    let not_after = now + Duration::days(365);
    let targets = (0..count)
        .map(|_| Ok(Target { issuer, serial: Serial::random(&random)?, not_after, key: None }))
        .collect::<Result<Vec<_>, ca::cert::SerialError>>()?;

    let revoked = RevokedSet::open(store.clone())?;
    let publisher = Publisher::new(directory.path(), store.clone(), keyring, revoked.clone());
    publisher.publish(&Which::All, Validity::default(), now)?;
    let request = Request { reason: Reason::Superseded, invalidity: None, now };
    timed("revoke them all", || crl::revoke(&store, &targets, &request, "example"))?;
    timed("follow", || revoked.catch_up())?;
    timed("open the set again", || RevokedSet::open(store.clone()))?;
    timed("a million lookups", || {
        (0..1_000_000).try_for_each(|at| revoked.find(&issuer, &targets[at % count].serial).map(|_| ()))
    })?;
    // Forget the peak so far.
    std::fs::write("/proc/self/clear_refs", "5")?;
    let before = peak_memory();
    let publication = timed("write, check, lint, sign and place", || {
        publisher.publish(&Which::All, Validity::default(), now)
    })?;
    println!("more memory at the peak: {} MiB", (peak_memory() - before) / 1024);
    for list in &publication.lists {
        println!("{}: {} entries, {} octets", list.path.display(), list.entries, list.size);
    }
    Ok(())
}

fn timed<T, E>(what: &str, act: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    let begun = Instant::now();
    let done = act();
    println!("{what}: {:?}", begun.elapsed());
    done
}

/// KiB.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
