//! System calls of a running process that fail or wait, by strace.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::eventually;

/// Holds a process; it goes on undisturbed when this is dropped.
pub struct Injection {
    strace: Child,
}

impl Injection {
    /// From when this returns, `call` of process `pid` on the file `path` (or on any) meets `what`, in
    /// strace's words: `error=EIO:when=1`, `delay_enter=60000000`. Calls are counted for each thread.
    #[track_caller]
    pub fn into(pid: u32, call: &str, what: &str, path: Option<&Path>) -> Injection {
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o", "/dev/null", "-e"]);
        command.arg(format!("trace={call}")).arg("-e").arg(format!("inject={call}:{what}"));
        if let Some(path) = path {
            command.arg("-P").arg(path);
        }
        command.args(["-p", &pid.to_string()]);
        let strace = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let injection =
            Injection { strace: strace.expect("strace starts: install it, and run this as root") };
        eventually("strace holds every thread", || is_held(pid));
        injection
    }
}

/// Whether a tracer holds every thread.
pub(crate) fn is_held(pid: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let mut threads =
        threads.map(|thread| fs::read_to_string(thread.path().join("status")).unwrap_or_default());
    threads.all(|status| status.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0")))
}

impl Drop for Injection {
    fn drop(&mut self) {
        // It lets the process go before it ends; had it ended by itself, there would be nothing to do.
        if let Some(pid) = i32::try_from(self.strace.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let _ = self.strace.wait();
    }
}
