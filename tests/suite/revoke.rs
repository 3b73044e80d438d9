//! "When I revoke, it is over at once."

use tests::{Purpose, Sandbox, Service, openssl_accepts, openssl_finds_revoked};

#[test]
fn every_reason_is_listed_as_it_was_given() {
    let sandbox = Sandbox::with_pki();
    let reasons = [
        ("keyCompromise", "Key Compromise"),
        ("affiliationChanged", "Affiliation Changed"),
        ("superseded", "Superseded"),
        ("cessationOfOperation", "Cessation Of Operation"),
        ("certificateHold", "Certificate Hold"),
        ("privilegeWithdrawn", "Privilege Withdrawn"),
    ];
    for (reason, _) in reasons {
        sandbox.pki(["issue-client", reason, "--key-type", "p256"]).success();
        sandbox.pki(["revoke", reason, "--reason", reason]).success();
    }
    let list = sandbox.dir().join("ca.crl");
    let text =
        tests::openssl(&sandbox, ["crl", "-noout", "-text", "-in", list.to_str().unwrap()]).success().stdout;
    for (_, shown) in reasons {
        assert!(text.contains(shown), "{shown} is missing from\n{text}");
    }
    sandbox.pki(["issue-client", "bob"]).success();
    let refused = sandbox.pki(["revoke", "bob", "--reason", "boredom"]).failure(2);
    assert!(refused.says("boredom") && refused.says("keyCompromise"), "{refused}");
    // removeFromCRL is for delta lists alone (RFC 5280 §5.3.1).
    sandbox.pki(["revoke", "bob", "--reason", "removeFromCRL"]).failure(2);
    openssl_accepts(&sandbox, Purpose::Client, "bob");
}

#[test]
fn a_name_that_means_several_lists_them_and_changes_nothing() {
    let sandbox = Sandbox::with_pki();
    sandbox.pki(["issue-client", "alice", "--out", "one"]).success();
    sandbox.pki(["issue-client", "alice", "--out", "two"]).success();
    let listed = sandbox.pki(["list", "--json", "--name", "alice"]).success().json();
    let serials: Vec<String> =
        listed.as_array().unwrap().iter().map(|one| one["serial"].as_str().unwrap().to_owned()).collect();
    assert_eq!(serials.len(), 2);
    let refused = sandbox.pki(["revoke", "alice"]).failure(4);
    for serial in &serials {
        assert!(refused.says(&serial[..8]), "{serial} is not named by {refused}");
    }
    assert!(refused.says("--all"), "{refused}");
    let revoked = sandbox.pki(["list", "--json", "--revoked"]).success().json();
    assert_eq!(revoked.as_array().unwrap().len(), 0);
    sandbox.pki(["revoke", &serials[0]]).success();
    sandbox.pki(["revoke", "alice"]).success();
    let revoked = sandbox.pki(["list", "--json", "--revoked"]).success().json();
    assert_eq!(revoked.as_array().unwrap().len(), 2);
}

#[test]
fn all_revokes_every_certificate_of_a_name() {
    let sandbox = Sandbox::with_pki();
    for folder in ["one", "two", "three"] {
        sandbox.pki(["issue-client", "alice", "--out", folder]).success();
    }
    sandbox.pki(["revoke", "alice", "--all"]).success();
    let revoked = sandbox.pki(["list", "--json", "--revoked"]).success().json();
    assert_eq!(revoked.as_array().unwrap().len(), 3);
    // Nothing is live any more: the same again finds nothing, and says so.
    let again = sandbox.pki(["revoke", "alice", "--all"]);
    assert!(again.code == 0 || again.code == 3, "{again}");
}

#[test]
fn a_file_a_serial_and_a_fingerprint_all_name_a_certificate() {
    let sandbox = Sandbox::with_pki();
    for name in ["by-file", "by-serial", "by-fingerprint"] {
        sandbox.pki(["issue-client", name]).success();
    }
    let field = |name: &str, field: &str| {
        let listed = sandbox.pki(["list", "--json", "--name", name]).success().json();
        listed[0][field].as_str().unwrap().to_owned()
    };
    sandbox.pki(["revoke", "by-file.crt"]).success();
    sandbox.pki(["revoke", &field("by-serial", "serial")[..12]]).success();
    sandbox.pki(["revoke", &field("by-fingerprint", "fingerprint")[..16]]).success();
    for name in ["by-file", "by-serial", "by-fingerprint"] {
        openssl_finds_revoked(&sandbox, Purpose::Client, name);
    }
    let refused = sandbox.pki(["revoke", "nobody"]).failure(3);
    assert!(refused.says("nobody") && refused.says("hint:"), "{refused}");
}

