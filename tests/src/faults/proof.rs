//! What operations start from, and how to tell what came of them.

use crate::{Output, Purpose, Sandbox, Service, free_port, openssl, openssl_verify};

/// A PKI with a valid certificate, `bob`, and one on hold, `held`.
pub(super) fn populated(sandbox: &Sandbox) {
    sandbox.pki(["init", "--name", "Example", "--key-type", "p256"]).success();
    for name in ["bob", "held"] {
        sandbox.pki(["issue-client", name, "--key-type", "p256"]).success();
    }
    sandbox.pki(["revoke", "held", "--reason", "certificateHold"]).success();
    std::fs::copy(sandbox.dir().join("ca.crl.der"), sandbox.file("before.crl")).expect("a list to copy");
}

/// The same, with a certificate of the service's own, which listens on loopback for trusted clients.
pub(super) fn served(sandbox: &Sandbox) {
    populated(sandbox);
    let address = format!("127.0.0.1:{}", free_port());
    sandbox.pki(["config", "set", "core.https_address", &address]).success();
    assert_eq!(Service::start(sandbox).stop().code, 0);
    // While it is struck it is alone with its client: any port is free.
    sandbox.pki(["config", "set", "core.https_address", super::operation::HTTPS]).success();
    sandbox.pki(["config", "set", "core.public_address", "127.0.0.1:8080"]).success();
}

pub(super) fn good(output: Output) -> Result<Output, String> {
    match output.code {
        0 => Ok(output),
        _ => Err(output.to_string()),
    }
}

pub(super) fn holds(condition: bool, otherwise: &str) -> Result<(), String> {
    condition.then_some(()).ok_or_else(|| otherwise.to_owned())
}

pub(super) fn read(path: std::path::PathBuf) -> Result<Vec<u8>, String> {
    std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))
}

pub(super) fn bytes(sandbox: &Sandbox, published: &str) -> Result<Vec<u8>, String> {
    read(sandbox.dir().join(published))
}

/// The certificates of a name, as the store has them.
pub(super) fn certificates(sandbox: &Sandbox, name: &str) -> Result<Vec<serde_json::Value>, String> {
    let listed = good(sandbox.pki(["list", "--json", "--name", name]))?;
    serde_json::from_str(&listed.stdout).map_err(|error| format!("not JSON ({error}): {listed}"))
}

pub(super) fn issued(sandbox: &Sandbox, name: &str) -> Result<bool, String> {
    match certificates(sandbox, name)?.len() {
        0 => Ok(false),
        1 => Ok(true),
        many => Err(format!("{many} certificates of {name}")),
    }
}

pub(super) fn has_status(sandbox: &Sandbox, name: &str, status: &str) -> Result<bool, String> {
    Ok(certificates(sandbox, name)?.iter().any(|one| one["status"] == status))
}

/// OpenSSL accepts the certificate with every list, its key fits, and its three files are there.
pub(super) fn accepted(sandbox: &Sandbox, purpose: Purpose, name: &str) -> Result<(), String> {
    good(openssl_verify(sandbox, purpose, name))?;
    fits(sandbox, name)
}

/// The key is that of the certificate, whose files have this path up to their endings.
pub(super) fn fits(sandbox: &Sandbox, path: &str) -> Result<(), String> {
    let of_key = good(openssl(sandbox, ["pkey", "-in", &format!("{path}.key"), "-pubout"]))?;
    let certificate = format!("{path}.crt");
    let of_certificate = good(openssl(sandbox, ["x509", "-in", &certificate, "-noout", "-pubkey"]))?;
    holds(of_key.stdout == of_certificate.stdout, "key and certificate do not fit")
}

/// How many certificates of a name there are.
pub(super) fn copies(sandbox: &Sandbox, name: &str) -> Result<usize, String> {
    Ok(certificates(sandbox, name)?.len())
}

/// Makes a request for a certificate, `NAME.csr` and `NAME.key`.
pub(super) fn requested(sandbox: &Sandbox, name: &str) {
    let (key, request, subject) = (format!("{name}.key"), format!("{name}.csr"), format!("/CN={name}"));
    let words = ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj"];
    let further = [subject.as_str(), "-keyout", &key, "-out", &request];
    openssl(sandbox, words.iter().chain(&further)).success();
}

/// The authorities, as the store has them.
pub(super) fn authorities(sandbox: &Sandbox) -> Result<Vec<serde_json::Value>, String> {
    let listed = good(sandbox.pki(["ca", "list", "--json"]))?;
    serde_json::from_str(&listed.stdout).map_err(|error| format!("not JSON ({error}): {listed}"))
}

/// OpenSSL refuses the certificate by the published lists.
pub(super) fn refused(sandbox: &Sandbox, name: &str) -> Result<(), String> {
    let verdict = openssl_verify(sandbox, Purpose::Client, name);
    match verdict.says("certificate revoked") {
        true => Ok(()),
        false => Err(format!("{name} is not on the published list: {verdict}")),
    }
}

/// The PKI issues, and OpenSSL accepts what it issues.
pub(super) fn issues(sandbox: &Sandbox, further: &[&str]) -> Result<(), String> {
    let words = ["issue-client", "probe", "--key-type", "p256", "--force"];
    good(sandbox.pki(words.iter().chain(further)))?;
    accepted(sandbox, Purpose::Client, "probe")
}

/// Whether there is a new generation; exactly one is current at any time.
pub(super) fn rotated(sandbox: &Sandbox) -> Result<bool, String> {
    let mut issuing = authorities(sandbox)?;
    issuing.retain(|one| one["role"] == "issuing" && one["state"] != "awaiting-certificate");
    let current = issuing.iter().filter(|one| one["state"] == "current").count();
    holds(current == 1, "there is not one current generation")?;
    Ok(issuing.len() > 1)
}

/// The CA's key files.
pub(super) fn ca_keys(sandbox: &Sandbox) -> Result<Vec<String>, String> {
    let folder = sandbox.dir().join("keys");
    let entries = std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let paths = entries.flatten().map(|entry| entry.path().display().to_string());
    let own = ["/audit.key", "/store.key"];
    Ok(paths.filter(|path| path.ends_with(".key") && !own.iter().any(|name| path.ends_with(name))).collect())
}
