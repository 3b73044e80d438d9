//! Other programs that issue certificates, in the same run. Where one can't be had its row says so.

pub mod easyrsa;
pub mod openbao;
pub mod openssl;

use std::path::Path;
use std::process::Command;

use super::measure::timed;

/// Milliseconds that a whole process takes.
///
/// # Panics
/// If it fails.
pub fn whole_process(command: &mut Command) -> f64 {
    let (time, output) = timed(|| command.output());
    let program = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let told = |bytes: &[u8]| String::from_utf8_lossy(bytes).lines().last().unwrap_or_default().to_owned();
    let (said, complained) = (told(&output.stdout), told(&output.stderr));
    assert!(output.status.success(), "{program} ended with {}: {said} {complained}", output.status);
    time
}

/// A program with nothing of the environment but the path and a home.
fn program(name: impl AsRef<std::ffi::OsStr>, folder: &Path) -> Command {
    let mut command = Command::new(name);
    let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    command.env_clear().env("PATH", path).env("HOME", folder).current_dir(folder);
    command.stdin(std::process::Stdio::null());
    command
}
