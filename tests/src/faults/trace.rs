//! One operation under strace: recorded whole, or with a fault at one of its calls.
//!
//! strace counts calls for each thread by itself, so `when=N` strikes whichever thread comes first
//! to its Nth call of that name. A later thread's Nth call is then never struck. Where its file has
//! a lasting name, the point is narrowed to that file with `-P`; otherwise it is not reachable, and
//! says so.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use crate::{Output, Sandbox, run};

use super::Operation;

/// The calls that change what is on disk, or make it last.
const CALLS: [&str; 16] = [
    "fchmod",
    "fdatasync",
    "fsync",
    "ftruncate",
    "link",
    "linkat",
    "mkdir",
    "mkdirat",
    "openat",
    "pwrite64",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "write",
];

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL before the call has any effect.
    Kill,
    /// An fsync or fdatasync fails once with EIO.
    SyncFails,
    /// A write fails once with ENOSPC.
    DiskFull,
}

impl Fault {
    /// What the table calls it.
    pub fn name(self) -> &'static str {
        match self {
            Fault::Kill => "kill -9",
            Fault::SyncFails => "EIO",
            Fault::DiskFull => "ENOSPC",
        }
    }

    /// Whether it can happen at a call of this name.
    fn strikes(self, call: &str) -> bool {
        match self {
            Fault::Kill => true,
            Fault::SyncFails => matches!(call, "fsync" | "fdatasync"),
            Fault::DiskFull => matches!(call, "write" | "pwrite64"),
        }
    }

    fn injection(self) -> &'static str {
        match self {
            Fault::Kill => "signal=KILL",
            Fault::SyncFails => "error=EIO",
            Fault::DiskFull => "error=ENOSPC",
        }
    }
}

/// One place where a fault happens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    /// The system call.
    pub call: String,
    /// Its how-manieth, in one thread.
    pub nth: usize,
    /// Counting only calls on this file, below the sandbox.
    pub file: Option<String>,
}

impl std::fmt::Display for Point {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.call, self.nth)?;
        match &self.file {
            Some(file) => write!(formatter, " on {file}"),
            None => Ok(()),
        }
    }
}

/// The calls an operation makes.
#[derive(Clone, Debug)]
pub struct Recording {
    /// One point for every call that can be struck, in the order they were made.
    pub points: Vec<Point>,
    /// Names of the calls that cannot be struck, because an earlier thread always takes their place.
    pub hidden: Vec<String>,
}

impl Recording {
    /// The points at which `fault` can happen.
    pub fn points_of(&self, fault: Fault) -> Vec<Point> {
        self.points.iter().filter(|point| fault.strikes(&point.call)).cloned().collect()
    }

    /// How many calls at which `fault` could happen are out of reach.
    pub fn hidden_of(&self, fault: Fault) -> usize {
        self.hidden.iter().filter(|call| fault.strikes(call)).count()
    }
}

/// Runs the operation to its end and keeps the calls it made.
pub fn record(operation: &Operation, prepared: &Sandbox) -> Result<Recording, String> {
    let sandbox = prepared.copied();
    let log = sandbox.root().join("trace");
    let ended = strace(operation, &sandbox, &log, &[format!("-etrace={}", CALLS.join(","))]);
    if ended.code != 0 {
        return Err(format!("{} fails without a fault: {ended}", operation.name));
    }
    let text = std::fs::read(&log).map_err(|error| format!("no trace: {error}"))?;
    Ok(recording(&String::from_utf8_lossy(&text), sandbox.root()))
}

