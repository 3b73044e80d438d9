//! How soon a service answers, and how much memory it keeps while it is not asked.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use server::ops::inventory::Show;
use server::ops::issue::Issue;
use server::ops::view::Selector;

use super::client::Client;
use super::limits::Curve;
use super::measure::{Pairs, Samples, milliseconds};
use super::peers::whole_process;
use super::process::Memory;
use super::row::{Row, Unit};
use super::run::Bench;
use super::site::{Site, client_name, requests_for};
use crate::{fetch, free_port};

const LIMIT: &str = "`pki --version`";

/// From `exec` to the first answer on the socket, after an orderly stop and after kill -9 under work.
pub fn starting(bench: &mut Bench, site: &mut Site) -> Vec<Row> {
    let rounds = bench.scale().pick(7, 3, 1);
    let (mut stopped, mut killed) = (Pairs::default(), Pairs::default());
    for round in 0..rounds {
        let bare = || whole_process(&mut site.sandbox().command(["--version"]));
        let limit = bare();
        let (time, serving) = site.serve();
        stopped.push(time, limit);
        work(site, round);
        serving.end(Signal::KILL);
        let limit = bare();
        let (time, serving) = site.serve();
        killed.push(time, limit);
        serving.end(Signal::TERM);
    }
    let target = match site.loaded() {
        1_000 => Some(50.0),
        100_000 => Some(300.0),
        1_000_000 => Some(2_000.0),
        _ => None,
    };
    let size = site.loaded();
    vec![
        Row::pairs(format!("start, {size} certificates"), Unit::Milliseconds, &stopped, LIMIT)
            .target_of(target, ""),
        Row::pairs(format!("start after kill -9, {size} certificates"), Unit::Milliseconds, &killed, LIMIT)
            .target_of(target, ""),
    ]
}

/// Some certificates over the socket, so that there is something to be found again.
fn work(site: &Site, round: usize) {
    let names = (0..32).map(|number| format!("before-kill-{}-{round}-{number}", site.loaded())).collect();
    let mut client = Client::to_socket(&site.sandbox().dir()).expect("the service runs");
    for request in requests_for(names, Curve::P256) {
        let body = serde_json::to_vec(&request).expect("a request is JSON");
        let (status, answer) = client.ask("POST", &server::http::path::<Issue>(), &body).expect("an answer");
        assert!(status == 200, "{}", String::from_utf8_lossy(&answer));
    }
}

/// Memory of a service that nobody asks, new.
pub fn memory_fresh(bench: &mut Bench) -> Vec<Row> {
    memory(bench, &Site::fresh(Curve::P256), "new CA", Some(20.0))
}

/// The same with the HTTPS listener on.
pub fn memory_https(bench: &mut Bench) -> Vec<Row> {
    let site = Site::fresh(Curve::P256);
    let address = format!("127.0.0.1:{}", free_port());
    site.sandbox().pki(["config", "set", "core.https_address", &address]).success();
    memory(bench, &site, "new CA, HTTPS on", Some(25.0))
}

/// The same with so many certificates.
pub fn memory_at_size(bench: &mut Bench, site: &mut Site) -> Vec<Row> {
    let size = site.loaded();
    memory(bench, site, &format!("{size} certificates"), (size == 1_000_000).then_some(100.0))
}

/// The same with so many of them revoked.
pub fn memory_at_revoked(bench: &mut Bench, site: &mut Site) -> Vec<Row> {
    let of = format!("{} certificates, {} revoked", site.loaded(), site.revoked());
    memory(bench, site, &of, None)
}

fn memory(bench: &Bench, site: &Site, of: &str, target: Option<f64>) -> Vec<Row> {
    let (_, serving) = site.serve();
    std::thread::sleep(Duration::from_millis(bench.scale().pick(10_000, 2_000, 50)));
    let memory = Memory::of(serving.pid());
    serving.end(Signal::TERM);
    let row = Row::once(format!("memory idle, RSS, {of}"), Unit::Mebibytes, memory.resident)
        .with(format!("PSS {}", Unit::Mebibytes.show(memory.proportional)))
        .target_of(target, "");
    vec![row]
}

/// The index is gone: how long until it is there again, and whether the list is served meanwhile.
pub fn rebuilding(bench: &mut Bench, site: &mut Site) -> Vec<Row> {
    if !bench.is_largest(site) {
        return Vec::new();
    }
    let index = site.store().join("index");
    std::fs::remove_dir_all(&index).unwrap_or_else(|error| panic!("the index: {error}"));
    let done = AtomicBool::new(false);
    let begun = Instant::now();
    let (rebuilt, polls) = std::thread::scope(|scope| {
        let polling = scope.spawn(|| poll(site.address(), &done, begun));
        let (_, serving) = site.serve();
        let body = serde_json::to_vec(&Show { selector: Selector::Word(client_name(0)) }).expect("JSON");
        let path = server::http::path::<Show>();
        let rebuilt = loop {
            let asked = Client::to_socket(&site.sandbox().dir())
                .and_then(|mut client| client.ask("POST", &path, &body));
            match asked {
                Ok((200, _)) => break begun.elapsed().as_secs_f64(),
                _ if begun.elapsed() < Duration::from_secs(300) => {}
                other => panic!("the index is not built again: {other:?}"),
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        done.store(true, Ordering::Relaxed);
        let polls = polling.join().expect("it only asks");
        serving.end(Signal::TERM);
        (rebuilt, polls)
    });
    let size = site.loaded();
    let first = polls.first.map_or_else(
        || "not before the index was there".to_owned(),
        |first| format!("after {}", Unit::Milliseconds.show(first)),
    );
    let share = polls.answered as f64 / polls.asked.max(1) as f64 * 100.0;
    let times = Samples::new(polls.times);
    vec![
        Row::once(format!("index of {size} certificates built again"), Unit::Seconds, rebuilt)
            .with(format!("list served {first}, {share:.0} % of requests meanwhile answered"))
            .target_of((size == 1_000_000).then_some(60.0), ""),
        Row::distribution("a list fetched meanwhile", &times),
    ]
}

/// What somebody who asked for the list all the time met.
struct Polls {
    asked: usize,
    answered: usize,
    first: Option<f64>,
    times: Vec<f64>,
}

fn poll(address: &str, done: &AtomicBool, begun: Instant) -> Polls {
    let mut polls = Polls { asked: 0, answered: 0, first: None, times: Vec::new() };
    while !done.load(Ordering::Relaxed) {
        let asked = Instant::now();
        polls.asked += 1;
        if fetch(address, "/ca.crl", &[]).is_ok_and(|answer| answer.status == 200) {
            polls.answered += 1;
            polls.first.get_or_insert(milliseconds(begun.elapsed()));
            polls.times.push(milliseconds(asked.elapsed()));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    polls
}
