//! The description of the API, the metrics, and waiting for an operation.

use super::*;

#[test]
fn no_browser_takes_an_answer_for_a_page() {
    let dir = tempfile::tempdir().unwrap();
    let https = https(dir.path());
    for path in ["/", "/1.0/certificates", "/1.0/pki/list", "/nowhere"] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        let answer = https.raw(&nobody(), &request).to_ascii_lowercase();
        for header in ["content-security-policy: default-src 'none'", "x-frame-options: deny", "nosniff"] {
            assert!(answer.contains(header), "{path}: {answer}");
        }
    }
    https.running.stop();
}

#[test]
fn what_anybody_may_send_is_small() {
    let dir = tempfile::tempdir().unwrap();
    let https = https(dir.path());
    let body = format!("{{}}{}", " ".repeat(crate::limits::ONE_REQUEST));
    for path in ["/1.0/certificates", "/1.0/pki/authenticate", "/1.0/pki/enroll", "/1.0/pki/renew-self"] {
        let (status, answer) = https.ask(&nobody(), "POST", path, &body);
        assert_eq!(status, 413, "{path}: {answer}");
        assert_ne!(https.ask(&nobody(), "POST", path, "{}").0, 413, "{path}");
    }
    https.running.stop();
}

#[test]
fn the_description_is_for_whoever_is_let_in() {
    let dir = tempfile::tempdir().unwrap();
    let https = https(dir.path());
    let (alice, issued) = client(&https.running.pki, "alice");
    for stranger in [&nobody(), &alice] {
        assert_eq!(https.ask(stranger, "GET", "/1.0/openapi.json", "").0, 403);
    }
    trust(&https.running.pki, &issued);
    let (status, described) = https.ask(&alice, "GET", "/1.0/openapi.json", "");
    assert_eq!(status, 200);
    let text: Value = serde_json::from_str(&crate::http::openapi::text()).unwrap();
    assert_eq!(described, text);
    assert_eq!(https.running.request("GET", "/1.0/openapi.json", ""), (200, text));
    https.running.stop();
}

#[test]
fn whoever_waits_for_a_token_hears_of_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let https = https(dir.path());
    let (alice, issued) = client(&https.running.pki, "alice");
    trust(&https.running.pki, &issued);
    let make = |name: &str| {
        let token = json!({"token": true, "type": "client", "name": name}).to_string();
        let (status, made) = https.ask(&alice, "POST", "/1.0/certificates", &token);
        assert_eq!(status, 202, "{made}");
        made["operation"].as_str().unwrap().to_owned()
    };
    let operation = make("bob");
    let (status, waits) = https.ask(&alice, "GET", &format!("{operation}/wait?timeout=0"), "");
    assert_eq!((status, &waits["metadata"]["status"]), (200, &json!("Running")), "{waits}");
    assert_eq!(waits["metadata"]["metadata"]["secret"], "redacted");
    assert_eq!(https.ask(&alice, "GET", &format!("{operation}/wait?timeout=soon"), "").0, 400);
    assert_eq!(https.ask(&alice, "GET", "/1.0/operations/x/wait", "").0, 404);
    assert_eq!(https.ask(&nobody(), "GET", &format!("{operation}/wait"), "").0, 403);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| https.ask(&alice, "GET", &format!("{operation}/wait"), ""));
        // What others do does not end it.
        let other = make("carol");
        assert_eq!(https.ask(&alice, "DELETE", &other, "").0, 200);
        assert!(!waiting.is_finished());
        assert_eq!(https.ask(&alice, "DELETE", &operation, "").0, 200);
        let (status, ended) = waiting.join().unwrap();
        assert_eq!((status, &ended["metadata"]["status_code"]), (200, &json!(401)), "{ended}");
        assert_eq!(ended["metadata"]["may_cancel"], false);
    });
    https.running.stop();
}

#[test]
fn whoever_waits_and_is_let_in_no_more_hears_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let https = https(dir.path());
    let (alice, issued) = client(&https.running.pki, "alice");
    trust(&https.running.pki, &issued);
    let token = json!({"token": true, "type": "client", "name": "bob"}).to_string();
    let (_, made) = https.ask(&alice, "POST", "/1.0/certificates", &token);
    let operation = made["operation"].as_str().unwrap().to_owned();
    let mut connection = https.connect(&alice);
    assert_eq!(ask(&mut connection, "GET", &operation, "").unwrap().0, 200);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| ask(&mut connection, "GET", &format!("{operation}/wait"), ""));
        let remove = TrustRemove { which: Selector::Word("alice".to_owned()), revoke: false, reason: None };
        https.running.pki.run(remove, &Presented::InProcess, crate::clock::now()).unwrap();
        // Cut off, or refused: which of them depends on what it was doing.
        let ended = waiting.join().unwrap();
        assert!(ended.as_ref().map_or(true, |(status, _)| *status == 403), "{ended:?}");
    });
    https.running.stop();
}

