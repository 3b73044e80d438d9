//! "What does it look like?": whole outputs, stdout, stderr and exit code, of every command.
//!
//! What differs from run to run is filtered. `INSTA_UPDATE=always cargo test -p tests --test suite
//! snapshots` writes them anew; `tests/run` never does.

use tests::{Output, Sandbox, Service, filters};

/// Holds an output against its snapshot.
#[track_caller]
fn seen(sandbox: &Sandbox, name: &str, output: Output) {
    let filters = filters(sandbox);
    let filters: Vec<(&str, &str)> =
        filters.iter().map(|(pattern, shown)| (pattern.as_str(), *shown)).collect();
    insta::with_settings!({ filters => filters, omit_expression => true }, {
        insta::assert_snapshot!(name, output.to_string());
    });
}

/// Runs each of these commands in turn and holds it against its snapshot, as text and as JSON.
#[track_caller]
fn both(sandbox: &Sandbox, name: &str, words: &[&str]) {
    seen(sandbox, name, sandbox.pki(words));
    let json: Vec<&str> = words.iter().copied().chain(["--json"]).collect();
    seen(sandbox, &format!("{name}_json"), sandbox.pki(json));
}

#[test]
fn init_says_what_was_made_and_what_to_do_next() {
    let sandbox = Sandbox::new();
    seen(&sandbox, "init", sandbox.pki(["init", "--name", "Example"]));
    seen(&sandbox, "init_again", sandbox.pki(["init", "--name", "Example"]));
    let other = Sandbox::new();
    seen(&other, "init_json", other.pki(["init", "--name", "Example", "--json"]));
}

#[test]
fn issuing_says_what_was_issued_and_where_it_lies() {
    let sandbox = Sandbox::with_pki();
    seen(&sandbox, "issue_client", sandbox.pki(["issue-client", "alice", "--email", "alice@example.org"]));
    seen(&sandbox, "issue_client_again", sandbox.pki(["issue-client", "alice"]));
    seen(&sandbox, "issue_client_force_json", sandbox.pki(["issue-client", "alice", "--force", "--json"]));
    seen(&sandbox, "issue_client_dry_run", sandbox.pki(["issue-client", "bob", "--dry-run"]));
    seen(&sandbox, "issue_server", sandbox.pki(["issue-server", "www.example.org", "--ip", "192.0.2.7"]));
    seen(&sandbox, "issue_server_bad_name", sandbox.pki(["issue-server", "my_host.example.org"]));
    seen(&sandbox, "issue_server_too_long", sandbox.pki(["issue-server", "b.example.org", "--days", "9000"]));
}

#[test]
fn signing_renewing_and_looking_say_what_they_found() {
    let sandbox = Sandbox::with_pki();
    let words = ["req", "-new", "-nodes", "-newkey", "ed25519", "-subj", "/CN=alice"];
    tests::openssl(&sandbox, words.iter().chain(&["-keyout", "a.key", "-out", "a.csr"])).success();
    seen(&sandbox, "sign", sandbox.pki(["sign", "a.csr", "--profile", "client"]));
    seen(
        &sandbox,
        "sign_out_again",
        sandbox.pki(["sign", "a.csr", "--profile", "client", "--out", "alice.crt"]),
    );
    both(&sandbox, "show", &["show", "alice"]);
    seen(&sandbox, "show_nobody", sandbox.pki(["show", "nobody"]));
    both(&sandbox, "list", &["list", "--name", "alice"]);
    both(&sandbox, "verify", &["verify", "alice.crt"]);
    seen(&sandbox, "renew_not_due", sandbox.pki(["renew", "alice", "--if-due"]));
    both(&sandbox, "renew", &["renew", "alice"]);
    both(&sandbox, "revoke_ambiguous", &["revoke", "alice"]);
}

#[test]
fn revoking_says_what_was_revoked_and_where_it_is_published() {
    let sandbox = Sandbox::with_pki();
    for name in ["alice", "bob"] {
        sandbox.pki(["issue-client", name]).success();
    }
    seen(&sandbox, "revoke_dry_run", sandbox.pki(["revoke", "alice", "--dry-run"]));
    seen(&sandbox, "revoke", sandbox.pki(["revoke", "alice", "--reason", "certificateHold"]));
    seen(&sandbox, "verify_held", sandbox.pki(["verify", "alice.crt"]));
    seen(&sandbox, "release", sandbox.pki(["release", "alice"]));
    seen(&sandbox, "revoke_json", sandbox.pki(["revoke", "bob.crt", "--json"]));
    seen(&sandbox, "revoke_again", sandbox.pki(["revoke", "bob.crt"]));
    seen(&sandbox, "list_revoked", sandbox.pki(["list", "--revoked"]));
    both(&sandbox, "crl_show", &["crl", "show"]);
    both(&sandbox, "crl_publish", &["crl", "publish"]);
    let list = sandbox.dir().join("ca.crl").display().to_string();
    both(&sandbox, "crl_verify", &["crl", "verify", &list]);
}

