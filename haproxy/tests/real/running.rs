//! What a running HAProxy is told is in force at once, for every connection, and loses none.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use haproxy::runtime::{
    Address, Bounds, Challenge, MapChange, Runtime, challenges_file, revoked_file, served,
};
use haproxy::{Error, FilePath, RevokedKey, bundle};

use crate::process::{PATIENCE, free_port};
use crate::sites::file;
use crate::termination::{Stage, serial};
use crate::world::{Authority, Connection, client_config, curl};

fn stage() -> Stage {
    Stage::new(Authority::named("clients"))
}

fn runtime(stage: &Stage) -> Runtime {
    Runtime::new(Address::Unix(stage.site.admin.clone()), Bounds::STANDARD)
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn certificate_of(stage: &Stage) -> FilePath {
    file(stage.folder.path(), "open.example.net.pem")
}

#[test]
fn certificates_are_replaced_under_load_and_no_connection_is_lost() {
    let mut stage = stage();
    stage.start(&[]);
    let runtime = runtime(&stage);
    let host = "open.example.net";
    let config = client_config(&stage.servers.identity.der, None);
    let mut before = Connection::open(&config, host, stage.https).unwrap();
    assert_eq!(before.get(host).unwrap().0, 200);

    let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let load: Vec<_> = (0..3)
        .map(|_| {
            let (stop, asked, port) = (Arc::clone(&stop), Arc::clone(&asked), stage.https);
            let config = client_config(&stage.servers.identity.der, None);
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let answer = Connection::open(&config, host, port).and_then(|mut one| one.get(host));
                    assert_eq!(answer.expect("an answer").0, 200);
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for round in 1..=20 {
        let new = stage.servers.issue(host, &[1, round]);
        let text = bundle::render(&new.certificate, &new.key).unwrap();
        assert_eq!(runtime.install(&certificate_of(&stage), &text).unwrap(), 1);
        let found = served(local(stage.https), &host.parse().unwrap(), PATIENCE).unwrap();
        assert_eq!(found.der(), new.der, "round {round}");
        assert_eq!(before.get(host).unwrap().0, 200);
    }
    stop.store(true, Ordering::Relaxed);
    for one in load {
        one.join().expect("no request failed");
    }
    assert!(asked.load(Ordering::Relaxed) > 0);
}

#[test]
fn a_certificate_that_is_refused_leaves_the_old_one_and_the_way_free() {
    let mut stage = stage();
    stage.start(&[]);
    let runtime = runtime(&stage);
    let host = "open.example.net";
    let path = certificate_of(&stage);
    let (one, other) = (stage.servers.issue(host, &[1]), stage.servers.issue(host, &[2]));
    let now = || served(local(stage.https), &host.parse().unwrap(), PATIENCE).unwrap().der().to_vec();
    let old = now();

    let mixed = bundle::render(&one.certificate, &other.key).unwrap();
    let error = runtime.install(&path, &mixed).unwrap_err();
    assert!(matches!(&error, Error::Answer { answer, .. } if answer.contains("inconsistencies")), "{error}");
    let error = runtime.install(&path, &one.certificate).unwrap_err();
    assert!(matches!(&error, Error::Answer { command, .. } if command.starts_with("commit ")), "{error}");
    let unknown = file(stage.folder.path(), "unknown.pem");
    let whole = bundle::render(&one.certificate, &one.key).unwrap();
    let error = runtime.install(&unknown, &whole).unwrap_err();
    assert!(matches!(&error, Error::Answer { answer, .. } if answer.contains("not referenced")), "{error}");
    let large = bundle::render(&one.certificate.repeat(40), &one.key).unwrap();
    assert!(matches!(runtime.install(&path, &large), Err(Error::CommandTooLong { .. })));
    let gap = format!("{}\nshow info\n{}", one.certificate, one.key).replace("\nshow", "\n\nshow");
    assert!(matches!(runtime.install(&path, &gap), Err(Error::Word { .. })));
    assert_eq!(now(), old);

    runtime.install(&path, &whole).unwrap();
    assert_eq!(now(), one.der);
}

#[test]
fn a_revocation_is_in_force_on_new_resumed_and_open_connections() {
    // With resumption and without: the map does not rest on its being off.
    for resumption in [false, true] {
        let mut stage = stage();
        let (identity, path) = stage.client("client", &[0x42]);
        let (good, _) = stage.client("good", &[0x43]);
        stage.start_changed(&[], |text| match resumption {
            false => text,
            true => text.replace(" no-tls-tickets", "").replace("  tune.ssl.cachesize 0\n", ""),
        });
        let host = "must.example.net";
        let config = client_config(&stage.servers.identity.der, Some(&identity));
        let untouched = client_config(&stage.servers.identity.der, Some(&good));
        let connect = || {
            let mut one = Connection::open(&config, host, stage.https).unwrap();
            let answer = one.get(host).unwrap();
            (one, answer)
        };
        let (mut open, (status, _)) = connect();
        assert_eq!(status, 200);
        let (second, (status, _)) = connect();
        assert_eq!((status, second.resumed()), (200, resumption));

        let runtime = runtime(&stage);
        let key = RevokedKey { issuer: stage.clients.key(), serial: serial(&identity) };
        let change = runtime.keep_revoked(&stage.site.revoked, &BTreeSet::from([key])).unwrap();
        assert_eq!(change, MapChange { added: 1, removed: 0 });

        let refused = (403, "client certificate refused: revoked\n".to_owned());
        assert_eq!(open.get(host).unwrap(), refused);
        let (third, answer) = connect();
        assert_eq!((third.resumed(), answer), (resumption, refused.clone()));
        assert_eq!(stage.ask(host, Some(&path), &["--tls-max", "1.2"]), refused);
        let mut another = Connection::open(&untouched, host, stage.https).unwrap();
        assert_eq!(another.get(host).unwrap().0, 200);

        // Released, the same connection is let in again.
        let change = runtime.keep_revoked(&stage.site.revoked, &BTreeSet::new()).unwrap();
        assert_eq!(change, MapChange { added: 0, removed: 1 });
        assert_eq!(open.get(host).unwrap().0, 200);
    }
}

#[test]
fn the_map_becomes_the_set_whatever_it_held() {
    let mut stage = stage();
    let issuer = stage.clients.key();
    let key =
        |n: u32| RevokedKey { issuer, serial: ca::cert::Serial::from_bytes(&(n + 1).to_be_bytes()).unwrap() };
    let set = |range: std::ops::Range<u32>| range.map(key).collect::<BTreeSet<_>>();
    let port = free_port();
    // The same entry twice: one removal takes both.
    stage.start_changed(&[key(0), key(1), key(1)], |text| {
        text.replace(
            "  stats timeout",
            &format!("  stats socket ipv4@127.0.0.1:{port} level admin\n  stats timeout"),
        )
    });
    let map = &stage.site.revoked;
    let by_tcp = Runtime::new(Address::Tcp(local(port)), Bounds::STANDARD);
    let by_file = runtime(&stage);

    for (range, added, removed) in [
        (1..3, 1, 2),
        (1..3, 0, 0),
        (0..150, 148, 0),
        (100..2_000, 1_850, 100),
        (1_990..2_000, 0, 1_890),
        (0..0, 0, 10),
    ] {
        let wanted = set(range.clone());
        for (runtime, change) in
            [(&by_tcp, MapChange { added, removed }), (&by_file, MapChange { added: 0, removed: 0 })]
        {
            assert_eq!(runtime.keep_revoked(map, &wanted).unwrap(), change, "{range:?}");
        }
    }

    let text = revoked_file(&set(0..2));
    assert_eq!(text, format!("{} 1\n{} 1\n", key(0), key(1)));
    let unknown = file(stage.folder.path(), "unknown.map");
    let error = by_file.keep_revoked(&unknown, &set(0..1)).unwrap_err();
    assert!(matches!(&error, Error::NoMap { map, .. } if map.ends_with("/unknown.map")), "{error}");
}

#[test]
fn a_challenge_is_answered_from_the_map_while_it_is_there() {
    let mut stage = stage();
    stage.start(&[]);
    let runtime = runtime(&stage);
    let (map, port) = (&stage.site.challenges.clone(), stage.http);
    let ask = |host: &str, path: &str| {
        let host = format!("Host: {host}");
        let url = format!("http://127.0.0.1:{port}{path}");
        let (_, said, _) = curl(&["--header", &host, "--write-out", " %{http_code}", &url]);
        said
    };
    let path = "/.well-known/acme-challenge/to-ken_1";
    assert!(ask("open.example.net", path).ends_with(" 308"));
    let one = |token: &str, print: &str| Challenge::new(token, &format!("{token}.{print}")).unwrap();
    let change = |added, removed| MapChange { added, removed };
    let keep =
        |wanted: &[Challenge]| runtime.keep_challenges(map, &wanted.iter().cloned().collect()).unwrap();
    assert_eq!(keep(&[one("to-ken_1", "old")]), change(1, 0));
    assert_eq!(keep(&[one("to-ken_1", "thumb_print-1")]), change(1, 1));
    // Authorities ask for addresses too (RFC 8738), and with the port in the header.
    for host in ["open.example.net", "open.example.net:80", "127.0.0.1"] {
        assert_eq!(ask(host, path), "to-ken_1.thumb_print-1 200");
    }
    assert!(ask("open.example.net", "/x/to-ken_1").ends_with(" 308"));
    assert!(ask("open.example.net", "/.well-known/acme-challenge/to-ken_2").ends_with(" 308"));
    assert!(ask("open.example.net", "/.well-known/acme-challenge/x/to-ken_1").ends_with(" 308"));
    // More than one command holds, as long as they can be; and what is there is left there.
    let long = |n: usize| one(&format!("{n:0>256}"), &"p".repeat(256));
    let many: Vec<_> = (0..100).map(long).chain([one("to-ken_1", "thumb_print-1")]).collect();
    assert_eq!(keep(&many), change(100, 0));
    assert_eq!(keep(&many), change(0, 0));
    assert_eq!(ask("open.example.net", path), "to-ken_1.thumb_print-1 200");
    assert_eq!(keep(&[]), change(0, 101));
    assert!(ask("open.example.net", path).ends_with(" 308"));
    // A HAProxy that starts meanwhile reads the same from the file.
    std::fs::write(map.as_str(), challenges_file(&many.into_iter().collect())).unwrap();
    stage.stop();
    stage.start(&[]);
    assert_eq!(ask("open.example.net", path), "to-ken_1.thumb_print-1 200");
    let nowhere = file(stage.folder.path(), "other.map");
    assert!(matches!(runtime.keep_challenges(&nowhere, &BTreeSet::new()), Err(Error::NoMap { .. })));

    for (token, answer) in [
        ("", ".x"),
        ("a b", "a b.x"),
        ("a;b", "a;b.x"),
        ("a\nb", "a\nb.x"),
        ("a", "b.x"),
        ("a", "a"),
        ("a", "a.x y"),
    ] {
        assert!(Challenge::new(token, answer).is_err(), "{token:?} {answer:?}");
    }
}
