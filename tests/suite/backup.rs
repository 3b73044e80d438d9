//! "I can lose this machine and go on."

use std::os::unix::fs::PermissionsExt;

use tests::{Purpose, Sandbox, Service, openssl_accepts, openssl_finds_revoked};

fn number(sandbox: &Sandbox) -> u128 {
    let shown = sandbox.pki(["crl", "show", "--json"]).success().json();
    let issuing = shown.as_array().unwrap().iter().find(|list| list["role"] == "issuing").unwrap().clone();
    issuing["number"].as_str().unwrap().parse().unwrap()
}

#[test]
fn a_backup_made_under_load_restores_everything_that_was_acknowledged_before_it() {
    let sandbox = Sandbox::with_pki();
    sandbox.secret("pass", "correct horse battery staple\n");
    sandbox.pki(["issue-client", "alice"]).success();
    sandbox.pki(["issue-client", "bob"]).success();
    sandbox.pki(["revoke", "bob"]).success();
    let service = Service::start(&sandbox);
    let before = number(&sandbox);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..8 {
                sandbox.pki(["issue-client", &format!("load-{number}"), "--key-type", "p256"]).success();
            }
        });
        sandbox.pki(["backup", "pki.age", "--backup-passphrase-file", "pass"]).success();
    });
    assert_eq!(service.stop().code, 0);
    let mode = std::fs::metadata(sandbox.file("pki.age")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let bytes = std::fs::read(sandbox.file("pki.age")).unwrap();
    assert!(bytes.starts_with(b"age-encryption.org/v1\n"), "an age file");

    let other = Sandbox::new();
    for name in ["pki.age", "pass", "alice.crt", "alice-chain.crt", "bob.crt", "bob-chain.crt"] {
        std::fs::copy(sandbox.file(name), other.file(name)).unwrap();
    }
    other.secret("wrong", "incorrect horse\n");
    let refused = other.pki(["restore", "pki.age", "--backup-passphrase-file", "wrong"]);
    assert_ne!(refused.code, 0, "{refused}");
    assert!(!other.dir().join("root.crt").exists(), "nothing was restored: {refused}");
    other.pki(["restore", "pki.age", "--backup-passphrase-file", "pass"]).success();
    let listed = other.pki(["list", "--json"]).success().stdout;
    assert!(listed.contains("\"alice\"") && listed.contains("\"bob\""), "{listed}");
    openssl_accepts(&other, Purpose::Client, "alice");
    openssl_finds_revoked(&other, Purpose::Client, "bob");
    other.pki(["issue-client", "carol"]).success();
    openssl_accepts(&other, Purpose::Client, "carol");
    // What the old machine published after the backup may not have a higher number.
    other.pki(["revoke", "carol"]).success();
    assert!(number(&other) > before, "numbers move ahead");
    openssl_finds_revoked(&other, Purpose::Client, "carol");
    other.pki(["audit", "verify"]).success();
}

#[test]
fn a_backup_without_keys_holds_none() {
    let sandbox = Sandbox::with_pki();
    sandbox.secret("pass", "correct horse battery staple\n");
    sandbox.pki(["issue-client", "alice"]).success();
    sandbox.pki(["backup", "pki.age", "--no-keys", "--backup-passphrase-file", "pass"]).success();
    let other = Sandbox::new();
    for name in ["pki.age", "pass"] {
        std::fs::copy(sandbox.file(name), other.file(name)).unwrap();
    }
    let restored = other.pki(["restore", "pki.age", "--backup-passphrase-file", "pass"]).success();
    assert!(restored.says("--no-keys"), "{restored}");
    let doctor = other.pki(["doctor"]).failure(1);
    assert!(doctor.says("the issuing CA's key can't be read"), "{doctor}");
    let keys: Vec<_> = other
        .contents()
        .into_iter()
        .filter(|(_, bytes)| String::from_utf8_lossy(bytes).contains("PRIVATE KEY"))
        .map(|(path, _)| path)
        .collect();
    assert!(keys.is_empty(), "{keys:?}");
    assert_ne!(other.pki(["issue-client", "bob"]).code, 0);
}

#[test]
fn a_restore_never_touches_a_pki_that_is_there() {
    let sandbox = Sandbox::with_pki();
    sandbox.secret("pass", "correct horse battery staple\n");
    sandbox.pki(["backup", "pki.age", "--backup-passphrase-file", "pass"]).success();
    let before = sandbox.contents();
    let refused = sandbox.pki(["restore", "pki.age", "--backup-passphrase-file", "pass"]).failure(4);
    assert!(refused.says("hint:"), "{refused}");
    assert!(before == sandbox.contents(), "something was written");
    let refused = sandbox.pki(["backup", "pki.age", "--backup-passphrase-file", "pass"]).failure(4);
    assert!(refused.says("exists"), "{refused}");
}

#[test]
fn a_damaged_backup_is_refused_whole() {
    let sandbox = Sandbox::with_pki();
    sandbox.secret("pass", "correct horse battery staple\n");
    sandbox.pki(["backup", "pki.age", "--backup-passphrase-file", "pass"]).success();
    let whole = std::fs::read(sandbox.file("pki.age")).unwrap();
    let other = Sandbox::new();
    std::fs::copy(sandbox.file("pass"), other.file("pass")).unwrap();
    for (name, bytes) in [
        ("short", whole[..whole.len() - 100].to_vec()),
        ("bent", {
            let mut bent = whole.clone();
            let middle = bent.len() / 2;
            bent[middle] ^= 1;
            bent
        }),
    ] {
        other.write(name, bytes);
        let refused = other.pki(["restore", name, "--backup-passphrase-file", "pass"]);
        assert_ne!(refused.code, 0, "{refused}");
        assert!(!other.dir().join("root.crt").exists(), "{name}: something was restored");
    }
}
