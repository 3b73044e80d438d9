//! Issuance inside one process and over the service's socket, durable before it is answered.

use std::time::Duration;

use server::clock;
use server::ops::issue::Issue;

use super::client::{Client, crowd};
use super::limits::{Act, Curve, Disk, signing_rate};
use super::machine::processors;
use super::measure::{Pairs, Samples, timed};
use super::row::{Row, Unit};
use super::run::Bench;
use super::site::{Site, requests_for};

/// How many ask at once.
const AT_ONCE: usize = 64;

/// What a request costs at least.
fn limit_of(curve: Curve) -> String {
    format!("a {0} verification and signature each, {1} threads", curve.name(), processors())
}

/// In process from a CSR, 64 at once.
pub fn at_once(bench: &mut Bench) -> Vec<Row> {
    [Curve::P256, Curve::P384].map(|curve| at_once_on(bench, curve)).into()
}

fn at_once_on(bench: &mut Bench, curve: Curve) -> Row {
    let count = bench.scale().pick(16_000, 1_500, AT_ONCE);
    let rounds = bench.scale().pick(5, 3, 1);
    let time = Duration::from_millis(bench.scale().pick(1_000, 300, 5));
    let site = Site::fresh(curve);
    let pki = site.open();
    let mut pairs = Pairs::default();
    let mut times = Vec::new();
    for round in 0..rounds {
        let names = (0..count).map(|number| format!("client-{round}-{number}")).collect();
        let mut shares: Vec<Vec<Issue>> = (0..AT_ONCE).map(|_| Vec::new()).collect();
        for (number, request) in requests_for(names, curve).into_iter().enumerate() {
            shares[number % AT_ONCE].push(request);
        }
        let limit = signing_rate(curve, Act::Both, processors(), time);
        let peer = server::peer::presented();
        let (elapsed, answered) = timed(|| {
            std::thread::scope(|scope| {
                let running: Vec<_> = shares
                    .into_iter()
                    .map(|share| {
                        let (pki, peer) = (&pki, &peer);
                        scope.spawn(move || {
                            let issue = |request| timed(|| pki.run(request, peer, clock::now()));
                            share.into_iter().map(issue).collect::<Vec<_>>()
                        })
                    })
                    .collect();
                running.into_iter().flat_map(|thread| thread.join().expect("it ran")).collect::<Vec<_>>()
            })
        });
        for (time, answer) in answered {
            answer.unwrap_or_else(|error| panic!("issuance: {error}"));
            times.push(time);
        }
        let after = signing_rate(curve, Act::Both, processors(), time);
        pairs.push(count as f64 / elapsed * 1e3, (limit + after) / 2.0);
    }
    let times = Samples::new(times);
    let work = format!("{} in process, {AT_ONCE} at once", curve.name());
    Row::pairs(work, Unit::PerSecond, &pairs, limit_of(curve))
        .with(format!(
            "p50 {}, p99 {}",
            Unit::Milliseconds.show(times.median()),
            Unit::Milliseconds.show(times.p99())
        ))
        .target_share(0.6)
}

/// In process from a CSR, one after another.
pub fn one_by_one(bench: &mut Bench) -> Vec<Row> {
    let count = bench.scale().pick(1_000, 100, 5);
    let curve = Curve::P256;
    let site = Site::fresh(curve);
    let pki = site.open();
    let peer = server::peer::presented();
    let mut disk = Disk::new();
    let (mut figures, mut limits) = (Vec::new(), Vec::new());
    for request in requests_for((0..count).map(|number| format!("client-{number}")).collect(), curve) {
        limits.push(disk.append());
        let (time, answer) = timed(|| pki.run(request, &peer, clock::now()));
        answer.unwrap_or_else(|error| panic!("issuance: {error}"));
        figures.push(time);
    }
    let limit = Samples::new(limits).median();
    let work = format!("{} in process, one after another", curve.name());
    let row = Row::distribution(work, &Samples::new(figures))
        .limit(limit, "append 2 KiB, `fdatasync`")
        .target_of(Some(limit + 0.5), "`fdatasync` + 0.5 ms");
    vec![row]
}

/// Over the service's socket, as many clients as OpenBao is asked by.
pub fn over_the_socket(bench: &mut Bench) -> Vec<Row> {
    let curve = Curve::P256;
    let site = Site::fresh(curve);
    let (_, serving) = site.serve();
    let time = Duration::from_millis(bench.scale().pick(1_000, 300, 5));
    let path = server::http::path::<Issue>();
    let mut rows = Vec::new();
    for clients in CLIENTS {
        let count = bench.scale().pick(if clients == 1 { 1_000 } else { 8_000 }, 400, clients);
        let rounds = bench.scale().pick(3, 2, 1);
        let (mut pairs, mut times) = (Pairs::default(), Vec::new());
        for round in 0..rounds {
            let names = (0..count).map(|number| format!("client-{clients}-{round}-{number}")).collect();
            let bodies: Vec<Vec<u8>> = requests_for(names, curve)
                .iter()
                .map(|request| serde_json::to_vec(request).expect("a request is JSON"))
                .collect();
            let limit = signing_rate(curve, Act::Both, processors().min(clients), time);
            let met = crowd(clients, bodies, &path, || Client::to_socket(&site.sandbox().dir()));
            pairs.push(met.rate, limit);
            times.push(met.times);
        }
        let limit = match clients {
            1 => format!("a {} verification and signature each, one thread", curve.name()),
            _ => limit_of(curve),
        };
        let p99: Samples = times.iter().map(Samples::p99).collect();
        let p50: Samples = times.iter().map(Samples::median).collect();
        let plural = if clients == 1 { "client" } else { "clients" };
        let work = format!("{} over the service's socket, {clients} {plural}", curve.name());
        rows.push(Row::pairs(work, Unit::PerSecond, &pairs, limit).with(format!(
            "p50 {}, p99 {}",
            Unit::Milliseconds.show(p50.median()),
            Unit::Milliseconds.show(p99.median())
        )));
    }
    drop(serving);
    rows
}

/// How many clients ask a service at once, one row each.
pub const CLIENTS: [usize; 3] = [1, 8, 64];
