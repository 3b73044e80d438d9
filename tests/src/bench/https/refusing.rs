//! From a revocation's answer to the refusal of whoever was revoked, on a connection that is open.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use server::ops::revoke::Revoke;
use server::ops::view::Selector;

use super::{Connection, Https, ask, issued_to};
use crate::bench::client::Client;
use crate::bench::limits::Curve;
use crate::bench::measure::{Samples, milliseconds};
use crate::bench::row::{Row, Unit};
use crate::bench::run::Bench;
use crate::bench::site::Site;

/// Handshakes a second that others make meanwhile.
const HANDSHAKES: u32 = 2_000;
/// By so many clients.
const OTHERS: u32 = 8;
const REQUEST: &[u8] = b"GET /1.0/certificates HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// One after another is revoked, and asks on its open connection from the answer on until it is refused.
pub fn revoked_while_open(bench: &mut Bench) -> Vec<Row> {
    let count = bench.scale().pick(200, 20, 2);
    let site = Site::fresh(Curve::P256);
    site.sandbox().pki(["config", "set", "core.trust_ca_certificates", "true"]).success();
    let names: Vec<String> = (0..count).map(|number| format!("revoked-{number}")).collect();
    let clients: Vec<_> = names.iter().map(|name| issued_to(&site, name)).collect();
    let https = Https::serve(&site);
    let (ended, made) = (AtomicBool::new(false), AtomicU32::new(0));
    let mut socket = Client::to_socket(&site.sandbox().dir()).expect("the service runs");
    let begun = Instant::now();
    let (mut times, mut answered) = (Vec::new(), 0);
    std::thread::scope(|scope| {
        for _ in 0..OTHERS {
            scope.spawn(|| others(&https, &ended, &made));
        }
        let measured = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for (name, client) in names.iter().zip(&clients) {
                let mut open = https.connect(client).expect("a connection");
                let mut buffer = Vec::new();
                let (status, _) = ask(&mut open, REQUEST, &mut buffer).expect("an answer");
                assert!(status == 200, "{name}: {}", String::from_utf8_lossy(&buffer));
                revoke(&mut socket, name);
                let (time, let_in) = until_refused(&mut open);
                times.push(time);
                answered += let_in;
            }
        }));
        ended.store(true, Ordering::Relaxed);
        measured.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    let rate = f64::from(made.into_inner()) / begun.elapsed().as_secs_f64();
    https.end(&site);
    let times = Samples::new(times);
    let work = format!(
        "revocation's answer to the refusal on an open connection, p99 of {count}, beside {HANDSHAKES} handshakes/s of P-256 clients"
    );
    vec![
        Row::once(work, Unit::Milliseconds, times.p99())
            .with(format!("p50 {}", Unit::Milliseconds.show(times.median())))
            .with(format!("{answered} requests answered after it"))
            .with(format!("{} made", Unit::PerSecond.show(rate)))
            .target_of(Some(10.0), ""),
    ]
}

/// Makes its share of the handshakes, each at its time, or as fast as it can if it is late.
fn others(https: &Https, ended: &AtomicBool, made: &AtomicU32) {
    let pace = Duration::from_secs(1) * OTHERS / HANDSHAKES;
    let mut next = Instant::now();
    while !ended.load(Ordering::Relaxed) {
        let mut connection = https.connect(&https.client).expect("a connection");
        while connection.conn.is_handshaking() || connection.conn.wants_write() {
            connection.conn.complete_io(&mut connection.sock).expect("a handshake");
        }
        made.fetch_add(1, Ordering::Relaxed);
        next = (next + pace).max(Instant::now() - Duration::from_secs(1));
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

/// Revokes by name and waits for the answer.
fn revoke(socket: &mut Client, name: &str) {
    let selectors = vec![Selector::Word(name.to_owned())];
    let revoke = Revoke { selectors, reason: None, all: false, dry_run: false };
    let body = serde_json::to_vec(&revoke).expect("a request is JSON");
    let (status, answer) =
        socket.ask("POST", &server::http::path::<Revoke>(), &body).expect("an answer of the service");
    assert!(status == 200, "{name}: {}", String::from_utf8_lossy(&answer));
}

/// Milliseconds from now until a request is refused or the connection found closed, and how many were
/// answered before.
fn until_refused(open: &mut Connection) -> (f64, u32) {
    let (begun, mut answered, mut buffer) = (Instant::now(), 0, Vec::new());
    loop {
        match ask(open, REQUEST, &mut buffer) {
            Ok((200, _)) => answered += 1,
            Ok((403, _)) => return (milliseconds(begun.elapsed()), answered),
            Ok((status, _)) => panic!("{status}: {}", String::from_utf8_lossy(&buffer)),
            Err(error) if is_closed(&error) => return (milliseconds(begun.elapsed()), answered),
            Err(error) => panic!("an open connection: {error}"),
        }
    }
}

fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}
