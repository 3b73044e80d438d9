//! "Put HAProxy in front, and certificates look after themselves."
//!
//! A real authority, Pebble, finds us through a real HAProxy, at the real ports where root runs the tests.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tests::{
    Front, Knot, Lxc, Lxd, Output, Pebble, PebbleOptions, Ports, Sandbox, Service, TlsClient, free_port,
    in_own_network, node, openssl, witness,
};

/// What asks at the ports that HAProxy listens on.
pub(crate) fn options(ports: Ports) -> PebbleOptions {
    PebbleOptions { validation: Some((ports.http, ports.https)), ..PebbleOptions::default() }
}

#[track_caller]
pub(crate) fn set(sandbox: &Sandbox, key: &str, value: &str) {
    sandbox.pki(["config", "set", key, value]).success();
}

/// `pki acme issue NAME…` with nothing that would answer the challenge.
pub(crate) fn issue(sandbox: &Sandbox, pebble: &Pebble, names: &[&str], more: &[&str]) -> Output {
    let (url, root) = (pebble.directory(), pebble.root().display().to_string());
    let at = ["--agree-tos", "--ca-url", &url, "--ca-root", &root];
    sandbox.pki(["acme", "issue"].iter().chain(names).chain(&at).chain(more))
}

/// Waits for what takes milliseconds.
#[track_caller]
pub(crate) fn until(what: impl std::fmt::Display, mut done: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The lines of HAProxy's log about challenges.
fn asked(front: &Front) -> Vec<String> {
    let log = front.log();
    log.lines()
        .filter(|line| line.contains("\"GET /.well-known/acme-challenge/"))
        .map(str::to_owned)
        .collect()
}

/// Waits until an authority was answered so often in a way that the log knows by a word, and not otherwise.
#[track_caller]
pub(crate) fn answered(front: &Front, word: &str, times: usize) {
    until(format!("{times} times {word}"), || asked(front).len() >= times);
    let asked = asked(front);
    assert!(asked.iter().all(|line| line.contains(word)), "{word}: {asked:#?}");
}

fn certificate(sandbox: &Sandbox, name: &str) -> Vec<u8> {
    std::fs::read(sandbox.dir().join("acme").join(name).join("cert.pem")).expect("a certificate")
}

/// How often Pebble asks for each name.
pub(crate) const LOOKS: usize = 3;

#[test]
fn haproxy_itself_answers_without_any_other_program() {
    in_own_network("acme_front::haproxy_itself_answers_without_any_other_program", "", |ports| {
        let mut pebble = Pebble::start_with(options(ports));
        let sandbox = Sandbox::with_pki();
        let mut front = Front::at(&sandbox, "one", ports.http, ports.https);
        set(&sandbox, "haproxy.domains", "www.example pass 127.0.0.1:9");
        set(&sandbox, "haproxy.instances", &front.instance());
        front.render(&sandbox, &[]);
        front.start();
        // A name that is routed, one that is not, and an address.
        issue(&sandbox, &pebble, &["www.example", "other.example", "127.0.0.1"], &[]).success();
        answered(&front, "http/<NOSRV> ", 3 * LOOKS);
        answered(&front, " 200 ", 3 * LOOKS);
        let map = sandbox.dir().join("haproxy/challenges.map");
        assert_eq!(std::fs::read_to_string(&map).unwrap(), "");
        let path = asked(&front)[0].split('"').nth(1).unwrap().split(' ').nth(1).unwrap().to_owned();
        let url = format!("http://127.0.0.1:{}{path}", ports.http);
        let words = ["--silent", "--header", "Host: www.example", "--write-out", "%{http_code}", &url];
        assert_eq!(witness(&sandbox, "curl", words).stdout, "308", "it is answered no more");

        let names: Vec<String> = (0..100).map(|n| format!("n{n}.example")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        issue(&sandbox, &pebble, &names, &[]).success();
        let file = sandbox.dir().join("acme/n0.example/cert.pem").display().to_string();
        let shown = openssl(&sandbox, ["x509", "-in", &file, "-noout", "-ext", "subjectAltName"]).success();
        assert_eq!(shown.stdout.matches("DNS:").count(), 100);

        // It has forgotten us, and refuses most nonces.
        pebble.restart_with(PebbleOptions { nonce_reject: 60, ..options(ports) });
        let first = certificate(&sandbox, "www.example");
        let renewed = sandbox.pki(["acme", "renew", "www.example"]).success();
        assert!(renewed.says("no longer knew our account"), "{renewed}");
        let second = certificate(&sandbox, "www.example");
        assert_ne!(first, second);
        // It is down for a while, and what it has validated once it does not ask for again.
        pebble.stop();
        let mut command = sandbox.command(["acme", "renew", "www.example"]);
        let renewing = std::thread::spawn(move || tests::run(&mut command));
        std::thread::sleep(Duration::from_secs(1));
        assert!(!renewing.is_finished());
        pebble.restart_with(PebbleOptions { nonce_reject: 5, authorization_reuse: 100, ..options(ports) });
        renewing.join().expect("no panic").success();
        assert_ne!(certificate(&sandbox, "www.example"), second);
        let (third, before) = (certificate(&sandbox, "www.example"), asked(&front).len());
        sandbox.pki(["acme", "renew", "www.example"]).success();
        assert_ne!(certificate(&sandbox, "www.example"), third);
        assert_eq!(asked(&front).len(), before);

        // Where HAProxy can't be told and nobody else answers, no order is placed.
        set(&sandbox, "haproxy.instances", &format!("{}/nobody.sock", sandbox.root().display()));
        let orders = pebble.orders();
        let refused = issue(&sandbox, &pebble, &["new.example"], &[]);
        assert!(refused.code != 0 && refused.says("nobody.sock"), "{refused}");
        assert_eq!(pebble.orders(), orders);
    });
}

/// A web server that shows a folder.
fn web_server(folder: PathBuf) -> u16 {
    let port = free_port();
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("a free port");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut line = String::new();
            let _ = BufReader::new(&stream).read_line(&mut line);
            let path = line.split(' ').nth(1).unwrap_or("/").trim_start_matches('/').to_owned();
            let (status, body) = match std::fs::read(folder.join(path)) {
                Ok(body) => ("200 OK", body),
                Err(_) => ("404 Not Found", Vec::new()),
            };
            let head =
                format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = (&stream).write_all(&[head.as_bytes(), &body].concat());
        }
    });
    port
}