/// Runs the operation with a fault at one point. The second value says whether the fault happened.
pub fn strike(operation: &Operation, sandbox: &Sandbox, fault: Fault, point: &Point) -> (Output, bool) {
    let log = sandbox.root().join("trace");
    let mut options = vec![
        format!("-etrace={}", point.call),
        format!("-einject={}:{}:when={}", point.call, fault.injection(), point.nth),
    ];
    if let Some(file) = &point.file {
        options.push(format!("-P{}", sandbox.root().join(file).display()));
    }
    let ended = strace(operation, sandbox, &log, &options);
    let text = std::fs::read(&log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let struck = match fault {
        Fault::Kill => text.contains("+++ killed by SIGKILL"),
        Fault::SyncFails | Fault::DiskFull => text.contains("(INJECTED)"),
    };
    let _ = std::fs::remove_file(&log);
    (ended, struck)
}

fn strace(operation: &Operation, sandbox: &Sandbox, log: &Path, options: &[String]) -> Output {
    let program = sandbox.command(operation.command);
    let mut command = Command::new("strace");
    sandbox.surround(&mut command);
    command.args(["-f", "-y", "-qq", "-o"]).arg(log).args(options);
    command.arg(program.get_program()).args(program.get_args());
    run(&mut command)
}

/// Reads a trace. Lines look like `895 fsync(12</tmp/x/pki/ca.crl>) = 0`.
fn recording(text: &str, root: &Path) -> Recording {
    let (mut by_thread, mut by_file) = (BTreeMap::new(), BTreeMap::new());
    let (mut taken, mut taken_on) = (BTreeSet::new(), BTreeSet::new());
    let (mut points, mut hidden) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let Some((call, arguments)) = rest.trim_start().split_once('(') else { continue };
        if !CALLS.contains(&call) {
            continue;
        }
        let nth = counted(&mut by_thread, (thread, call));
        let file = lasting_file(call, arguments, root);
        let nth_on = counted(&mut by_file, (thread, call, file.clone()));
        let first = taken.insert((call, nth));
        let first_on = file.is_some() && taken_on.insert((call, nth_on, file.clone()));
        // Opening what is there, or reading, changes nothing: being killed at it is being killed at
        // the call before.
        if call == "openat" && !arguments.contains("O_CREAT") {
            continue;
        }
        if first {
            points.push(Point { call: call.to_owned(), nth, file: None });
        } else if first_on {
            points.push(Point { call: call.to_owned(), nth: nth_on, file });
        } else {
            hidden.push(call.to_owned());
        }
    }
    Recording { points, hidden }
}

fn counted<K: Ord>(counts: &mut BTreeMap<K, usize>, key: K) -> usize {
    let count = counts.entry(key).or_default();
    *count += 1;
    *count
}

/// The file a call is about, below the sandbox, if another run uses the same name for it.
fn lasting_file(call: &str, arguments: &str, root: &Path) -> Option<String> {
    if !matches!(call, "write" | "pwrite64" | "fsync" | "fdatasync" | "ftruncate" | "fchmod") {
        return None;
    }
    let (_, rest) = arguments.split_once('<')?;
    let (path, _) = rest.split_once('>')?;
    let path = Path::new(path).strip_prefix(root).ok()?.to_str()?;
    (!path.contains(".pki-tmp-")).then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_another_thread_hides_is_narrowed_to_its_file_or_counted_as_hidden() {
        let trace = "\
10 pwrite64(5</s/pki/store/index/db>, \"x\"..., 9, 0) = 9
11 pwrite64(9</s/pki/store/journal/1.seg>, \"x\"..., 9, 0) = 9
10 openat(5</s>, \"there\", O_RDONLY) = 3</s/there>
10 fsync(5</s/pki/.pki-tmp-10-0>) = 0
11 fsync(9</s/pki/.pki-tmp-10-1> <unfinished ...>
11 <... fsync resumed>) = 0
10 +++ exited with 0 +++
";
        let found = recording(trace, Path::new("/s"));
        let shown: Vec<String> = found.points.iter().map(Point::to_string).collect();
        assert_eq!(shown, ["pwrite64 1", "pwrite64 1 on pki/store/journal/1.seg", "fsync 1"]);
        assert_eq!(found.hidden, ["fsync"]);
    }
}
