//! The operations on certificates, lists and authorities that are stopped on the way. A new one is a row.

use crate::{Purpose, openssl};

use super::operation::{Doing, Operation};
use super::proof::{
    accepted, bytes, ca_keys, good, has_status, holds, issued, issues, populated, read, refused, rotated,
    served,
};

/// What a command says that finds its work done.
const CONFLICT: Option<i32> = Some(4);

/// Operations on certificates, lists and authorities.
pub(super) const OPERATIONS: [Operation; 15] = [
    Operation {
        name: "issue-client",
        prepare: populated,
        doing: Doing::Command(&["issue-client", "alice", "--key-type", "p256"]),
        answer: Some("serial"),
        finished_says: CONFLICT,
        stored: |sandbox| issued(sandbox, "alice"),
        finished: |sandbox| accepted(sandbox, Purpose::Client, "alice"),
    },
    Operation {
        name: "issue-server",
        prepare: populated,
        doing: Doing::Command(&["issue-server", "www.example.org", "--key-type", "p256"]),
        answer: Some("serial"),
        finished_says: CONFLICT,
        stored: |sandbox| issued(sandbox, "www.example.org"),
        finished: |sandbox| accepted(sandbox, Purpose::Server, "www.example.org"),
    },
    Operation {
        name: "revoke",
        prepare: populated,
        doing: Doing::Command(&["revoke", "bob"]),
        answer: Some("revoked"),
        finished_says: None,
        stored: |sandbox| has_status(sandbox, "bob", "revoked"),
        finished: |sandbox| refused(sandbox, "bob"),
    },
    Operation {
        name: "release",
        prepare: populated,
        doing: Doing::Command(&["release", "held"]),
        answer: Some("valid"),
        finished_says: CONFLICT,
        stored: |sandbox| has_status(sandbox, "held", "valid"),
        finished: |sandbox| accepted(sandbox, Purpose::Client, "held"),
    },
    Operation {
        name: "crl publish",
        prepare: populated,
        doing: Doing::Command(&["crl", "publish"]),
        answer: Some("issuing"),
        finished_says: None,
        stored: |sandbox| Ok(bytes(sandbox, "ca.crl.der")? != read(sandbox.file("before.crl"))?),
        finished: |sandbox| refused(sandbox, "held"),
    },
    Operation {
        name: "ca rotate",
        prepare: populated,
        doing: Doing::Command(&["ca", "rotate", "--key-type", "p256"]),
        answer: Some("current"),
        finished_says: None,
        stored: rotated,
        finished: |sandbox| accepted(sandbox, Purpose::Client, "bob").and_then(|()| issues(sandbox, &[])),
    },
    Operation {
        name: "init",
        prepare: |_| {},
        doing: Doing::Command(&["init", "--name", "Example", "--key-type", "p256"]),
        answer: Some("issuing"),
        finished_says: CONFLICT,
        stored: |sandbox| Ok(sandbox.pki(["info"]).code == 0),
        finished: |sandbox| issues(sandbox, &[]),
    },
    Operation {
        name: "init --root-key-out",
        prepare: |_| {},
        doing: Doing::Command(&[
            "init",
            "--name",
            "Example",
            "--key-type",
            "p256",
            "--root-key-out",
            "medium.key",
        ]),
        answer: Some("issuing"),
        finished_says: CONFLICT,
        stored: |sandbox| Ok(sandbox.pki(["info"]).code == 0),
        finished: |sandbox| {
            issues(sandbox, &[])?;
            good(sandbox.pki(["crl", "publish", "--root", "--root-key", "medium.key"])).map(|_| ())
        },
    },
    Operation {
        name: "backup",
        prepare: |sandbox| {
            populated(sandbox);
            sandbox.secret("pass", "correct horse battery staple\n");
        },
        doing: Doing::Command(&["backup", "pki.age", "--backup-passphrase-file", "pass"]),
        answer: Some("backup"),
        finished_says: CONFLICT,
        stored: |sandbox| Ok(sandbox.file("pki.age").exists()),
        finished: |sandbox| {
            let there = sandbox.root().join("restored").display().to_string();
            let _ = std::fs::remove_dir_all(&there);
            good(sandbox.pki(["restore", "pki.age", "--backup-passphrase-file", "pass", "--dir", &there]))?;
            let listed = good(sandbox.pki(["list", "--json", "--dir", &there]))?;
            holds(listed.says("\"bob\"") && listed.says("\"held\""), "the backup lacks a certificate")
        },
    },
    Operation {
        name: "restore",
        prepare: |sandbox| {
            populated(sandbox);
            sandbox.secret("pass", "correct horse battery staple\n");
            sandbox.pki(["backup", "pki.age", "--backup-passphrase-file", "pass"]).success();
            std::fs::remove_dir_all(sandbox.dir()).expect("a directory to remove");
        },
        doing: Doing::Command(&["restore", "pki.age", "--backup-passphrase-file", "pass"]),
        answer: Some("directory"),
        finished_says: CONFLICT,
        stored: |sandbox| {
            let listed = sandbox.pki(["list", "--json"]);
            holds(listed.code != 0 || listed.says("\"held\""), "it lists, but not what was backed up")?;
            Ok(listed.code == 0)
        },
        finished: |sandbox| {
            accepted(sandbox, Purpose::Client, "bob")?;
            refused(sandbox, "held")?;
            issues(sandbox, &[])
        },
    },
    Operation {
        name: "config set",
        prepare: populated,
        doing: Doing::Command(&["config", "set", "core.public_url", "http://pki.example.org"]),
        answer: Some("core.public_url is"),
        finished_says: None,
        stored: |sandbox| {
            let value = good(sandbox.pki(["config", "get", "core.public_url"]))?;
            Ok(value.stdout.trim() == "http://pki.example.org")
        },
        finished: |_| Ok(()),
    },
    Operation {
        name: "passwd",
        prepare: |sandbox| {
            sandbox.secret("pass", "correct horse\n");
            sandbox.secret("new", "battery staple\n");
            let words = ["init", "--name", "Example", "--key-type", "p256", "--passphrase-file", "pass"];
            sandbox.pki(words).success();
        },
        doing: Doing::Command(&["passwd", "--passphrase-file", "pass", "--new-passphrase-file", "new"]),
        answer: None,
        // The old passphrase opens nothing any more.
        finished_says: Some(2),
        // Each key changes in one step of its own; the same command finishes the rest.
        stored: |sandbox| {
            let mut new = true;
            for key in ca_keys(sandbox)? {
                let opens =
                    |pass: &str| openssl(sandbox, ["pkey", "-noout", "-in", &key, "-passin", pass]).code == 0;
                let (with_new, with_old) = (opens("file:new"), opens("file:pass"));
                holds(with_new != with_old, "a key opens with neither passphrase or with both")?;
                new &= with_new;
            }
            Ok(new)
        },
        finished: |sandbox| issues(sandbox, &["--passphrase-file", "new"]),
    },
    Operation {
        name: "ca root-offline",
        prepare: populated,
        doing: Doing::Command(&["ca", "root-offline", "--out", "medium.key"]),
        answer: Some("elsewhere"),
        finished_says: Some(3),
        stored: |sandbox| {
            let here = sandbox.dir().join("keys/root.key");
            if here.exists() {
                good(openssl(sandbox, ["pkey", "-noout", "-in", &here.display().to_string()]))?;
                return Ok(false);
            }
            good(openssl(sandbox, ["pkey", "-noout", "-in", "medium.key"]))?;
            Ok(true)
        },
        finished: |sandbox| {
            let listed = good(sandbox.pki(["ca", "list"]))?;
            holds(listed.says("elsewhere"), "the root's key is said to be here")?;
            issues(sandbox, &[])
        },
    },
    Operation {
        name: "issue-client by a service",
        prepare: served,
        doing: Doing::Served("\"$PKI\" issue-client alice --key-type p256"),
        answer: Some("serial"),
        finished_says: CONFLICT,
        stored: |sandbox| issued(sandbox, "alice"),
        finished: |sandbox| accepted(sandbox, Purpose::Client, "alice"),
    },
    Operation {
        name: "revoke by a service",
        prepare: served,
        doing: Doing::Served("\"$PKI\" revoke bob"),
        answer: Some("revoked"),
        finished_says: None,
        stored: |sandbox| has_status(sandbox, "bob", "revoked"),
        finished: |sandbox| refused(sandbox, "bob"),
    },
];
