//! "pkilint finds nothing at WARNING or above": in any certificate or list we make.

use std::path::Path;

use tests::{Sandbox, pkilint_certificate, pkilint_list};

#[track_caller]
fn clean_certificate(sandbox: &Sandbox, path: &Path) {
    let findings = pkilint_certificate(sandbox, path);
    assert!(findings.code == 0 && findings.stdout.trim().is_empty(), "{}: {findings}", path.display());
}

#[track_caller]
fn clean_list(sandbox: &Sandbox, path: &Path) {
    let findings = pkilint_list(sandbox, path);
    assert!(findings.code == 0 && findings.stdout.trim().is_empty(), "{}: {findings}", path.display());
}

#[test]
fn pkilint_finds_nothing_in_what_a_ca_makes() {
    for (key_type, url) in
        [("p384", None), ("p256", Some("http://pki.example.org")), ("ed25519", None), ("rsa4096", None)]
    {
        let sandbox = Sandbox::new();
        sandbox.pki(["init", "--name", "Example", "--key-type", key_type]).success();
        if let Some(url) = url {
            sandbox.pki(["config", "set", "core.public_url", url]).success();
            // The issuing CA of the next generation carries the URLs as well.
            sandbox.pki(["ca", "rotate"]).success();
        }
        sandbox
            .pki([
                "issue-client",
                "alice",
                "--email",
                "alice@example.org",
                "--uri",
                "https://example.org/alice",
                "--key-type",
                key_type,
            ])
            .success();
        sandbox.pki(["issue-client", "plain"]).success();
        sandbox
            .pki(["issue-server", "www.example.org", "--ip", "192.0.2.7", "--key-type", key_type])
            .success();
        for name in ["alice.crt", "plain.crt", "www.example.org.crt"] {
            clean_certificate(&sandbox, &sandbox.file(name));
        }
        for name in ["root.crt", "ca.crt"] {
            clean_certificate(&sandbox, &sandbox.dir().join(name));
        }
        for name in ["root.crl", "ca.crl", "ca.crl.der"] {
            clean_list(&sandbox, &sandbox.dir().join(name));
        }
        for (name, reason) in
            [("alice", "keyCompromise"), ("plain", "certificateHold"), ("www.example.org", "unspecified")]
        {
            sandbox.pki(["revoke", name, "--reason", reason]).success();
        }
        clean_list(&sandbox, &sandbox.dir().join("ca.crl"));
    }
}

#[test]
fn pkilint_finds_what_is_wrong_elsewhere() {
    // The witness itself is awake: a certificate that OpenSSL makes by default has findings.
    let sandbox = Sandbox::new();
    let words = [
        "req", "-x509", "-nodes", "-newkey", "rsa:2048", "-subj", "/CN=x", "-keyout", "x.key", "-out",
        "x.crt",
    ];
    tests::openssl(
        &sandbox,
        words.into_iter().chain(["-addext", "extendedKeyUsage=anyExtendedKeyUsage,serverAuth"]),
    )
    .success();
    let findings = pkilint_certificate(&sandbox, &sandbox.file("x.crt"));
    assert_ne!(findings.code, 0, "{findings}");
}
