//! "The real LXD lets in whom our issuing CA vouches for, and nobody else." LXD's daemon 5.0.2, with the files
//! that `pki export` lays down. It reads them when it starts: each change takes a restart.

use std::path::Path;

use tests::{Lxc, Lxd, Output, Sandbox};

/// A daemon that lets in everybody whom the issuing CA vouches for.
fn lxd(sandbox: &Sandbox) -> Lxd<'_> {
    let mut lxd = Lxd::new(sandbox);
    lay_for_server(sandbox, &lxd, &["localhost", "--ip", "127.0.0.1"]);
    lxd.start();
    assert!(lxd.log().contains("only CA-signed certificates will be allowed"), "{}", lxd.log());
    for (key, value) in [("core.https_address", "127.0.0.1:8443"), ("core.trust_ca_certificates", "true")] {
        let set = lxd.admin(&["config", "set", key, value]);
        assert_eq!(set.code, 0, "{set}\n{}", lxd.log());
    }
    lxd
}

/// Lays down the server's files; the names of those that were written.
#[track_caller]
fn lay_for_server(sandbox: &Sandbox, lxd: &Lxd<'_>, words: &[&str]) -> Vec<String> {
    lay(sandbox, "lxd-server", lxd.folder(), words)
}

#[track_caller]
fn lay(sandbox: &Sandbox, what: &str, folder: &Path, words: &[&str]) -> Vec<String> {
    let folder = folder.display().to_string();
    let words = [&["export", what, "--dir", &folder, "--json"], words].concat();
    let laid = sandbox.pki(words).success().json();
    let written = laid["files"].as_array().unwrap().iter().filter(|file| file["state"] == "written");
    written.map(|file| file["name"].as_str().unwrap().to_owned()).collect()
}

/// A client with a certificate of ours.
fn client<'a>(sandbox: &'a Sandbox, lxd: &Lxd<'a>, name: &str, words: &[&str]) -> Lxc<'a> {
    let lxc = lxd.client(name);
    lay(sandbox, "lxd-client", lxc.folder(), &[&[name], words].concat());
    lxc
}

/// Adds the daemon as a remote. Whoever is let in is asked nothing, neither for the server's fingerprint nor
/// for a password.
#[track_caller]
fn is_let_in(client: &Lxc<'_>) {
    let added = client.run(&["remote", "add", "r", Lxd::URL]).success();
    assert!(!added.says("fingerprint") && !added.says("password"), "{added}");
    is_still_let_in(client);
}

#[track_caller]
fn is_still_let_in(client: &Lxc<'_>) {
    let info = client.run(&["info", "r:"]).success();
    assert!(info.says("auth: trusted"), "{info}");
    let list = client.run(&["config", "trust", "list", "r:", "-f", "csv"]).success();
    assert_eq!(list.stdout, "", "nobody has an entry: {list}");
}

#[track_caller]
fn is_refused(client: &Lxc<'_>) -> Output {
    let refused = client.run(&["list", "r:"]).failure(1);
    assert!(refused.says("not authorized"), "{refused}");
    let info = client.run(&["info", "r:"]).success();
    assert!(info.says("auth: untrusted"), "{info}");
    refused
}

#[test]
fn a_client_of_ours_is_let_in_until_it_is_revoked_and_lxd_has_started_again() {
    let sandbox = Sandbox::with_pki();
    let mut lxd = lxd(&sandbox);
    let (alice, bob) = (client(&sandbox, &lxd, "alice", &[]), client(&sandbox, &lxd, "bob", &[]));
    is_let_in(&alice);
    is_let_in(&bob);
    // One of another authority: LXD names ours to whoever connects, and `lxc` shows it nothing else.
    let elsewhere = Sandbox::with_pki();
    let stranger = lxd.client("stranger");
    lay(&elsewhere, "lxd-client", stranger.folder(), &["alice"]);
    let words = ["remote", "add", "r", Lxd::URL, "--accept-certificate", "--password", "x"];
    let refused = stranger.run(&words).failure(1);
    assert!(refused.says("No client certificate provided") || refused.says("not authorized"), "{refused}");

    sandbox.pki(["revoke", "alice"]).success();
    assert_eq!(lay_for_server(&sandbox, &lxd, &[]), ["ca.crl"]);
    // LXD has read the list of before.
    is_still_let_in(&alice);
    lxd.restart();
    is_refused(&alice);
    is_still_let_in(&bob);
    // Nothing changes, nothing is written: no restart for nothing.
    assert!(lay_for_server(&sandbox, &lxd, &[]).is_empty());
}

#[test]
fn authority_and_list_go_together_across_a_rotation() {
    let sandbox = Sandbox::with_pki();
    let mut lxd = lxd(&sandbox);
    let names = ["alice", "bob"];
    let [alice, bob] = names.map(|name| client(&sandbox, &lxd, name, &[]));
    is_let_in(&alice);
    is_let_in(&bob);
    sandbox.pki(["revoke", "bob"]).success();
    let listed = sandbox.pki(["ca", "list", "--json"]).success().json();
    let issuing = listed.as_array().unwrap().iter().find(|one| one["role"] == "issuing").unwrap();
    let before = issuing["key_id"].as_str().unwrap().to_owned();
    sandbox.pki(["ca", "rotate"]).success();

    // Bound to the one of before, by its name: its clients are let in, and its revocations count.
    assert_eq!(lay_for_server(&sandbox, &lxd, &["--issuer", &before]), ["ca.crl"]);
    lxd.restart();
    is_still_let_in(&alice);
    is_refused(&bob);

    // Bound to the one in force: LXD knows one authority alone, and takes who was renewed.
    assert_eq!(lay_for_server(&sandbox, &lxd, &[]), ["server.ca", "ca.crl"]);
    lxd.restart();
    is_refused(&alice);
    is_refused(&bob);
    assert_eq!(lay(&sandbox, "lxd-client", alice.folder(), &[]), ["client.crt"]);
    is_still_let_in(&alice);
    // What was revoked before is not renewed; it takes another certificate, with another key.
    assert_eq!(lay(&sandbox, "lxd-client", bob.folder(), &[]), ["client.crt", "client.key"]);
    is_still_let_in(&bob);
    let renewed = alice.folder().join("client.crt").display().to_string();
    sandbox.pki(["revoke", &renewed]).success();
    assert_eq!(lay_for_server(&sandbox, &lxd, &[]), ["ca.crl"]);
    lxd.restart();
    is_refused(&alice);
    is_still_let_in(&bob);
}

#[test]
fn keys_of_every_type_are_taken_and_revoked() {
    let sandbox = Sandbox::with_pki();
    let mut lxd = lxd(&sandbox);
    let types = ["p256", "p384", "ed25519", "rsa4096"];
    let clients = types.map(|key_type| client(&sandbox, &lxd, key_type, &["--key-type", key_type]));
    clients.iter().for_each(is_let_in);
    for key_type in &types[..3] {
        sandbox.pki(["revoke", key_type]).success();
    }
    // The server's key too: with another one the clients know it by the root as before.
    let written = lay_for_server(&sandbox, &lxd, &["--key-type", "ed25519"]);
    assert_eq!(written, ["ca.crl", "server.crt", "server.key"]);
    lxd.restart();
    clients[..3].iter().for_each(|client| drop(is_refused(client)));
    is_still_let_in(&clients[3]);
    sandbox.pki(["revoke", types[3]]).success();
    lay_for_server(&sandbox, &lxd, &[]);
    lxd.restart();
    is_refused(&clients[3]);
}