#[test]
fn every_other_way_to_prove_a_name_leads_through_haproxy() {
    in_own_network("acme_front::every_other_way_to_prove_a_name_leads_through_haproxy", "", |ports| {
        let pebble = Pebble::start_with(options(ports));
        let sandbox = Sandbox::with_pki();
        let [public, https] = [(); 2].map(|()| format!("127.0.0.1:{}", free_port()));
        for (key, value) in [
            ("core.public_address", &*public),
            ("core.https_address", &https),
            ("core.https_trusted_proxy", "127.0.0.1"),
            ("haproxy.domains", &format!("www.example pass proxy {https}")),
        ] {
            set(&sandbox, key, value);
        }
        let service = Service::launch(&sandbox, public.clone(), &["serve"], &[]);
        let mut front = Front::at(&sandbox, "one", ports.http, ports.https);
        // As LXD has it: port 80 sends the authority to the API's own listener.
        front.render(&sandbox, &[]);
        front.start();
        if ports.own {
            issue(&sandbox, &pebble, &["www.example"], &[]).success();
            answered(&front, " 308 ", LOOKS);
            assert!(front.log().contains(" tls nodes-www-example/node1 "), "{}", front.log());
        }

        // By TLS, also for what is routed nowhere: the service hears of the clients' addresses first.
        front.kill();
        set(&sandbox, "haproxy.alpn_address", &https);
        set(&sandbox, "haproxy.challenge_address", &public);
        front.render(&sandbox, &[]);
        front.start();
        let by_tls = ["--challenge", "tls-alpn-01"];
        issue(&sandbox, &pebble, &["tls.example", "127.0.0.1"], &by_tls).success();
        until("six looks by TLS", || front.log().matches(" tls acme-alpn/responder ").count() >= 2 * LOOKS);
        assert!(asked(&front).is_empty());

        // By the service's public listener.
        issue(&sandbox, &pebble, &["other.example"], &[]).success();
        answered(&front, " http acme-http/responder ", LOOKS);

        // By a web server, which shows what is put into its folder; and again at the renewal.
        let before = pebble.validations();
        let folder = sandbox.file("htdocs");
        std::fs::create_dir(&folder).unwrap();
        let web = format!("127.0.0.1:{}", web_server(folder.clone()));
        front.kill();
        front.render(&sandbox, &["--challenges", &web]);
        front.start();
        let refused = issue(&sandbox, &pebble, &["web.example"], &["--webroot", "nowhere"]);
        assert!(refused.code == 2 && refused.says("nowhere"), "{refused}");
        issue(&sandbox, &pebble, &["web.example"], &["--webroot", "htdocs"]).success();
        sandbox.pki(["acme", "renew", "web.example"]).success();
        answered(&front, " 200 ", LOOKS * (pebble.validations() - before));
        let left = std::fs::read_dir(folder.join(".well-known/acme-challenge")).unwrap();
        assert_eq!(left.count(), 0, "nothing is left there");
        service.stop();
    });
}

