//! The operations that are stopped on the way. A new one is a row of `OPERATIONS`.

use crate::{Output, Purpose, Sandbox, openssl, openssl_verify};

/// An operation, and how to tell what came of it.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// What it is called.
    pub name: &'static str,
    /// Makes the directory it starts from.
    pub prepare: fn(&Sandbox),
    /// The arguments of `pki`, in the folder commands run in. No service runs.
    pub command: &'static [&'static str],
    /// Words on standard output that acknowledge it, whatever the exit code says afterwards.
    pub answer: Option<&'static str>,
    /// Exit code of the same command again when it had been finished; 0 is always right.
    pub finished_says: Option<i32>,
    /// Whether what it acknowledges is there: all of it, nothing of it, or (an error) a half.
    pub stored: fn(&Sandbox) -> Result<bool, String>,
    /// What must hold once the command ended well. It may try things out, but never twice the same way.
    pub finished: fn(&Sandbox) -> Result<(), String>,
}

const CONFLICT: Option<i32> = Some(4);

/// Every operation that the matrix covers.
pub const OPERATIONS: [Operation; 13] = [
    Operation {
        name: "issue-client",
        prepare: populated,
        command: &["issue-client", "alice", "--key-type", "p256"],
        answer: Some("serial"),
        finished_says: CONFLICT,
        stored: |sandbox| issued(sandbox, "alice"),
        finished: |sandbox| accepted(sandbox, Purpose::Client, "alice"),
    },
    Operation {
        name: "issue-server",
        prepare: populated,
        command: &["issue-server", "www.example.org", "--key-type", "p256"],
        answer: Some("serial"),
        finished_says: CONFLICT,
        stored: |sandbox| issued(sandbox, "www.example.org"),
        finished: |sandbox| accepted(sandbox, Purpose::Server, "www.example.org"),
    },
    Operation {
        name: "revoke",
        prepare: populated,
        command: &["revoke", "bob"],
        answer: Some("revoked"),
        finished_says: None,
        stored: |sandbox| has_status(sandbox, "bob", "revoked"),
        finished: |sandbox| refused(sandbox, "bob"),
    },
    Operation {
        name: "release",
        prepare: populated,
        command: &["release", "held"],
        answer: Some("valid"),
        finished_says: CONFLICT,
        stored: |sandbox| has_status(sandbox, "held", "valid"),
        finished: |sandbox| accepted(sandbox, Purpose::Client, "held"),
    },
    Operation {
        name: "crl publish",
        prepare: populated,
        command: &["crl", "publish"],
        answer: Some("issuing"),
        finished_says: None,
        stored: |sandbox| Ok(bytes(sandbox, "ca.crl.der")? != read(sandbox.file("before.crl"))?),
        finished: |sandbox| refused(sandbox, "held"),
    },
    Operation {
        name: "ca rotate",
        prepare: populated,
        command: &["ca", "rotate", "--key-type", "p256"],
        answer: Some("current"),
        finished_says: None,
        stored: rotated,
        finished: |sandbox| accepted(sandbox, Purpose::Client, "bob").and_then(|()| issues(sandbox, &[])),
    },
    Operation {
        name: "init",
        prepare: |_| {},
        command: &["init", "--name", "Example", "--key-type", "p256"],
        answer: Some("issuing"),
        finished_says: CONFLICT,
        stored: |sandbox| Ok(sandbox.pki(["info"]).code == 0),
        finished: |sandbox| issues(sandbox, &[]),
    },
    Operation {
        name: "init --root-key-out",
        prepare: |_| {},
        command: &["init", "--name", "Example", "--key-type", "p256", "--root-key-out", "medium.key"],
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
        command: &["backup", "pki.age", "--backup-passphrase-file", "pass"],
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
        command: &["restore", "pki.age", "--backup-passphrase-file", "pass"],
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
        command: &["config", "set", "core.public_url", "http://pki.example.org"],
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
        command: &["passwd", "--passphrase-file", "pass", "--new-passphrase-file", "new"],
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
        command: &["ca", "root-offline", "--out", "medium.key"],
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
];

/// A PKI with a valid certificate, `bob`, and one on hold, `held`.
fn populated(sandbox: &Sandbox) {
    sandbox.pki(["init", "--name", "Example", "--key-type", "p256"]).success();
    for name in ["bob", "held"] {
        sandbox.pki(["issue-client", name, "--key-type", "p256"]).success();
    }
    sandbox.pki(["revoke", "held", "--reason", "certificateHold"]).success();
    std::fs::copy(sandbox.dir().join("ca.crl.der"), sandbox.file("before.crl")).expect("a list to copy");
}

fn good(output: Output) -> Result<Output, String> {
    match output.code {
        0 => Ok(output),
        _ => Err(output.to_string()),
    }
}

fn holds(condition: bool, otherwise: &str) -> Result<(), String> {
    condition.then_some(()).ok_or_else(|| otherwise.to_owned())
}

fn read(path: std::path::PathBuf) -> Result<Vec<u8>, String> {
    std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))
}

