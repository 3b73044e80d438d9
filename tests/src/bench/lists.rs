//! Making a list: encode, hash, sign. In processes of their own, for their memory is measured too.

use std::process::Command;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use ca::authority::Current;
use ca::lint;
use ca::signer;
use crl::{CrlNumber, Entry, ListHead, Reason, Revocation, RevokedList, Scope};
use serde::{Deserialize, Serialize};
use server::clock;
use store::Sequence;

use super::limits::Curve;
use super::measure::{Samples, milliseconds, timed};
use super::process::{forget_peak, peak};
use super::row::{Row, Unit};
use super::run::Bench;
use super::site::{Site, requests_for, serial};
use crate::Program;

/// What making one list took: milliseconds, MiB, octets.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Made {
    encode: f64,
    check: f64,
    hash: f64,
    lint: f64,
    sign: f64,
    resident: f64,
    peak: f64,
    octets: u64,
}

impl Made {
    /// Encoding, hashing and signing alone.
    pub fn bare(self) -> f64 {
        self.encode + self.hash + self.sign
    }
}

/// Makes a list of `count` in a process of its own.
pub fn made(count: usize) -> Made {
    let mut command = Command::new(Program::Benchmarks.path());
    let output = command.args(["--make-list", &count.to_string()]).output().expect("our own program");
    assert!(output.status.success(), "a list of {count}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("what it measured")
}

/// What that process does; JSON of [`Made`].
pub fn make(count: usize) -> String {
    let (site, random) = (Site::fresh(Curve::P256), SystemRandom::new());
    let (now, pki) = (clock::now(), site.open());
    let current = Current::load(pki.store()).expect("a new PKI");
    let (issuer, _) = current.issuer(pki.keyring()).expect("its key");
    let mut serials: Vec<_> = (0..count).map(|_| serial(&random)).collect();
    serials.sort_unstable();
    let not_after = now.unix_timestamp() + 365 * 86_400;
    let revocation =
        Revocation { at: now.unix_timestamp(), reason: Reason::Superseded, not_after, invalidity: None };
    let mut list = RevokedList::default();
    serials.iter().for_each(|serial| list.insert(Entry::new(*serial, &revocation, Sequence(1))));
    drop(serials);
    let certificate = issuer.certificate();
    let head = ListHead {
        algorithm: lint::signature_algorithm(certificate.public_key().key_type()),
        issuer: certificate.certificate().subject_raw(),
        key_id: certificate.key_identifier(),
        number: CrlNumber::next(None, now).expect("a number"),
        this_update: now,
        next_update: now + time::Duration::days(7),
        scope: Scope::Whole,
    };
    forget_peak("self");
    let resident = peak("self");
    let (encode, tbs) = timed(|| crl::to_be_signed(&head, list.iter()));
    let (check, checked) = timed(|| crl::check(&tbs, &head, None, list.iter()));
    checked.expect("a good list");
    let (hash, _) = timed(|| std::hint::black_box(digest(&SHA256, &tbs)));
    let (lint, linted) = timed(|| lint::list(tbs, certificate, None, now));
    let (sign, der) = timed(|| signer::list_in_place(linted.expect("a good list"), &issuer));
    let octets = der.expect("a signature").len() as u64;
    let made = Made { encode, check, hash, lint, sign, resident, peak: peak("self"), octets };
    serde_json::to_string(&made).expect("numbers are JSON")
}

/// Lists of every length that the targets name.
pub fn making(bench: &mut Bench) -> Vec<Row> {
    let lengths: &[usize] = bench.scale().pick(&[1_000, 100_000, 1_000_000], &[1_000, 10_000], &[50]);
    let rounds = bench.scale().pick(7, 3, 1);
    let mut rows = Vec::new();
    for &count in lengths {
        let runs: Vec<Made> = (0..rounds).map(|_| made(count)).collect();
        let of = |what: fn(&Made) -> f64| runs.iter().map(what).collect::<Samples>();
        let octets = runs.first().map_or(0, |run| run.octets);
        let limit = of(|run| plain_copy(run.octets)).median();
        let target = match count {
            100_000 => Some(15.0),
            1_000_000 => Some(150.0),
            _ => None,
        };
        let show = |what: fn(&Made) -> f64| Unit::Milliseconds.show(of(what).median());
        rows.push(
            Row::median(format!("encode, hash, sign {count}"), Unit::Milliseconds, &of(|run| run.bare()))
                .with(format!("{:.1} MB", octets as f64 / 1e6))
                .with(format!("encode {}", show(|run| run.encode)))
                .limit(limit, "copy and SHA-256 of the same bytes")
                .target_of(target, ""),
        );
        rows.push(
            Row::median(
                format!("the same, read back and linted before it is signed, {count}"),
                Unit::Milliseconds,
                &of(|run| run.bare() + run.check + run.lint),
            )
            .with(format!("read back {}, lint {}", show(|run| run.check), show(|run| run.lint)))
            .limit(limit, "copy and SHA-256 of the same bytes"),
        );
        let memory = of(|run| run.peak);
        let set = of(|run| run.resident).median();
        rows.push(
            Row::median(format!("peak memory of the process, {count}"), Unit::Mebibytes, &memory)
                .with(format!("{} before it began", Unit::Mebibytes.show(set)))
                .limit(octets as f64 / f64::from(1 << 20), "the list itself")
                .target_of((count == 1_000_000).then_some(80.0), ""),
        );
    }
    rows
}

/// Milliseconds to copy so many octets and hash them.
fn plain_copy(octets: u64) -> f64 {
    let source = vec![0x5a; octets as usize];
    timed(|| {
        let copy = source.clone();
        std::hint::black_box(digest(&SHA256, &copy));
    })
    .0
}

/// How long issuing takes for the worst in a hundred, while lists of all that is revoked are made without
/// a pause, and without them. Requests come at a steady pace, whether or not the last was answered.
pub fn beside_issuance(bench: &mut Bench, site: &mut Site) -> Vec<Row> {
    let time = Duration::from_millis(bench.scale().pick(10_000, 2_000, 100));
    let rounds = bench.scale().pick(3, 1, 1);
    let revoked = site.revoked();
    let pki = site.open();
    let (mut quiet, mut busy) = (Vec::new(), Vec::new());
    let mut lists = 0;
    for round in 0..rounds {
        quiet.push(paced(&pki, time, &format!("quiet-{revoked}-{round}")).p99());
        let done = std::sync::atomic::AtomicBool::new(false);
        let times = std::thread::scope(|scope| {
            let publishing = scope.spawn(|| {
                let mut made = 0;
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    let publish = server::ops::crl::CrlPublish { root: false };
                    pki.run(publish, &server::peer::presented(), clock::now())
                        .unwrap_or_else(|error| panic!("publishing: {error}"));
                    made += 1;
                }
                made
            });
            let times = paced(&pki, time, &format!("busy-{revoked}-{round}"));
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            lists += publishing.join().expect("lists are made");
            times
        });
        busy.push(times.p99());
    }
    let (quiet, busy) = (Samples::new(quiet), Samples::new(busy));
    let row = Row::median(
        format!("issuance p99 while lists of {revoked} are made and placed"),
        Unit::Milliseconds,
        &busy,
    )
    .with(format!("{lists} lists; {PACE} requests/s"))
    .limit(quiet.median(), "p99 without")
    .target_of((revoked >= 900_000).then(|| quiet.median() * 2.0), "2 × without");
    vec![row]
}

