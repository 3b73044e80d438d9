//! A program of the user's that changes the zone: `PROGRAM present|cleanup NAME VALUE`, as other clients
//! call it too.
//!
//! It gets the environment that was set for it and a `PATH`, and nothing of ours; no shell is between. One
//! that takes too long is ended.

use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use hickory_proto::rr::Name;
use zeroize::Zeroizing;

/// How often a running program is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// What a program finds its own helpers by.
const SEARCH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The program and what it is told.
#[derive(Clone)]
pub struct Hook {
    pub(super) program: PathBuf,
    pub(super) environment: Vec<(String, Zeroizing<String>)>,
    pub(super) deadline: Duration,
    pub(super) patience: Duration,
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hook").field("program", &self.program).finish_non_exhaustive()
    }
}

impl Hook {
    /// Has a record made.
    pub(super) async fn present(&self, owner: &Name, value: &str) -> io::Result<()> {
        let mut running = self.start("present", owner, value)?;
        let steps = self.deadline.as_millis() / LOOK.as_millis();
        for _ in 0..steps {
            if let Some(status) = running.0.try_wait()? {
                return self.judge("present", status);
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(self.too_slow("present"))
    }

    /// Has it taken away. Blocks.
    pub(super) fn clean_up(&self, owner: &Name, value: &str) -> io::Result<()> {
        let mut running = self.start("cleanup", owner, value)?;
        let steps = self.deadline.as_millis() / LOOK.as_millis();
        for _ in 0..steps {
            if let Some(status) = running.0.try_wait()? {
                return self.judge("cleanup", status);
            }
            std::thread::sleep(LOOK);
        }
        Err(self.too_slow("cleanup"))
    }

    fn start(&self, what: &str, owner: &Name, value: &str) -> io::Result<Running> {
        let shown = self.program.display();
        let failed = |error: io::Error| io::Error::new(error.kind(), format!("{shown}: {error}"));
        let found = std::fs::metadata(&self.program).map_err(failed)?;
        // Whoever may write it could do as we do.
        if found.mode() & 0o022 != 0 {
            let told = format!("{shown} may be changed by others than its owner, and is not run");
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, told));
        }
        let mut command = Command::new(&self.program);
        command.args([what, &owner.to_ascii(), value]).env_clear().env("PATH", SEARCH);
        command.envs(self.environment.iter().map(|(key, value)| (key, value.as_str())));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.current_dir("/").process_group(0);
        command.spawn().map(Running).map_err(failed)
    }

    fn judge(&self, what: &str, status: ExitStatus) -> io::Result<()> {
        match status.success() {
            true => Ok(()),
            false => Err(io::Error::other(format!("{} {what} ended with {status}", self.program.display()))),
        }
    }

    fn too_slow(&self, what: &str) -> io::Error {
        let (program, seconds) = (self.program.display(), self.deadline.as_secs());
        io::Error::new(io::ErrorKind::TimedOut, format!("{program} {what} did not end within {seconds} s"))
    }
}

/// A program that is ended if it has not ended by itself.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn hook(folder: &std::path::Path, script: &str, mode: u32) -> Hook {
        let program = folder.join("hook");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(mode)).unwrap();
        let environment = vec![("TO".to_owned(), Zeroizing::new(folder.join("told").display().to_string()))];
        let deadline = Duration::from_secs(60);
        Hook { program, environment, deadline, patience: Duration::from_secs(1) }
    }

    fn name() -> Name {
        Name::from_ascii("_acme-challenge.a.example.").unwrap()
    }

    #[tokio::test]
    async fn it_is_told_what_to_do_and_its_failure_is_ours() {
        let dir = tempfile::tempdir().unwrap();
        let good = hook(dir.path(), r#"echo "$@ ${HOME-none}" >> "$TO""#, 0o755);
        good.present(&name(), "v-1").await.unwrap();
        good.clean_up(&name(), "v-1").unwrap();
        let told = std::fs::read_to_string(dir.path().join("told")).unwrap();
        let expected =
            "present _acme-challenge.a.example. v-1 none\ncleanup _acme-challenge.a.example. v-1 none\n";
        assert_eq!(told, expected);
        let bad = hook(dir.path(), "exit 3", 0o755);
        assert!(bad.present(&name(), "v").await.unwrap_err().to_string().contains("exit status: 3"));
    }

    #[tokio::test]
    async fn one_that_does_not_end_is_ended() {
        let dir = tempfile::tempdir().unwrap();
        let deadline = Duration::from_millis(100);
        let slow = Hook { deadline, ..hook(dir.path(), "exec sleep 60", 0o755) };
        let error = slow.present(&name(), "v").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(slow.clean_up(&name(), "v").unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn one_that_others_may_change_is_not_run() {
        let dir = tempfile::tempdir().unwrap();
        let open = hook(dir.path(), "exit 0", 0o777);
        assert_eq!(open.present(&name(), "v").await.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }
}