#[test]
fn the_authorities_and_their_rotation() {
    let sandbox = Sandbox::with_pki();
    both(&sandbox, "ca_list", &["ca", "list"]);
    seen(&sandbox, "ca_rotate", sandbox.pki(["ca", "rotate"]));
    seen(&sandbox, "ca_list_rotated", sandbox.pki(["ca", "list"]));
    let drawer = sandbox.file("root.key").display().to_string();
    seen(&sandbox, "ca_root_offline", sandbox.pki(["ca", "root-offline", "--out", &drawer]));
    seen(&sandbox, "ca_rotate_without_root", sandbox.pki(["ca", "rotate"]));
    seen(&sandbox, "ca_rotate_csr", sandbox.pki(["ca", "rotate", "--csr-out", "next.csr"]));
}

#[test]
fn who_is_trusted_and_what_was_done_about_it() {
    let sandbox = Sandbox::with_pki();
    sandbox.pki(["issue-client", "alice"]).success();
    both(&sandbox, "trust_list_empty", &["trust", "list"]);
    both(&sandbox, "project_create", &["project", "create", "web", "--allow-dns", "*.web.internal"]);
    seen(&sandbox, "trust_add", sandbox.pki(["trust", "add", "alice.crt", "--name", "laptop"]));
    seen(&sandbox, "trust_add_again", sandbox.pki(["trust", "add", "alice.crt"]));
    seen(&sandbox, "trust_add_user", sandbox.pki(["trust", "add", "--local-user", "nobody"]));
    let words = ["trust", "edit", "laptop", "--restricted", "--projects", "web"];
    seen(&sandbox, "trust_edit", sandbox.pki(words));
    both(&sandbox, "trust_list", &["trust", "list"]);
    both(&sandbox, "trust_show", &["trust", "show", "laptop"]);
    both(&sandbox, "project_list", &["project", "list"]);
    both(&sandbox, "group_create", &["group", "create", "web-team"]);
    both(&sandbox, "group_grant", &["group", "grant", "web-team", "issue:web", "view"]);
    let words = ["group", "map", "web-team", "Anna@Example.com", "--provider-group", "Web Admins"];
    both(&sandbox, "group_map", &words);
    both(&sandbox, "group_deny", &["group", "deny", "bob@example.com"]);
    both(&sandbox, "group_list", &["group", "list"]);
    seen(&sandbox, "trust_remove", sandbox.pki(["trust", "remove", "laptop", "--revoke"]));
    seen(&sandbox, "trust_add_revoked", sandbox.pki(["trust", "add", "alice.crt"]));
    seen(&sandbox, "trust_add_token_off", sandbox.pki(["trust", "add", "bert"]));
    both(&sandbox, "trust_list_tokens_empty", &["trust", "list-tokens"]);
    let foreign = Sandbox::with_pki();
    for name in ["ca.crt", "ca.crl"] {
        std::fs::copy(foreign.dir().join(name), sandbox.file(name)).unwrap();
    }
    seen(&sandbox, "trust_ca_add", sandbox.pki(["trust", "ca", "add", "ca.crt", "--crl", "ca.crl"]));
}

#[test]
fn a_token_is_shown_once() {
    let sandbox = Sandbox::with_pki();
    let service = Service::start_with(&sandbox, &["up"], &[]);
    both(&sandbox, "trust_add_token", &["trust", "add", "alice"]);
    both(&sandbox, "trust_list_tokens", &["trust", "list-tokens"]);
    seen(&sandbox, "trust_revoke_token_ambiguous", sandbox.pki(["trust", "revoke-token", "alice"]));
    assert_eq!(service.stop().code, 0);
}

#[test]
fn the_rest_of_what_one_can_ask() {
    let sandbox = Sandbox::with_pki();
    both(&sandbox, "info", &["info"]);
    both(&sandbox, "doctor", &["doctor"]);
    both(&sandbox, "config_list", &["config", "list"]);
    both(&sandbox, "config_set", &["config", "set", "profile.client.days", "30"]);
    both(&sandbox, "config_get", &["config", "get", "profile.client.days"]);
    both(&sandbox, "config_unset", &["config", "unset", "profile.client.days"]);
    seen(&sandbox, "config_unknown", sandbox.pki(["config", "set", "core.publicurl", "http://x"]));
    both(&sandbox, "audit", &["audit"]);
    both(&sandbox, "acme_list", &["acme", "list"]);
    sandbox.secret("pass", "correct horse battery staple\n");
    seen(&sandbox, "backup", sandbox.pki(["backup", "pki.age", "--backup-passphrase-file", "pass"]));
    seen(
        &sandbox,
        "restore_refused",
        sandbox.pki(["restore", "pki.age", "--backup-passphrase-file", "pass"]),
    );
    let elsewhere = sandbox.root().join("elsewhere").display().to_string();
    let words = ["restore", "pki.age", "--backup-passphrase-file", "pass", "--dir", &elsewhere];
    seen(&sandbox, "restore", sandbox.pki(words));
}

#[test]
fn what_is_said_where_there_is_no_pki() {
    let sandbox = Sandbox::new();
    for words in [&["list"][..], &["issue-client", "alice"], &["revoke", "alice"], &["serve"], &["doctor"]] {
        seen(&sandbox, &format!("no_pki_{}", words[0]), sandbox.pki(words));
    }
    seen(&sandbox, "wrong_command", sandbox.pki(["lst"]));
    seen(&sandbox, "wrong_option_json", sandbox.pki(["list", "--expiring", "soon", "--json"]));
}

#[test]
fn up_and_serve_say_where_they_listen() {
    let sandbox = Sandbox::with_pki();
    let service = Service::start(&sandbox);
    seen(&sandbox, "serve", service.stop());
}
