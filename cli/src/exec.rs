//! A command of the user's own that is run after files have changed (`--exec`), so that whoever reads
//! them does so again. What it prints goes to standard error: standard output is for data.

use std::{
    path::Path,
    process::{Command, ExitStatus, Stdio},
};

use crate::{
    error::{CommandError, Kind},
    output::speech_of_others,
};

/// Runs a command by the shell, to its end. It finds the directory of the files in `PKI_EXPORT_DIR`.
pub fn run(command: &str, folder: &Path) -> Result<(), CommandError> {
    let failed = |error: &dyn std::error::Error| refused(command).because(error);
    let status = shell(command).env("PKI_EXPORT_DIR", folder).status().map_err(|error| failed(&error))?;
    match status.success() {
        true => Ok(()),
        false => Err(refused(&format!("{command} ({})", told(status)))),
    }
}

/// A command of the user's own, ready to be run by the shell: it reads nothing.
pub fn shell(command: &str) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", command]).stdin(Stdio::null()).stdout(speech_of_others());
    shell
}

fn refused(command: &str) -> CommandError {
    CommandError::new(Kind::External, format!("the files are in place, but --exec failed: {command}"))
        .hint("whoever reads them may still go by the earlier ones")
}

fn told(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_run_by_the_shell_and_its_failure_is_told() {
        let folder = tempfile::tempdir().unwrap();
        run("echo done > \"$PKI_EXPORT_DIR/ran\"", folder.path()).unwrap();
        assert_eq!(std::fs::read_to_string(folder.path().join("ran")).unwrap(), "done\n");
        let error = run("exit 3", folder.path()).unwrap_err();
        assert!(error.message.ends_with("exit 3 (exit code 3)"), "{error:?}");
        assert!(run("kill -9 $$", folder.path()).unwrap_err().message.contains("signal 9"));
    }
}
