//! "Set a domain, an e-mail and agree_tos, and never think of the certificate again."
//!
//! The service's own certificate from an ACME authority, Pebble, beside its own one from the private CA.

use std::time::{Duration, Instant};

use tests::{Pebble, PebbleOptions, Sandbox, Service, free_port, openssl, witness};

/// A service with HTTPS at `https`, told of an authority, and of no domain yet.
fn site(pebble: &Pebble, https: &str) -> (Sandbox, Service) {
    let sandbox = Sandbox::with_pki();
    let root = pebble.root().display().to_string();
    for (key, value) in [
        ("core.https_address", https),
        ("acme.ca_url", &pebble.directory()),
        ("acme.ca_root", &root),
        ("acme.email", "admin@example.org"),
    ] {
        sandbox.pki(["config", "set", key, value]).success();
    }
    let service = Service::start(&sandbox);
    (sandbox, service)
}

fn set(sandbox: &Sandbox, key: &str, value: &str) {
    sandbox.pki(["config", "set", key, value]).success();
}

/// What is shown to a client that asks for `name`: subject alternative names and serial number.
#[track_caller]
fn shown(sandbox: &Sandbox, https: &str, name: &str) -> String {
    let line = format!(
        "openssl s_client -connect {https} -servername {name} </dev/null 2>/dev/null \
         | openssl x509 -noout -serial -ext subjectAltName"
    );
    witness(sandbox, "sh", ["-c", &line]).success().stdout
}

