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
