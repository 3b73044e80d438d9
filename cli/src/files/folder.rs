//! An opened directory: what is in it, and many files at once.
//!
//! Thousands of certificates would need tens of thousands of `fsync`s one by one. Here files are
//! renamed into place unsynced and one `syncfs` makes a whole chunk durable. That is safe only
//! because each row's pending file was made durable before, and is removed afterwards.

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use rustix::{
    fs::{AtFlags, CWD, FileType, FlockOperation, Mode, OFlags, RenameFlags},
    io::Errno,
};
use store::file::{OnExisting, Visibility};
use zeroize::Zeroizing;

use super::{FileNames, Found, Pending, SECRET_LIMIT};
use crate::error::CommandError;

/// How many temporary names are tried.
const MOST_TRIES: usize = 10_000;

/// A directory, held open: one that is swapped meanwhile does not lead us elsewhere.
pub struct Folder {
    directory: OwnedFd,
    path: PathBuf,
}

impl Folder {
    /// Opens a directory.
    pub fn open(path: &Path) -> Result<Folder, CommandError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(CWD, path, flags, Mode::empty())
            .map_err(|error| CommandError::file("open the directory", path, &error.into()))?;
        Ok(Folder { directory, path: path.to_path_buf() })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Looks what one certificate's files hold.
    pub fn look(&self, names: &FileNames) -> Result<Found, CommandError> {
        Ok(Found {
            pending: self.read(&names.pending)?.map(|bytes| Pending::decode(&bytes)),
            key: self.read(&names.key)?,
            certificate: self.read(&names.certificate)?,
        })
    }

    /// Reads a small regular file; `None` if there is none. Links are not followed.
    pub fn read(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, CommandError> {
        let failed = |error: Errno| CommandError::file("read", &self.path.join(name), &error.into());
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&self.directory, name, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Err(self.irregular(name, "a symbolic link")),
            Err(Errno::NXIO) => return Err(self.irregular(name, "a socket")),
            Err(error) => return Err(failed(error)),
        };
        let stat = rustix::fs::fstat(&file).map_err(failed)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {}
            FileType::Directory => return Err(self.irregular(name, "a directory")),
            FileType::Fifo => return Err(self.irregular(name, "a FIFO")),
            _ => return Err(self.irregular(name, "not a regular file")),
        }
        let size = usize::try_from(stat.st_size).unwrap_or(usize::MAX).min(SECRET_LIMIT);
        let mut bytes = Zeroizing::new(Vec::with_capacity(size + 1));
        File::from(file)
            .take(SECRET_LIMIT as u64)
            .read_to_end(&mut bytes)
            .map_err(|error| CommandError::file("read", &self.path.join(name), &error))?;
        Ok(Some(bytes))
    }

    /// Puts a file in place, atomically but not yet durably: [`Folder::sync`] follows.
    pub fn place(
        &self,
        name: &str,
        bytes: &[u8],
        visibility: Visibility,
        on_existing: OnExisting,
    ) -> Result<(), CommandError> {
        let failed = |error: Errno| CommandError::file("write", &self.path.join(name), &error.into());
        let (temporary, mut file) = self.temporary().map_err(failed)?;
        let written =
            file.write_all(bytes).map_err(|error| CommandError::file("write", &self.path.join(name), &error));
        let placed = written.and_then(|()| {
            if visibility == Visibility::Public {
                let public = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH;
                rustix::fs::fchmod(&file, public).map_err(failed)?;
            }
            let rename = match on_existing {
                OnExisting::Replace => RenameFlags::empty(),
                OnExisting::Refuse => RenameFlags::NOREPLACE,
            };
            rustix::fs::renameat_with(&self.directory, &temporary, &self.directory, name, rename)
                .map_err(failed)
        });
        if placed.is_err() {
            let _ = rustix::fs::unlinkat(&self.directory, &temporary, AtFlags::empty());
        }
        placed
    }

    /// A new file for its owner alone. It is locked, which tells the sweeper of
    /// [`store::file::sweep_temporaries`] that somebody still writes it.
    fn temporary(&self) -> Result<(String, File), Errno> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        for _ in 0..MOST_TRIES {
            let number = COUNTER.fetch_add(1, Ordering::Relaxed);
            let name = format!(".pki-tmp-{}-many-{number}", std::process::id());
            let file = match rustix::fs::openat(&self.directory, &name, flags, Mode::RUSR | Mode::WUSR) {
                Ok(file) => File::from(file),
                Err(Errno::EXIST) => continue,
                Err(error) => return Err(error),
            };
            // A sweep may have taken it between the two calls: then its lock or its name is gone.
            let locked = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
            if locked && rustix::fs::fstat(&file)?.st_nlink > 0 {
                return Ok((name, file));
            }
        }
        Err(Errno::EXIST)
    }

    /// Removes a file; one that is not there is removed already.
    pub fn remove(&self, name: &str) -> Result<(), CommandError> {
        match rustix::fs::unlinkat(&self.directory, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(CommandError::file("remove", &self.path.join(name), &error.into())),
        }
    }

    /// Makes everything that was placed durable. Since Linux 5.8 `syncfs` reports failed writes.
    pub fn sync(&self) -> Result<(), CommandError> {
        rustix::fs::syncfs(&self.directory)
            .map_err(|error| CommandError::file("sync the file system of", &self.path, &error.into()))
    }

    fn irregular(&self, name: &str, what: &str) -> CommandError {
        CommandError::conflict(format!("{} is {what}, not a regular file", self.path.join(name).display()))
            .hint("move it out of the way, or choose another directory with --out")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn files_are_placed_whole_with_their_modes_and_nothing_is_left_over() {
        let directory = tempfile::tempdir().unwrap();
        let folder = Folder::open(directory.path()).unwrap();
        let mode = |name: &str| {
            std::fs::metadata(directory.path().join(name)).unwrap().permissions().mode() & 0o7777
        };
        folder.place("a.key", b"secret", Visibility::Secret, OnExisting::Replace).unwrap();
        folder.place("a.crt", b"public", Visibility::Public, OnExisting::Replace).unwrap();
        assert_eq!((mode("a.key"), mode("a.crt")), (0o600, 0o644));
        let refused = folder.place("a.key", b"other", Visibility::Secret, OnExisting::Refuse);
        assert_eq!(refused.unwrap_err().kind, crate::error::Kind::Conflict);
        assert_eq!(folder.read("a.key").unwrap().as_deref().map(Vec::as_slice), Some(&b"secret"[..]));
        folder.sync().unwrap();
        folder.remove("a.key").unwrap();
        folder.remove("a.key").unwrap();
        assert_eq!(folder.read("a.key").unwrap(), None);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_being_written_is_not_swept_and_what_was_left_is() {
        let directory = tempfile::tempdir().unwrap();
        let folder = Folder::open(directory.path()).unwrap();
        let (name, file) = folder.temporary().unwrap();
        crate::files::tidy(directory.path());
        assert!(directory.path().join(&name).exists());
        drop(file);
        crate::files::tidy(directory.path());
        assert!(!directory.path().join(&name).exists());
    }

    #[test]
    fn only_regular_files_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let folder = Folder::open(directory.path()).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", directory.path().join("link")).unwrap();
        std::fs::create_dir(directory.path().join("dir")).unwrap();
        rustix::fs::mkfifoat(&folder.directory, "fifo", Mode::RUSR).unwrap();
        for name in ["link", "dir", "fifo"] {
            assert_eq!(folder.read(name).unwrap_err().kind, crate::error::Kind::Conflict, "{name}");
        }
    }
}
