//! The operations at an ACME authority that are stopped on the way: a new one is a row.
//!
//! The authority outlives whatever is struck. What it says of accounts and orders is the proof that none was
//! made twice.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{Sandbox, openssl};

use super::operation::{Doing, Operation};
use super::proof::{good, holds, populated};

/// An order, and another key for its account.
pub(super) const OPERATIONS: [Operation; 2] = [
    Operation {
        name: "acme issue by a service",
        prepare: populated,
        // Once more it would be another certificate: it is asked for until it is there.
        doing: Doing::Ordered {
            before: "",
            script: "\"$PKI\" acme list | grep -q a.example && exit
                     \"$PKI\" acme issue a.example b.example --ca-url \"$(cat authority)\" \\
                       --ca-root authority.pem --http-address \"$(cat challenge)\" --agree-tos",
        },
        answer: Some("serial"),
        finished_says: None,
        stored: |sandbox| {
            let obtained = listed(sandbox, &["acme", "list"])?;
            if sandbox.dir().join("acme/a.example").exists() || !obtained.is_empty() {
                whole(sandbox, obtained.is_empty())?;
            }
            Ok(!obtained.is_empty())
        },
        finished: |sandbox| {
            whole(sandbox, false)?;
            once(sandbox, 1)
        },
    },
    Operation {
        name: "acme account roll-key by a service",
        prepare: populated,
        doing: Doing::Ordered {
            before: "\"$PKI\" acme issue a.example --ca-url \"$(cat authority)\" --ca-root authority.pem \\
                       --http-address \"$(cat challenge)\" --agree-tos
                     \"$PKI\" acme account show --json > account",
            script: "\"$PKI\" acme account roll-key",
        },
        answer: Some("authority"),
        finished_says: None,
        stored: |sandbox| {
            let before: Value =
                serde_json::from_str(&sandbox.read("account")).map_err(|error| error.to_string())?;
            let now = listed(sandbox, &["acme", "account", "show"])?;
            holds(now.len() == 1 && now[0]["url"] == before[0]["url"], "another account")?;
            Ok(now[0]["key"] != before[0]["key"])
        },
        // The account is good for another order, whichever key it has.
        finished: |sandbox| {
            let orders = orders(sandbox)?;
            good(sandbox.pki(["acme", "renew", "a.example"]))?;
            let now = listed(sandbox, &["acme", "account", "show"])?;
            holds(now[0]["state"] == "valid", "two keys are left")?;
            once(sandbox, orders + 1)
        },
    },
];

fn listed(sandbox: &Sandbox, words: &[&str]) -> Result<Vec<Value>, String> {
    let listed = good(sandbox.pki(words.iter().chain(&["--json"])))?;
    serde_json::from_str(&listed.stdout).map_err(|error| format!("not JSON ({error}): {listed}"))
}

/// Whatever lies in the certificate's folder is whole, and the file for HAProxy fits itself. All five are
/// there, unless they were `under_way`.
fn whole(sandbox: &Sandbox, under_way: bool) -> Result<(), String> {
    let folder = sandbox.dir().join("acme/a.example");
    let of = |name: &str, words: &[&str]| {
        let file = folder.join(name).display().to_string();
        if under_way && !folder.join(name).exists() {
            return Ok(None);
        }
        good(openssl(sandbox, words.iter().copied().chain(["-in", &file]))).map(|said| Some(said.stdout))
    };
    let (certified, key) = (["x509", "-noout", "-pubkey"], ["pkey", "-pubout"]);
    let bundle = (of("haproxy.pem", &certified)?, of("haproxy.pem", &key)?);
    holds(bundle.0 == bundle.1, "haproxy.pem holds another key")?;
    of("chain.pem", &certified)?;
    of("fullchain.pem", &certified)?;
    let apart = (of("cert.pem", &certified)?, of("key.pem", &key)?);
    holds(under_way || apart.0 == apart.1, "key.pem is the key of another certificate")
}

/// The authority has made one account, and so many orders.
fn once(sandbox: &Sandbox, wanted: usize) -> Result<(), String> {
    let log = log(sandbox)?;
    let accounts = log.lines().filter(|line| line.contains(" accounts in memory")).count();
    holds(accounts == 1, "an account too many").map_err(|cause| format!("{cause}: {log}"))?;
    holds(orders(sandbox)? == wanted, "an order too many").map_err(|cause| format!("{cause}: {log}"))
}

/// The orders that the authority has taken, without those that it has ended itself: where it looked while nobody
/// was there to answer, no certificate can come of the order any more.
fn orders(sandbox: &Sandbox) -> Result<usize, String> {
    let log = log(sandbox)?;
    let taken = log.lines().filter(|line| line.contains("Added order ")).count();
    let ended = |line: &str| Some(line.split_once(" order ")?.1.split_once(" set INVALID by ")?.0.to_owned());
    let ended: BTreeSet<String> = log.lines().filter_map(ended).collect();
    Ok(taken - ended.len())
}

fn log(sandbox: &Sandbox) -> Result<String, String> {
    let log = std::fs::read(sandbox.file("authority.log")).map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(&log).into_owned())
}
