//! The HTTPS listener with real handshakes: strangers, tokens, and those who lose what let them in.

use std::sync::Arc;

use ca::key::{KeyType, PrivateKey, make_csr};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, HandshakeKind, StreamOwned};
use trust::{Holder, Presented};

use super::*;
use crate::ops::issue::{Issue, Issued, ProfileName};
use crate::ops::revoke::Revoke;
use crate::ops::trust::add::TrustAdd;
use crate::ops::trust::remove::TrustRemove;
use crate::ops::trust::token::{TokenCreate, TokenRevoke};
use crate::ops::trust::view::RightsWanted;
use crate::ops::view::Selector;
use crate::tls::testing::{client_with, nobody};

mod api;
mod clients;
mod guesses;
mod passphrase;
mod routes;

const NOT_ANY_MORE: &str = "not authorized: this client certificate is not trusted any more";

pub(super) struct Https {
    pub(super) running: Running,
    pub(super) address: SocketAddr,
}

/// A service that listens on HTTPS.
pub(super) fn https(dir: &Path) -> Https {
    // A connection that waits for a request is not closed for that while a test looks.
    https_with(dir, Limits { head_time: Duration::from_secs(300), ..Limits::default() })
}

/// The same, with these limits.
pub(super) fn https_with(dir: &Path, limits: Limits) -> Https {
    // The listener goes by the clock: so does the certificate that it makes.
    let (keys, init) = (crate::testing::keys(), crate::testing::plain_init());
    let pki = Pki::init(&dir.join("pki"), keys, &init, &crate::peer::own(), crate::clock::now()).unwrap();
    let running = start_with(pki, limits);
    let address = free_port();
    let set = json!({"key": "core.https_address", "value": address.to_string()}).to_string();
    assert_eq!(running.post("/1.0/pki/config-set", &set).0, 200);
    eventually(|| running.pki.https_state() == ListenerState::Listening(address));
    Https { running, address }
}

/// A client with a certificate of ours, and the certificate.
pub(super) fn client(pki: &Pki, name: &str) -> (Arc<ClientConfig>, Issued) {
    let key = PrivateKey::generate(KeyType::P256).unwrap();
    let csr = make_csr(&key, &name.parse().unwrap(), &[]).unwrap();
    let issue = Issue { csr, ..crate::testing::request(ProfileName::Client, name) };
    let issued = pki.run(issue, &Presented::InProcess, crate::clock::now()).unwrap();
    (client_with(&issued.pem, &key.to_pem().unwrap()), issued)
}

pub(super) fn trust(pki: &Pki, issued: &Issued) {
    let add = TrustAdd { certificate: issued.pem.clone(), name: None, rights: RightsWanted::full() };
    pki.run(add, &Presented::InProcess, crate::clock::now()).unwrap();
}

pub(super) type Connection = StreamOwned<ClientConnection, TcpStream>;

impl Https {
    pub(super) fn connect(&self, client: &Arc<ClientConfig>) -> Connection {
        self.over(TcpStream::connect(self.address).unwrap(), client)
    }

    /// A connection of TLS over one of TCP.
    pub(super) fn over(&self, stream: TcpStream, client: &Arc<ClientConfig>) -> Connection {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        StreamOwned::new(ClientConnection::new(client.clone(), name).unwrap(), stream)
    }

    /// What is answered until the connection is closed.
    pub(super) fn raw(&self, client: &Arc<ClientConfig>, request: &str) -> String {
        let mut connection = self.connect(client);
        connection.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).unwrap();
        String::from_utf8(answer).unwrap()
    }

    /// One request on a connection of its own.
    pub(super) fn ask(
        &self,
        client: &Arc<ClientConfig>,
        method: &str,
        path: &str,
        body: &str,
    ) -> (u16, Value) {
        ask(&mut self.connect(client), method, path, body).unwrap()
    }

    /// What is answered as text.
    fn text(&self, client: &Arc<ClientConfig>, path: &str) -> (u16, String) {
        let mut connection = self.connect(client);
        write!(connection, "GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        // The other end may hang up without a word of farewell.
        let _ = connection.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), body.to_owned())
    }

    fn auth(&self, client: &Arc<ClientConfig>) -> Value {
        self.ask(client, "GET", "/1.0", "").1["metadata"]["auth"].clone()
    }
}

