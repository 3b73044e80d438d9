//! A program of the user's that is told of a certificate once its files lie in their place.
//!
//! It gets a `PATH` and what is said of the certificate, and nothing of our environment: no secret is in it. No
//! shell is between. What it says is kept as far as a few lines go. One that takes too long is killed with
//! everything it started in its process group; one that ended well has whatever it left running left alone.

use std::io::{self, PipeReader, Read};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::process::{Pid, Signal, kill_process_group};

/// What a program may take of us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// How long it may run; then it is killed with everything in its process group.
    pub time: Duration,
    /// Octets of what it says that are kept.
    pub said: usize,
}

impl Bounds {
    /// What every hook gets: enough to have a web server read its configuration again, and a renewal is not held
    /// up by one that hangs for longer than by an authority that is silent. The guide tells it.
    pub const STANDARD: Bounds = Bounds { time: Duration::from_secs(60), said: 512 };
}

/// How often a running program is looked at.
const LOOK: Duration = Duration::from_millis(10);
/// What a program finds its own helpers by.
const SEARCH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Why a program did not do what it was run for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HookError {
    /// It said so.
    #[error("{} ended with {status}{}", path.display(), words(said))]
    Failed {
        /// The program.
        path: PathBuf,
        /// How it ended.
        status: ExitStatus,
        /// The beginning of what it said.
        said: String,
    },
    /// It had to be killed.
    #[error("{} was killed after {} s{}", path.display(), within.as_secs(), words(said))]
    Late {
        /// The program.
        path: PathBuf,
        /// The time it had.
        within: Duration,
        /// The beginning of what it said.
        said: String,
    },
    /// Whoever may write it could do as we do.
    #[error("{} may be changed by others than its owner, and is not run", path.display())]
    Open {
        /// The program.
        path: PathBuf,
    },
    /// It can't be run.
    #[error("{} can't be run", path.display())]
    Start {
        /// The program.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The service ends, and it was killed.
    #[error("{} was killed: the service ends", path.display())]
    Stopped {
        /// The program.
        path: PathBuf,
    },
}

/// Refuses a program that could not be run, or that others may change.
pub fn check(path: &Path) -> Result<(), HookError> {
    let found = std::fs::metadata(path);
    let found = found.and_then(|found| {
        rustix::fs::access(path, rustix::fs::Access::EXEC_OK)?;
        Ok(found)
    });
    let found = found.map_err(|source| HookError::Start { path: path.to_owned(), source })?;
    match found.mode() & 0o022 {
        0 => Ok(()),
        _ => Err(HookError::Open { path: path.to_owned() }),
    }
}

/// Runs a program to its end, within its bounds and for as long as `goes_on`. Blocks.
pub fn run(
    path: &Path,
    environment: &[(&str, String)],
    bounds: Bounds,
    goes_on: impl Fn() -> bool,
) -> Result<(), HookError> {
    check(path)?;
    let failed = |source| HookError::Start { path: path.to_owned(), source };
    let (mut said, writer) = heard(bounds.said).map_err(failed)?;
    let mut command = Command::new(path);
    command.env_clear().env("PATH", SEARCH).envs(environment.iter().map(|(key, value)| (key, value)));
    command.stdin(Stdio::null()).stderr(writer.try_clone().map_err(failed)?).stdout(writer);
    command.current_dir("/").process_group(0);
    let mut running = Running(command.spawn().map_err(failed)?);
    // Our own copies of the writing end.
    drop(command);
    let begun = Instant::now();
    loop {
        said.take();
        let (path, ended) = (path.to_owned(), running.0.try_wait());
        match ended.map_err(|source| HookError::Start { path: path.clone(), source })? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => {
                said.take();
                return Err(HookError::Failed { path, status, said: said.text() });
            }
            None if begun.elapsed() > bounds.time => {
                said.take();
                return Err(HookError::Late { path, within: bounds.time, said: said.text() });
            }
            None if !goes_on() => return Err(HookError::Stopped { path }),
            None => std::thread::sleep(LOOK),
        }
    }
}

/// What a program says: read as it comes, lest it waits for us, and kept as far as there is room.
struct Said {
    pipe: PipeReader,
    kept: Vec<u8>,
    most: usize,
}

/// A pipe that is read without waiting.
fn heard(most: usize) -> io::Result<(Said, io::PipeWriter)> {
    let (pipe, writer) = io::pipe()?;
    let flags = rustix::fs::fcntl_getfl(&pipe)?;
    rustix::fs::fcntl_setfl(&pipe, flags | OFlags::NONBLOCK)?;
    Ok((Said { pipe, kept: Vec::new(), most }, writer))
}

