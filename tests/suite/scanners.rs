//! "Scanners find nothing in the HTTPS listener that we have not looked at."
//!
//! schemathesis asks everything that the description of the API names, with what fits and with what doesn't;
//! sslyze and testssl.sh look at TLS. What is accepted of their findings stands in
//! `tests/fixtures/scanners/accepted.md`, each with a reason.

use std::path::PathBuf;

use serde_json::Value;
use tests::{Output, Sandbox, Service, free_port, source_tree, witness};

/// What anybody may ask for; everything else is 403 to a stranger.
const PUBLIC: [&str; 12] = [
    "GET /",
    "GET /1.0",
    "GET /ca.crl",
    "GET /ca.crt",
    "GET /chain.crl",
    "GET /chain.crt",
    "GET /root.crl",
    "GET /root.crt",
    "POST /1.0/certificates",
    "POST /1.0/pki/authenticate",
    "POST /1.0/pki/enroll",
    "POST /1.0/pki/renew-self",
];
/// The same, with a parameter at the end.
const PUBLIC_BELOW: [&str; 3] = ["GET /ca/", "GET /crl/", "GET /.well-known/acme-challenge/"];

/// A service on HTTPS, with a client that is trusted and one that is not.
struct Scanned {
    sandbox: Sandbox,
    address: String,
    _service: Service,
}

fn scanned() -> Scanned {
    let sandbox = Sandbox::new();
    sandbox.pki(["init", "--name", "Example", "--key-type", "p256"]).success();
    let address = format!("127.0.0.1:{}", free_port());
    sandbox.pki(["config", "set", "core.https_address", &address]).success();
    // The service's own certificate says where the list is.
    sandbox.pki(["config", "set", "core.public_url", "http://pki.example.org"]).success();
    for name in ["alice", "mallory"] {
        sandbox.pki(["issue-client", name, "--key-type", "p256"]).success();
    }
    sandbox.pki(["trust", "add", "alice.crt", "--name", "alice"]).success();
    let service = Service::start(&sandbox);
    Scanned { sandbox, address, _service: service }
}

/// A scanner from PyPI.
fn scanner(name: &str) -> PathBuf {
    let program = source_tree().join("target/scanners-1/bin").join(name);
    assert!(program.exists(), "{} is missing: tests/run installs it", program.display());
    program
}

/// The findings of a scanner that are accepted.
fn accepted(scanner: &str) -> Vec<String> {
    let text = std::fs::read_to_string(source_tree().join("tests/fixtures/scanners/accepted.md")).unwrap();
    let rows = text.lines().filter_map(|line| {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let (by, finding, why) = (cells.next()?, cells.next()?, cells.next()?);
        (by == scanner).then(|| {
            assert!(why.len() > 20, "no reason: {line}");
            finding.to_owned()
        })
    });
    rows.collect()
}

/// Findings must be those that are accepted, no more and no fewer.
#[track_caller]
fn compare(scanner: &str, mut found: Vec<String>, said: &str) {
    let mut known = accepted(scanner);
    found.sort();
    found.dedup();
    known.sort();
    assert_eq!(found, known, "{scanner}: {said}");
}

/// What schemathesis asked and was answered: method and path, status.
struct Asked {
    output: Output,
    answers: Vec<(String, u64)>,
}

impl Scanned {
    /// Asks everything as `client`, so thoroughly.
    fn ask(&self, client: &str, thoroughly: &[&str]) -> Asked {
        let file = |end: &str| self.sandbox.file(&format!("{client}.{end}")).display().to_string();
        let (certificate, key) = (file("crt"), file("key"));
        let document = source_tree().join("docs/reference/openapi.json").display().to_string();
        let url = format!("https://{}", self.address);
        let reports = format!("reports-{client}");
        let always = [
            ["--url", &url],
            ["--tls-verify", "false"],
            ["--request-cert", &certificate],
            ["--request-cert-key", &key],
            ["--checks", "not_a_server_error,content_type_conformance,response_schema_conformance"],
            // With more, Python 3.11 fails at times: its parser counts how deep it is for all threads together.
            ["--workers", "1"],
            ["--suppress-health-check", "all"],
            ["--warnings", "off"],
            ["--report", "har"],
            ["--report-dir", &reports],
            // They ask another authority, or wait for somebody; a backup costs seconds by design.
            ["--exclude-operation-id-regex", "^acme-(issue|renew|revoke)$|^operation-wait$|^backup$"],
        ];
        let mut words =
            vec!["--no-color", "run", &document, "--generation-deterministic", "--continue-on-failure"];
        words.extend(always.as_flattened());
        words.extend(thoroughly);
        let output = witness(&self.sandbox, scanner("schemathesis"), words);
        let report = std::fs::read_dir(self.sandbox.file(&reports)).unwrap().next().unwrap().unwrap().path();
        let har: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
        let answers = har["log"]["entries"].as_array().unwrap().iter().map(|entry| {
            let url = entry["request"]["url"].as_str().unwrap();
            let path = url.splitn(4, '/').nth(3).unwrap_or_default().split('?').next().unwrap_or_default();
            let asked = format!("{} /{path}", entry["request"]["method"].as_str().unwrap());
            (asked, entry["response"]["status"].as_u64().unwrap())
        });
        Asked { answers: answers.collect(), output }
    }

