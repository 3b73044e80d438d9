//! "Renew it: the same, for longer."

use std::collections::BTreeSet;

use tests::{Output, Program, Purpose, Sandbox, openssl, openssl_accepts, run};

fn key_of(sandbox: &Sandbox, words: &[&str]) -> String {
    openssl(sandbox, words).success().stdout
}

fn at(sandbox: &Sandbox, ahead: &str, words: &[&str]) -> Output {
    let mut command = std::process::Command::new("faketime");
    sandbox.surround(&mut command);
    run(command.args(["-f", ahead]).arg(Program::Shipped.path()).args(words))
}

#[test]
fn a_renewal_keeps_names_and_rights_and_nothing_more() {
    let sandbox = Sandbox::with_pki();
    sandbox.pki(["issue-server", "www.example.org", "--dns", "example.org", "--ip", "192.0.2.7"]).success();
    let before = sandbox.read("www.example.org.crt");
    sandbox.pki(["renew", "www.example.org"]).success();
    let listed = sandbox.pki(["list", "--json", "--name", "www.example.org"]).success().json();
    let both = listed.as_array().unwrap();
    assert_eq!(both.len(), 2, "{listed:#}");
    for field in ["name", "profile", "names", "key_type", "project"] {
        assert_eq!(both[0][field], both[1][field], "{field}: {listed:#}");
    }
    let serials: BTreeSet<_> = both.iter().map(|one| one["serial"].as_str().unwrap()).collect();
    assert_eq!(serials.len(), 2);
    let after = sandbox.read("www.example.org.crt");
    assert_ne!(before, after, "the file holds the successor");
    openssl_accepts(&sandbox, Purpose::Server, "www.example.org");
    let of_key = key_of(&sandbox, &["pkey", "-in", "www.example.org.key", "-pubout"]);
    assert_eq!(of_key, key_of(&sandbox, &["x509", "-in", "www.example.org.crt", "-noout", "-pubkey"]));
}

#[test]
fn a_rekey_makes_a_new_key_here() {
    let sandbox = Sandbox::with_pki();
    sandbox.pki(["issue-client", "alice"]).success();
    let before = key_of(&sandbox, &["pkey", "-in", "alice.key", "-pubout"]);
    sandbox.pki(["renew", "alice", "--rekey"]).success();
    let after = key_of(&sandbox, &["pkey", "-in", "alice.key", "-pubout"]);
    assert_ne!(before, after);
    assert_eq!(after, key_of(&sandbox, &["x509", "-in", "alice.crt", "-noout", "-pubkey"]));
    openssl_accepts(&sandbox, Purpose::Client, "alice");
}

#[test]
fn if_due_waits_for_two_thirds_of_the_lifetime() {
    let sandbox = Sandbox::with_pki();
    sandbox.pki(["issue-client", "alice", "--days", "30"]).success();
    let before = sandbox.read("alice.crt");
    sandbox.pki(["renew", "alice", "--if-due"]).success();
    at(&sandbox, "+19d", &["renew", "alice", "--if-due"]).success();
    assert_eq!(before, sandbox.read("alice.crt"));
    at(&sandbox, "+21d", &["renew", "alice", "--if-due"]).success();
    assert_ne!(before, sandbox.read("alice.crt"));
}

#[test]
fn what_was_revoked_is_not_renewed() {
    let sandbox = Sandbox::with_pki();
    sandbox.pki(["issue-client", "alice"]).success();
    let serial = sandbox.pki(["list", "--json"]).success().json();
    let serial =
        serial.as_array().unwrap().iter().find(|one| one["name"] == "alice").unwrap()["serial"].clone();
    sandbox.pki(["revoke", "alice", "--reason", "keyCompromise"]).success();
    let before = sandbox.contents();
    let refused = sandbox.pki(["renew", serial.as_str().unwrap()]);
    assert!([2, 3, 4].contains(&refused.code), "{refused}");
    assert!(refused.says("revoked"), "{refused}");
    let work = |contents: std::collections::BTreeMap<std::path::PathBuf, Vec<u8>>| {
        contents.into_iter().filter(|(path, _)| path.starts_with(sandbox.work())).collect::<Vec<_>>()
    };
    assert!(work(before) == work(sandbox.contents()), "something was written");
}

#[test]
fn a_rekey_names_the_key_and_a_revoked_certificate_the_way_to_a_new_one() {
    let sandbox = Sandbox::with_pki();
    sandbox.pki(["issue-client", "alice"]).success();
    let renewed = sandbox.pki(["renew", "alice", "--rekey"]).success();
    assert!(renewed.says("wrote alice.key, alice.crt and alice-chain.crt"), "{renewed}");
    sandbox.pki(["revoke", "alice", "--all"]).success();
    for words in [&["renew", "alice"][..], &["renew", "alice", "--rekey"]] {
        let refused = sandbox.pki(words).failure(4);
        assert!(refused.says("revoked") && refused.says("pki issue-client alice"), "{refused}");
    }
}
