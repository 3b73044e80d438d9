//! Requests on connections that are kept: authorised ones, and certificates signed.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use server::ops::issue::Issue;

use super::bare::Bare;
use super::{Connection, Https, ask, connect, issued, status};
use crate::bench::client::crowd;
use crate::bench::limits::{Act, Curve, signing_rate};
use crate::bench::machine::processors;
use crate::bench::measure::{Pairs, Samples};
use crate::bench::peers::openbao;
use crate::bench::row::{Row, Unit};
use crate::bench::run::Bench;
use crate::bench::site::{Site, requests_for};

/// How many connections are asked on at once.
const CONNECTIONS: usize = 64;
/// What only those who are let in get.
const REQUEST: &[u8] = b"GET /1.0/certificates HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// Authorised requests. The client is on the same processors, so it does as little as it can: a few
/// threads, each of which asks on all of its connections and then reads all answers.
pub fn keep_alive(bench: &mut Bench) -> Vec<Row> {
    let rounds = bench.scale().pick(5, 3, 1);
    let time = Duration::from_millis(bench.scale().pick(2_000, 500, 20));
    let site = Site::fresh(Curve::P256);
    let bare = Bare::new(issued(&site, "bare"));
    let https = Https::serve(&site);
    let (answer, mut pairs) = (https.answer(), Pairs::default());
    for _ in 0..rounds {
        let figure = requests(https.address, &https.client, time);
        let crowd = || requests(bare.address(), &https.client, time);
        pairs.push(figure, bare.answering(CONNECTIONS, REQUEST.len(), &answer, crowd));
    }
    https.end(&site);
    let work = format!("authorised requests over HTTPS, {CONNECTIONS} connections that are kept");
    let limit = "the same octets to and fro, by a server that speaks TLS and does nothing else";
    vec![
        Row::pairs(work, Unit::PerSecond, &pairs, limit)
            .target_of(Some(40_000.0), "the client on the same processors"),
    ]
}

impl Https {
    /// What the request is answered.
    fn answer(&self) -> Vec<u8> {
        let mut buffer = Vec::new();
        let mut connection = self.connect(&self.client).expect("a connection");
        ask(&mut connection, REQUEST, &mut buffer).expect("an answer");
        buffer
    }
}

/// Requests answered a second, over about `time`.
fn requests(address: SocketAddr, client: &Arc<ClientConfig>, time: Duration) -> f64 {
    let threads = processors().min(CONNECTIONS);
    let share = |number: usize| CONNECTIONS / threads + usize::from(number < CONNECTIONS % threads);
    let work = |share: usize| {
        let mut buffer = Vec::new();
        let mut connections: Vec<(Connection, usize)> = Vec::new();
        for _ in 0..share {
            let mut connection = connect(address, client).expect("a connection");
            let (status, length) = ask(&mut connection, REQUEST, &mut buffer).expect("an answer");
            assert!(status == 200, "{}", String::from_utf8_lossy(&buffer));
            connections.push((connection, length));
        }
        let (begun, mut done) = (Instant::now(), 0u32);
        while begun.elapsed() < time {
            for (connection, _) in &mut connections {
                connection.write_all(REQUEST).expect("a connection that is kept");
            }
            for (connection, length) in &mut connections {
                // The same answer each time: no head has to be read to know its end.
                buffer.resize(*length, 0);
                connection.read_exact(&mut buffer).expect("an answer");
                assert!(status(&buffer).expect("a status") == 200);
                done += 1;
            }
        }
        f64::from(done) / begun.elapsed().as_secs_f64()
    };
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|number| scope.spawn(move || work(share(number)))).collect();
        running.into_iter().map(|thread| thread.join().expect("it asks")).sum()
    })
}

/// Certificates signed from requests that come over HTTPS, durable before they are answered.
pub fn signing(bench: &mut Bench) -> Vec<Row> {
    [Curve::P256, Curve::P384].map(|curve| signing_on(bench, curve)).into()
}

fn signing_on(bench: &mut Bench, curve: Curve) -> Row {
    let (rounds, count) = match curve {
        Curve::P256 => (bench.scale().pick(3, 2, 1), bench.scale().pick(8_000, 600, CONNECTIONS)),
        Curve::P384 => (bench.scale().pick(3, 2, 1), bench.scale().pick(4_000, 300, CONNECTIONS)),
    };
    let time = Duration::from_millis(bench.scale().pick(1_000, 300, 5));
    let site = Site::fresh(curve);
    let https = Https::serve(&site);
    let (mut pairs, mut p50, mut p99) = (Pairs::default(), Vec::new(), Vec::new());
    for round in 0..rounds {
        let bodies = bodies(round, count, curve);
        let limit = signing_rate(curve, Act::Both, processors(), time);
        let met = crowd(CONNECTIONS, bodies, &server::http::path::<Issue>(), || https.client());
        pairs.push(met.rate, limit);
        p50.push(met.times.median());
        p99.push(met.times.p99());
    }
    https.end(&site);
    let show = |times: Vec<f64>| Unit::Milliseconds.show(Samples::new(times).median());
    let limit = format!("a {} verification and signature each, {} threads", curve.name(), processors());
    let work = format!("{} over HTTPS with client certificates, {CONNECTIONS} connections", curve.name());
    let row = Row::pairs(work, Unit::PerSecond, &pairs, limit).with(format!(
        "p50 {}, p99 {}",
        show(p50),
        show(p99)
    ));
    match curve {
        Curve::P256 => row.target_of(Some(10_000.0), ""),
        Curve::P384 => row,
    }
}

fn bodies(round: usize, count: usize, curve: Curve) -> Vec<Vec<u8>> {
    let names = (0..count).map(|number| format!("client-{round}-{number}")).collect();
    let requests = requests_for(names, curve);
    requests.iter().map(|request| serde_json::to_vec(request).expect("a request is JSON")).collect()
}

/// The same requests, signed by OpenBao and by us in turn. OpenBao is asked without TLS, which it need
/// not pay for.
pub fn sign_beside_openbao(bench: &mut Bench) -> Vec<Row> {
    let bao = match &bench.options().openbao {
        Ok(bao) => bao.clone(),
        Err(cause) => return vec![Row::absent("`pki` over HTTPS beside OpenBao", cause)],
    };
    let rounds = bench.scale().pick(3, 2, 1);
    let (theirs, ours) = bench.scale().pick((2_000, 6_000), (200, 400), (CONNECTIONS, CONNECTIONS));
    let site = Site::fresh(Curve::P256);
    let (https, openbao) = (Https::serve(&site), openbao::Signing::start(&bao));
    let mut pairs = Pairs::default();
    for round in 0..rounds {
        let limit = openbao.rate(CONNECTIONS, theirs);
        let bodies = bodies(round, ours, Curve::P256);
        let met = crowd(CONNECTIONS, bodies, &server::http::path::<Issue>(), || https.client());
        pairs.push(met.rate, limit);
    }
    https.end(&site);
    let target = 8.0 * pairs.limits().median();
    let work =
        format!("`pki` over HTTPS with client certificates, a P-256 CSR signed, {CONNECTIONS} clients");
    vec![
        Row::pairs(work, Unit::PerSecond, &pairs, format!("{}, without TLS, in turn", openbao.version()))
            .target_of(Some(target), "8 × OpenBao"),
    ]
}
