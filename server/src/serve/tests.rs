use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use store::Sequence;

use super::*;
use crate::http::Access;

mod hostile;
mod https;
mod verifier;

struct Running {
    pki: Pki,
    stop: tokio::sync::oneshot::Sender<()>,
    thread: std::thread::JoinHandle<Result<(), Error>>,
    serving: Serving,
}

fn start(dir: &Path, limits: Limits) -> Running {
    start_with(crate::testing::made(&dir.join("pki")), limits)
}

fn start_with(pki: Pki, limits: Limits) -> Running {
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (ready, serving) = std::sync::mpsc::channel();
    let served = pki.clone();
    let thread = std::thread::spawn(move || {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let options = ServeOptions { limits, ..ServeOptions::default() };
        let shutdown = async {
            let _ = stopped.await;
        };
        runtime.block_on(serve(served, options, shutdown, |serving| ready.send(serving.clone()).unwrap()))
    });
    let serving = serving.recv_timeout(Duration::from_secs(10)).unwrap();
    Running { pki, stop, thread, serving }
}

impl Running {
    fn stop(self) {
        self.stop.send(()).unwrap();
        self.thread.join().unwrap().unwrap();
    }

    fn post(&self, path: &str, body: &str) -> (u16, Value) {
        self.request("POST", path, body)
    }

    fn request(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let mut socket = UnixStream::connect(&self.serving.sockets[0]).unwrap();
        let length = body.len();
        let head =
            format!("{method} {path} HTTP/1.1\r\nhost: pki\r\nconnection: close\r\npki-version: 0\r\n");
        let request = format!("{head}content-length: {length}\r\n\r\n{body}");
        // A request that is refused for its head is answered before it was read to its end: then the
        // writing may fail, and so may the reading behind the answer.
        let _ = socket.write_all(request.as_bytes());
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).unwrap();
        assert!(
            answer.to_lowercase().contains(&format!("pki-version: {}", crate::http::VERSION)),
            "{answer}"
        );
        parse(&answer)
    }
}

fn parse(answer: &str) -> (u16, Value) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), serde_json::from_str(body).unwrap_or(Value::Null))
}

fn fetch(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8(answer).unwrap()
}

fn get(address: SocketAddr, path: &str) -> String {
    fetch(address, &format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"))
}

fn fetch_head(address: SocketAddr, path: &str) -> String {
    let head = fetch(address, &format!("HEAD {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"));
    assert!(head.starts_with("HTTP/1.1 200 "), "{path}: {head}");
    head
}

fn free_port() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn eventually(mut done: impl FnMut() -> bool) {
    for _ in 0..500 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("it never came true");
}

#[test]
fn an_operation_goes_through_the_socket_and_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), Limits::default());
    let set = json!({"key": "profile.client.days", "value": "30"}).to_string();
    let (status, reply) = running.post("/1.0/pki/config-set", &set);
    assert_eq!((status, &reply["value"]), (200, &json!("30")));
    let last = Sequence(running.pki.store().head().0 - 1);
    let who = running.pki.store().follow(last, 1).unwrap()[0].who.clone();
    assert_eq!(who, crate::peer::own().to_string(), "the kernel says who asked");
    running.stop();
    assert!(!dir.path().join("pki/pki.socket").exists());
}

#[test]
fn failures_are_problems_with_their_status() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { body: 1000, ..Limits::default() };
    let running = start(dir.path(), limits);
    let (status, problem) = running.post("/1.0/pki/config-set", r#"{"key":"core.publicurl","value":null}"#);
    assert_eq!((status, &problem["kind"]), (404, &json!("not-found")));
    assert_eq!(problem["hint"], json!("did you mean core.public_url?"));
    let (status, problem) = running.post("/1.0/pki/config-set", "{");
    assert_eq!((status, &problem["kind"]), (400, &json!("invalid")));
    assert!(problem["hint"].as_str().unwrap().contains("restart"), "versions differ: {problem}");
    assert_eq!(running.post("/1.0/pki/nonsense", "{}").0, 404);
    assert_eq!(running.post("/1.0/pki/config-set", &" ".repeat(1001)).0, 413);
    running.stop();
}

