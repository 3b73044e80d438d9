//! The operations on what is signed a second time, elsewhere or for many at once, that are stopped on the way: a
//! new one is a row.

use crate::{Purpose, Sandbox, openssl};

use super::operation::{Doing, Operation};
use super::proof::{
    accepted, authorities, bytes, copies, good, has_status, holds, issued, issues, populated, read, refused,
    requested, rotated,
};

/// Successors, certificates of requests, many at once, and authorities whose root is elsewhere.
pub(super) const OPERATIONS: [Operation; 10] = [
    Operation {
        name: "renew",
        prepare: populated,
        doing: Doing::Command(&["renew", "bob"]),
        answer: Some("serial"),
        finished_says: None,
        stored: |sandbox| Ok(copies(sandbox, "bob")? > 1),
        finished: |sandbox| accepted(sandbox, Purpose::Client, "bob"),
    },
    Operation {
        name: "renew --rekey",
        prepare: populated,
        doing: Doing::Command(&["renew", "bob", "--rekey"]),
        answer: Some("serial"),
        finished_says: None,
        stored: |sandbox| Ok(copies(sandbox, "bob")? > 1),
        finished: |sandbox| accepted(sandbox, Purpose::Client, "bob"),
    },
    Operation {
        name: "sign",
        prepare: |sandbox| {
            populated(sandbox);
            requested(sandbox, "alice");
            std::fs::copy(sandbox.dir().join("ca.crt"), sandbox.file("alice-chain.crt")).expect("a folder");
        },
        doing: Doing::Command(&["sign", "alice.csr", "--profile", "client", "--out", "alice.crt"]),
        answer: Some("serial"),
        finished_says: Some(4),
        stored: |sandbox| issued(sandbox, "alice"),
        finished: |sandbox| accepted(sandbox, Purpose::Client, "alice"),
    },
    Operation {
        name: "issue-client --from",
        prepare: |sandbox| {
            populated(sandbox);
            sandbox.write("rows.csv", "name,key_type\nalice,p256\ncarol,p256\n");
        },
        doing: Doing::Command(&["issue-client", "--from", "rows.csv"]),
        answer: Some("issued        2"),
        finished_says: None,
        // Each row is whole or not there.
        stored: |sandbox| Ok(issued(sandbox, "alice")? & issued(sandbox, "carol")?),
        finished: |sandbox| {
            accepted(sandbox, Purpose::Client, "alice")?;
            accepted(sandbox, Purpose::Client, "carol")
        },
    },
    Operation {
        name: "revoke --from",
        prepare: |sandbox| {
            populated(sandbox);
            sandbox.pki(["issue-client", "carol", "--key-type", "p256"]).success();
            sandbox.write("gone", "bob\ncarol\n");
        },
        doing: Doing::Command(&["revoke", "--from", "gone"]),
        answer: Some("revoked"),
        finished_says: None,
        stored: |sandbox| {
            Ok(has_status(sandbox, "bob", "revoked")? & has_status(sandbox, "carol", "revoked")?)
        },
        finished: |sandbox| refused(sandbox, "bob").and_then(|()| refused(sandbox, "carol")),
    },
    Operation {
        name: "crl publish --root",
        prepare: |sandbox| {
            populated(sandbox);
            sandbox.pki(["ca", "root-offline", "--out", "medium.key"]).success();
            std::fs::copy(sandbox.dir().join("root.crl"), sandbox.file("before.crl")).expect("a folder");
        },
        doing: Doing::Command(&["crl", "publish", "--root", "--root-key", "medium.key"]),
        answer: Some("root"),
        finished_says: None,
        stored: |sandbox| Ok(bytes(sandbox, "root.crl")? != read(sandbox.file("before.crl"))?),
        finished: |sandbox| accepted(sandbox, Purpose::Client, "bob"),
    },
    Operation {
        name: "ca rotate --csr-out",
        prepare: populated,
        doing: Doing::Command(&["ca", "rotate", "--csr-out", "next.csr", "--key-type", "p256"]),
        answer: None,
        finished_says: None,
        stored: |sandbox| {
            let awaiting = awaiting(sandbox)?;
            holds(awaiting < 2, "two authorities await their certificates")?;
            let written = sandbox.file("next.csr").exists();
            holds(awaiting == 1 || !written, "a request of an authority that is not recorded")?;
            Ok(written)
        },
        finished: |sandbox| {
            good(openssl(sandbox, ["req", "-in", "next.csr", "-noout", "-verify"])).map(|_| ())
        },
    },
    Operation {
        name: "ca sign-issuing",
        prepare: |sandbox| {
            populated(sandbox);
            sandbox.pki(["ca", "rotate", "--csr-out", "next.csr", "--key-type", "p256"]).success();
        },
        doing: Doing::Command(&SIGN_ISSUING),
        answer: Some("certificate"),
        finished_says: Some(4),
        stored: |sandbox| Ok(sandbox.file("next.crt").exists()),
        finished: |sandbox| {
            let root = sandbox.dir().join("root.crt").display().to_string();
            good(openssl(sandbox, ["verify", "-x509_strict", "-CAfile", &root, "next.crt"])).map(|_| ())
        },
    },
    Operation {
        name: "ca install",
        prepare: |sandbox| {
            populated(sandbox);
            sandbox.pki(["ca", "rotate", "--csr-out", "next.csr", "--key-type", "p256"]).success();
            sandbox.pki(SIGN_ISSUING).success();
        },
        doing: Doing::Command(&["ca", "install", "next.crt"]),
        answer: Some("current"),
        finished_says: Some(4),
        stored: |sandbox| Ok(rotated(sandbox)? && awaiting(sandbox)? == 0),
        finished: |sandbox| accepted(sandbox, Purpose::Client, "bob").and_then(|()| issues(sandbox, &[])),
    },
    Operation {
        name: "ca revoke",
        prepare: |sandbox| {
            populated(sandbox);
            sandbox.pki(["ca", "rotate", "--key-type", "p256"]).success();
            let retired = authorities(sandbox).expect("authorities");
            let retired =
                retired.iter().find(|one| one["state"] == "retired").expect("one that was followed");
            sandbox.write("retired", retired["key_id"].as_str().expect("an identifier"));
            sandbox.write("serial", retired["serial"].as_str().expect("a serial number"));
        },
        doing: Doing::Script("\"$PKI\" ca revoke \"$(cat retired)\""),
        answer: Some("revoked"),
        finished_says: None,
        stored: |sandbox| Ok(authorities(sandbox)?.iter().any(|one| one["state"] == "revoked")),
        finished: |sandbox| {
            let list = sandbox.dir().join("root.crl").display().to_string();
            let shown = good(openssl(sandbox, ["crl", "-in", &list, "-noout", "-text"]))?;
            let serial = sandbox.read("serial").to_uppercase();
            holds(shown.says(&serial), "the authority is not on the root's list")?;
            issues(sandbox, &[])
        },
    },
];

/// With the root's key, which lies with the PKI.
const SIGN_ISSUING: [&str; 9] = [
    "ca",
    "sign-issuing",
    "next.csr",
    "--root-cert",
    "../pki/root.crt",
    "--root-key",
    "../pki/keys/root.key",
    "--out",
    "next.crt",
];

/// How many authorities await the certificates that their root is to sign.
fn awaiting(sandbox: &Sandbox) -> Result<usize, String> {
    let all = authorities(sandbox)?;
    Ok(all.iter().filter(|one| one["state"] == "awaiting-certificate").count())
}
