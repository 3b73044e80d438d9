//! One operation under strace: to its end, or with a fault at one of its calls.
//!
//! A point that is counted from another call on takes two traces. The first stops the process at that
//! call and lets go of it; the second takes hold of it as it stands, and its counts begin there. What this
//! refuses: to say that a fault happened that the trace does not show.

use std::fs;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::trouble::is_held;
use crate::{Output, Sandbox};

use super::Operation;
use super::trace::{CALLS, Fault, Name, Point, Recording, calls, recording, struck_a_file};

/// How long anything here may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs the operation to its end, so many times, and keeps the calls it made: what the runs have in
/// common tells them apart.
pub fn record(operation: &Operation, prepared: &Sandbox, times: usize) -> Result<Recording, String> {
    let runs = (0..times).map(|_| {
        let sandbox = prepared.copied();
        let log = Files::of(&sandbox);
        let ended = log.run(operation, &sandbox, &[format!("-etrace={}", CALLS.join(","))]);
        match ended.code {
            0 => Ok(calls(&log.trace(), sandbox.root())),
            _ => Err(format!("{} fails without a fault: {ended}", operation.name)),
        }
    });
    Ok(recording(&runs.collect::<Result<Vec<_>, _>>()?))
}

/// Whether the fault happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Struck {
    /// It did.
    There,
    /// It did, but at a call where it can't happen: what came of it says nothing.
    Elsewhere,
    /// It did not.
    Nowhere,
}

/// Runs the operation with a fault at one point.
pub fn strike(operation: &Operation, sandbox: &Sandbox, fault: Fault, point: &Point) -> (Output, Struck) {
    let files = Files::of(sandbox);
    let options = injected(sandbox, fault.injection(), point);
    let ended = match &point.after {
        None => files.run(operation, sandbox, &options),
        Some(anchor) => files.run_from(operation, sandbox, anchor, &options),
    };
    let trace = files.trace();
    let made = |line: &&str| {
        line.split_once(' ').is_some_and(|(_, rest)| rest.trim_start().starts_with(&point.call))
    };
    let struck = match fault {
        // Others of its processes may end by a signal too: the call has to have been its process's last.
        Fault::Kill => {
            trace.contains("+++ killed by SIGKILL")
                && trace
                    .lines()
                    .filter(made)
                    .any(|line| line.ends_with("= ?") || line.ends_with("<unfinished ...>"))
        }
        Fault::SyncFails | Fault::DiskFull => trace.contains("(INJECTED)"),
    };
    // A write that is told by its place alone may be another thread's, to a socket.
    let blurred = fault == Fault::DiskFull && point.name == Name::Any;
    let struck = match struck {
        true if blurred && !struck_a_file(&trace, sandbox.root()) => Struck::Elsewhere,
        true => Struck::There,
        false => Struck::Nowhere,
    };
    files.remove();
    (ended, struck)
}

/// The options by which strace does this at a point.
fn injected(sandbox: &Sandbox, what: &str, point: &Point) -> Vec<String> {
    let Point { call, name, nth, after: _ } = point;
    let mut options = vec![format!("-etrace={call}"), format!("-einject={call}:{what}:when={nth}")];
    match name {
        Name::Path(path) => options.push(format!("-P{}", sandbox.root().join(path).display())),
        Name::Word(word) => options.push(format!("-P{word}")),
        Name::Any => {}
    }
    options
}

/// What strace writes, and what the operation says: files of the sandbox, so that saying it has a name too.
struct Files {
    paths: [std::path::PathBuf; 3],
}

impl Files {
    fn of(sandbox: &Sandbox) -> Files {
        Files { paths: ["trace", "said", "complained"].map(|name| sandbox.root().join(name)) }
    }

    fn trace(&self) -> String {
        read(&self.paths[0])
    }

    fn remove(&self) {
        for path in &self.paths {
            let _ = fs::remove_file(path);
        }
    }

    fn strace(&self, options: &[String]) -> Command {
        let mut command = Command::new("strace");
        command.args(["-f", "-y", "-qq", "-o"]).arg(&self.paths[0]).args(options);
        command
    }

    /// Starts the operation under strace.
    fn start(&self, operation: &Operation, sandbox: &Sandbox, options: &[String]) -> Child {
        let mut command = operation.under(sandbox, self.strace(options));
        let file = |path| fs::File::create(path).expect("a writable folder");
        command.stdout(file(&self.paths[1])).stderr(file(&self.paths[2]));
        command.spawn().expect("strace starts")
    }

    /// Waits for the end of what was started.
    fn end(&self, operation: &Operation, mut child: Child) -> Output {
        use std::os::unix::process::ExitStatusExt;
        let code = |status: ExitStatus| status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
        let ended = within(|| child.try_wait().expect("our own child"));
        let status = ended.unwrap_or_else(|| {
            // Everything in its namespace ends with it; that it took so long is what the check will find.
            let _ = child.kill();
            child.wait().expect("our own child")
        });
        let [_, said, complained] = &self.paths;
        let command = format!("strace … {}", operation.name);
        Output { command, stdout: read(said), stderr: read(complained), code: code(status) }
    }

    fn run(&self, operation: &Operation, sandbox: &Sandbox, options: &[String]) -> Output {
        self.end(operation, self.start(operation, sandbox, options))
    }

    /// Runs it with strace's `options` from the call `anchor` on; without them if it does not make that call.
    fn run_from(
        &self,
        operation: &Operation,
        sandbox: &Sandbox,
        anchor: &Point,
        options: &[String],
    ) -> Output {
        // Beside what it traces, whose parent is this process: it outlives its tracer.
        let mut stopping = vec!["-D".to_owned()];
        stopping.extend(injected(sandbox, "signal=STOP", anchor));
        let mut child = self.start(operation, sandbox, &stopping);
        let stopped = within(|| {
            let over = child.try_wait().expect("our own child").is_some();
            let trace = self.trace();
            let line = trace.lines().find(|line| line.contains("--- SIGSTOP {"));
            match line.filter(|_| trace.contains("--- stopped by SIGSTOP")) {
                Some(line) => line.split(' ').next()?.parse::<u32>().ok().map(Some),
                None => over.then_some(None),
            }
        });
        if let Some(Some(thread)) = stopped {
            self.go_on(thread, options);
        }
        self.end(operation, child)
    }

    /// Takes over a process one of whose threads was stopped, and lets it go on.
    fn go_on(&self, thread: u32, options: &[String]) {
        let (Some(process), Some(tracer)) = (status(thread, "Tgid:"), status(thread, "TracerPid:")) else {
            return;
        };
        // Asked to end it would wait for each process it traces; the kernel lets go of all of them at once.
        signal(tracer, Signal::KILL);
        within(|| (status(thread, "TracerPid:") == Some(0)).then_some(()));
        let mut strace = self.strace(options);
        strace.args(["-p", &process.to_string()]);
        let strace = strace.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut strace = strace.expect("strace starts");
        within(|| is_held(process).then_some(()));
        signal(process, Signal::CONT);
        let _ = strace.wait();
    }
}

fn read(path: &std::path::Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// A number of a process's or thread's status.
fn status(of: u32, field: &str) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{of}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix(field))?.trim().parse().ok()
}

fn signal(process: u32, signal: Signal) {
    if let Some(process) = i32::try_from(process).ok().and_then(Pid::from_raw) {
        let _ = kill_process(process, signal);
    }
}

/// What something comes to, if it does in time.
fn within<T>(mut becomes: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(became) = becomes() {
            return Some(became);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    None
}
