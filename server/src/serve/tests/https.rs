//! The HTTPS listener with real handshakes: strangers, tokens, and those who lose what let them in.

use std::sync::Arc;

use ca::key::{KeyType, PrivateKey, make_csr};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, HandshakeKind, StreamOwned};
use trust::Presented;

use super::*;
use crate::ops::issue::{Issue, Issued, ProfileName};
use crate::ops::revoke::Revoke;
use crate::ops::view::Selector;
use crate::tls::testing::{client_with, nobody};

struct Https {
    running: Running,
    address: SocketAddr,
}

/// A service that listens on HTTPS.
fn https(dir: &Path) -> Https {
    // The listener goes by the clock: so does the certificate that it makes.
    let (keys, init) = (crate::testing::keys(), crate::testing::plain_init());
    let pki = Pki::init(&dir.join("pki"), keys, &init, &crate::peer::own(), crate::clock::now()).unwrap();
    let running = start_with(pki, Limits::default());
    let address = free_port();
    let set = json!({"key": "core.https_address", "value": address.to_string()}).to_string();
    assert_eq!(running.post("/1.0/pki/config-set", &set).0, 200);
    eventually(|| running.pki.https_state() == ListenerState::Listening(address));
    Https { running, address }
}

/// A client with a certificate of ours, and the certificate.
fn client(pki: &Pki, name: &str) -> (Arc<ClientConfig>, Issued) {
    let key = PrivateKey::generate(KeyType::P256).unwrap();
    let csr = make_csr(&key, &name.parse().unwrap(), &[]).unwrap();
    let issue = Issue { csr, ..crate::testing::request(ProfileName::Client, name) };
    let issued = pki.run(issue, &Presented::InProcess, crate::clock::now()).unwrap();
    (client_with(&issued.pem, &key.to_pem().unwrap()), issued)
}

type Connection = StreamOwned<ClientConnection, TcpStream>;

impl Https {
    fn connect(&self, client: &Arc<ClientConfig>) -> Connection {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        StreamOwned::new(ClientConnection::new(client.clone(), name).unwrap(), stream)
    }

    /// One request on a connection of its own.
    fn ask(&self, client: &Arc<ClientConfig>, method: &str, path: &str, body: &str) -> (u16, Value) {
        ask(&mut self.connect(client), method, path, body).unwrap()
    }

    fn auth(&self, client: &Arc<ClientConfig>) -> Value {
        self.ask(client, "GET", "/1.0", "").1["metadata"]["auth"].clone()
    }
}

/// One request on an open connection.
fn ask(connection: &mut Connection, method: &str, path: &str, body: &str) -> std::io::Result<(u16, Value)> {
    let length = body.len();
    let request = format!("{method} {path} HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n{body}");
    connection.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let end = loop {
        let mut octet = [0];
        connection.read_exact(&mut octet)?;
        answer.push(octet[0]);
        if answer.ends_with(b"\r\n\r\n") {
            break answer.len();
        }
    };
    let head = String::from_utf8(answer[..end].to_vec()).unwrap().to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
    let mut body = vec![0; length.parse().unwrap()];
    connection.read_exact(&mut body)?;
    let status = head[9..12].parse().unwrap();
    Ok((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
}

/// Whether the other end closes a connection within a while, without having been asked for anything.
fn is_closed(mut connection: Connection) -> bool {
    let mut octet = [0];
    match connection.read(&mut octet) {
        Ok(read) => read == 0,
        Err(error) => !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut),
    }
}

#[test]
fn strangers_get_the_same_answer_everywhere() {
    let dir = tempfile::tempdir().unwrap();
    let https = https(dir.path());
    let (unknown, _) = client(&https.running.pki, "unknown");
    for stranger in [nobody(), unknown] {
        assert_eq!(https.ask(&stranger, "GET", "/", "").1["metadata"], json!(["/1.0"]));
        let (status, about) = https.ask(&stranger, "GET", "/1.0", "");
        assert_eq!((status, &about["metadata"]["auth"]), (200, &json!("untrusted")));
        assert_eq!(about["metadata"]["environment"], Value::Null);
        assert_eq!(about["metadata"]["config"], Value::Null);
        assert_eq!(https.ask(&stranger, "GET", "/ca.crt", "").0, 200);
        for (method, path) in [
            ("GET", "/1.0/certificates"),
            ("GET", "/1.0/certificates?recursion=1"),
            ("DELETE", "/1.0/certificates/ab"),
            ("PUT", "/1.0/certificates/ab"),
            ("PATCH", "/1.0/certificates/ab"),
            ("GET", "/1.0/operations"),
            ("GET", "/1.0/operations/x"),
            ("DELETE", "/1.0/operations/x"),
            ("PUT", "/1.0"),
            ("PATCH", "/1.0"),
            ("GET", "/1.0/nowhere"),
            ("GET", "/nowhere"),
            ("POST", "/"),
            ("OPTIONS", "/1.0"),
        ] {
            let (status, answer) = https.ask(&stranger, method, path, "");
            assert_eq!((status, &answer["error"]), (403, &json!("not authorized")), "{method} {path}");
            assert_eq!((&answer["type"], &answer["error_code"]), (&json!("error"), &json!(403)));
        }
        let (status, problem) = https.ask(&stranger, "POST", "/1.0/pki/list", "{");
        assert_eq!((status, &problem["message"]), (403, &json!("not authorized")));
    }
    https.running.stop();
}

#[test]
fn whoever_is_revoked_is_out_likewise_and_a_setting_acts_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let https = https(dir.path());
    let pki = &https.running.pki;
    let (alice, issued) = client(pki, "alice");
    assert_eq!(https.auth(&alice), json!("untrusted"));
    let set = |value: &str| {
        let set = json!({"key": "core.trust_ca_certificates", "value": value}).to_string();
        assert_eq!(https.running.post("/1.0/pki/config-set", &set).0, 200);
    };
    set("true");
    assert_eq!(https.auth(&alice), json!("trusted"), "a certificate of ours needs no entry now");
    let mut open = https.connect(&alice);
    assert_eq!(ask(&mut open, "POST", "/1.0/pki/list", r#"{"filter":"all"}"#).unwrap().0, 400);
    assert_eq!(ask(&mut open, "POST", "/1.0/pki/config-list", "{}").unwrap().0, 200);
    set("false");
    assert!(is_closed(open));
    set("true");
    let mut open = https.connect(&alice);
    assert_eq!(ask(&mut open, "POST", "/1.0/pki/config-list", "{}").unwrap().0, 200);
    let selectors = vec![Selector::Pem(issued.pem)];
    let revoke = Revoke { selectors, reason: None, all: false, dry_run: false };
    pki.run(revoke, &Presented::InProcess, crate::clock::now()).unwrap();
    assert!(is_closed(open));
    let mut resumed = https.connect(&alice);
    let (status, refused) = ask(&mut resumed, "GET", "/1.0/certificates", "").unwrap();
    assert_eq!(resumed.conn.handshake_kind(), Some(HandshakeKind::Resumed));
    assert_eq!((status, &refused["error"]), (403, &json!("not authorized")));
    https.running.stop();
}
