//! Connections that begin: the handshake, the decision, one answer.

use std::time::{Duration, Instant};

use super::{Https, ask};
use crate::bench::limits::Curve;
use crate::bench::measure::Pairs;
use crate::bench::row::{Row, Unit};
use crate::bench::run::Bench;
use crate::bench::site::Site;

/// How many clients connect at once.
const CLIENTS: usize = 8;
/// What each of them asks for: something that only those who are let in get.
const REQUEST: &[u8] = b"GET /1.0/certificates HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

impl Https {
    /// How many connections a second clients begin, get an answer on, and close, over about `time`.
    fn connections(&self, time: Duration) -> f64 {
        let begun = Instant::now();
        let work = || {
            let (mut done, mut buffer) = (0u32, Vec::new());
            while begun.elapsed() < time {
                let met = self
                    .connect(&self.client)
                    .and_then(|mut connection| ask(&mut connection, REQUEST, &mut buffer));
                let (status, _) = met.unwrap_or_else(|error| panic!("a handshake: {error}"));
                assert!(status == 200, "{}", String::from_utf8_lossy(&buffer));
                done += 1;
            }
            done
        };
        let done: u32 = std::thread::scope(|scope| {
            let running: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(work)).collect();
            running.into_iter().map(|thread| thread.join().expect("it connects")).sum()
        });
        f64::from(done) / begun.elapsed().as_secs_f64()
    }
}

/// With so many revoked, by us or on the list of an imported authority, beside a new CA with none.
pub fn with_revoked(bench: &mut Bench, site: &mut Site) -> Vec<Row> {
    let rounds = bench.scale().pick(5, 3, 1);
    let time = Duration::from_millis(bench.scale().pick(1_000, 400, 20));
    let (fresh, importer) = (Site::fresh(Curve::P256), Site::fresh(Curve::P256));
    let imported = Https::importing(&importer, site);
    let (none, some) = (Https::serve(&fresh), Https::serve(site));
    let (mut ours, mut theirs) = (Pairs::default(), Pairs::default());
    for _ in 0..rounds {
        let before = none.connections(time);
        let (figure, on_list) = (some.connections(time), imported.connections(time));
        let limit = (before + none.connections(time)) / 2.0;
        ours.push(figure, limit);
        theirs.push(on_list, limit);
    }
    none.end(&fresh);
    some.end(site);
    imported.end(&importer);
    let work = |what: &str| {
        format!("mTLS handshakes, each with one authorised request, {CLIENTS} P-256 clients, {what}")
    };
    let last = bench.step() == Some(bench.scale().revoked().len() - 1);
    let row = |what: &str, pairs: &Pairs| {
        let limit = "a new CA with none revoked, before and after each";
        let row = Row::pairs(work(what), Unit::PerSecond, pairs, limit);
        if last { row.target_share(0.9) } else { row }
    };
    let revoked = site.revoked();
    let mut rows = vec![
        row(&format!("{revoked} revoked"), &ours),
        row(&format!("{revoked} on the list of an imported authority"), &theirs),
    ];
    if bench.step() == Some(0) {
        rows.insert(0, Row::median(work("none revoked"), Unit::PerSecond, &ours.limits()));
    }
    rows
}