#[test]
fn over_the_bound_the_answer_is_try_again() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { operations: 0, ..Limits::default() };
    let running = start(dir.path(), limits.clone());
    assert_eq!(running.post("/1.0/pki/config-set", r#"{"key":"crl.validity","value":"3d"}"#).0, 503);
    // Whoever looks or revokes has places of its own.
    assert_eq!(running.post("/1.0/pki/config-list", "{}").0, 200);
    assert_eq!(running.post("/1.0/pki/crl-publish", r#"{"root":false}"#).0, 200);
    running.stop();
    let other = tempfile::tempdir().unwrap();
    let running = start(other.path(), Limits { reads: 0, revocations: 0, ..limits });
    assert_eq!(running.post("/1.0/pki/config-list", "{}").0, 503);
    assert_eq!(running.post("/1.0/pki/crl-publish", r#"{"root":false}"#).0, 503);
    running.stop();
}

#[test]
fn the_public_listener_moves_with_its_setting() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), Limits::default());
    assert_eq!(running.serving.public, None);
    running.pki.challenges().post("tok", "tok.thumb");
    let (one, two) = (free_port(), free_port());
    for address in [one, two] {
        let set = json!({"key": "core.public_address", "value": address.to_string()}).to_string();
        assert_eq!(running.post("/1.0/pki/config-set", &set).0, 200);
        eventually(|| running.pki.public_state() == ListenerState::Listening(address));
        assert!(get(address, "/.well-known/acme-challenge/tok").ends_with("\r\n\r\ntok.thumb"));
    }
    eventually(|| TcpStream::connect(one).is_err());
    let served = get(two, "/ca.crt");
    assert!(served.contains("content-type: application/x-pem-file") && served.contains("BEGIN CERTIFICATE"));
    let show = crate::ops::crl::CrlShow {};
    let lists = running.pki.run(show, &trust::Presented::InProcess, crate::clock::now()).unwrap();
    for list in lists {
        let path = format!("/crl/{}/0.crl", list.issuer);
        let head = fetch_head(two, &path);
        assert!(head.contains("content-type: application/pkix-crl"), "{head}");
        assert!(head.contains("cache-control: public, max-age="), "{head}");
        let tag = head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap();
        let again =
            format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\nif-none-match: {tag}\r\n\r\n");
        assert!(fetch(two, &again).starts_with("HTTP/1.1 304 "));
        assert!(fetch_head(two, &format!("/ca/{}.crt", list.issuer)).contains("application/pkix-cert"));
    }
    for path in ["/", "/ca.key", "/../keys/root.key", "/.well-known/acme-challenge/", "/crl/../0.crl"] {
        assert!(get(two, path).starts_with("HTTP/1.1 404 "), "{path}");
    }
    let post = "POST /.well-known/acme-challenge/tok HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    assert!(fetch(two, post).starts_with("HTTP/1.1 405 "));
    let head =
        fetch(two, "HEAD /.well-known/acme-challenge/tok HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");
    running.stop();
    assert!(TcpStream::connect(two).is_err());
}

#[test]
fn a_setting_that_cannot_act_is_refused_and_the_lists_stay_served() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), Limits::default());
    let set = |address: SocketAddr| {
        let set = json!({"key": "core.public_address", "value": address.to_string()}).to_string();
        running.post("/1.0/pki/config-set", &set)
    };
    let ours = free_port();
    assert_eq!(set(ours).0, 200);
    assert!(get(ours, "/ca.crt").contains("BEGIN CERTIFICATE"), "it acts when it is answered");
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (status, refusal) = set(held.local_addr().unwrap());
    assert_eq!(status, 409, "{refusal}");
    assert!(
        refusal.to_string().contains(&format!("(pid {}) listens there", std::process::id())),
        "{refusal}"
    );
    assert!(get(ours, "/ca.crt").contains("BEGIN CERTIFICATE"));
    assert_eq!(running.pki.settings().unwrap().public_address(), Some(ours));
    // Set behind the service's back it can't be refused: then it is tried again, and nothing is shut.
    let busy = held.local_addr().unwrap().to_string();
    crate::settings::set(
        running.pki.store(),
        crate::settings::Setting::CorePublicAddress,
        Some(&busy),
        "test",
        0,
    )
    .unwrap();
    eventually(|| matches!(running.pki.public_state(), ListenerState::Failed { .. }));
    assert!(get(ours, "/ca.crt").contains("BEGIN CERTIFICATE"));
    running.stop();
}

