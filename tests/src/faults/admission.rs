//! The operations on who may connect that are stopped on the way. A new one is a row.

use serde_json::Value;

use crate::Sandbox;

use super::operation::{Doing, Operation};
use super::proof::{good, holds, populated, served};

/// Operations on tokens, entries, imported authorities, projects, settings and the passphrase of local users.
pub(super) const OPERATIONS: [Operation; 14] = [
    Operation {
        name: "trust add NAME",
        prepare: served,
        doing: Doing::Command(&["trust", "add", "alice"]),
        answer: Some("ey"),
        finished_says: None,
        stored: |sandbox| Ok(tokens(sandbox)? > 0),
        finished: |_| Ok(()),
    },
    Operation {
        name: "trust revoke-token",
        prepare: |sandbox| {
            served(sandbox);
            sandbox.pki(["trust", "add", "alice"]).success();
        },
        doing: Doing::Command(&["trust", "revoke-token", "alice"]),
        answer: Some("worth nothing"),
        finished_says: Some(3),
        stored: |sandbox| Ok(tokens(sandbox)? == 0),
        finished: |_| Ok(()),
    },
    Operation {
        name: "token redeemed over HTTPS",
        prepare: |sandbox| {
            served(sandbox);
            let token = sandbox.pki(["trust", "add", "alice"]).success().stdout;
            sandbox.write("wanted", format!(r#"{{"type":"client","trust_token":"{}"}}"#, token.trim()));
        },
        // Whoever got no answer asks again, and is let in by then or redeems it now.
        doing: Doing::Served(
            "ask() { curl --silent --show-error --insecure --max-time 30 --cert bob.crt --key bob.key \"$@\"; }
             ask https://127.0.0.1:8443/1.0 | grep -q '\"auth\":\"trusted\"' && exit
             ask --fail-with-body --data @wanted https://127.0.0.1:8443/1.0/certificates || exit 1",
        ),
        answer: Some("Success"),
        finished_says: None,
        // The token is there or its entry is, never both and never neither.
        stored: |sandbox| {
            let trusted = entry(sandbox, "alice")?.is_some();
            holds(trusted == (tokens(sandbox)? == 0), "token and entry, or neither")?;
            Ok(trusted)
        },
        finished: |_| Ok(()),
    },
    Operation {
        name: "trust add FILE",
        prepare: served,
        doing: Doing::Command(&["trust", "add", "bob.crt", "--name", "laptop"]),
        answer: Some("status"),
        finished_says: Some(4),
        stored: |sandbox| Ok(entry(sandbox, "laptop")?.is_some()),
        finished: |_| Ok(()),
    },
    Operation {
        name: "trust remove",
        prepare: |sandbox| {
            served(sandbox);
            sandbox.pki(["trust", "add", "bob.crt", "--name", "laptop"]).success();
        },
        doing: Doing::Command(&["trust", "remove", "laptop"]),
        answer: Some("not trusted any more"),
        finished_says: Some(3),
        stored: |sandbox| Ok(entry(sandbox, "laptop")?.is_none()),
        finished: |_| Ok(()),
    },
    Operation {
        name: "set local.passphrase",
        prepare: served,
        doing: Doing::Command(&["set", "local.passphrase=correct horse battery"]),
        answer: Some("is set"),
        finished_says: None,
        stored: |sandbox| {
            let set = good(sandbox.pki(["get", "local.passphrase"]))?;
            Ok(set.stdout.trim() == "true")
        },
        finished: |_| Ok(()),
    },
    Operation {
        name: "authenticate",
        prepare: |sandbox| {
            served(sandbox);
            sandbox.pki(["set", "local.passphrase=correct horse battery"]).success();
            sandbox.pki(["config", "set", "local.trust_first", "false"]).success();
        },
        // Another user, who may pass through the folders of the test all the same.
        doing: Doing::Served(
            "exec setpriv --reuid=1002 --regid=65534 --clear-groups --inh-caps=+dac_override \
             --ambient-caps=+dac_override \"$PKI\" authenticate 'correct horse battery'",
        ),
        answer: Some("trusted"),
        finished_says: None,
        stored: |sandbox| Ok(entry(sandbox, "uid 1002")?.is_some()),
        finished: |_| Ok(()),
    },
    Operation {
        name: "trust add NAME --enroll",
        prepare: served,
        doing: Doing::Command(&["trust", "add", "alice", "--enroll"]),
        answer: Some("ey"),
        finished_says: None,
        stored: |sandbox| Ok(tokens(sandbox)? > 0),
        finished: |_| Ok(()),
    },
    Operation {
        name: "trust edit",
        prepare: |sandbox| {
            served(sandbox);
            sandbox.pki(["trust", "add", "bob.crt", "--name", "laptop"]).success();
        },
        doing: Doing::Command(&["trust", "edit", "laptop", "--name", "desktop"]),
        answer: Some("desktop"),
        finished_says: Some(3),
        stored: |sandbox| {
            let (old, new) = (entry(sandbox, "laptop")?.is_some(), entry(sandbox, "desktop")?.is_some());
            holds(old != new, "under both names, or under neither")?;
            Ok(new)
        },
        finished: |_| Ok(()),
    },
    Operation {
        name: "trust ca add",
        prepare: foreign,
        doing: Doing::Command(&["trust", "ca", "add", "theirs.crt", "--crl", "theirs.crl"]),
        answer: Some("added"),
        finished_says: None,
        stored: |sandbox| {
            let imported = listed(sandbox, &["trust", "ca", "list"])?;
            holds(imported.iter().all(|one| one["list"]["state"] == "fresh"), "without its list")?;
            Ok(!imported.is_empty())
        },
        finished: |_| Ok(()),
    },
    Operation {
        name: "trust ca remove",
        prepare: |sandbox| {
            foreign(sandbox);
            sandbox.pki(["trust", "ca", "add", "theirs.crt", "--crl", "theirs.crl"]).success();
            let imported = listed(sandbox, &["trust", "ca", "list"]).expect("an authority");
            sandbox.write("key", imported[0]["key"].as_str().expect("a digest"));
        },
        doing: Doing::Script("\"$PKI\" trust ca remove \"$(cat key)\""),
        answer: None,
        finished_says: Some(3),
        stored: |sandbox| Ok(listed(sandbox, &["trust", "ca", "list"])?.is_empty()),
        finished: |_| Ok(()),
    },
    Operation {
        name: "project create",
        prepare: populated,
        doing: Doing::Command(&["project", "create", "web", "--allow-dns", "*.web.internal"]),
        answer: Some("allows"),
        finished_says: Some(4),
        stored: |sandbox| project(sandbox, "web"),
        finished: |_| Ok(()),
    },
    Operation {
        name: "project remove",
        prepare: |sandbox| {
            populated(sandbox);
            sandbox.pki(["project", "create", "web"]).success();
        },
        doing: Doing::Command(&["project", "remove", "web"]),
        answer: None,
        finished_says: Some(3),
        stored: |sandbox| project(sandbox, "web").map(|there| !there),
        finished: |_| Ok(()),
    },
    Operation {
        name: "config unset",
        prepare: |sandbox| {
            populated(sandbox);
            sandbox.pki(["config", "set", "core.public_url", "http://pki.example.org"]).success();
        },
        doing: Doing::Command(&["config", "unset", "core.public_url"]),
        answer: None,
        finished_says: None,
        stored: |sandbox| {
            let value = good(sandbox.pki(["config", "get", "core.public_url"]))?;
            Ok(value.stdout.trim().is_empty())
        },
        finished: |_| Ok(()),
    },
];

/// A PKI, and the certificate and list of another's authority.
fn foreign(sandbox: &Sandbox) {
    populated(sandbox);
    sandbox.pki(["init", "--name", "Theirs", "--key-type", "p256", "--dir", "theirs"]).success();
    for file in ["crt", "crl"] {
        let from = sandbox.file("theirs").join(format!("ca.{file}"));
        std::fs::copy(from, sandbox.file(&format!("theirs.{file}"))).expect("a published file");
    }
}

/// How many tokens wait.
pub(super) fn tokens(sandbox: &Sandbox) -> Result<usize, String> {
    Ok(listed(sandbox, &["trust", "list-tokens"])?.len())
}

/// The entry of this name.
pub(super) fn entry(sandbox: &Sandbox, name: &str) -> Result<Option<Value>, String> {
    let mut entries = listed(sandbox, &["trust", "list"])?;
    entries.retain(|entry| entry["name"] == name);
    holds(entries.len() < 2, "two entries of one name")?;
    Ok(entries.pop())
}

fn project(sandbox: &Sandbox, name: &str) -> Result<bool, String> {
    Ok(listed(sandbox, &["project", "list"])?.iter().any(|one| one["name"] == name))
}

/// What a command lists.
pub(super) fn listed(sandbox: &Sandbox, words: &[&str]) -> Result<Vec<Value>, String> {
    let listed = good(sandbox.pki(words.iter().chain(&["--json"])))?;
    serde_json::from_str(&listed.stdout).map_err(|error| format!("not JSON ({error}): {listed}"))
}