/// The certificate that is shown for a name behind HAProxy, DER; nothing if none is.
pub(crate) fn shown(sandbox: &Sandbox, https: u16, name: &str, from: &str) -> String {
    let at = format!("127.0.0.1:{https}");
    let line = format!(
        "openssl s_client -connect {at} -servername {name} -bind {from} </dev/null 2>/dev/null | openssl x509 -noout \
         -serial -issuer -ext subjectAltName 2>/dev/null"
    );
    witness(sandbox, "sh", ["-c", &line]).stdout
}

#[test]
fn three_looks_at_three_different_nodes_see_the_same_answer() {
    in_own_network("acme_front::three_looks_at_three_different_nodes_see_the_same_answer", "", |ports| {
        let pebble = Pebble::start_with(options(ports));
        let sandbox = Sandbox::with_pki();
        // The service, a real LXD, and a server that knows nothing but TLS.
        let https = format!("127.0.0.1:{}", free_port());
        set(&sandbox, "core.https_address", &https);
        let mut lxd = Lxd::here(&sandbox);
        lxd.start();
        let of_lxd = format!("127.0.0.1:{}", free_port());
        lxd.admin(&["config", "set", "core.https_address", &of_lxd]).success();
        sandbox.pki(["issue-server", "plain.example"]).success();
        let plain = format!("127.0.0.1:{}", free_port());
        let mut command = std::process::Command::new("openssl");
        sandbox.surround(&mut command);
        command.args(["s_server", "-quiet", "-www", "-accept", &plain]);
        command.args(["-cert", "plain.example.crt", "-key", "plain.example.key"]);
        let mut server = command.spawn().expect("openssl runs");
        set(&sandbox, "haproxy.domains", &format!("lxd.example pass {https} {of_lxd} {plain}"));
        let service = Service::start(&sandbox);
        let mut front = Front::at(&sandbox, "one", ports.http, ports.https);
        set(&sandbox, "haproxy.instances", &front.instance());
        front.render(&sandbox, &[]);
        front.start();
        // Clients from many places are served by all three.
        let (mut seen, mut octet) = (std::collections::BTreeSet::new(), 1);
        until("three nodes", || {
            octet = octet % 200 + 1;
            let from = format!("127.0.0.{octet}");
            seen.insert(shown(&sandbox, ports.https, "lxd.example", &from));
            seen.remove("");
            seen.len() == 3
        });
        issue(&sandbox, &pebble, &["lxd.example"], &[]).success();
        answered(&front, "http/<NOSRV> ", LOOKS);
        answered(&front, " 200 ", LOOKS);
        let _ = server.kill();
        let _ = server.wait();
        service.stop();
        lxd.stop();
    });
}