fn bytes(sandbox: &Sandbox, published: &str) -> Result<Vec<u8>, String> {
    read(sandbox.dir().join(published))
}

/// The certificates of a name, as the store has them.
fn certificates(sandbox: &Sandbox, name: &str) -> Result<Vec<serde_json::Value>, String> {
    let listed = good(sandbox.pki(["list", "--json", "--name", name]))?;
    serde_json::from_str(&listed.stdout).map_err(|error| format!("not JSON ({error}): {listed}"))
}

fn issued(sandbox: &Sandbox, name: &str) -> Result<bool, String> {
    match certificates(sandbox, name)?.len() {
        0 => Ok(false),
        1 => Ok(true),
        many => Err(format!("{many} certificates of {name}")),
    }
}

fn has_status(sandbox: &Sandbox, name: &str, status: &str) -> Result<bool, String> {
    Ok(certificates(sandbox, name)?.iter().any(|one| one["status"] == status))
}

/// OpenSSL accepts the certificate with every list, its key fits, and its three files are there.
fn accepted(sandbox: &Sandbox, purpose: Purpose, name: &str) -> Result<(), String> {
    good(openssl_verify(sandbox, purpose, name))?;
    let of_key = good(openssl(sandbox, ["pkey", "-in", &format!("{name}.key"), "-pubout"]))?;
    let certificate = format!("{name}.crt");
    let of_certificate = good(openssl(sandbox, ["x509", "-in", &certificate, "-noout", "-pubkey"]))?;
    holds(of_key.stdout == of_certificate.stdout, "key and certificate do not fit")
}

/// OpenSSL refuses the certificate by the published lists.
fn refused(sandbox: &Sandbox, name: &str) -> Result<(), String> {
    let verdict = openssl_verify(sandbox, Purpose::Client, name);
    match verdict.says("certificate revoked") {
        true => Ok(()),
        false => Err(format!("{name} is not on the published list: {verdict}")),
    }
}

/// The PKI issues, and OpenSSL accepts what it issues.
fn issues(sandbox: &Sandbox, further: &[&str]) -> Result<(), String> {
    let words = ["issue-client", "probe", "--key-type", "p256", "--force"];
    good(sandbox.pki(words.iter().chain(further)))?;
    accepted(sandbox, Purpose::Client, "probe")
}

/// Whether there is a new generation; exactly one is current at any time.
fn rotated(sandbox: &Sandbox) -> Result<bool, String> {
    let listed = good(sandbox.pki(["ca", "list", "--json"]))?.json();
    let issuing: Vec<_> =
        listed.as_array().into_iter().flatten().filter(|one| one["role"] == "issuing").collect();
    let current = issuing.iter().filter(|one| one["state"] == "current").count();
    holds(current == 1, "there is not one current generation")?;
    Ok(issuing.len() > 1)
}

/// The CA's key files.
fn ca_keys(sandbox: &Sandbox) -> Result<Vec<String>, String> {
    let folder = sandbox.dir().join("keys");
    let entries = std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let paths = entries.flatten().map(|entry| entry.path().display().to_string());
    let own = ["/audit.key", "/store.key"];
    Ok(paths.filter(|path| path.ends_with(".key") && !own.iter().any(|name| path.ends_with(name))).collect())
}
