//! The operations on who may connect that are stopped on the way. A new one is a row.

use serde_json::Value;

use crate::Sandbox;

use super::operation::{Doing, Operation};
use super::proof::{good, holds, served};

/// Operations on tokens, entries and the passphrase of local users.
pub(super) const OPERATIONS: [Operation; 7] = [
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
];

/// How many tokens wait.
fn tokens(sandbox: &Sandbox) -> Result<usize, String> {
    Ok(listed(sandbox, "list-tokens")?.len())
}

/// The entry of this name.
fn entry(sandbox: &Sandbox, name: &str) -> Result<Option<Value>, String> {
    let mut entries = listed(sandbox, "list")?;
    entries.retain(|entry| entry["name"] == name);
    holds(entries.len() < 2, "two entries of one name")?;
    Ok(entries.pop())
}

fn listed(sandbox: &Sandbox, what: &str) -> Result<Vec<Value>, String> {
    let listed = good(sandbox.pki(["trust", what, "--json"]))?;
    serde_json::from_str(&listed.stdout).map_err(|error| format!("not JSON ({error}): {listed}"))
}