#[test]
fn what_another_ca_signed_is_not_ours_to_revoke() {
    let (ours, theirs) = (Sandbox::with_pki(), Sandbox::with_pki());
    theirs.pki(["issue-client", "alice"]).success();
    let before = ours.contents();
    let refused = ours.pki(["revoke", theirs.file("alice.crt").to_str().unwrap()]);
    assert!(refused.code != 0 && refused.says("hint:"), "{refused}");
    assert!(before == ours.contents(), "something was written");
}

#[test]
fn a_hold_is_lifted_and_nothing_else_is() {
    let sandbox = Sandbox::with_pki();
    sandbox.pki(["issue-client", "alice"]).success();
    sandbox.pki(["revoke", "alice", "--reason", "certificateHold"]).success();
    openssl_finds_revoked(&sandbox, Purpose::Client, "alice");
    sandbox.pki(["release", "alice"]).success();
    openssl_accepts(&sandbox, Purpose::Client, "alice");
    sandbox.pki(["revoke", "alice"]).success();
    let refused = sandbox.pki(["release", "alice"]).failure(4);
    assert!(refused.says("certificateHold"), "{refused}");
    openssl_finds_revoked(&sandbox, Purpose::Client, "alice");
}

#[test]
fn a_compromised_key_is_never_certified_again() {
    let sandbox = Sandbox::with_pki();
    let words = [
        "req",
        "-new",
        "-nodes",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-subj",
        "/CN=alice",
    ];
    tests::openssl(&sandbox, words.into_iter().chain(["-keyout", "alice.key", "-out", "alice.csr"]))
        .success();
    sandbox.pki(["sign", "alice.csr", "--profile", "client", "--out", "alice.crt"]).success();
    sandbox.pki(["revoke", "alice.crt", "--reason", "keyCompromise"]).success();
    // A new request for the same key, under another name and for another purpose.
    tests::openssl(
        &sandbox,
        ["req", "-new", "-key", "alice.key", "-subj", "/CN=www.example.org", "-out", "again.csr"],
    )
    .success();
    for profile in ["client", "server"] {
        let refused =
            sandbox.pki(["sign", "again.csr", "--profile", profile, "--name", "www.example.org"]).failure(2);
        assert!(refused.says("compromise") || refused.says("keyCompromise"), "{refused}");
    }
}

#[test]
fn a_running_service_serves_the_new_list_before_revoke_returns() {
    let sandbox = Sandbox::with_pki();
    sandbox.pki(["issue-client", "alice"]).success();
    let service = Service::start(&sandbox);
    let before = service.ask("/ca.crl");
    sandbox.pki(["revoke", "alice"]).success();
    let after = service.ask("/ca.crl");
    assert_ne!(before.body, after.body);
    assert_ne!(before.header("etag"), after.header("etag"));
    openssl_finds_revoked(&sandbox, Purpose::Client, "alice");
    let verdict = sandbox.pki(["verify", "alice.crt"]).failure(1);
    assert!(verdict.says("revoked"), "{verdict}");
}

#[test]
fn a_dry_run_revokes_nothing() {
    let sandbox = Sandbox::with_pki();
    sandbox.pki(["issue-client", "alice"]).success();
    let before = std::fs::read(sandbox.dir().join("ca.crl")).unwrap();
    sandbox.pki(["revoke", "alice", "--dry-run"]).success();
    assert_eq!(before, std::fs::read(sandbox.dir().join("ca.crl")).unwrap());
    openssl_accepts(&sandbox, Purpose::Client, "alice");
}

#[test]
fn a_list_that_cannot_be_placed_leaves_the_revocation_in_force() {
    let sandbox = Sandbox::with_pki();
    sandbox.pki(["issue-client", "alice"]).success();
    // Something that cannot be replaced stands where the list belongs.
    let list = sandbox.dir().join("ca.crl");
    std::fs::remove_file(&list).unwrap();
    std::fs::create_dir(&list).unwrap();
    std::fs::write(list.join("in the way"), "").unwrap();
    let pending = sandbox.pki(["revoke", "alice"]).failure(9);
    assert!(pending.says("revoked") && pending.says("ca.crl"), "{pending}");
    sandbox.pki(["verify", "alice.crt"]).failure(1);
    std::fs::remove_dir_all(&list).unwrap();
    sandbox.pki(["crl", "publish"]).success();
    openssl_finds_revoked(&sandbox, Purpose::Client, "alice");
}
