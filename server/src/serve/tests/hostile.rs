//! Peers that are slow, crowd, or ask for what is not there, on the HTTPS listener. `docs/trust-tests.md`
//! has the table.

use std::sync::Arc;

use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
use rustls::ClientConfig;

use super::https::*;
use super::*;
use crate::tls::testing::nobody;

#[test]
fn h1_whoever_is_slow_is_let_go_and_holds_up_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let short = Duration::from_millis(300);
    let limits = Limits { handshake_time: short, head_time: short, body_time: short, ..Limits::default() };
    let https = https_with(dir.path(), limits);
    let (alice, issued) = client(&https.running.pki, "alice");
    trust(&https.running.pki, &issued);
    // The beginning of a ClientHello, and no more of it; or nothing at all.
    let mut silent = Vec::new();
    for begun in [&b""[..], &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01]] {
        let mut stream = TcpStream::connect(https.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(begun).unwrap();
        silent.push(stream);
    }
    let mut slow = Vec::new();
    for begun in [
        "GET /1.0 HTTP/1.1\r\nx-slow: ",
        "POST /1.0/certificates HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{\"password\":",
    ] {
        for config in [&nobody(), &alice] {
            let mut connection = https.connect(config);
            connection.write_all(begun.as_bytes()).unwrap();
            slow.push(connection);
        }
    }
    assert_eq!(https.ask(&alice, "GET", "/1.0/certificates", "").0, 200, "others are answered meanwhile");
    for stream in silent {
        assert!(until_let_go(stream).len() < 100, "no more than an alert");
    }
    for connection in slow {
        let answer = until_let_go(connection);
        let told = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || told.starts_with("HTTP/1.1 4"), "{told}");
    }
    https.running.stop();
}

#[test]
fn whoever_is_refused_before_its_body_came_may_go_on_asking() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits {
        head_time: Duration::from_secs(300),
        rest: 1000,
        rest_time: Duration::from_secs(300),
        ..Limits::default()
    };
    let https = https_with(dir.path(), limits);
    let (alice, issued) = client(&https.running.pki, "alice");
    trust(&https.running.pki, &issued);
    for (config, request, status) in [
        (&alice, "PUT /1.0/pki/revoke", 405),
        (&alice, "POST /1.0/pki/nothing", 404),
        (&alice, "POST /ca.crl", 405),
        (&nobody(), "POST /1.0/pki/list", 403),
        (&nobody(), "POST /nowhere", 403),
    ] {
        let mut connection = https.connect(config);
        write!(connection, "{request} HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\n").unwrap();
        // Long enough for an answer that does not wait for the body, and for the end of the connection behind it.
        std::thread::sleep(Duration::from_millis(50));
        // Its body, and the next request behind it.
        connection.write_all(&[b'x'; 1000]).unwrap();
        let met = ask(&mut connection, "GET", "/1.0", "");
        assert_eq!(met.unwrap().0, status, "{request}");
        let met = ask(&mut connection, "GET", "/1.0", "");
        assert_eq!(met.unwrap().0, 200, "after {request}");
    }
    // Of one that is too long, or held back until it is wanted, nothing is waited for, and the client is told.
    for field in ["content-length: 100000", "content-length: 10\r\nexpect: 100-continue"] {
        let mut connection = https.connect(&alice);
        write!(connection, "PUT /1.0/pki/revoke HTTP/1.1\r\nhost: a\r\n{field}\r\n\r\n").unwrap();
        if !field.contains("expect") {
            connection.write_all(&[b'x'; 1001]).unwrap();
        }
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8(answer).unwrap().to_lowercase();
        assert!(
            answer.starts_with("http/1.1 405 ") && answer.contains("\r\nconnection: close\r\n"),
            "{answer}"
        );
    }
    https.running.stop();
}

/// What comes until the other end closes the connection, which it must.
fn until_let_go(mut connection: impl Read) -> Vec<u8> {
    use std::io::ErrorKind::{TimedOut, WouldBlock};
    let mut answer = Vec::new();
    match connection.read_to_end(&mut answer) {
        Err(error) if matches!(error.kind(), TimedOut | WouldBlock) => panic!("it is kept: {error}"),
        Ok(_) | Err(_) => answer,
    }
}