    /// A trusted client breaks nothing.
    fn trusted(&self, thoroughly: &[&str]) {
        let asked = self.ask("alice", thoroughly);
        assert!(asked.answers.len() > 200, "only {}: {}", asked.answers.len(), asked.output);
        assert!(asked.answers.iter().any(|(_, status)| *status == 200), "{}", asked.output);
        let broken: Vec<_> = asked.answers.iter().filter(|(_, status)| *status >= 500).collect();
        assert!(broken.is_empty(), "{broken:?}\n{}", asked.output);
        asked.output.success();
    }

    /// Somebody who is not trusted gets nothing but what is public.
    fn untrusted(&self, thoroughly: &[&str]) {
        let asked = self.ask("mallory", thoroughly);
        assert!(asked.answers.len() > 200, "only {}: {}", asked.answers.len(), asked.output);
        let refused = |status: u64| matches!(status, 401 | 403);
        let wrong: Vec<_> = asked
            .answers
            .iter()
            .filter(|(what, status)| match is_public(what) {
                true => *status >= 500,
                false => !refused(*status),
            })
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}\n{}", asked.output);
        // Not even what may be asked changes anything for somebody without a token or the passphrase. That a
        // certificate of ours has a successor lets nobody in either.
        let let_in = |(what, status): &&(String, u64)| {
            what.starts_with("POST") && what != "POST /1.0/pki/renew-self" && *status < 300
        };
        let let_in: Vec<_> = asked.answers.iter().filter(let_in).collect();
        assert!(let_in.is_empty(), "{let_in:?}");
        assert!(asked.answers.iter().filter(|(_, status)| refused(*status)).count() > 100);
    }
}

fn is_public(asked: &str) -> bool {
    let asked = asked.replacen("HEAD ", "GET ", 1);
    PUBLIC.contains(&asked.as_str()) || PUBLIC_BELOW.iter().any(|below| asked.starts_with(below))
}

#[test]
fn whatever_the_api_is_asked_it_does_not_break_and_lets_nobody_in() {
    let scanned = scanned();
    scanned.untrusted(&["--phases", "coverage", "--mode", "positive"]);
    scanned.trusted(&["--phases", "coverage"]);
}

#[test]
#[ignore = "tests/full: minutes of requests"]
fn whatever_the_api_is_asked_for_minutes_it_does_not_break_and_lets_nobody_in() {
    let scanned = scanned();
    scanned.untrusted(&["--phases", "coverage,fuzzing", "--max-examples", "10"]);
    scanned.trusted(&["--phases", "coverage,fuzzing", "--max-examples", "50"]);
}

#[test]
fn sslyze_finds_nothing_that_is_not_accepted() {
    let scanned = scanned();
    let root = scanned.sandbox.dir().join("root.crt").display().to_string();
    let words = ["--mozilla_config", "modern", "--certinfo_ca_file", &root, &scanned.address];
    let output = witness(&scanned.sandbox, scanner("sslyze"), words);
    assert!(output.stdout.contains("COMPLIANCE AGAINST TLS CONFIGURATION"), "{output}");
    let findings =
        output.stdout.lines().filter_map(|line| Some(line.trim().strip_prefix("* ")?.split_once(": ")?.0));
    let after = output.stdout.split("COMPLIANCE AGAINST").nth(1).unwrap_or_default();
    let found =
        findings.filter(|finding| after.contains(&format!("* {finding}: "))).map(str::to_owned).collect();
    compare("sslyze", found, &output.to_string());
    for good in ["OpenSSL Heartbleed:", "ROBOT Attack:", "OpenSSL CCS Injection:"] {
        assert!(output.stdout.contains(good), "{output}");
    }
}

#[test]
#[ignore = "tests/full: two minutes of handshakes"]
fn testssl_finds_nothing_that_is_not_accepted() {
    let scanned = scanned();
    let root = scanned.sandbox.dir().join("root.crt").display().to_string();
    let words = [
        "--add-ca",
        &root,
        "--quiet",
        "--color",
        "0",
        "--warnings",
        "off",
        "--jsonfile",
        "findings.json",
        "--protocols",
        "--std",
        "--fs",
        "--server-preference",
        "--server-defaults",
        "--header",
        "--vulnerable",
        "--ip",
        "one",
        &scanned.address,
    ];
    let output = witness(&scanned.sandbox, "testssl", words);
    let text = std::fs::read_to_string(scanned.sandbox.file("findings.json")).unwrap();
    let findings: Vec<Value> = serde_json::from_str(&text).unwrap();
    let severe = findings.iter().filter(|finding| {
        matches!(finding["severity"].as_str(), Some("MEDIUM" | "HIGH" | "CRITICAL" | "FATAL"))
    });
    let found = severe.map(|finding| finding["id"].as_str().unwrap().to_owned()).collect();
    // Something was looked at: the one version that is spoken, and one that is not.
    for (id, word) in [("TLS1_3", "offered"), ("TLS1_2", "not offered")] {
        let finding = findings.iter().find(|finding| finding["id"] == id).unwrap();
        assert!(finding["finding"].as_str().unwrap().starts_with(word), "{finding}");
    }
    compare("testssl", found, &output.to_string());
}
