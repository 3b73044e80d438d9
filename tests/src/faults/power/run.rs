//! Running what is recorded: alone, by a service, or a second time after it was killed.

use std::path::{Path, PathBuf};

use super::disk::{Change, Disk};
use super::enumerate::{State, build};
use super::record::{CALLS, Recording};
use crate::{Sandbox, run};

/// Where commands run, below the sandbox.
const WORK: &str = "work";

/// How the operation is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// In the command's own process.
    Alone,
    /// By a service that is started before and stopped afterwards; all three are recorded.
    Served,
    /// It was killed when its first frame was written and not yet synced; then it is run again.
    Again,
}

/// A command whose every call is recorded.
pub(super) struct Command<'a> {
    pub(super) program: PathBuf,
    pub(super) arguments: &'a [&'a str],
}

impl Command<'_> {
    /// Runs it under strace on a copy of the prepared directory.
    pub(super) fn record(&self, prepared: &Sandbox, how: Run) -> Result<Recording, String> {
        let sandbox = prepared.copied();
        let root = sandbox.root().canonicalize().map_err(|error| error.to_string())?;
        let before = Disk::read(&root)?;
        let trace = self.traced(&sandbox, how)?;
        if how != Run::Again {
            return Recording::of(before, &[trace], &root, WORK);
        }
        // The disk as the killed process left it in memory: everything up to the frame, nothing synced.
        let whole = Recording::of(before.clone(), std::slice::from_ref(&trace), &root, WORK)?;
        let frame =
            |change: &Change| matches!(change, Change::Write { bytes, .. } if bytes.starts_with(b"PKIF"));
        let written =
            whole.steps.iter().find(|step| frame(&step.change)).ok_or("no frame is written")?.begins;
        let applied =
            (0..whole.steps.len()).filter(|number| whole.steps[*number].begins <= written).collect();
        let cut = State { at: written, applied, torn: None };
        for folder in ["home", "pki", WORK] {
            std::fs::remove_dir_all(root.join(folder)).map_err(|error| error.to_string())?;
        }
        build(&whole, &cut).write(&root).map_err(|error| error.to_string())?;
        let lines: Vec<&str> = trace.lines().take(written + 1).collect();
        let again = self.traced(&sandbox, Run::Alone)?;
        Recording::of(before, &[lines.join("\n"), again], &root, WORK)
    }

    /// The trace of a run that came to its end.
    fn traced(&self, sandbox: &Sandbox, how: Run) -> Result<String, String> {
        let logs = tempfile::tempdir().map_err(|error| error.to_string())?;
        let log = logs.path().join("trace");
        let mut command = std::process::Command::new("strace");
        sandbox.surround(&mut command);
        command.args(["-f", "-y", "-xx", "-qq", "-s", "100000000", "-o"]).arg(&log);
        command.arg(format!("-etrace={}", CALLS.split_whitespace().collect::<String>()));
        let script = match how {
            Run::Alone | Run::Again => "umask 022; \"$@\"",
            Run::Served => SERVED,
        };
        command.args(["sh", "-c", script, "sh"]).arg(&self.program).args(self.arguments);
        let ended = run(&mut command);
        if ended.code != 0 {
            return Err(format!("it fails without a power cut: {ended}"));
        }
        read(&log)
    }
}

/// The service runs while the command does. What it says is not the command's answer.
const SERVED: &str = "\
umask 022
\"$1\" serve > /dev/null 2>&1 &
service=$!
tries=0
until [ -S \"$PKI_DIR/pki.socket\" ]; do
  tries=$((tries + 1)); [ $tries -lt 600 ] || exit 97
  sleep 0.1
done
\"$@\"; code=$?
kill -TERM $service
wait $service || exit 98
exit $code
";

fn read(path: &Path) -> Result<String, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("no trace: {error}"))?;
    String::from_utf8(bytes).map_err(|_| "the trace is no text".to_owned())
}
