//! The witnesses: programs that no one here wrote. A missing one fails the test that asks for it.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use crate::{Output, Sandbox, run, source_tree};

/// Runs a real program in the sandbox.
#[track_caller]
pub fn witness<S: AsRef<OsStr>>(
    sandbox: &Sandbox,
    program: impl AsRef<OsStr>,
    arguments: impl IntoIterator<Item = S>,
) -> Output {
    let mut command = Command::new(program);
    sandbox.surround(&mut command);
    command.args(arguments);
    run(&mut command)
}

/// Runs OpenSSL.
#[track_caller]
pub fn openssl<S: AsRef<OsStr>>(sandbox: &Sandbox, arguments: impl IntoIterator<Item = S>) -> Output {
    witness(sandbox, "openssl", arguments)
}

/// Runs GnuTLS' certtool.
#[track_caller]
pub fn certtool<S: AsRef<OsStr>>(sandbox: &Sandbox, arguments: impl IntoIterator<Item = S>) -> Output {
    witness(sandbox, "certtool", arguments)
}

/// Lints a certificate with pkilint at WARNING; its findings are in the output, its exit code counts them.
#[track_caller]
pub fn pkilint_certificate(sandbox: &Sandbox, certificate: &Path) -> Output {
    let words = ["lint", "-s", "WARNING"].map(OsStr::new);
    pkilint(sandbox, "lint_pkix_cert", words.into_iter().chain([certificate.as_os_str()]))
}

/// Lints a CRL with pkilint at WARNING.
#[track_caller]
pub fn pkilint_list(sandbox: &Sandbox, list: &Path) -> Output {
    let words = ["lint", "-t", "CRL", "-p", "PKIX", "-s", "WARNING"].map(OsStr::new);
    pkilint(sandbox, "lint_crl", words.into_iter().chain([list.as_os_str()]))
}

#[track_caller]
fn pkilint<'a>(sandbox: &Sandbox, linter: &str, arguments: impl Iterator<Item = &'a OsStr>) -> Output {
    let program = source_tree().join("target/pkilint-0.13.3/bin").join(linter);
    assert!(program.exists(), "{} is missing: tests/run installs it", program.display());
    witness(sandbox, program, arguments)
}

/// What a certificate is to be verified for, in OpenSSL's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// `sslclient`
    Client,
    /// `sslserver`
    Server,
}

/// Lets OpenSSL judge `NAME.crt` of the folder commands run in, by every rule it has: strict X.509,
/// the purpose, and revocation of every certificate of the path by the published lists.
#[track_caller]
pub fn openssl_verify(sandbox: &Sandbox, purpose: Purpose, name: &str) -> Output {
    let purpose = match purpose {
        Purpose::Client => "sslclient",
        Purpose::Server => "sslserver",
    };
    let published = |file: &str| sandbox.dir().join(file).display().to_string();
    let lists = published("chain.crl");
    let root = published("root.crt");
    let mut words = vec!["verify", "-x509_strict", "-purpose", purpose, "-crl_check_all", "-CRLfile", &lists];
    let (chain, leaf) = (format!("{name}-chain.crt"), format!("{name}.crt"));
    words.extend(["-CAfile", &root, "-untrusted", &chain, &leaf]);
    openssl(sandbox, words)
}

/// Fails the test unless OpenSSL accepts the certificate.
#[track_caller]
pub fn openssl_accepts(sandbox: &Sandbox, purpose: Purpose, name: &str) {
    let verdict = openssl_verify(sandbox, purpose, name).success();
    assert!(verdict.stdout.ends_with(": OK\n"), "{verdict}");
}

/// Fails the test unless OpenSSL refuses the certificate for being revoked, and for nothing else.
#[track_caller]
pub fn openssl_finds_revoked(sandbox: &Sandbox, purpose: Purpose, name: &str) {
    let verdict = openssl_verify(sandbox, purpose, name).failure(2);
    assert!(verdict.stderr.contains("error 23 at 0 depth lookup: certificate revoked"), "{verdict}");
    assert_eq!(
        verdict.stderr.matches("error ").count(),
        verdict.stderr.matches("error 23 ").count() + 1,
        "{verdict}"
    );
}