/// Waits until a client that asks for `name` is shown something else than `before`.
#[track_caller]
fn changes(sandbox: &Sandbox, service: &Service, https: &str, name: &str, before: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let now = shown(sandbox, https, name);
        if now != before {
            return now;
        }
        assert!(Instant::now() < deadline, "{before}\n{}", service.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn the_domain_is_obtained_at_once_and_shown_to_whoever_asks_for_it() {
    let pebble = Pebble::start_with(PebbleOptions { lifetime: 8, ..PebbleOptions::default() });
    let https = format!("127.0.0.1:{}", free_port());
    let (sandbox, service) = site(&pebble, &https);
    set(&sandbox, "acme.http.port", &pebble.http_address());
    let own = shown(&sandbox, &https, "localhost");
    assert_eq!(shown(&sandbox, &https, "www.example"), own);

    // Without agreement a clear refusal, and nothing at the authority.
    set(&sandbox, "acme.domain", "www.example,example.net");
    let deadline = Instant::now() + Duration::from_secs(20);
    while !sandbox.pki(["acme", "list"]).says("must be agreed to") {
        assert!(Instant::now() < deadline, "{}", service.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!((pebble.accounts(), pebble.orders()), (0, 0));

    set(&sandbox, "acme.agree_tos", "true");
    let obtained = changes(&sandbox, &service, &https, "www.example", &own);
    assert!(obtained.contains("DNS:www.example") && obtained.contains("DNS:example.net"), "{obtained}");
    assert_eq!(shown(&sandbox, &https, "EXAMPLE.net"), obtained);
    // Pinned clients never see another than before.
    for other in ["localhost", "other.example", "x.www.example"] {
        assert_eq!(shown(&sandbox, &https, other), own, "{other}");
    }
    let listed = sandbox.pki(["acme", "list", "--json"]).success().json();
    assert_eq!(listed[0]["own"], true);
    assert_eq!(listed[0]["last_error"], serde_json::Value::Null);
    assert_eq!(listed.as_array().map(Vec::len), Some(1));

    // It is renewed when it is due, with the same account.
    std::thread::sleep(Duration::from_secs(6));
    set(&sandbox, "acme.email", "root@example.org");
    changes(&sandbox, &service, &https, "www.example", &obtained);
    assert_eq!(shown(&sandbox, &https, "localhost"), own);
    assert_eq!(pebble.accounts(), 1);

    // A restart shows it before anybody can ask.
    service.stop();
    let service = Service::start(&sandbox);
    assert!(shown(&sandbox, &https, "www.example").contains("DNS:www.example"));
    sandbox.pki(["config", "unset", "acme.domain"]).success();
    let held = shown(&sandbox, &https, "www.example");
    if held != own {
        assert_eq!(changes(&sandbox, &service, &https, "www.example", &held), own);
    }
    service.stop();
}

#[test]
fn names_are_proved_by_the_https_listener_itself() {
    let pebble = Pebble::start();
    let https = pebble.tls_address();
    let (sandbox, service) = site(&pebble, &https);
    set(&sandbox, "acme.challenge", "TLS-ALPN-01");
    set(&sandbox, "acme.agree_tos", "true");
    let own = shown(&sandbox, &https, "localhost");
    set(&sandbox, "acme.domain", "www.example");
    let obtained = changes(&sandbox, &service, &https, "www.example", &own);
    assert!(obtained.contains("DNS:www.example"), "{obtained}");
    // The service looks at itself as a client would, and has the authority write to where it is told.
    set(&sandbox, "acme.email", "root@example.org");
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let listed = sandbox.pki(["acme", "list", "--json"]).success().json();
        let shown = sandbox.pki(["acme", "account", "show", "--json"]).success().json();
        if listed[0]["deployment"] == "served" && shown[0]["contact"] == "root@example.org" {
            break;
        }
        assert!(Instant::now() < deadline, "{listed} {shown}\n{}", service.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    // An address is asked for by its name in the reverse zone (RFC 8738 §6).
    let root = pebble.root().display().to_string();
    let issue = ["acme", "issue", "b.example", "127.0.0.1", "--challenge", "tls-alpn-01", "--ca-url"];
    let at = [&*pebble.directory(), "--ca-root", &root];
    sandbox.pki(issue.iter().chain(&at)).success();
    assert_eq!((pebble.accounts(), pebble.orders()), (1, 2));
    // Whoever looks for proof where there is none, is shown nothing; others are served as ever.
    let probe = ["s_client", "-connect", &https, "-servername", "www.example", "-alpn", "acme-tls/1"];
    let refused = openssl(&sandbox, probe);
    assert_ne!(refused.code, 0, "{refused}");
    assert!(!refused.stdout.contains("BEGIN CERTIFICATE"), "{refused}");
    service.stop();
    let alone = sandbox.pki(issue.iter().chain(&at));
    assert_eq!(alone.code, 6, "{alone}");
    assert!(alone.stderr.contains("HTTPS listener"), "{alone}");
}

#[test]
fn a_secret_setting_is_given_on_standard_input_and_not_shown_again() {
    let key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
    let external = vec![("kid-1".to_owned(), key.to_owned())];
    let pebble = Pebble::start_with(PebbleOptions { external, ..PebbleOptions::default() });
    let https = format!("127.0.0.1:{}", free_port());
    let (sandbox, service) = site(&pebble, &https);
    let refused = sandbox.pki(["config", "set", "acme.eab.hmac", key]);
    assert_eq!(refused.code, 2, "{refused}");
    assert!(refused.stderr.contains("acme.eab.hmac -"), "{refused}");
    let set_secret = ["config", "set", "acme.eab.hmac", "-"];
    let said = sandbox.pki_reading(set_secret, &format!("{key}\n")).success();
    assert!(!said.to_string().contains(key), "{said}");
    let listed = sandbox.pki(["config", "list"]).success();
    assert!(listed.says("(secret)") && !listed.says(key), "{listed}");
    set(&sandbox, "acme.eab.kid", "kid-1");
    set(&sandbox, "acme.http.port", &pebble.http_address());
    set(&sandbox, "acme.agree_tos", "true");
    let own = shown(&sandbox, &https, "localhost");
    set(&sandbox, "acme.domain", "www.example");
    changes(&sandbox, &service, &https, "www.example", &own);
    assert_eq!(pebble.accounts(), 1);
    service.stop();
    for (path, bytes) in sandbox.everything() {
        let clear = bytes.windows(key.len()).any(|window| window == key.as_bytes());
        assert!(!clear, "{}", path.display());
    }
}
