//! "Get me a certificate from an ACME authority, and keep it fresh."
//!
//! The authority is Pebble, which no one here wrote.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tests::{Output, Pebble, PebbleOptions, Sandbox, Service, openssl};

/// `pki acme issue NAME…` at this authority, with a listener of its own for the challenge.
fn words(pebble: &Pebble, names: &[&str], more: &[&str]) -> Vec<String> {
    let mut words: Vec<String> = ["acme", "issue"].iter().map(|word| (*word).to_owned()).collect();
    words.extend(names.iter().map(|name| (*name).to_owned()));
    words.extend(at(pebble));
    words.extend(["--http-address".to_owned(), pebble.http_address(), "--agree-tos".to_owned()]);
    words.extend(more.iter().map(|word| (*word).to_owned()));
    words
}

fn at(pebble: &Pebble) -> [String; 4] {
    let root = pebble.root().display().to_string();
    ["--ca-url".to_owned(), pebble.directory(), "--ca-root".to_owned(), root]
}

fn issue(sandbox: &Sandbox, pebble: &Pebble, names: &[&str]) -> Output {
    sandbox.pki(words(pebble, names, &[]))
}

fn folder(sandbox: &Sandbox, name: &str) -> PathBuf {
    sandbox.dir().join("acme").join(name)
}

/// OpenSSL finds one certificate, its chain and its key in the five files. Returns the serial number.
#[track_caller]
fn check(sandbox: &Sandbox, pebble: &Pebble, folder: &Path, names: &[&str]) -> String {
    let file = |name: &str| folder.join(name).display().to_string();
    let root = sandbox.write("pebble-root.pem", pebble.manage("/roots/0"));
    let root = root.display().to_string();
    let verify = ["verify", "-CAfile", &root, "-untrusted", &file("chain.pem"), &file("cert.pem")];
    openssl(sandbox, verify).success();
    check_files(sandbox, folder, names)
}

/// The same without the authority.
#[track_caller]
fn check_files(sandbox: &Sandbox, folder: &Path, names: &[&str]) -> String {
    let file = |name: &str| folder.join(name).display().to_string();
    let of_certificate =
        openssl(sandbox, ["x509", "-in", &file("haproxy.pem"), "-noout", "-pubkey"]).success();
    let of_key = openssl(sandbox, ["pkey", "-in", &file("key.pem"), "-pubout"]).success();
    assert_eq!(of_certificate.stdout, of_key.stdout);
    let bundled = openssl(sandbox, ["pkey", "-in", &file("haproxy.pem"), "-pubout"]).success();
    assert_eq!(bundled.stdout, of_key.stdout);
    let shown = openssl(
        sandbox,
        ["x509", "-in", &file("fullchain.pem"), "-noout", "-serial", "-ext", "subjectAltName"],
    )
    .success()
    .stdout;
    for name in names {
        assert!(shown.contains(name), "{name}: {shown}");
    }
    for (name, expected) in [("key.pem", 0o600), ("haproxy.pem", 0o600), ("cert.pem", 0o644)] {
        let mode = std::fs::metadata(folder.join(name)).expect("a file").permissions().mode() & 0o777;
        assert_eq!(mode, expected, "{name}");
    }
    let left: Vec<_> =
        std::fs::read_dir(folder).expect("a folder").flatten().map(|e| e.file_name()).collect();
    assert_eq!(left.len(), 5, "{left:?}");
    shown.lines().find_map(|line| line.strip_prefix("serial=")).expect("a serial number").to_lowercase()
}

