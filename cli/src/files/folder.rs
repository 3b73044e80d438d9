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
};

use rustix::{
    fs::{AtFlags, CWD, Dir, FileType, FlockOperation, Mode, OFlags, RenameFlags},
    io::Errno,
};
use store::file::{OnExisting, Visibility};
use zeroize::Zeroizing;

use super::{FileNames, Found, Pending, SECRET_LIMIT};
use crate::error::CommandError;

/// How the names of temporary files begin, ours and those of [`store::file`]; the process's id follows.
const TEMPORARY: &str = ".pki-tmp-";

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
        let temporary = format!("{TEMPORARY}{}-{name}", std::process::id());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let secret = Mode::RUSR | Mode::WUSR;
        // Our own process id: a file of that name is what an earlier process left behind.
        let _ = rustix::fs::unlinkat(&self.directory, &temporary, AtFlags::empty());
        let mut file =
            File::from(rustix::fs::openat(&self.directory, &temporary, flags, secret).map_err(failed)?);
        // A sign for whoever sweeps; file systems without locks do without it.
        let _ = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive);
        let written =
            file.write_all(bytes).map_err(|error| CommandError::file("write", &self.path.join(name), &error));
        let placed = written.and_then(|()| {
            if visibility == Visibility::Public {
                rustix::fs::fchmod(&file, secret | Mode::RGRP | Mode::ROTH).map_err(failed)?;
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

    /// Removes what interrupted commands left here: temporary files, of which one may be a key, that
    /// nobody holds and whose process is gone.
    pub fn sweep(&self) -> Result<(), CommandError> {
        let failed = |error: Errno| CommandError::file("look through", &self.path, &error.into());
        for entry in Dir::read_from(&self.directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let Some(name) = entry.file_name().to_str().ok().filter(|name| name.starts_with(TEMPORARY))
            else {
                continue;
            };
            let process = name[TEMPORARY.len()..].split('-').next().and_then(|pid| pid.parse::<u32>().ok());
            if process.is_none_or(|pid| Path::new(&format!("/proc/{pid}")).exists()) {
                continue;
            }
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let Ok(file) = rustix::fs::openat(&self.directory, name, flags, Mode::empty()) else { continue };
            // Locked: its writer lives where we do not see its process.
            if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
                self.remove(name)?;
            }
        }
        Ok(())
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