#[test]
fn a_wildcard_is_proved_by_a_zone_that_the_settings_name() {
    in_own_network("acme_front::a_wildcard_is_proved_by_a_zone_that_the_settings_name", "", |ports| {
        assert!(ports.own, "the servers of a zone listen on port 53: run this as root");
        let knot = Knot::start_at("127.0.0.1:53".parse().unwrap());
        let resolver = Some(knot.address.to_string());
        let pebble = Pebble::start_with(PebbleOptions { resolver, ..options(ports) });
        let sandbox = Sandbox::with_pki();
        let https = format!("127.0.0.1:{}", free_port());
        let root = pebble.root().display().to_string();
        for (key, value) in [
            ("core.https_address", &*https),
            ("acme.ca_url", &pebble.directory()),
            ("acme.ca_root", &root),
            ("acme.agree_tos", "true"),
            ("acme.challenge", "DNS-01"),
            ("acme.provider", "rfc2136"),
            ("acme.provider.resolvers", "127.0.0.1"),
            ("haproxy.domains", &format!("x.a.example,a.example pass {https}")),
        ] {
            set(&sandbox, key, value);
        }
        let secret = ["config", "set", "acme.provider.environment", "-"];
        sandbox.pki_reading(secret, &knot.environment("acme")).success();
        let service = Service::start(&sandbox);
        let mut front = Front::at(&sandbox, "one", ports.http, ports.https);
        front.render(&sandbox, &[]);
        front.start();
        set(&sandbox, "acme.domain", "a.example,*.a.example");
        until(service.log(), || {
            shown(&sandbox, ports.https, "x.a.example", "127.0.0.1").contains("DNS:*.a.example")
        });
        assert_eq!(pebble.orders(), 1);
        assert_eq!(knot.texts("_acme-challenge.a.example"), "", "taken away again");
        service.stop();
    });
}

/// Asks again and again, on one connection and on new ones, until it is told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Load {
    fn of(client: &TlsClient, host: &'static str, port: u16, path: &'static str) -> Load {
        let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let one = |kept: bool| {
            let (stop, asked, client) = (stop.clone(), asked.clone(), client.clone());
            std::thread::spawn(move || {
                let mut open = client.open(host, port).expect("a connection");
                while !stop.load(Ordering::Relaxed) {
                    if !kept {
                        open = client.open(host, port).expect("a connection");
                    }
                    assert_eq!(open.ask(path).expect("an answer").0, 200);
                    asked.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(3));
                }
            })
        };
        let threads = [true, false].map(one).into();
        Load { stop, asked, threads }
    }

    #[track_caller]
    fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("no request failed");
        }
        assert!(self.asked.load(Ordering::Relaxed) > 20);
    }
}

/// The files of a client as `lxc` has them: no `client.ca`.
fn lxc<'a>(sandbox: &'a Sandbox, name: &str, roots: &Path) -> Lxc<'a> {
    let lxc = Lxc::of(sandbox, name).trusting(roots);
    for (from, to) in [("crt", "client.crt"), ("key", "client.key")] {
        std::fs::copy(sandbox.file(&format!("{name}.{from}")), lxc.folder().join(to)).unwrap();
    }
    lxc
}

/// What only those are told who are let in.
const INSIDE: &str = "/1.0/certificates";