#[test]
fn a_certificate_is_obtained_renewed_listed_and_revoked() {
    let (sandbox, pebble) = (Sandbox::with_pki(), Pebble::start());
    let out = sandbox.file("www");
    let more = ["--email", "admin@example.org", "--out", "www", "--json"];
    let issued = sandbox.pki(words(&pebble, &["www.example", "127.0.0.1"], &more)).success().json();
    let first = check(&sandbox, &pebble, &folder(&sandbox, "www.example"), &["www.example", "127.0.0.1"]);
    assert_eq!(check(&sandbox, &pebble, &out, &["www.example"]), first);
    assert_eq!(
        issued["serial"].as_str().map(|serial| serial.trim_start_matches('0')),
        Some(first.trim_start_matches('0'))
    );
    assert_eq!(issued["files"].as_array().map(Vec::len), Some(10));

    assert!(sandbox.pki(["acme", "renew"]).success().says("nothing is due"));
    sandbox.pki(["acme", "renew", "www.example"]).success();
    let second = check(&sandbox, &pebble, &folder(&sandbox, "www.example"), &["www.example", "127.0.0.1"]);
    assert_ne!(first, second);
    assert_eq!(check(&sandbox, &pebble, &out, &["www.example"]), second);
    assert_eq!(pebble.accounts(), 1, "the account is used again");

    sandbox.pki(["acme", "revoke", "www.example", "--reason", "superseded"]).success();
    let status = pebble.manage(&format!("/cert-status-by-serial/{second}"));
    assert!(status.contains(r#""Revoked""#) && status.contains(r#""Reason": 4"#), "{status}");
    let listed = sandbox.pki(["acme", "list"]).success();
    assert!(listed.says("www.example") && listed.says("revoked"), "{listed}");
}

#[test]
fn the_service_answers_the_challenge_and_several_names_share_an_account() {
    let (sandbox, pebble) = (Sandbox::with_pki(), Pebble::start());
    let address = pebble.http_address();
    sandbox.pki(["config", "set", "core.public_address", &address]).success();
    let service = Service::launch(&sandbox, address, &["serve"], &[]);
    for name in ["a.example", "b.example"] {
        let mut words =
            vec!["acme".to_owned(), "issue".to_owned(), name.to_owned(), "--agree-tos".to_owned()];
        words.extend(at(&pebble));
        sandbox.pki(words).success();
        check(&sandbox, &pebble, &folder(&sandbox, name), &[name]);
    }
    assert_eq!((pebble.accounts(), pebble.orders()), (1, 2));
    service.stop();
}

#[test]
fn the_service_renews_what_is_due() {
    let pebble = Pebble::start_with(PebbleOptions { lifetime: 6, ..PebbleOptions::default() });
    let sandbox = Sandbox::with_pki();
    issue(&sandbox, &pebble, &["a.example"]).success();
    let certificate = folder(&sandbox, "a.example").join("cert.pem");
    let first = std::fs::read(&certificate).expect("a file");
    std::thread::sleep(Duration::from_secs(5));
    let service = Service::start(&sandbox);
    let deadline = Instant::now() + Duration::from_secs(20);
    while std::fs::read(&certificate).expect("a file") == first {
        assert!(Instant::now() < deadline, "{}", service.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    check_files(&sandbox, &folder(&sandbox, "a.example"), &["a.example"]);
    service.stop();
}

#[test]
fn a_service_that_is_told_to_stop_does_not_wait_for_an_authority() {
    let (sandbox, mut pebble) = (Sandbox::with_pki(), Pebble::start());
    let service = Service::start(&sandbox);
    pebble.stop();
    let mut command = sandbox.command(words(&pebble, &["a.example"], &[]));
    let asking = std::thread::spawn(move || tests::run(&mut command));
    std::thread::sleep(Duration::from_secs(1));
    let begun = Instant::now();
    service.stop();
    // Trying again alone would take a quarter of a minute.
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    let told = asking.join().expect("no panic");
    assert_eq!(told.code, 6, "{told}");
}

#[test]
fn a_name_that_fails_validation_is_named_with_the_reason() {
    let (sandbox, pebble) = (Sandbox::with_pki(), Pebble::start());
    pebble.resolve("lost.example", "127.0.0.77");
    let failed = issue(&sandbox, &pebble, &["good.example", "lost.example"]);
    assert_eq!(failed.code, 7, "{failed}");
    assert!(failed.stderr.contains("lost.example: "), "{failed}");
    assert!(failed.stderr.contains("connection refused") && failed.stderr.contains("hint:"), "{failed}");
    assert!(!failed.stderr.contains("good.example: "), "{failed}");
    assert!(!sandbox.dir().join("acme").exists());
}

#[test]
fn refused_nonces_are_survived() {
    for nonce_reject in [5, 60] {
        let pebble = Pebble::start_with(PebbleOptions { nonce_reject, ..PebbleOptions::default() });
        let sandbox = Sandbox::with_pki();
        issue(&sandbox, &pebble, &["a.example", "b.example"]).success();
        check(&sandbox, &pebble, &folder(&sandbox, "a.example"), &["a.example", "b.example"]);
        assert_eq!((pebble.accounts(), pebble.orders()), (1, 1));
    }
}

#[test]
fn an_external_account_is_bound() {
    let key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
    let external = vec![("kid-1".to_owned(), key.to_owned())];
    let pebble = Pebble::start_with(PebbleOptions { external, ..PebbleOptions::default() });
    let sandbox = Sandbox::with_pki();
    let missing = issue(&sandbox, &pebble, &["a.example"]);
    assert_eq!(missing.code, 2, "{missing}");
    assert!(missing.stderr.contains("--eab-kid"), "{missing}");
    let with = |key: &str| {
        sandbox.secret("hmac", &format!("{key}\n"));
        sandbox.pki(words(&pebble, &["a.example"], &["--eab-kid", "kid-1", "--eab-hmac-file", "hmac"]))
    };
    let wrong = with("d3Jvbmc");
    assert_eq!(wrong.code, 7, "{wrong}");
    assert_eq!(pebble.accounts(), 0);
    with(key).success();
    // Everything a renewal needs is kept, sealed.
    std::fs::remove_file(sandbox.file("hmac")).expect("our own file");
    sandbox.pki(["acme", "renew", "a.example"]).success();
    assert_eq!(pebble.accounts(), 1);
}

#[test]
fn an_authority_that_forgot_the_account_gets_a_new_one() {
    let (sandbox, mut pebble) = (Sandbox::with_pki(), Pebble::start());
    issue(&sandbox, &pebble, &["a.example"]).success();
    let before = std::fs::read(folder(&sandbox, "a.example").join("cert.pem")).expect("a file");
    pebble.restart();
    let renewed = sandbox.pki(["acme", "renew", "a.example"]).success();
    assert!(renewed.says("no longer knew our account"), "{renewed}");
    assert_ne!(std::fs::read(folder(&sandbox, "a.example").join("cert.pem")).expect("a file"), before);
    check(&sandbox, &pebble, &folder(&sandbox, "a.example"), &["a.example"]);
}

#[test]
fn an_account_gets_another_contact_another_key_and_an_end() {
    let (sandbox, mut pebble) = (Sandbox::with_pki(), Pebble::start());
    assert!(sandbox.pki(["acme", "account", "show"]).success().says("no account yet"));
    assert_eq!(sandbox.pki(["acme", "account", "roll-key"]).code, 3);
    sandbox.pki(words(&pebble, &["a.example"], &["--email", "one@example.org"])).success();
    let account = |word: &[&str]| {
        let words = ["acme", "account"].iter().chain(word).chain(&["--json"]);
        sandbox.pki(words).success().json()
    };
    let before = account(&["show"])[0].clone();
    assert_eq!((&before["contact"], &before["state"]), (&"one@example.org".into(), &"valid".into()));
    let contact = account(&["contact", "two@example.org"]);
    assert_eq!(contact["contact"], "two@example.org");

    // The authority knows the new key, and that one alone: orders and revocations go on with it.
    let rolled = account(&["roll-key"]);
    assert_eq!((&rolled["url"], &rolled["state"]), (&before["url"], &"valid".into()));
    assert_ne!(rolled["key"], before["key"]);
    assert_eq!(pebble.log().matches("POST /rollover-account-key").count(), 1, "{}", pebble.log());
    sandbox.pki(["acme", "renew", "a.example"]).success();
    sandbox.pki(["acme", "revoke", "a.example"]).success();
    assert_eq!((pebble.accounts(), pebble.orders()), (1, 2));

    // One that can't be reached leaves both keys, and the next that needs the account asks which it is.
    pebble.stop();
    assert_eq!(sandbox.pki(["acme", "account", "roll-key"]).code, 7);
    assert_eq!(account(&["show"])[0]["key"], rolled["key"]);
    pebble.restart();

    let pebble = Pebble::start();
    sandbox.pki(words(&pebble, &["b.example"], &[])).success();
    let which = sandbox.pki(["acme", "account", "deactivate"]);
    assert_eq!(which.code, 2, "{which}");
    assert!(which.says("--ca-url"), "{which}");
    let forgotten = sandbox.pki(["acme", "account", "forget", "--ca-url", &pebble.directory()]);
    assert_eq!(forgotten.code, 4, "{forgotten}");
    let url = pebble.directory();
    assert_eq!(account(&["deactivate", "--ca-url", &url])["state"], "deactivated");
    assert_eq!(account(&["deactivate", "--ca-url", &url])["state"], "deactivated");
    // No renewal opens another behind its back.
    let refused = sandbox.pki(["acme", "renew", "b.example"]);
    assert_eq!(refused.code, 4, "{refused}");
    assert!(refused.says("was deactivated") && refused.says("account forget"), "{refused}");
    assert_eq!((pebble.accounts(), pebble.orders()), (1, 1));
    account(&["forget", "--ca-url", &url]);
    sandbox.pki(["acme", "renew", "b.example"]).success();
    assert_eq!((pebble.accounts(), pebble.orders()), (2, 2));
}

/// A program that serves the certificate as it lies in its place now.
struct Server(std::process::Child);

impl Server {
    fn start(folder: &Path, port: u16) -> Server {
        let mut command = std::process::Command::new("openssl");
        command.args(["s_server", "-quiet", "-accept", &format!("127.0.0.1:{port}")]);
        command.args(["-cert", "fullchain.pem", "-key", "key.pem"]).current_dir(folder);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let server = Server(command.spawn().expect("openssl runs"));
        let deadline = Instant::now() + Duration::from_secs(30);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "it does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_hook_is_run_and_the_certificate_seen_served_or_it_is_said_that_it_is_not() {
    let (sandbox, pebble) = (Sandbox::with_pki(), Pebble::start());
    let port = tests::free_port();
    let place = folder(&sandbox, "www.example");
    let hook =
        sandbox.write("hook", "#!/bin/sh\ncd \"${0%/*}\" && env > told && echo no room left && [ -e ok ]\n");
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).expect("our own file");
    let at = format!("127.0.0.1:{port}");
    let state = || {
        let listed = sandbox.pki(["acme", "list", "--json"]).success().json();
        (listed[0]["deployment"].clone(), listed[0]["deploy_error"].to_string(), listed[0]["serial"].clone())
    };
    // A program that could not be run is found out before anything is ordered.
    let none = sandbox.pki(words(&pebble, &["www.example"], &["--hook", "none"]));
    assert_eq!((none.code, pebble.orders()), (2, 0), "{none}");

    // What the program fails at costs nobody the certificate.
    let issued =
        sandbox.pki(words(&pebble, &["www.example"], &["--hook", "hook", "--served-at", &at])).success();
    assert!(issued.says("its hook fails") && issued.says("no room left"), "{issued}");
    check(&sandbox, &pebble, &place, &["www.example"]);
    assert_eq!(state().0, "hook-fails");
    assert!(sandbox.pki(["acme", "list"]).says("no room left"));
    assert!(sandbox.pki(["doctor"]).says("its hook fails"));
    let told = sandbox.read("told");
    assert!(told.contains(&format!("PKI_SERIAL={}\n", state().2.as_str().expect("a number"))), "{told}");
    assert!(!told.contains("HOME="), "{told}");

    // Tried again, and nobody serves it yet; then somebody does.
    sandbox.write("ok", "");
    sandbox.pki(["acme", "renew"]).success();
    assert_eq!(state().0, "not-served");
    let server = Server::start(&place, port);
    sandbox.pki(["acme", "renew"]).success();
    assert_eq!((state().0, state().1), ("served".into(), "null".to_owned()));
    assert!(!place.join("previous").exists());

    // The next one lies in its place, and the one before beside it, as long as that is the one that is served.
    let before = std::fs::read(place.join("cert.pem")).expect("a file");
    let renewed = sandbox.pki(["acme", "renew", "www.example"]).success();
    assert!(renewed.says("placed, not served yet") && renewed.says("serial number"), "{renewed}");
    assert_eq!(std::fs::read(place.join("previous/cert.pem")).expect("a file"), before);
    assert!(sandbox.pki(["doctor"]).says("not served yet"));
    drop(server);
    let _server = Server::start(&place, port);
    sandbox.pki(["acme", "renew"]).success();
    assert_eq!(state().0, "served");
    check(&sandbox, &pebble, &place, &["www.example"]);
    assert_eq!(pebble.orders(), 2);
}

#[test]
fn an_authority_that_is_down_fails_the_renewal_and_not_the_certificate() {
    let (sandbox, mut pebble) = (Sandbox::with_pki(), Pebble::start());
    issue(&sandbox, &pebble, &["a.example"]).success();
    let before = sandbox.contents();
    pebble.stop();
    let failed = sandbox.pki(["acme", "renew", "a.example"]);
    assert_eq!(failed.code, 7, "{failed}");
    let placed = |contents: &std::collections::BTreeMap<PathBuf, Vec<u8>>| -> Vec<_> {
        let ours = contents.iter().filter(|(path, _)| path.starts_with(sandbox.dir().join("acme")));
        ours.map(|(path, bytes)| (path.clone(), bytes.clone())).collect()
    };
    assert_eq!(placed(&sandbox.contents()), placed(&before));
    let listed = sandbox.pki(["acme", "list"]).success();
    assert!(listed.says("failing") && listed.says("can't reach"), "{listed}");
}

#[test]
fn what_is_refused_places_no_order() {
    let (sandbox, pebble) = (Sandbox::with_pki(), Pebble::start());
    let mut words_without = words(&pebble, &["a.example"], &[]);
    words_without.retain(|word| word != "--agree-tos");
    let refused = sandbox.pki(words_without);
    assert_eq!(refused.code, 2, "{refused}");
    assert!(refused.stderr.contains("data:text/plain,Do%20what%20thou%20wilt"), "{refused}");
    assert!(refused.stderr.contains("--agree-tos"), "{refused}");

    let held = std::net::TcpListener::bind(pebble.http_address()).expect("a free port");
    let refused = issue(&sandbox, &pebble, &["a.example"]);
    assert_eq!(refused.code, 6, "{refused}");
    assert!(refused.stderr.contains(&pebble.http_address()) && refused.stderr.contains("hint:"), "{refused}");
    drop(held);

    for name in ["*.example", "a b", "-a.example", ""] {
        let refused = issue(&sandbox, &pebble, &[name]);
        assert_eq!(refused.code, 2, "{refused}");
    }
    let mut untrusted = words(&pebble, &["a.example"], &[]);
    let root = untrusted.iter().position(|word| word == "--ca-root").expect("a root is named");
    untrusted.drain(root..root + 2);
    let refused = sandbox.pki(untrusted);
    assert_eq!(refused.code, 7, "{refused}");
    assert!(refused.stderr.contains("--ca-root"), "{refused}");
    assert_eq!((pebble.accounts(), pebble.orders()), (0, 0));
    assert!(!sandbox.dir().join("acme").exists());
}

#[test]
fn killed_anywhere_it_goes_on() {
    // What the authority has just heard when we are killed, and the orders that may be needed then.
    let moments = [
        ("POST /sign-me-up", 1),
        ("Added order ", 1),
        ("POST /authZ/", 1),
        ("POST /chalZ/", 2),
        ("POST /finalize-order/", 1),
        ("POST /certZ/", 1),
    ];
    for (moment, orders) in moments {
        let (sandbox, pebble) = (Sandbox::with_pki(), Pebble::start());
        let mut child = sandbox
            .command(words(&pebble, &["a.example", "b.example"], &[]))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let deadline = Instant::now() + Duration::from_secs(60);
        while !pebble.log().contains(moment) {
            assert!(Instant::now() < deadline, "{moment}: {}", pebble.log());
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().expect("our own child");
        child.wait().expect("our own child");
        issue(&sandbox, &pebble, &["a.example", "b.example"]).success();
        check(&sandbox, &pebble, &folder(&sandbox, "a.example"), &["a.example", "b.example"]);
        assert_eq!(pebble.accounts(), 1, "{moment}: an orphan account\n{}", pebble.log());
        assert!(pebble.orders() <= orders, "{moment}: {}", pebble.log());
    }
}

#[test]
fn no_secret_of_an_order_is_in_the_store_or_the_log() {
    let mac = "Y2FuYXJ5LW9mLXRoZS1leHRlcm5hbC1hY2NvdW50LWtleQ";
    let external = vec![("kid-1".to_owned(), mac.to_owned())];
    let pebble = Pebble::start_with(PebbleOptions { external, ..PebbleOptions::default() });
    let sandbox = Sandbox::with_pki();
    sandbox.secret("hmac", &format!("{mac}\n"));
    let more = ["--eab-kid", "kid-1", "--eab-hmac-file", "hmac"];
    let mut command = sandbox.command(words(&pebble, &["a.example"], &more));
    let said = tests::run(command.env("PKI_LOG", "trace")).success().to_string();
    assert!(said.contains("/.well-known/acme-challenge/"), "the log is not at trace");
    let key = std::fs::read_to_string(folder(&sandbox, "a.example").join("key.pem")).expect("a file");
    let text = key.lines().nth(1).expect("a body").to_owned();
    // PKCS#8 of any P-256 key begins so (RFC 5208, RFC 5915): the account's and the certificate's.
    let octets =
        b"\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x04\x6d";
    let mut secrets: Vec<&[u8]> = vec![mac.as_bytes(), b"canary-of-the-external", text.as_bytes()];
    for secret in &secrets {
        assert!(!holds(said.as_bytes(), secret), "{}", String::from_utf8_lossy(secret));
    }
    secrets.push(octets);
    let mut looked_at = 0;
    for (path, bytes) in sandbox.everything() {
        if path.starts_with(sandbox.dir().join("store")) {
            looked_at += 1;
            for secret in &secrets {
                assert!(!holds(&bytes, secret), "{}: {}", path.display(), String::from_utf8_lossy(secret));
            }
        }
    }
    assert!(looked_at > 2, "the store has files");
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