/// One request on an open connection.
pub(super) fn ask(
    connection: &mut Connection,
    method: &str,
    path: &str,
    body: &str,
) -> std::io::Result<(u16, Value)> {
    ask_with(connection, method, path, "", body)
}

/// The same, with these headers, each with its end of line.
pub(super) fn ask_with(
    connection: &mut Connection,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> std::io::Result<(u16, Value)> {
    let length = body.len();
    let request =
        format!("{method} {path} HTTP/1.1\r\nhost: a\r\n{headers}content-length: {length}\r\n\r\n{body}");
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
pub(super) fn is_closed(mut connection: Connection) -> bool {
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
    let (status, refused) = https.ask(&nobody(), "POST", "/1.0/certificates", r#"{"password":"x"}"#);
    assert_eq!((status, &refused["error"]), (400, &json!("No client certificate provided")));
    https.running.stop();
}

#[test]
fn a_token_lets_one_client_in_once() {
    let dir = tempfile::tempdir().unwrap();
    let https = https(dir.path());
    let pki = &https.running.pki;
    let token = |name: &str| {
        let create = TokenCreate { name: name.to_owned(), rights: RightsWanted::full() };
        pki.run(create, &Presented::InProcess, crate::clock::now()).unwrap()
    };
    let (alice, _) = client(pki, "alice");
    let (bob, _) = client(pki, "bob");
    let post = |client, field: &str, secret: &str| {
        https.ask(client, "POST", "/1.0/certificates", &json!({ field: secret }).to_string())
    };
    let made = token("alice's laptop");
    assert_eq!(post(&alice, "password", &made.secret).0, 201);
    assert_eq!(https.auth(&alice), json!("trusted"));
    let (status, refused) = post(&bob, "trust_token", &made.secret);
    assert_eq!((status, &refused["error"]), (403, &json!("No matching certificate add operation found")));
    assert_eq!(https.auth(&bob), json!("untrusted"));
    let (status, list) = https.ask(&alice, "GET", "/1.0/certificates?recursion=1", "");
    assert_eq!((status, list["metadata"].as_array().unwrap().len()), (200, 1));
    assert_eq!(list["metadata"][0]["name"], json!("alice's laptop"));

    // What is no token is no password either; one that was taken back is one that never was.
    let (status, refused) = post(&bob, "password", "swordfish");
    assert_eq!((status, &refused["error"]), (403, &json!("not authorized")));
    let made = token("bob");
    let revoke = TokenRevoke { word: made.token.id.clone() };
    pki.run(revoke, &Presented::InProcess, crate::clock::now()).unwrap();
    let (status, refused) = post(&bob, "trust_token", &made.secret);
    assert_eq!((status, &refused["error"]), (403, &json!("No matching certificate add operation found")));
    // Whoever is trusted already uses the token up, and that is all.
    let made = token("again");
    assert_eq!(post(&alice, "trust_token", &made.secret).0, 409);
    assert_eq!(post(&bob, "trust_token", &made.secret).0, 403);
    https.running.stop();
}

#[test]
fn a_bad_certificate_costs_no_token() {
    let dir = tempfile::tempdir().unwrap();
    let https = https(dir.path());
    let pki = &https.running.pki;
    let (mallory, issued) = client(pki, "mallory");
    let selectors = vec![Selector::Pem(issued.pem)];
    let revoke = Revoke { selectors, reason: None, all: false, dry_run: false };
    pki.run(revoke, &Presented::InProcess, crate::clock::now()).unwrap();
    let create = TokenCreate { name: "alice".to_owned(), rights: RightsWanted::full() };
    let made = pki.run(create, &Presented::InProcess, crate::clock::now()).unwrap();
    let body = json!({ "trust_token": made.secret }).to_string();
    let (status, refused) = https.ask(&mallory, "POST", "/1.0/certificates", &body);
    assert_eq!((status, &refused["error"]), (403, &json!("not authorized")));
    let (alice, _) = client(pki, "alice");
    assert_eq!(https.ask(&alice, "POST", "/1.0/certificates", &body).0, 201);
    https.running.stop();
}

#[test]
fn of_many_redemptions_at_once_one_counts() {
    let dir = tempfile::tempdir().unwrap();
    let https = https(dir.path());
    let pki = &https.running.pki;
    let clients: Vec<_> = (0..16).map(|n| client(pki, &format!("c{n}")).0).collect();
    for round in 0..8 {
        let create = TokenCreate { name: format!("round {round}"), rights: RightsWanted::full() };
        let made = pki.run(create, &Presented::InProcess, crate::clock::now()).unwrap();
        let body = json!({ "trust_token": made.secret }).to_string();
        let statuses: Vec<u16> = std::thread::scope(|scope| {
            let asked: Vec<_> = clients
                .iter()
                .map(|client| scope.spawn(|| https.ask(client, "POST", "/1.0/certificates", &body).0))
                .collect();
            asked.into_iter().map(|asked| asked.join().unwrap()).collect()
        });
        let taken = statuses.iter().filter(|status| [201, 409].contains(status)).count();
        assert_eq!(taken, 1, "round {round}: {statuses:?}");
        assert_eq!(statuses.iter().filter(|status| **status == 403).count(), 15, "{statuses:?}");
    }
    https.running.stop();
}

#[test]
fn whoever_is_removed_is_out_on_open_connections_and_on_resumed_sessions() {
    let dir = tempfile::tempdir().unwrap();
    let https = https(dir.path());
    let pki = &https.running.pki;
    let (alice, issued) = client(pki, "alice");
    trust(pki, &issued);
    let mut first = https.connect(&alice);
    assert_eq!(ask(&mut first, "GET", "/1.0/certificates", "").unwrap().0, 200);
    let mut second = https.connect(&alice);
    assert_eq!(ask(&mut second, "GET", "/1.0/certificates", "").unwrap().0, 200);
    assert_eq!(second.conn.handshake_kind(), Some(HandshakeKind::Resumed));
    // Another one who stays.
    let (bob, issued_to_bob) = client(pki, "bob");
    trust(pki, &issued_to_bob);
    let mut other = https.connect(&bob);
    assert_eq!(ask(&mut other, "GET", "/1.0/certificates", "").unwrap().0, 200);

    let which = Selector::Pem(issued.pem.clone());
    pki.run(TrustRemove { which, revoke: false, reason: None }, &Presented::InProcess, crate::clock::now())
        .unwrap();
    assert!(is_closed(first) && is_closed(second));
    let mut resumed = https.connect(&alice);
    let (status, refused) = ask(&mut resumed, "GET", "/1.0/certificates", "").unwrap();
    assert_eq!(resumed.conn.handshake_kind(), Some(HandshakeKind::Resumed));
    assert_eq!((status, &refused["error"]), (403, &json!(NOT_ANY_MORE)));
    assert_eq!(https.auth(&alice), json!("untrusted"));
    assert_eq!(ask(&mut other, "GET", "/1.0/certificates", "").unwrap().0, 200);
    // No token lifts a removal.
    let create = TokenCreate { name: "alice".to_owned(), rights: RightsWanted::full() };
    let made = pki.run(create, &Presented::InProcess, crate::clock::now()).unwrap();
    let body = json!({ "trust_token": made.secret }).to_string();
    let (status, refused) = https.ask(&alice, "POST", "/1.0/certificates", &body);
    assert_eq!((status, &refused["error"]), (403, &json!(NOT_ANY_MORE)));
    trust(pki, &issued);
    assert_eq!(https.auth(&alice), json!("trusted"));
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
    assert_eq!(ask(&mut open, "GET", "/1.0/certificates", "").unwrap().0, 200);
    set("false");
    assert!(is_closed(open));
    set("true");
    let mut open = https.connect(&alice);
    assert_eq!(ask(&mut open, "GET", "/1.0/certificates", "").unwrap().0, 200);
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

#[test]
fn whoever_removes_itself_is_answered_first() {
    let dir = tempfile::tempdir().unwrap();
    let https = https(dir.path());
    let pki = &https.running.pki;
    let (alice, issued) = client(pki, "alice");
    trust(pki, &issued);
    let mut open = https.connect(&alice);
    let fingerprint =
        Holder::new(ca::cert::Certificate::from_pem(issued.pem.as_bytes()).unwrap(), Vec::new());
    let path = format!("/1.0/certificates/{}", &fingerprint.fingerprint().to_string()[..12]);
    let (status, answer) = ask(&mut open, "DELETE", &path, "").unwrap();
    assert_eq!((status, &answer["type"]), (200, &json!("sync")));
    assert!(is_closed(open));
    assert_eq!(https.auth(&alice), json!("untrusted"));
    https.running.stop();
}

#[test]
fn lxds_fields_are_there() {
    let dir = tempfile::tempdir().unwrap();
    let https = https(dir.path());
    let pki = &https.running.pki;
    let (alice, issued) = client(pki, "alice");
    trust(pki, &issued);
    let (_, about) = https.ask(&alice, "GET", "/1.0", "");
    let about = &about["metadata"];
    assert_eq!((&about["auth"], &about["auth_methods"]), (&json!("trusted"), &json!(["tls"])));
    assert!(about["config"]["core.https_address"].is_string());
    let own = crate::own::in_place(pki, crate::own::Own::Service).unwrap().unwrap();
    let environment = &about["environment"];
    assert_eq!(environment["certificate_fingerprint"], json!(own.fingerprint().to_string()));
    assert_eq!(environment["certificate"], json!(own.to_pem()));
    assert_eq!(environment["addresses"], json!([https.address.to_string()]));

    let body =
        json!({"token": true, "name": "bob", "type": "client", "restricted": true, "projects": ["default"]});
    let (status, started) = https.ask(&alice, "POST", "/1.0/certificates", &body.to_string());
    assert_eq!((status, &started["type"]), (202, &json!("async")));
    let operation = &started["metadata"];
    assert_eq!((&operation["class"], &operation["status_code"]), (&json!("token"), &json!(103)));
    let metadata = &operation["metadata"];
    assert_eq!(metadata["request"]["name"], json!("bob"));
    assert_eq!(metadata["fingerprint"], json!(own.fingerprint().to_string()));
    assert_eq!(metadata["secret"].as_str().unwrap().len(), 64);
    assert!(metadata["expiresAt"].is_string());
    let (_, list) = https.ask(&alice, "GET", "/1.0/operations?recursion=1", "");
    let listed = &list["metadata"]["running"][0];
    assert_eq!((&listed["id"], &listed["metadata"]["secret"]), (&operation["id"], &json!("redacted")));
    let location = started["operation"].as_str().unwrap();
    assert_eq!(https.ask(&alice, "DELETE", location, "").0, 200);
    assert_eq!(https.ask(&alice, "DELETE", location, "").0, 404);

    // An edit by a version that is over is refused, and what was read is what is compared.
    let (_, list) = https.ask(&alice, "GET", "/1.0/certificates", "");
    let path = list["metadata"][0].as_str().unwrap().to_owned();
    let (_, shown) = https.ask(&alice, "GET", &path, "");
    let mut put = shown["metadata"].clone();
    put["name"] = json!("alice at work");
    assert_eq!(https.ask(&alice, "PUT", &path, &put.to_string()).0, 200);
    assert_eq!(https.ask(&alice, "GET", &path, "").1["metadata"]["name"], json!("alice at work"));
    assert_eq!(https.ask(&alice, "GET", "/1.0/certificates/ffffff", "").0, 404);
    assert_eq!(https.ask(&alice, "PUT", "/1.0", "{}").0, 405);
    assert_eq!(https.ask(&alice, "GET", "/1.0/projects", "").0, 404);
    https.running.stop();
}