#[test]
fn h1_an_address_has_its_share_of_connections_and_leaves_the_others_theirs() {
    let dir = tempfile::tempdir().unwrap();
    let limits =
        Limits { https_connections_of_one: 3, head_time: Duration::from_secs(300), ..Limits::default() };
    let https = https_with(dir.path(), limits);
    let mut held: Vec<_> = (0..3).map(|_| https.connect(&nobody())).collect();
    for connection in &mut held {
        assert_eq!(ask(connection, "GET", "/1.0", "").unwrap().0, 200);
    }
    assert!(ask(&mut https.connect(&nobody()), "GET", "/1.0", "").is_err(), "one too many");
    let elsewhere = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&elsewhere, &SocketAddr::from(([127, 0, 0, 2], 0))).unwrap();
    connect(&elsewhere, &https.address).unwrap();
    let mut other = https.over(TcpStream::from(elsewhere), &nobody());
    assert_eq!(ask(&mut other, "GET", "/1.0", "").unwrap().0, 200, "another address");
    drop(held.pop());
    eventually(|| {
        ask(&mut https.connect(&nobody()), "GET", "/1.0", "").is_ok_and(|(status, _)| status == 200)
    });
    https.running.stop();
}

#[test]
fn h2_what_would_burst_is_refused_and_nothing_is_unpacked() {
    let dir = tempfile::tempdir().unwrap();
    let https = https(dir.path());
    let (alice, issued) = client(&https.running.pki, "alice");
    trust(&https.running.pki, &issued);
    let before = https.running.pki.store().head();
    // Brackets without end, within what somebody who is let in may send.
    for deep in ["[".repeat(100_000), "{\"a\":".repeat(100_000)] {
        let (status, answer) = https.ask(&alice, "POST", "/1.0/pki/list", &deep);
        assert_eq!(status, 400, "{answer}");
        assert_eq!(
            https.ask(&alice, "POST", "/1.0/certificates", &deep).0,
            413,
            "what anybody may send is less"
        );
    }
    let sent = |config: &Arc<ClientConfig>, request: &[u8]| {
        let mut connection = https.connect(config);
        // It may be refused before all of it is sent.
        let _ = connection.write_all(request);
        String::from_utf8_lossy(&until_let_go(connection)).into_owned()
    };
    let post = "POST /1.0/certificates HTTP/1.1\r\nhost: a\r\nconnection: close\r\n";
    // What calls itself packed is read as it stands, which is no JSON.
    let packed = [0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0xff, 0xed, 0xc1, 0x81, 0x00];
    let head = format!("{post}content-encoding: gzip\r\ncontent-length: {}\r\n\r\n", packed.len());
    let answer = sent(&alice, &[head.as_bytes(), &packed].concat());
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("can't be read"), "{answer}");
    // Chunks whose length is none, or more than there may be, or that do not end.
    let chunked = format!("{post}transfer-encoding: chunked\r\n\r\n");
    for length in ["FFFFFFFFFFFFFFFFF", "-1", "0x5", "5 5"] {
        let answer = sent(&nobody(), format!("{chunked}{length}\r\n").as_bytes());
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{length}: {answer}");
    }
    let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
    let answer =
        sent(&nobody(), (chunked + &chunk.repeat(1 + crate::limits::ONE_REQUEST / 0x1000)).as_bytes());
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    // Heads that are too long, or of too many lines.
    for head in [format!("x: {}\r\n", "x".repeat(100_000)), "x: y\r\n".repeat(1000)] {
        let answer = sent(&nobody(), format!("GET /1.0 HTTP/1.1\r\nhost: a\r\n{head}\r\n").as_bytes());
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
    // HTTP/2 and its floods are not spoken: neither offered nor taken for granted.
    let answer = sent(&nobody(), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    assert!(!answer.starts_with('\0') && !answer.contains(" 200 "), "{answer:?}");
    let mut config = ClientConfig::clone(&nobody());
    config.alpn_protocols = vec![b"h2".to_vec()];
    assert!(https.connect(&Arc::new(config)).write_all(b"PRI").is_err());
    assert_eq!(https.running.pki.store().head(), before);
    assert_eq!(https.ask(&alice, "GET", "/1.0/certificates", "").0, 200, "nobody else is kept waiting");
    https.running.stop();
}

#[test]
fn h7_no_path_leads_to_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let https = https(dir.path());
    let (alice, issued) = client(&https.running.pki, "alice");
    trust(&https.running.pki, &issued);
    for path in [
        "/keys/root.key",
        "/../keys/root.key",
        "/..%2fkeys%2froot.key",
        "/%2e%2e/keys/root.key",
        "/%252e%252e%252fkeys%252froot.key",
        "/ca.crt%00",
        "/ca.crt/../keys/root.key",
        "//etc/passwd",
        "/etc/passwd",
        "/crl/../keys/root.key",
        "/crl/..%2f..%2fkeys%2froot.key",
        "/crl/%00/0.crl",
        "/ca/..%2fkeys%2froot.key",
        "/.well-known/acme-challenge/..%2f..%2fkeys%2froot.key",
        "/1.0/certificates/..%2f..%2fkeys",
        "/1.0/certificates/%00",
        "/1.0/operations/..%2f..",
        "/1.0/operations/%ff",
        "/1.0/pki/../../keys/root.key",
        "/1.0/pki/%2e%2e",
    ] {
        for (who, config) in [("alice", &alice), ("nobody", &nobody())] {
            let (status, answer) = https.ask(config, "GET", path, "");
            assert!([400, 403, 404, 405].contains(&status), "{path} for {who}: {status}");
            assert!(
                !answer.to_string().contains("PRIVATE KEY") && !answer.to_string().contains("root:"),
                "{path}"
            );
        }
    }
    https.running.stop();
}

