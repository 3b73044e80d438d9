//! Fills a PKI by the real path, and says what an issuance costs beside the two signatures that it can't do without.
//!
//! `cargo run --release -p server --example load -- DIR COUNT [KEY-TYPE [CALLERS]]` makes a PKI in DIR unless
//! there is one, then issues COUNT client certificates to CALLERS threads (64) that each ask for one at a time,
//! from requests made beforehand. `--revoke N` then revokes N of them by one call; with `--fleet` all have one
//! name, and what is revoked is the name.
#![allow(clippy::print_stdout, reason = "an example's whole purpose is to print")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ca::cert::CommonName;
use ca::constraints::NameConstraints;
use ca::hierarchy::{Init, RootKeyPlace};
use ca::key::{KeyType, PrivateKey, ScryptCost, make_csr};
use server::Pki;
use server::clock::now;
use server::ops::issue::{Issue, ProfileName};
use server::ops::revoke::{Revoke, RevokeMany};
use server::ops::view::Selector;
use server::pki::{Keys, OpenMode};

/// Requests that are made beforehand, so that making them is not measured.
const PREPARED: usize = 20_000;
/// The name that all have under `--fleet`.
const FLEET: &str = "fleet";

/// How the certificates are called.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Naming {
    /// Each has a name of its own.
    Each,
    /// All have one.
    Fleet,
}

type Failed = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failed> {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let revoke = match words.iter().position(|word| word == "--revoke") {
        Some(at) => words.drain(at..).nth(1).ok_or("--revoke N")?.parse()?,
        None => 0,
    };
    let naming = match words.iter().position(|word| word == "--fleet") {
        Some(at) => {
            words.remove(at);
            Naming::Fleet
        }
        None => Naming::Each,
    };
    let [directory, count, ..] = words.as_slice() else {
        return Err("DIR COUNT [KEY-TYPE [CALLERS]]".into());
    };
    let (directory, count) = (PathBuf::from(directory), count.parse::<usize>()?);
    let key_type = words.get(2).map_or("p256", String::as_str).parse()?;
    let callers = words.get(3).map_or(Ok(64), |callers| callers.parse())?;
    let pki = open(&directory, key_type)?;
    let mut serials = Vec::new();
    let mut done = 0;
    while done < count {
        let requests = prepared(key_type, naming, done..count.min(done + PREPARED))?;
        let raw = raw_cost(key_type, requests.len())?;
        let (begun, cpu) = (Instant::now(), cpu());
        issue_all(&pki, &requests, callers, &mut serials)?;
        let (took, cpu) = (begun.elapsed(), self::cpu() - cpu);
        done += requests.len();
        let each = |spent: Duration| spent.as_secs_f64() * 1e6 / requests.len() as f64;
        println!(
            "{done}: {:.0}/s; {:.1} us of processor time each, {:.2} times one verification and one signature ({:.1} us)",
            requests.len() as f64 / took.as_secs_f64(),
            each(cpu),
            each(cpu) / each(raw),
            each(raw),
        );
    }
    pki.tally().keep(now())?;
    if revoke > 0 {
        let (begun, spent) = (Instant::now(), cpu());
        let (reason, peer) = (Some("superseded".to_owned()), server::peer::presented());
        match naming {
            Naming::Each => {
                let words = serials.into_iter().take(revoke).collect();
                pki.run(RevokeMany { words, reason, all: false, dry_run: false }, &peer, now())?;
            }
            Naming::Fleet => {
                let selectors = vec![Selector::Word(FLEET.to_owned())];
                pki.run(Revoke { selectors, reason, all: true, dry_run: false }, &peer, now())?;
            }
        }
        let spent = cpu() - spent;
        println!("{revoke} revoked and published in {:?}, {spent:?} of processor time", begun.elapsed());
    }
    pki.store().close();
    Ok(())
}

fn open(directory: &Path, key_type: KeyType) -> Result<Pki, Failed> {
    let keys = Keys { passphrase: None, cost: ScryptCost::CHEAP };
    if directory.join("ca.crt").exists() {
        let begun = Instant::now();
        let pki = Pki::open(directory, keys, OpenMode::Command, now())?;
        println!("opened in {:?}", begun.elapsed());
        return Ok(pki);
    }
    let init = Init {
        organization: "Load".parse()?,
        key_type,
        constraints: NameConstraints::default(),
        root_key: RootKeyPlace::Beside,
    };
    Ok(Pki::init(directory, keys, &init, &server::peer::own(), now())?)
}

/// Requests with a key each, made on every core.
fn prepared(
    key_type: KeyType,
    naming: Naming,
    numbers: std::ops::Range<usize>,
) -> Result<Vec<Issue>, Failed> {
    let one = |number: usize| -> Result<Issue, Failed> {
        let name = match naming {
            Naming::Each => format!("client-{number:07}"),
            Naming::Fleet => FLEET.to_owned(),
        };
        let common_name: CommonName = name.parse()?;
        let csr = make_csr(&PrivateKey::generate(key_type)?, &common_name, &[])?;
        let profile = ProfileName::Client;
        Ok(Issue {
            profile,
            csr,
            name: Some(name),
            names: Vec::new(),
            days: None,
            dry_run: false,
            project: None,
        })
    };
    let numbers: Vec<usize> = numbers.collect();
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let threads: Vec<_> = numbers
            .chunks(numbers.len().div_ceil(workers))
            .map(|some| {
                scope.spawn(move || some.iter().map(|&number| one(number)).collect::<Result<Vec<_>, _>>())
            })
            .collect();
        let mut all = Vec::new();
        for thread in threads {
            all.extend(thread.join().map_err(|_| "a thread panicked")??);
        }
        Ok(all)
    })
}

fn issue_all(pki: &Pki, requests: &[Issue], callers: usize, serials: &mut Vec<String>) -> Result<(), Failed> {
    let next = AtomicUsize::new(0);
    let issued = Mutex::new(serials);
    let peer = server::peer::presented();
    std::thread::scope(|scope| {
        let caller = || -> Result<(), Failed> {
            let mut mine = Vec::new();
            while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
                mine.push(pki.run(request.clone(), &peer, now())?.certificate.serial);
            }
            issued.lock().map_err(|_| "a thread panicked")?.append(&mut mine);
            Ok(())
        };
        let threads: Vec<_> = (0..callers).map(|_| scope.spawn(caller)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread panicked")?)
    })
}

/// The processor time of as many verifications and signatures.
fn raw_cost(key_type: KeyType, count: usize) -> Result<Duration, Failed> {
    let key = PrivateKey::generate(key_type)?;
    let message = [7; 600];
    let signature = key.sign(&message)?;
    let begun = cpu();
    let sample = count.clamp(1, 10_000);
    for _ in 0..sample {
        key.signature_algorithm().verify(key.public_key(), &message, &signature)?;
        key.sign(&message)?;
    }
    Ok((cpu() - begun).mul_f64(count as f64 / sample as f64))
}

/// What this process has spent so far, in user and kernel mode: fields 14 and 15 of proc(5)'s `stat`, in ticks of 10 ms.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}
