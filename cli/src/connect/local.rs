//! The directory itself, opened by this process.
//!
//! Only its owner may: whatever another user (root included) wrote into it could not be read by the
//! owner's service afterwards.

use std::{os::unix::fs::MetadataExt, path::Path, time::Duration};

use server::Pki;

use crate::{
    context::{Context, span},
    error::{CommandError, Kind},
};

/// What came of an attempt to open a directory.
pub enum Tried {
    /// Another process holds it.
    Locked {
        /// Which, if it said so.
        pid: Option<u32>,
    },
    /// It is open.
    Open(Box<Pki>),
}

/// Pauses between attempts.
pub struct Waiting {
    pause: Duration,
    told: bool,
}

const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

impl Waiting {
    /// Nothing was waited for yet.
    pub fn new() -> Waiting {
        Waiting { pause: FIRST_PAUSE, told: false }
    }

    /// Pauses before the next attempt.
    pub fn pause(&mut self, pid: Option<u32>, context: &mut Context) {
        if self.pause >= LONGEST_PAUSE && !std::mem::replace(&mut self.told, true) {
            tracing::info!(?pid, "waiting for another process that holds the PKI");
        }
        // Many that wait together should not all come back together.
        let spread = Duration::from_micros(u64::from(std::process::id() % 64) * 50);
        std::thread::sleep(self.pause.min(context.global.wait) + spread);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}

/// The error when the wait was in vain.
pub fn held(directory: &Path, pid: Option<u32>, waited: Duration) -> CommandError {
    let holder = pid.map_or_else(|| "another process".to_string(), |pid| format!("process {pid}"));
    CommandError::new(
        Kind::Unavailable,
        format!("{holder} holds {} (waited {})", directory.display(), span(waited)),
    )
    .hint("try again when it has ended, or wait longer with --wait")
}

/// Refuses a directory that is not there or belongs to someone else.
pub fn check_owner(directory: &Path) -> Result<(), CommandError> {
    let metadata = match std::fs::metadata(directory) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(absent(directory)),
        Err(error) => return Err(CommandError::file("open", directory, &error)),
    };
    if !metadata.is_dir() {
        return Err(CommandError::usage(format!("{} is not a directory", directory.display()))
            .hint("name the PKI's directory with --dir"));
    }
    if metadata.uid() == rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    let owner = owner_of(directory).unwrap_or_else(|| format!("#{}", metadata.uid()));
    Err(CommandError::new(Kind::Denied, format!("{} belongs to {owner}", directory.display()))
        .hint(format!("sudo -u {owner} pki … --dir {}", directory.display())))
}

/// There is no PKI.
pub fn absent(directory: &Path) -> CommandError {
    CommandError::not_found(format!("there is no PKI in {}", directory.display()))
        .hint("`pki up` makes one and serves it, `pki init` only makes it")
        .hint("a PKI elsewhere is named with --dir or PKI_DIR")
}

/// The name of a directory's owner.
pub fn owner_of(directory: &Path) -> Option<String> {
    let uid = std::fs::metadata(directory).ok()?.uid();
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    trust::user_name(&users, uid)
}
pub fn try_open(directory: &Path, _context: &mut Context) -> Result<Tried, CommandError> {
    check_owner(directory)?;
    Ok(Tried::Locked { pid: None })
}
