//! "GnuTLS parses and verifies every certificate."

use tests::{Sandbox, certtool, witness};

#[test]
fn certtool_parses_and_verifies_every_certificate() {
    for key_type in ["p256", "p384", "ed25519", "rsa4096"] {
        let sandbox = Sandbox::new();
        sandbox.pki(["init", "--name", "Example", "--key-type", key_type]).success();
        sandbox.pki(["issue-client", "alice", "--key-type", key_type]).success();
        sandbox.pki(["issue-server", "www.example.org", "--key-type", key_type, "--ip", "::1"]).success();
        let published = |name: &str| sandbox.dir().join(name).display().to_string();
        let (root, ca) = (published("root.crt"), published("ca.crt"));
        for certificate in [&root, &ca, "alice.crt", "www.example.org.crt"] {
            let parsed = certtool(&sandbox, ["--certificate-info", "--infile", certificate]).success();
            assert!(parsed.stdout.contains("X.509 Certificate Information:"), "{parsed}");
            assert!(!parsed.says("error") && !parsed.says("warning"), "{parsed}");
        }
        for (chain, purpose) in
            [("alice-chain.crt", "1.3.6.1.5.5.7.3.2"), ("www.example.org-chain.crt", "1.3.6.1.5.5.7.3.1")]
        {
            let verdict = certtool(
                &sandbox,
                ["--verify", "--verify-purpose", purpose, "--infile", chain, "--load-ca-certificate", &root],
            )
            .success();
            assert!(verdict.stdout.contains("Chain verification output: Verified."), "{verdict}");
        }
        for list in ["ca.crl", "root.crl"] {
            let parsed = certtool(&sandbox, ["--crl-info", "--infile", &published(list)]).success();
            assert!(parsed.stdout.contains("CRL Number"), "{parsed}");
        }
    }
}

#[test]
fn certtool_sees_a_revocation() {
    let sandbox = Sandbox::with_pki();
    sandbox.pki(["issue-client", "alice"]).success();
    let published = |name: &str| sandbox.dir().join(name).display().to_string();
    let words = [
        "--verify".to_owned(),
        "--infile".to_owned(),
        "alice-chain.crt".to_owned(),
        "--load-ca-certificate".to_owned(),
        published("root.crt"),
        "--load-crl".to_owned(),
        published("ca.crl"),
    ];
    certtool(&sandbox, &words).success();
    sandbox.pki(["revoke", "alice", "--reason", "keyCompromise"]).success();
    let verdict = certtool(&sandbox, &words);
    assert_ne!(verdict.code, 0, "{verdict}");
    assert!(verdict.says("revoked"), "{verdict}");
}

#[test]
fn the_key_file_is_one_that_gnutls_reads() {
    let sandbox = Sandbox::with_pki();
    for key_type in ["p256", "p384", "ed25519", "rsa4096"] {
        let name = format!("key-{key_type}");
        sandbox.pki(["issue-client", &name, "--key-type", key_type]).success();
        let key = format!("{name}.key");
        let read = witness(&sandbox, "certtool", ["--key-info", "--infile", &key]).success();
        assert!(read.stdout.contains("Public Key Info:"), "{read}");
    }
}