#[test]
fn h9_a_method_that_is_not_meant_changes_nothing_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let https = https(dir.path());
    let (alice, issued) = client(&https.running.pki, "alice");
    trust(&https.running.pki, &issued);
    let before = https.running.pki.store().head();
    for (method, path, status) in [
        ("GET", "/1.0/pki/list", 405),
        ("PUT", "/1.0/pki/revoke", 405),
        ("DELETE", "/1.0/certificates", 405),
        ("OPTIONS", "/1.0/certificates", 405),
        ("TRACE", "/1.0", 405),
        ("CONNECT", "/1.0", 405),
        ("BREW", "/1.0/certificates", 405),
        ("POST", "/1.0/operations", 405),
        ("POST", "/ca.crl", 405),
        ("DELETE", "/ca.crl", 405),
        ("POST", "/1.0/pki/nothing", 404),
    ] {
        let met = https.ask(&alice, method, path, "");
        assert_eq!(met.0, status, "{method} {path}: {}", met.1);
    }
    // What a body is called does not make it something else.
    for body in ["", "a=b", "{", "[]", "null", "{\"password\":7}"] {
        let (status, answer) = https.ask(&alice, "POST", "/1.0/certificates", body);
        assert_eq!(status, 400, "{body}: {answer}");
    }
    assert_eq!(https.running.pki.store().head(), before);
    // HEAD is GET without the body.
    let head = https.raw(&alice, "HEAD /ca.crl HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    let get = https.raw(&alice, "GET /ca.crl HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    let (head_of_get, _) = get.split_once("\r\n\r\n").unwrap();
    let fields = |text: &str| -> Vec<String> {
        let lines = text.trim_end().lines().map(str::to_ascii_lowercase);
        lines.filter(|line| !line.starts_with("date:")).collect()
    };
    assert_eq!(fields(&head), fields(head_of_get));
    // What is the same still is not sent again, and none is kept for longer than the list holds.
    let tag = head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap();
    let again =
        format!("GET /ca.crl HTTP/1.1\r\nhost: a\r\nconnection: close\r\nif-none-match: {tag}\r\n\r\n");
    assert!(https.raw(&alice, &again).starts_with("HTTP/1.1 304"));
    assert!(head.contains("cache-control: ") && head.contains("max-age="), "{head}");
    https.running.stop();
}

#[test]
fn h10_strangers_learn_no_name_and_no_number() {
    let dir = tempfile::tempdir().unwrap();
    let https = https(dir.path());
    let (alice, issued) = client(&https.running.pki, "alice-of-accounting");
    trust(&https.running.pki, &issued);
    assert!(
        https.ask(&alice, "GET", "/1.0/certificates?recursion=1", "").1.to_string().contains("accounting")
    );
    for path in [
        "/",
        "/1.0",
        "/1.0/metrics",
        "/metrics",
        "/health",
        "/healthz",
        "/1.0/health",
        "/status",
        "/1.0/certificates",
        "/1.0/certificates?recursion=1",
        "/1.0/operations",
        "/1.0/issued",
        "/1.0/audit",
        "/1.0/projects",
        "/1.0/settings",
        "/debug/pprof",
        "/.well-known/",
    ] {
        let (status, answer) = https.ask(&nobody(), "GET", path, "");
        let open = ["/", "/1.0"].contains(&path);
        assert_eq!(status == 200, open, "{path}: {status}");
        let told = answer.to_string();
        assert!(!told.contains("accounting") && !told.contains("alice"), "{path}: {told}");
        assert!(!told.contains(env!("CARGO_PKG_VERSION")), "{path}: {told}");
    }
    https.running.stop();
}
