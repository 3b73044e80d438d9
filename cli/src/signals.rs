//! What ends a command that runs until it is told to stop: `serve`, `up` and `export --watch`.

use crate::error::CommandError;

/// The signals that ask whatever runs for long to stop. SIGHUP is one of them: there is no file to read again, settings
/// act at once, and whoever closes the terminal shall not cut off what is under way.
pub struct Signals {
    hangup: Option<tokio::signal::unix::Signal>,
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    /// Listens from now on; must be called within a runtime.
    pub fn listen() -> Result<Signals, CommandError> {
        use tokio::signal::unix::{SignalKind, signal};
        let failed =
            |error: std::io::Error| CommandError::internal("cannot listen for signals").because(&error);
        Ok(Signals {
            hangup: match hangup_is_ignored() {
                true => None,
                false => Some(signal(SignalKind::hangup()).map_err(failed)?),
            },
            interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
            terminate: signal(SignalKind::terminate()).map_err(failed)?,
        })
    }

    /// Returns when one of them has come.
    pub async fn come(mut self) {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => {
                    hangup.recv().await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = hangup => {}
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Whether SIGHUP was ignored when we were started: what `nohup` starts outlives its terminal.
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // A mask in hexadecimal; SIGHUP is signal 1 (proc(5), signal(7)).
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 != 0)
}