impl Said {
    /// Reads what is there; of a program that never stops talking no more than a little at a time.
    fn take(&mut self) {
        let mut buffer = [0; 4096];
        for _ in 0..16 {
            match self.pipe.read(&mut buffer) {
                Ok(0) | Err(_) => return,
                Ok(count) => {
                    let room = self.most.saturating_sub(self.kept.len()).min(count);
                    self.kept.extend_from_slice(&buffer[..room]);
                }
            }
        }
    }

    /// One line of it, fit to be shown.
    fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.kept);
        let words: Vec<&str> = text.split(|c: char| c.is_whitespace() || c.is_control()).collect();
        words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
    }
}

fn words(said: &str) -> String {
    match said {
        "" => String::new(),
        said => format!(": {said}"),
    }
}

/// A program that is killed with its whole group if it has not ended by itself.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            let group = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw);
            if let Some(group) = group {
                let _ = kill_process_group(group, Signal::KILL);
            }
            let _ = self.0.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const LONG: Bounds = Bounds::STANDARD;

    #[test]
    fn the_bounds_are_those_that_the_guide_tells() {
        let guide = include_str!("../../../../docs/guide/acme.md");
        let told = format!("It has {} seconds, then it is killed", Bounds::STANDARD.time.as_secs());
        assert!(guide.contains(&told), "{told}");
    }

    fn program(folder: &Path, script: &str, mode: u32) -> PathBuf {
        let path = folder.join("hook");
        let _ = std::fs::remove_file(&path);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn it_is_told_of_the_certificate_and_of_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let told = dir.path().join("told");
        let script = format!("env | sort > {}; pwd >> {0}", told.display());
        let path = program(dir.path(), &script, 0o755);
        run(&path, &[("PKI_SERIAL", "17".to_owned())], LONG, || true).unwrap();
        let told = std::fs::read_to_string(told).unwrap();
        let names: Vec<&str> = told.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
        // The shell's own besides.
        let theirs = |name: &&str| !["_", "OLDPWD", "PWD", "SHLVL"].contains(name);
        assert_eq!(names.into_iter().filter(theirs).collect::<Vec<_>>(), ["PATH", "PKI_SERIAL"]);
        assert!(told.ends_with("\n/\n"), "{told}");
    }

    #[test]
    fn what_it_says_is_bounded_and_its_failure_ours() {
        let dir = tempfile::tempdir().unwrap();
        let path = program(dir.path(), "echo no\t room >&2; exit 3", 0o755);
        let error = run(&path, &[], LONG, || true).unwrap_err().to_string();
        assert!(error.ends_with("ended with exit status: 3: no room"), "{error}");
        // A megabyte, which no pipe holds.
        let path = program(dir.path(), "head -c 1000000 /dev/zero | tr '\\0' x; exit 1", 0o755);
        let error = run(&path, &[], LONG, || true).unwrap_err().to_string();
        assert!(error.contains("xxx") && error.len() < 1000, "{error}");
    }

    #[test]
    fn one_that_does_not_end_is_killed_with_what_it_started() {
        let dir = tempfile::tempdir().unwrap();
        let child = dir.path().join("child");
        let script = format!("sleep 600 & echo $! > {}.new; mv {0}.new {0}; wait", child.display());
        let path = program(dir.path(), &script, 0o755);
        // Not before it has started what is to be killed with it.
        let begun = Instant::now();
        let error = run(&path, &[], LONG, || !child.exists() && begun.elapsed() < LONG.time).unwrap_err();
        assert!(matches!(error, HookError::Stopped { .. }), "{error:?}");
        let pid = std::fs::read_to_string(&child).unwrap();
        let state = || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
            stat.rsplit_once(") ").map(|(_, rest)| rest.chars().next())
        };
        while !matches!(state(), None | Some(Some('Z' | 'X'))) {
            assert!(begun.elapsed() < LONG.time, "{:?}", state());
            std::thread::sleep(LOOK);
        }
        let path = program(dir.path(), "echo waiting; exec sleep 600", 0o755);
        let short = Bounds { time: Duration::from_secs(1), ..LONG };
        let error = run(&path, &[], short, || true).unwrap_err();
        assert!(matches!(error, HookError::Late { .. }), "{error:?}");
        assert!(error.to_string().contains(" was killed after 1 s"), "{error}");
    }

    #[test]
    fn one_that_others_may_change_is_not_run() {
        let dir = tempfile::tempdir().unwrap();
        let path = program(dir.path(), "exit 0", 0o775);
        assert!(matches!(run(&path, &[], LONG, || true), Err(HookError::Open { .. })));
        let path = program(dir.path(), "exit 0", 0o600);
        assert!(matches!(check(&path), Err(HookError::Start { .. })) || rustix::process::geteuid().is_root());
        assert!(matches!(check(&dir.path().join("none")), Err(HookError::Start { .. })));
    }
}
