//! Behind a real HAProxy: how long until what was obtained, replaced or revoked is what clients meet.
//!
//! The authority is Pebble without its sleeps. A certificate counts when a handshake by way of HAProxy has
//! verified it, a revocation when a connection that was open before is refused.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use server::ops::acme::AcmeIssue;

use super::measure::{Samples, milliseconds, timed};
use super::row::{Row, Unit};
use super::run::Bench;
use crate::{Front, Pebble, PebbleOptions, Sandbox, Service, TlsClient, free_port, node, socket};

/// What has to be said before anything else.
fn set(sandbox: &Sandbox, key: &str, value: &str) {
    sandbox.pki(["config", "set", key, value]).success();
}

/// Waits for what takes milliseconds; how many it took.
fn until(mut done: impl FnMut() -> bool) -> f64 {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it does not come");
        std::thread::sleep(Duration::from_millis(1));
    }
    milliseconds(begun.elapsed())
}

/// An authority, and a service that it finds through HAProxy.
struct Acme {
    pebble: Pebble,
    sandbox: Sandbox,
    front: Front,
    _service: Service,
}

impl Acme {
    /// HAProxy passes these names on to the service, and answers challenges itself.
    fn start(names: &[String]) -> Acme {
        let sandbox = Sandbox::with_pki();
        let mut front = Front::at(&sandbox, "front", free_port(), free_port());
        let validation = Some((front.http, front.https));
        let pebble = Pebble::start_with(PebbleOptions { validation, ..PebbleOptions::default() });
        let https = format!("127.0.0.1:{}", free_port());
        for (key, value) in [
            ("core.https_address", &*https),
            ("acme.ca_url", &pebble.directory()),
            ("acme.ca_root", &pebble.root().display().to_string()),
            ("acme.agree_tos", "true"),
            ("haproxy.domains", &format!("{} pass {https}", names.join(","))),
            ("haproxy.instances", &front.instance()),
        ] {
            set(&sandbox, key, value);
        }
        front.render(&sandbox, &[]);
        // HAProxy looks for a node that was away only every five seconds.
        let service = Service::start(&sandbox);
        front.start();
        sandbox.pki(["haproxy", "sync"]).success();
        Acme { pebble, sandbox, front, _service: service }
    }

    fn roots(&self) -> PathBuf {
        self.sandbox.write("pebble-root.pem", self.pebble.manage("/roots/0"))
    }
}

/// From the word to the certificate that clients see.
pub fn serving(bench: &mut Bench) -> Vec<Row> {
    let count = bench.scale().pick(30, 10, 2);
    let names: Vec<String> = (0..count).map(|number| format!("d{number}.example")).collect();
    let acme = Acme::start(&names);
    let client = TlsClient::trusting(&acme.sandbox, &acme.roots(), None);
    let times = names.iter().map(|name| {
        let (said, ()) = timed(|| set(&acme.sandbox, "acme.domain", name));
        said + until(|| client.get(name, acme.front.https).is_ok_and(|(status, _)| status == 200))
    });
    let times: Samples = times.collect();
    vec![
        Row::distribution(
            "`pki config set acme.domain NAME` to the certificate served through HAProxy",
            &times,
        )
        .target_of(Some(800.0), ""),
    ]
}

/// Many orders at the same time, each a certificate in place.
pub fn at_once(bench: &mut Bench) -> Vec<Row> {
    let count = bench.scale().pick(100, 100, 4);
    let acme = Acme::start(&["www.example".to_owned()]);
    let root = std::fs::read_to_string(acme.pebble.root()).expect("a root");
    let service = acme.sandbox.dir().join("pki.socket");
    let issue = |number: usize| AcmeIssue {
        domains: vec![format!("p{number}.example")],
        email: None,
        ca_url: Some(acme.pebble.directory()),
        agree_tos: true,
        ca_root: Some(root.clone()),
        eab: None,
        challenge: None,
        http_address: None,
        webroot: None,
        out: None,
        hook: None,
        served_at: None,
    };
    // The account is there already, as it is at every order but the first.
    socket::call(&service, &issue(count)).done();
    let (time, ()) = timed(|| {
        std::thread::scope(|scope| {
            for number in 0..count {
                let (service, issue) = (&service, &issue);
                scope.spawn(move || socket::call(service, &issue(number)).done());
            }
        });
    });
    let rate = format!("{:.1}/s", count as f64 / (time / 1e3));
    vec![Row::once(format!("{count} certificates in parallel"), Unit::Seconds, time / 1e3).with(rate)]
}

const HOST: &str = "www.example.net";

/// A HAProxy that has the certificate, and asks clients for theirs.
struct Terminating {
    sandbox: Sandbox,
    front: Front,
    _service: Service,
}

impl Terminating {
    fn start() -> Terminating {
        let sandbox = Sandbox::with_pki();
        new_bundle(&sandbox);
        let bundle = sandbox.file("www.pem");
        let node = node();
        let domains =
            format!("{HOST} terminate verify=required certificate={} 127.0.0.1:{node}", bundle.display());
        let mut front = Front::new(&sandbox, "front", &domains);
        front.start();
        let service = Service::start(&sandbox);
        set(&sandbox, "haproxy.instances", &front.instance());
        sandbox.pki(["haproxy", "sync"]).success();
        Terminating { sandbox, front, _service: service }
    }

    fn client(&self, name: &str) -> TlsClient {
        self.sandbox.pki(["issue-client", name]).success();
        TlsClient::new(&self.sandbox, Some(name))
    }
}

/// Another certificate for the host, where HAProxy reads it.
fn new_bundle(sandbox: &Sandbox) {
    let _ = std::fs::remove_dir_all(sandbox.file("server"));
    std::fs::create_dir(sandbox.file("server")).expect("a new folder");
    sandbox.pki(["issue-server", HOST, "--out", "server"]).success();
    let read = |end: &str| sandbox.read(&format!("server/{HOST}{end}"));
    sandbox.write("www.pem", read("-chain.crt") + &read(".key"));
}

/// `pki haproxy sync` with a new certificate on the disk, the proving handshake included.
pub fn swapping(bench: &mut Bench) -> Vec<Row> {
    let (count, scene) = (bench.scale().pick(100, 30, 2), Terminating::start());
    let times = (0..count).map(|_| {
        new_bundle(&scene.sandbox);
        let (time, synced) = timed(|| scene.sandbox.pki(["haproxy", "sync", "--json"]).success().json());
        let installed = synced[0]["installed"].as_array().map_or(0, Vec::len);
        assert_eq!(installed, 1, "{synced}");
        time
    });
    let times: Samples = times.collect();
    vec![Row::distribution("`pki haproxy sync` with a new certificate, to its handshake", &times)]
}

/// From the answer of `pki revoke` to the refusal on a connection that was open before.
pub fn refusing(bench: &mut Bench) -> Vec<Row> {
    let (count, scene) = (bench.scale().pick(200, 50, 2), Terminating::start());
    let times = (0..count).map(|number| {
        let name = format!("client-{number}");
        let mut open = scene.client(&name).open(HOST, scene.front.https).expect("a connection");
        assert_eq!(open.get().expect("an answer").0, 200);
        scene.sandbox.pki(["revoke", &name]).success();
        until(|| open.get().expect("an answer").0 == 403)
    });
    let times: Samples = times.collect();
    let (p99, median) = (times.p99(), Unit::Milliseconds.show(times.median()));
    vec![
        Row::once(
            "the answer of `pki revoke` to HAProxy's refusal, open connection, p99",
            Unit::Milliseconds,
            p99,
        )
        .with(format!("median {median}"))
        .target_of(Some(100.0), ""),
    ]
}