#[test]
fn metrics_are_for_those_who_watch_and_those_who_may_do_everything() {
    let dir = tempfile::tempdir().unwrap();
    let https = https(dir.path());
    let pki = &https.running.pki;
    let mut clients = Vec::new();
    for (name, kind, restricted) in
        [("watcher", "metrics", false), ("admin", "client", false), ("web", "client", true)]
    {
        let (client, issued) = client(pki, name);
        let projects = restricted.then(|| "default".to_owned()).into_iter().collect();
        let rights = RightsWanted { kind: kind.to_owned(), restricted, projects };
        let add = TrustAdd { certificate: issued.pem, name: None, rights };
        pki.run(add, &Presented::InProcess, crate::clock::now()).unwrap();
        clients.push(client);
    }
    let (unknown, _) = client(pki, "unknown");
    let asked = |client: &Arc<ClientConfig>| https.text(client, "/1.0/metrics");
    for (client, expected) in
        [(&clients[0], 200), (&clients[1], 200), (&clients[2], 403), (&unknown, 403), (&nobody(), 403)]
    {
        assert_eq!(asked(client).0, expected);
    }
    assert_eq!(https.ask(&clients[0], "POST", "/1.0/pki/list", "{}").0, 400, "let in, and not understood");
    let list = r#"{"expiring_within":null,"revoked":false,"name":null,"after":null,"limit":1}"#;
    assert_eq!(https.ask(&clients[0], "POST", "/1.0/pki/list", list).0, 403, "and nothing else");
    let (_, text) = asked(&clients[0]);
    for line in [
        "pki_http_requests_total{listener=\"https\",route=\"/1.0/metrics\",status=\"200\"} 2\n",
        "pki_http_requests_total{listener=\"https\",route=\"/1.0/metrics\",status=\"403\"} 3\n",
        "pki_refusals_total{reason=\"no-certificate\"} 1\n",
        "pki_refusals_total{reason=\"stranger\"} 1\n",
        "pki_refusals_total{reason=\"forbidden\"} 2\n",
        "pki_listener_state{listener=\"https\",state=\"listening\"} 1\n",
    ] {
        assert!(text.contains(line), "no {line}{text}");
    }
    assert!(text.contains("pki_tls_handshakes_total{result=\"full\"} "), "{text}");
    // A client that hangs up before its hello.
    drop(TcpStream::connect(https.address).unwrap());
    eventually(|| asked(&clients[0]).1.contains("pki_tls_handshakes_total{result=\"connection-lost\"} 1"));
    eventually(|| asked(&clients[0]).1.contains("pki_connections{listener=\"https\"} 1\n"));
    https.running.stop();
}

#[test]
fn a_certificate_is_replaced_by_its_holder_or_by_an_administrator_and_nothing_else_changes() {
    let dir = tempfile::tempdir().unwrap();
    let https = https(dir.path());
    let pki = &https.running.pki;
    let path = |issued: &Issued| {
        let certificate = ca::cert::Certificate::from_pem(issued.pem.as_bytes()).unwrap();
        format!("/1.0/certificates/{}", certificate.fingerprint())
    };
    let restricted = |issued: &Issued| {
        let rights =
            RightsWanted { restricted: true, projects: vec!["default".to_owned()], ..RightsWanted::full() };
        let add = TrustAdd { certificate: issued.pem.clone(), name: Some("alice".to_owned()), rights };
        pki.run(add, &Presented::InProcess, crate::clock::now()).unwrap();
    };
    let ((alice, first), (renewed, second), (mallory, third)) =
        (client(pki, "alice"), client(pki, "renewed"), client(pki, "mallory"));
    let ((admin, fourth), (_, fifth)) = (client(pki, "admin"), client(pki, "fifth"));
    restricted(&first);
    restricted(&third);
    trust(pki, &fourth);
    let put = |who: &Arc<ClientConfig>, of: &Issued, change: Value| {
        https.ask(who, "PUT", &path(of), &change.to_string())
    };
    let to = |issued: &Issued| json!({ "certificate": issued.pem });
    // Neither another's, nor more than the certificate, nor one that has an entry.
    assert_eq!(put(&mallory, &first, to(&second)).0, 403);
    let (status, refused) = put(&alice, &first, json!({"certificate": second.pem, "restricted": false}));
    assert_eq!((status, &refused["error"]), (403, &json!("Only the certificate can be changed")));
    assert_eq!(put(&alice, &first, to(&third)).0, 409);
    assert_eq!(put(&alice, &first, json!({"name": "other"})).0, 403);
    assert_eq!(put(&alice, &first, to(&second)).0, 200);
    let (status, shown) = https.ask(&renewed, "GET", &path(&second), "");
    let shown = &shown["metadata"];
    assert_eq!(
        (status, &shown["name"], &shown["restricted"]),
        (200, &json!("alice"), &json!(true)),
        "{shown}"
    );
    assert_eq!(https.ask(&alice, "GET", "/1.0/certificates", "").0, 403, "the one before is out");
    // Not by an authority's signature either.
    let set = json!({"key": "core.trust_ca_certificates", "value": "true"}).to_string();
    assert_eq!(https.running.post("/1.0/pki/config-set", &set).0, 200);
    assert_eq!(https.ask(&alice, "GET", "/1.0/certificates", "").0, 403);
    assert_eq!(put(&admin, &third, to(&fifth)).0, 200);
    assert_eq!(https.ask(&mallory, "GET", "/1.0/certificates", "").0, 403);
    https.running.stop();
}
