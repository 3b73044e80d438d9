//! One process at a time: an advisory lock that ends with the process, never a file whose
//! existence would outlive it.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use super::layout::Layout;
use crate::Error;

/// Held while the store is open.
pub(crate) struct Lock(File);

impl Lock {
    /// Takes the lock or names its holder.
    pub(crate) fn take(layout: &Layout) -> Result<Lock, Error> {
        let path = layout.lock();
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(Error::io("open", &path))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let mut pid = String::new();
                let read = file.read_to_string(&mut pid);
                let pid = read.ok().and_then(|_| pid.trim().parse().ok());
                return Err(Error::Locked { path: layout.root().to_owned(), pid });
            }
            Err(error) => return Err(Error::io("lock", &path)(error)),
        }
        // For the message above alone: nobody acts on it, and a full disk must not keep us out.
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        };
        let _ = write(&mut file);
        Ok(Lock(file))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Explicitly: a child process may have inherited the descriptor between fork and exec.
        let _ = rustix::fs::flock(&self.0, FlockOperation::Unlock);
    }
}
