//! "My issuing key has a passphrase, and I can change it."

use tests::{Purpose, Sandbox, Service, openssl_accepts};

fn encrypted() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.secret("pass", "correct horse\n");
    sandbox.pki(["init", "--name", "Example", "--passphrase-file", "pass"]).success();
    sandbox
}

fn issuing_key(sandbox: &Sandbox) -> std::path::PathBuf {
    let info = sandbox.pki(["info", "--json"]).success().json();
    let issuing =
        info["authorities"].as_array().unwrap().iter().find(|one| one["role"] == "issuing").unwrap();
    sandbox.dir().join("keys").join(format!("{}.key", issuing["key_id"].as_str().unwrap()))
}

#[test]
fn an_encrypted_key_is_one_that_openssl_opens_with_the_passphrase() {
    let sandbox = encrypted();
    for key in [issuing_key(&sandbox), sandbox.dir().join("keys/root.key")] {
        let text = std::fs::read_to_string(&key).unwrap();
        assert!(text.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"), "{}", key.display());
        let shown = tests::openssl(&sandbox, ["asn1parse", "-in", key.to_str().unwrap()]).success().stdout;
        for part in ["PBES2", "scrypt", "aes-256-cbc"] {
            assert!(shown.contains(part), "{part} is missing from\n{shown}");
        }
        tests::openssl(&sandbox, ["pkey", "-in", key.to_str().unwrap(), "-passin", "file:pass", "-noout"])
            .success();
        tests::openssl(&sandbox, ["pkey", "-in", key.to_str().unwrap(), "-passin", "pass:wrong", "-noout"])
            .failure(1);
    }
}

#[test]
fn without_the_passphrase_nothing_is_signed() {
    let sandbox = encrypted();
    let before = sandbox.contents();
    let refused = sandbox.pki(["issue-client", "alice"]);
    assert_ne!(refused.code, 0, "{refused}");
    assert!(refused.says("passphrase") && refused.says("hint:"), "{refused}");
    assert!(!sandbox.file("alice.crt").exists());
    sandbox.secret("wrong", "incorrect horse\n");
    let refused = sandbox.pki(["issue-client", "alice", "--passphrase-file", "wrong"]);
    assert_ne!(refused.code, 0, "{refused}");
    assert!(!sandbox.file("alice.crt").exists());
    sandbox.pki(["issue-client", "alice", "--passphrase-file", "pass"]).success();
    openssl_accepts(&sandbox, Purpose::Client, "alice");
    drop(before);
}

#[test]
fn a_new_passphrase_replaces_the_old_one() {
    let sandbox = encrypted();
    sandbox.secret("new", "battery staple\n");
    sandbox.pki(["passwd", "--passphrase-file", "pass", "--new-passphrase-file", "new"]).success();
    assert_ne!(sandbox.pki(["issue-client", "alice", "--passphrase-file", "pass"]).code, 0);
    sandbox.pki(["issue-client", "alice", "--passphrase-file", "new"]).success();
    openssl_accepts(&sandbox, Purpose::Client, "alice");
}

#[test]
fn a_service_takes_it_as_a_systemd_credential() {
    let sandbox = Sandbox::new();
    sandbox.secret("pass", "correct horse\n");
    sandbox.pki(["init", "--name", "Example", "--passphrase-file", "pass"]).success();
    sandbox
        .pki(["config", "set", "core.public_address", "127.0.0.1:9", "--passphrase-file", "pass"])
        .success();
    let folder = sandbox.root().join("credentials");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(sandbox.file("pass"), folder.join("pki-passphrase")).unwrap();
    let folder = folder.display().to_string();
    let service = Service::start_with(&sandbox, &["serve"], &[("CREDENTIALS_DIRECTORY", &folder)]);
    sandbox.pki(["issue-client", "alice"]).success();
    openssl_accepts(&sandbox, Purpose::Client, "alice");
    assert_eq!(service.stop().code, 0);
}

#[test]
fn with_a_service_it_says_what_to_do() {
    let sandbox = encrypted();
    sandbox.secret("new", "battery staple\n");
    sandbox.pki(["config", "set", "core.public_address", "127.0.0.1:9"]).success();
    let service = Service::start_with(&sandbox, &["serve", "--passphrase-file", "pass"], &[]);
    let before = std::fs::read(issuing_key(&sandbox)).unwrap();
    let words = ["passwd", "--passphrase-file", "pass", "--new-passphrase-file", "new"];
    let refused = sandbox.pki(words).failure(4);
    for hint in ["stop it first", "systemctl stop pki", "start it again with the new passphrase"] {
        assert!(refused.stderr.contains(hint), "{hint}: {refused}");
    }
    assert_eq!(before, std::fs::read(issuing_key(&sandbox)).unwrap());
    assert_eq!(service.stop().code, 0);
    sandbox.pki(words).success();
}
