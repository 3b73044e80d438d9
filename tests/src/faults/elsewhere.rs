//! The operations that leave files with others, machines, users and LXD, that are stopped on the way: a new one
//! is a row.

use crate::{Sandbox, Service, free_port, openssl};

use super::admission::{entry, listed, tokens};
use super::operation::{Doing, HTTPS, Operation};
use super::proof::{copies, fits, good, holds, issued, populated, served};

/// Enrolment and its renewal, the services that a user knows, and the files of LXD.
pub(super) const OPERATIONS: [Operation; 7] = [
    Operation {
        name: "enroll",
        prepare: |sandbox| {
            served(sandbox);
            invited(sandbox);
        },
        doing: Doing::Served(
            "\"$PKI\" enroll \"$(cat token)\" --out tls --key-type p256 --no-timer",
        ),
        answer: Some("serial"),
        finished_says: Some(4),
        // The token is there or its certificate is, never both and never neither.
        stored: |sandbox| {
            let there = issued(sandbox, "alice")?;
            holds(there == (tokens(sandbox)? == 0), "token and certificate, or neither")?;
            Ok(there)
        },
        finished: enrolled,
    },
    Operation {
        name: "renew --self",
        prepare: |sandbox| {
            served(sandbox);
            let address = format!("127.0.0.1:{}", free_port());
            sandbox.pki(["config", "set", "core.https_address", &address]).success();
            let service = Service::start(sandbox);
            invited(sandbox);
            let token = sandbox.read("token");
            let words = ["--out", "tls", "--key-type", "p256", "--no-timer"];
            sandbox.pki(["enroll", token.trim()].iter().chain(&words)).success();
            assert_eq!(service.stop().code, 0);
            // While it is struck the service is where every one is.
            let record = sandbox.read("tls/alice.enrolled").replace(&address, HTTPS);
            sandbox.write("tls/alice.enrolled", record);
            sandbox.pki(["config", "set", "core.https_address", HTTPS]).success();
            sandbox.pki(["config", "set", "core.public_address", "127.0.0.1:8080"]).success();
        },
        doing: Doing::Served("\"$PKI\" renew --self --force --out tls"),
        answer: Some("serial"),
        finished_says: None,
        stored: |sandbox| Ok(copies(sandbox, "alice")? > 1),
        finished: enrolled,
    },
    Operation {
        name: "remote add",
        prepare: |sandbox| {
            served(sandbox);
            let token = sandbox.pki(["trust", "add", "alice"]).success().stdout;
            sandbox.write("token", token.trim());
        },
        doing: Doing::Served("\"$PKI\" remote add office \"$(cat token)\""),
        answer: Some("client sha256"),
        finished_says: Some(4),
        stored: |sandbox| {
            let known = listed(sandbox, &["remote", "list"])?.len() == 1;
            let trusted = entry(sandbox, "alice")?.is_some();
            holds(trusted == (tokens(sandbox)? == 0), "token and entry, or neither")?;
            holds(trusted || !known, "a remote that does not trust us")?;
            Ok(known)
        },
        finished: |_| Ok(()),
    },
    Operation {
        name: "remote remove",
        prepare: |sandbox| {
            served(sandbox);
            let address = format!("127.0.0.1:{}", free_port());
            sandbox.pki(["config", "set", "core.https_address", &address]).success();
            let service = Service::start(sandbox);
            let token = sandbox.pki(["trust", "add", "alice"]).success().stdout;
            sandbox.pki(["remote", "add", "office", token.trim()]).success();
            assert_eq!(service.stop().code, 0);
        },
        doing: Doing::Command(&["remote", "remove", "office"]),
        answer: None,
        finished_says: Some(3),
        stored: |sandbox| Ok(listed(sandbox, &["remote", "list"])?.is_empty()),
        finished: |_| Ok(()),
    },
    Operation {
        name: "export lxd-client",
        prepare: populated,
        doing: Doing::Command(&["export", "lxd-client", "alice", "--dir", "lxc", "--key-type", "p256"]),
        answer: Some("directory"),
        finished_says: None,
        stored: |sandbox| Ok(issued(sandbox, "alice")? && sandbox.file("lxc/client.key").exists()),
        finished: |sandbox| {
            let issuing = sandbox.dir().join("ca.crt").display().to_string();
            let words = ["verify", "-CAfile", "lxc/client.ca", "-untrusted", &issuing, "lxc/client.crt"];
            good(openssl(sandbox, words))?;
            fits(sandbox, "lxc/client")
        },
    },
    Operation {
        name: "export lxd-server",
        prepare: populated,
        doing: Doing::Command(&["export", "lxd-server", "lxd1.internal", "--dir", "lxd", "--key-type", "p256"]),
        answer: Some("directory"),
        finished_says: None,
        stored: |sandbox| Ok(issued(sandbox, "lxd1.internal")? && sandbox.file("lxd/server.key").exists()),
        finished: exported,
    },
    Operation {
        name: "export lxd-server --watch",
        prepare: populated,
        // It ends when it is told to, which happens here as soon as the command of --exec has run, or after half a
        // minute: what fails is tried again, and strace, which counts for each thread by itself, lets it fail again.
        doing: Doing::Script(
            "[ -e ran ] && exit
             \"$PKI\" export lxd-server lxd1.internal --dir lxd --key-type p256 --watch --exec \"echo > $PWD/ran\" &
             watch=$! tries=0
             until [ -e ran ]; do
               tries=$((tries + 1))
               { [ $tries -lt 1500 ] && kill -0 $watch; } || break
               sleep 0.02
             done
             kill -TERM $watch
             wait $watch || exit
             [ -e ran ]",
        ),
        answer: None,
        finished_says: None,
        stored: |sandbox| Ok(issued(sandbox, "lxd1.internal")? && sandbox.file("ran").exists()),
        finished: exported,
    },
];

/// Makes a token that ends in a certificate of `alice`.
fn invited(sandbox: &Sandbox) {
    let token = sandbox.pki(["trust", "add", "alice", "--enroll", "--quiet"]).success().stdout;
    sandbox.write("token", token.trim());
}

/// What the machine has is whole, and OpenSSL accepts it.
fn enrolled(sandbox: &Sandbox) -> Result<(), String> {
    let words = ["verify", "-x509_strict", "-crl_check_all", "-CRLfile", "tls/alice.crl", "-CAfile"];
    let files = ["tls/alice-root.crt", "-untrusted", "tls/alice-chain.crt", "tls/alice.crt"];
    good(openssl(sandbox, words.iter().chain(&files)))?;
    holds(sandbox.file("tls/alice.enrolled").exists(), "where the service is was not noted")?;
    fits(sandbox, "tls/alice")
}

/// What LXD's server reads is whole, and OpenSSL accepts it.
fn exported(sandbox: &Sandbox) -> Result<(), String> {
    let words =
        ["verify", "-partial_chain", "-crl_check", "-CRLfile", "lxd/ca.crl", "-CAfile", "lxd/server.ca"];
    good(openssl(sandbox, words.iter().chain(&["lxd/server.crt"])))?;
    fits(sandbox, "lxd/server")
}
