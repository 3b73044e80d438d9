//! "OpenSSL accepts what we issue, and refuses it as soon as we revoke it."

use tests::{Purpose, Sandbox, openssl, openssl_accepts, openssl_finds_revoked, openssl_verify};

const KEY_TYPES: [&str; 4] = ["p256", "p384", "ed25519", "rsa4096"];

fn issue_both(sandbox: &Sandbox, key_type: &str, mark: &str) -> [(Purpose, String); 2] {
    let client = format!("client-{key_type}-{mark}");
    let server = format!("{key_type}-{mark}.example.org");
    sandbox.pki(["issue-client", &client, "--key-type", key_type]).success();
    sandbox.pki(["issue-server", &server, "--key-type", key_type, "--ip", "127.0.0.1"]).success();
    [(Purpose::Client, client), (Purpose::Server, server)]
}

/// Accepted, revoked, refused: for a CA of `key_type`, before and after its rotation.
fn lives_and_dies_under_a_ca_of(key_type: &str) {
    let sandbox = Sandbox::new();
    sandbox.pki(["init", "--name", "Example", "--key-type", key_type]).success();
    let old = issue_both(&sandbox, key_type, "old");
    let kept = issue_both(&sandbox, key_type, "kept");
    for (purpose, name) in old.iter().chain(&kept) {
        openssl_accepts(&sandbox, *purpose, name);
    }
    sandbox.pki(["revoke", &old[0].1]).success();
    openssl_finds_revoked(&sandbox, old[0].0, &old[0].1);
    openssl_accepts(&sandbox, old[1].0, &old[1].1);

    sandbox.pki(["ca", "rotate"]).success();
    let new = issue_both(&sandbox, key_type, "new");
    for (purpose, name) in new.iter().chain(&kept) {
        openssl_accepts(&sandbox, *purpose, name);
    }
    openssl_finds_revoked(&sandbox, old[0].0, &old[0].1);
    for (purpose, name) in new.iter().chain([&old[1]]) {
        sandbox.pki(["revoke", name, "--reason", "superseded"]).success();
        openssl_finds_revoked(&sandbox, *purpose, name);
    }
    for (purpose, name) in &kept {
        openssl_accepts(&sandbox, *purpose, name);
    }
}

#[test]
fn a_p256_ca_rotates_and_revokes() {
    lives_and_dies_under_a_ca_of("p256");
}

#[test]
fn a_p384_ca_rotates_and_revokes() {
    lives_and_dies_under_a_ca_of("p384");
}

#[test]
fn an_ed25519_ca_rotates_and_revokes() {
    lives_and_dies_under_a_ca_of("ed25519");
}

#[test]
fn an_rsa4096_ca_rotates_and_revokes() {
    lives_and_dies_under_a_ca_of("rsa4096");
}

#[test]
fn every_key_type_is_issued_by_every_other() {
    let sandbox = Sandbox::with_pki();
    for key_type in KEY_TYPES {
        for (purpose, name) in issue_both(&sandbox, key_type, "any") {
            openssl_accepts(&sandbox, purpose, &name);
        }
    }
}

#[test]
fn keys_that_others_made_are_signed_by_their_csr() {
    let sandbox = Sandbox::with_pki();
    let makers: [(&str, &[&str]); 6] = [
        ("p256", &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]),
        ("p384", &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"]),
        ("p521", &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-521"]),
        ("ed25519", &["-newkey", "ed25519"]),
        ("rsa2048", &["-newkey", "rsa:2048"]),
        ("rsa3072", &["-newkey", "rsa:3072"]),
    ];
    for (name, maker) in makers {
        let subject = format!("/CN={name}");
        let key = format!("{name}.key");
        let csr = format!("{name}.csr");
        let mut words = vec!["req", "-new", "-nodes", "-subj", &subject, "-keyout", &key, "-out", &csr];
        words.extend(maker);
        openssl(&sandbox, words).success();
        let crt = format!("{name}.crt");
        let chain = format!("{name}-chain.crt");
        sandbox.pki(["sign", &csr, "--profile", "client", "--out", &crt]).success();
        // The same request again: the same certificate, this time with its chain.
        sandbox.pki(["sign", &csr, "--profile", "client", "--chain", "--out", &chain]).success();
        assert!(sandbox.read(&chain).starts_with(&sandbox.read(&crt)), "{name}");
        openssl_accepts(&sandbox, Purpose::Client, name);
        let of_key = openssl(&sandbox, ["pkey", "-in", &key, "-pubout"]).success().stdout;
        let of_certificate = openssl(&sandbox, ["x509", "-in", &crt, "-noout", "-pubkey"]).success().stdout;
        assert_eq!(of_key, of_certificate, "{name}: the certificate bears the requester's key");
    }
}

#[test]
fn a_client_certificate_is_no_server_certificate() {
    let sandbox = Sandbox::with_pki();
    sandbox.pki(["issue-client", "alice"]).success();
    sandbox.pki(["issue-server", "www.example.org"]).success();
    openssl_verify(&sandbox, Purpose::Server, "alice").failure(2);
    openssl_verify(&sandbox, Purpose::Client, "www.example.org").failure(2);
}

#[test]
fn names_are_what_was_asked_for() {
    let sandbox = Sandbox::with_pki();
    sandbox
        .pki([
            "issue-server",
            "www.example.org",
            "--dns",
            "Example.ORG",
            "--ip",
            "192.0.2.7",
            "--ip",
            "2001:DB8::7",
        ])
        .success();
    for (check, name) in [
        ("-checkhost", "www.example.org"),
        ("-checkhost", "example.org"),
        ("-checkip", "192.0.2.7"),
        ("-checkip", "2001:db8::7"),
    ] {
        let answer =
            openssl(&sandbox, ["x509", "-in", "www.example.org.crt", "-noout", check, name]).success();
        assert!(answer.stdout.contains("does match"), "{answer}");
    }
    sandbox
        .pki(["issue-client", "alice", "--email", "alice@example.org", "--uri", "spiffe://example.org/alice"])
        .success();
    let text = openssl(&sandbox, ["x509", "-in", "alice.crt", "-noout", "-ext", "subjectAltName"]).success();
    assert!(text.stdout.contains("email:alice@example.org, URI:spiffe://example.org/alice"), "{text}");
    let text = openssl(&sandbox, ["x509", "-in", "alice.crt", "-noout", "-text"]).success().stdout;
    for part in
        ["CA:FALSE", "TLS Web Client Authentication", "X509v3 Key Usage: critical", "Digital Signature"]
    {
        assert!(text.contains(part), "{part} is missing from\n{text}");
    }
    for part in ["TLS Web Server Authentication", "CA:TRUE", "Key Encipherment"] {
        assert!(!text.contains(part), "{part} is in\n{text}");
    }
}

#[test]
fn name_constraints_bind() {
    let sandbox = Sandbox::new();
    sandbox.pki(["init", "--name", "Example", "--name-constraint", "example.org"]).success();
    sandbox.pki(["issue-server", "www.example.org"]).success();
    openssl_accepts(&sandbox, Purpose::Server, "www.example.org");
    let before = sandbox.contents();
    let refused = sandbox.pki(["issue-server", "www.example.net"]).failure(2);
    assert!(refused.says("www.example.net") && refused.says("hint:"), "{refused}");
    assert!(before == sandbox.contents(), "something was written");
    let text =
        openssl(&sandbox, ["x509", "-in", "../pki/ca.crt", "-noout", "-ext", "nameConstraints"]).success();
    assert!(text.stdout.contains("critical") && text.stdout.contains("DNS:example.org"), "{text}");
}