#[test]
fn a_renewal_under_load_changes_nothing_for_any_client() {
    let name = "acme_front::a_renewal_under_load_changes_nothing_for_any_client";
    in_own_network(name, "pki.example", |ports| {
        let pebble = Pebble::start_with(options(ports));
        let sandbox = Sandbox::with_pki();
        let https = format!("127.0.0.1:{}", free_port());
        let root = pebble.root().display().to_string();
        for (key, value) in [
            ("core.https_address", &*https),
            ("core.trust_ca_certificates", "true"),
            ("acme.ca_url", &pebble.directory()),
            ("acme.ca_root", &root),
        ] {
            set(&sandbox, key, value);
        }
        let service = Service::start(&sandbox);
        // The bundled configuration: the domain and the node are changed.
        let mut front = Front::at(&sandbox, "one", ports.http, ports.https);
        front.bundled(ports, "pki.example", &https);
        front.start();
        // All that a site says.
        set(&sandbox, "acme.email", "admin@example.org");
        set(&sandbox, "acme.agree_tos", "true");
        set(&sandbox, "acme.domain", "pki.example");
        let served = || shown(&sandbox, ports.https, "pki.example", "127.0.0.1");
        until(service.log(), || served().contains("DNS:pki.example"));
        let first = served();
        answered(&front, " challenge/sni-dispatcher ", LOOKS);
        let roots = sandbox.write("pebble-root.pem", pebble.manage("/roots/0"));

        for name in ["anna", "bert", "carl"] {
            sandbox.pki(["issue-client", name]).success();
        }
        let [anna, bert] = ["anna", "bert"].map(|name| TlsClient::trusting(&sandbox, &roots, Some(name)));
        let ask = |client: &TlsClient| {
            client
                .open("pki.example", ports.https)
                .and_then(|mut open| open.ask(INSIDE))
                .map(|(status, _)| status)
        };
        assert_eq!((ask(&anna).unwrap(), ask(&bert).unwrap()), (200, 200));
        // `lxc` knows the authority as every system does, and one has pinned the service's own certificate.
        let url = format!("https://pki.example:{}", ports.https);
        let by_name = lxc(&sandbox, "carl", &roots);
        let pinned = format!("https://{https}");
        if ports.own {
            let added = by_name.run(&["remote", "add", "r", &url]).success();
            assert!(!added.says("fingerprint") && !added.says("password"), "{added}");
        }
        by_name.run(&["remote", "add", "pinned", &pinned, "--accept-certificate"]).success();
        sandbox.pki(["revoke", "bert"]).success();
        assert_eq!(ask(&bert).unwrap(), 403);

        let load = Load::of(&anna, "pki.example", ports.https, INSIDE);
        for _ in 0..3 {
            let before = served();
            sandbox.pki(["acme", "renew", "pki.example"]).success();
            until("the new one is shown", || served() != before);
            assert_eq!(ask(&bert).unwrap(), 403, "revoked is revoked");
        }
        load.end();
        assert_ne!(served(), first);
        assert_eq!(ask(&anna).unwrap(), 200);
        let remotes: &[&str] = if ports.own { &["r:", "pinned:"] } else { &["pinned:"] };
        for remote in remotes {
            assert!(by_name.run(&["info", remote]).success().says("auth: trusted"), "{remote}");
        }
        sandbox.pki(["revoke", "carl"]).success();
        for remote in remotes {
            assert!(by_name.run(&["info", remote]).success().says("auth: untrusted"), "{remote}");
        }
        assert!(!by_name.folder().join("client.ca").exists());
        service.stop();
    });
}

#[test]
fn a_renewal_is_served_by_haproxy_under_load_and_the_revoked_stay_out() {
    let name = "acme_front::a_renewal_is_served_by_haproxy_under_load_and_the_revoked_stay_out";
    in_own_network(name, "", |ports| {
        let pebble = Pebble::start_with(options(ports));
        let sandbox = Sandbox::with_pki();
        set(
            &sandbox,
            "haproxy.domains",
            &format!("www.example terminate verify=required 127.0.0.1:{}", node()),
        );
        let mut front = Front::at(&sandbox, "one", ports.http, ports.https);
        set(&sandbox, "haproxy.instances", &front.instance());
        let service = Service::start(&sandbox);
        // HAProxy does not start without a certificate: the first is obtained at the port that will be its own.
        let at = format!("127.0.0.1:{}", ports.http);
        issue(&sandbox, &pebble, &["www.example"], &["--http-address", &at]).success();
        front.render(&sandbox, &[]);
        front.start();
        let standalone = pebble.validations();
        let roots = sandbox.write("pebble-root.pem", pebble.manage("/roots/0"));
        for name in ["anna", "bert"] {
            sandbox.pki(["issue-client", name]).success();
        }
        let [anna, bert] = ["anna", "bert"].map(|name| TlsClient::trusting(&sandbox, &roots, Some(name)));
        assert_eq!(bert.get("www.example", ports.https).unwrap().0, 200);
        sandbox.pki(["revoke", "bert"]).success();
        let refused = (403, "client certificate refused: revoked\n".to_owned());
        until("it is told", || bert.get("www.example", ports.https).unwrap() == refused);

        let served =
            || anna.open("www.example", ports.https).and_then(|mut one| one.get().map(|_| one.served()));
        let load = Load::of(&anna, "www.example", ports.https, "/");
        for _ in 0..3 {
            let before = served().unwrap();
            // The standalone listener of the first time finds its port taken: HAProxy answers.
            issue(&sandbox, &pebble, &["www.example"], &[]).success();
            until("HAProxy serves the new one", || served().unwrap() != before);
            assert_eq!(bert.get("www.example", ports.https).unwrap(), refused);
        }
        load.end();
        answered(&front, "http/<NOSRV> ", LOOKS * (pebble.validations() - standalone));
        assert!(!front.log().contains("exited with code"), "{}", front.log());
        service.stop();
    });
}