/// Requests a second.
const PACE: usize = 200;
/// Threads they are spread on.
const THREADS: usize = 8;

/// Times of issuance from the moment each request was due.
fn paced(pki: &server::Pki, time: Duration, round: &str) -> Samples {
    let count = (time.as_secs_f64() * PACE as f64).ceil() as usize;
    let names = (0..count.max(THREADS)).map(|number| format!("{round}-{number}")).collect();
    let mut shares: Vec<Vec<_>> = (0..THREADS).map(|_| Vec::new()).collect();
    for (number, request) in requests_for(names, Curve::P256).into_iter().enumerate() {
        shares[number % THREADS].push((number, request));
    }
    let (begun, peer) = (Instant::now(), server::peer::presented());
    std::thread::scope(|scope| {
        let running: Vec<_> = shares
            .into_iter()
            .map(|share| {
                let peer = &peer;
                scope.spawn(move || {
                    let issue = |(number, request)| {
                        let due = begun + Duration::from_secs_f64(number as f64 / PACE as f64);
                        std::thread::sleep(due.saturating_duration_since(Instant::now()));
                        let answer = pki.run(request, peer, clock::now());
                        answer.unwrap_or_else(|error| panic!("issuance: {error}"));
                        milliseconds(due.elapsed())
                    };
                    share.into_iter().map(issue).collect::<Vec<f64>>()
                })
            })
            .collect();
        running.into_iter().flat_map(|thread| thread.join().expect("it ran")).collect()
    })
}