#[test]
fn a_busy_port_is_an_error_that_names_its_holder() {
    let dir = tempfile::tempdir().unwrap();
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let pki = crate::testing::made(&dir.path().join("pki"));
    let address = held.local_addr().unwrap().to_string();
    crate::settings::set(pki.store(), crate::settings::Setting::CorePublicAddress, Some(&address), "test", 0)
        .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let failed = runtime
        .block_on(serve(pki, ServeOptions::default(), std::future::pending(), |_| ()))
        .unwrap_err()
        .to_string();
    assert!(failed.contains(&format!("(pid {}) listens there", std::process::id())), "{failed}");
}

#[test]
fn a_peer_that_stalls_is_let_go() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits {
        head_time: Duration::from_millis(100),
        body_time: Duration::from_millis(100),
        ..Limits::default()
    };
    let running = start(dir.path(), limits);
    for begun in [
        "",
        "POST /1.0/pki/config-list HTTP/1.1\r\n",
        "POST /1.0/pki/config-list HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n{",
    ] {
        let mut socket = UnixStream::connect(&running.serving.sockets[0]).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        socket.write_all(begun.as_bytes()).unwrap();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).unwrap();
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{begun:?}");
    }
    running.stop();
}

#[test]
fn a_backup_streams_through_the_socket() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), Limits::default());
    let refused = running.post(crate::http::BACKUP_PATH, r#"{"passphrase":"","keys":"included"}"#);
    assert_eq!((refused.0, &refused.1["kind"]), (400, &json!("invalid")));
    let body = r#"{"passphrase":"right","keys":"included"}"#;
    let mut socket = UnixStream::connect(&running.serving.sockets[0]).unwrap();
    let length = body.len();
    write!(
        socket,
        "POST {} HTTP/1.0\r\nhost: pki\r\ncontent-length: {length}\r\n\r\n{body}",
        crate::http::BACKUP_PATH
    )
    .unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).unwrap();
    let at = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    let head = String::from_utf8_lossy(&answer[..at]).to_lowercase();
    assert!(head.contains(" 200 ") && head.contains("application/octet-stream"), "{head}");
    let phrase = crate::ops::backup::Phrase::new("right".to_owned());
    let place = dir.path().join("restored");
    let peer = trust::Peer::InProcess;
    crate::ops::backup::restore(&answer[at..], &phrase, &place, &peer, crate::clock::now()).unwrap();
    assert!(place.join("keys/root.key").exists());
    running.stop();
}

/// What strangers may ask for over HTTPS. A token, a passphrase or the certificate itself is looked at there.
const OPEN_OVER_HTTPS: [&str; 6] =
    ["/", "/1.0", "/1.0/certificates", "/1.0/pki/authenticate", "/1.0/pki/enroll", "/1.0/pki/renew-self"];

#[test]
fn every_route_needs_a_permit_or_is_public_on_purpose() {
    let routes = crate::http::routes();
    for route in &routes {
        match route.listener {
            "socket" => {
                // The passphrase is for those who are not let in yet.
                let is_for_strangers = route.path == "/1.0/pki/authenticate";
                assert!((route.access == Access::Anyone) == is_for_strangers, "{route:?}");
                match route.methods {
                    "POST" => assert!(route.path.starts_with("/1.0/pki/"), "{route:?}"),
                    "GET" => assert!(!route.path.starts_with("/1.0/pki/"), "{route:?}"),
                    other => panic!("{other}: {route:?}"),
                }
            }
            // What is open there is named once more where it is let through.
            "https" => assert!(
                route.access != Access::Anyone || OPEN_OVER_HTTPS.contains(&route.path.as_str()),
                "{route:?}"
            ),
            "public" => assert!(route.access == Access::Anyone && route.methods == "GET, HEAD", "{route:?}"),
            other => panic!("{other}"),
        }
    }
    let mut paths: Vec<_> = routes.iter().map(|route| (route.listener, &route.path, route.methods)).collect();
    paths.sort_unstable();
    paths.dedup();
    assert_eq!(paths.len(), routes.len());
}
