//! Putting a file in its place in one step: written aside, synced, renamed, the directory synced.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::directory::{TEMPORARY, open_dir, split, sync_dir};
use super::{FileError, OnExisting, Visibility};

/// Leftovers under the same name that are stepped over before giving up.
const MAX_NAMES_TRIED: usize = 10_000;

/// Puts `bytes` at `path`, whole and durable, or leaves everything as it was.
///
/// The file is 0644 or 0600 whatever the umask, and a secret is never anything else. A symbolic
/// link at `path` is replaced itself; a directory, FIFO, socket or device is refused.
pub fn place(
    path: &Path,
    bytes: &[u8],
    visibility: Visibility,
    on_existing: OnExisting,
) -> Result<(), FileError> {
    place_with(path, visibility, on_existing, |file| file.write_all(bytes))
}

/// As [`place`], for what is too large to be held: `write` streams the content.
pub fn place_with(
    path: &Path,
    visibility: Visibility,
    on_existing: OnExisting,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), FileError> {
    let (parent, name) = split(path)?;
    let dir = open_dir(&parent)?;
    check_target(&dir, name, path, on_existing)?;

    let mut temporary = Temporary::create(&dir, path)?;
    temporary.fill(path, visibility, write)?;
    temporary.rename(name, path, on_existing)?;
    sync_dir(&dir, &parent)
}

/// One of several files that belong together.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    /// Its name in their directory.
    pub name: &'a str,
    /// What it holds.
    pub bytes: &'a [u8],
    /// Who may read it.
    pub visibility: Visibility,
}

/// Replaces several files of the directory `folder` together, as nearly as a file system can: all are
/// written and synced before the first is renamed, and they are renamed in the order given. Whatever
/// can fail for want of room or rights has then failed before anything is replaced.
pub fn place_together(folder: &Path, parts: &[Part<'_>]) -> Result<(), FileError> {
    let dir = open_dir(folder)?;
    let mut written = Vec::with_capacity(parts.len());
    for part in parts {
        let path = folder.join(part.name);
        let (_, name) = split(&path)?;
        if name != part.name {
            return Err(FileError::NoName { path });
        }
        check_target(&dir, name, &path, OnExisting::Replace)?;
        let mut temporary = Temporary::create(&dir, &path)?;
        temporary.fill(&path, part.visibility, |file| file.write_all(part.bytes))?;
        written.push((temporary, part.name, path));
    }
    for (temporary, name, path) in &mut written {
        temporary.rename(OsStr::new(name), path, OnExisting::Replace)?;
    }
    sync_dir(&dir, folder)
}

/// Refuses a target that a rename would destroy although it is no file.
fn check_target(dir: &OwnedFd, name: &OsStr, path: &Path, on_existing: OnExisting) -> Result<(), FileError> {
    let found = match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => FileType::from_raw_mode(stat.st_mode),
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(FileError::io("look at", path)(error)),
    };
    match (found, on_existing) {
        (FileType::RegularFile | FileType::Symlink, OnExisting::Replace) => Ok(()),
        (FileType::RegularFile | FileType::Symlink, OnExisting::Refuse) => {
            Err(FileError::Exists { path: path.to_owned() })
        }
        (other, _) => Err(FileError::Irregular { path: path.to_owned(), found: describe(other) }),
    }
}

pub(super) fn describe(kind: FileType) -> &'static str {
    match kind {
        FileType::RegularFile => "a regular file",
        FileType::Directory => "a directory",
        FileType::Symlink => "a symbolic link",
        FileType::Fifo => "a FIFO",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        FileType::Unknown => "of an unknown kind",
    }
}

/// Renames without ever replacing: in one step where the file system can, else by a hard link.
fn rename_new(dir: &OwnedFd, from: &str, to: &OsStr, path: &Path) -> Result<(), FileError> {
    let exists = || FileError::Exists { path: path.to_owned() };
    match rustix::fs::renameat_with(dir, from, dir, to, RenameFlags::NOREPLACE) {
        Ok(()) => return Ok(()),
        Err(Errno::EXIST) => return Err(exists()),
        Err(Errno::INVAL | Errno::NOSYS) => {}
        Err(error) => return Err(FileError::io("rename into", path)(error)),
    }
    match rustix::fs::linkat(dir, from, dir, to, AtFlags::empty()) {
        Ok(()) => {}
        Err(Errno::EXIST) => return Err(exists()),
        Err(error) => return Err(FileError::io("link", path)(error)),
    }
    rustix::fs::unlinkat(dir, from, AtFlags::empty()).map_err(FileError::io("remove the other name of", path))
}

/// A file under way. Dropped before it is placed, it disappears.
struct Temporary<'d> {
    dir: &'d OwnedFd,
    name: String,
    file: File,
    placed: bool,
}

impl<'d> Temporary<'d> {
    /// Creates and locks it; the lock tells [`super::sweep_temporaries`] that it is not a leftover.
    fn create(dir: &'d OwnedFd, path: &Path) -> Result<Temporary<'d>, FileError> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        for _ in 0..MAX_NAMES_TRIED {
            let number = COUNTER.fetch_add(1, Ordering::Relaxed);
            let name = format!("{TEMPORARY}{}-{number}", std::process::id());
            let file = match rustix::fs::openat(dir, &name, flags, Mode::RUSR | Mode::WUSR) {
                Ok(file) => File::from(file),
                Err(Errno::EXIST) => continue,
                Err(error) => return Err(FileError::io("create a file beside", path)(error)),
            };
            let made = Temporary { dir, name, file, placed: false };
            // A sweep may have taken it between the two calls: then its lock or its name is gone.
            let locked = rustix::fs::flock(&made.file, FlockOperation::NonBlockingLockExclusive).is_ok();
            let stat = rustix::fs::fstat(&made.file).map_err(FileError::io("look at", path))?;
            if locked && stat.st_nlink > 0 {
                return Ok(made);
            }
        }
        Err(FileError::io("create a file beside", path)(Errno::EXIST))
    }
}

impl Temporary<'_> {
    /// Writes it whole, with its mode, down to the disk.
    fn fill(
        &mut self,
        path: &Path,
        visibility: Visibility,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), FileError> {
        let mut buffered = BufWriter::new(&mut self.file);
        write(&mut buffered).and_then(|()| buffered.flush()).map_err(FileError::io("write", path))?;
        drop(buffered);
        // Opened 0600 and widened only when whole: at no time may anybody read more than is meant.
        rustix::fs::fchmod(&self.file, visibility.file_mode())
            .map_err(FileError::io("set the mode of", path))?;
        rustix::fs::fsync(&self.file).map_err(FileError::io("sync", path))
    }

    /// Gives it its name; the directory is still to be synced.
    fn rename(&mut self, name: &OsStr, path: &Path, on_existing: OnExisting) -> Result<(), FileError> {
        match on_existing {
            OnExisting::Replace => rustix::fs::renameat(self.dir, &self.name, self.dir, name)
                .map_err(FileError::io("rename into", path))?,
            OnExisting::Refuse => rename_new(self.dir, &self.name, name, path)?,
        }
        self.placed = true;
        Ok(())
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if !self.placed {
            // Nothing can be told from here; what stays is swept at the next start.
            let _ = rustix::fs::unlinkat(self.dir, &self.name, AtFlags::empty());
        }
    }
}
