//! Directories: making them, making their entries durable, clearing what an interruption left.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::{FileError, Visibility};

/// How a file under way is called: this, the process id, a number.
pub(super) const TEMPORARY: &str = ".pki-tmp-";

/// Opens a directory. Links on the way to it are followed: where it lies is the caller's choice.
pub(crate) fn open_dir(path: &Path) -> Result<OwnedFd, FileError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(FileError::io("open the directory", path))
}

/// Makes what was created, renamed or removed in a directory durable.
pub(crate) fn sync_dir(dir: impl AsFd, path: &Path) -> Result<(), FileError> {
    rustix::fs::fsync(dir).map_err(FileError::io("sync the directory", path))
}

/// Splits a path into the directory that holds it and the name there.
pub(super) fn split(path: &Path) -> Result<(PathBuf, &OsStr), FileError> {
    let name = match path.components().next_back() {
        Some(Component::Normal(name)) => name,
        _ => return Err(FileError::NoName { path: path.to_owned() }),
    };
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    Ok((parent, name))
}

/// Makes a directory, and those above it that are missing, durable and with the mode that
/// `visibility` demands, whatever the umask. One that is there already is left as it is, but a
/// secret one that others may enter is refused.
pub fn make_dir(path: &Path, visibility: Visibility) -> Result<(), FileError> {
    match rustix::fs::stat(path) {
        Ok(stat) => return accept_dir(path, visibility, &stat),
        Err(Errno::NOENT) => {}
        Err(error) => return Err(FileError::io("look at", path)(error)),
    }
    let (parent, name) = split(path)?;
    if !parent.exists() {
        make_dir(&parent, visibility)?;
    }
    let holder = open_dir(&parent)?;
    match rustix::fs::mkdirat(&holder, name, Mode::RWXU) {
        Ok(()) => {}
        // Another process was faster.
        Err(Errno::EXIST) => {
            let stat = rustix::fs::stat(path).map_err(FileError::io("look at", path))?;
            return accept_dir(path, visibility, &stat);
        }
        Err(error) => return Err(FileError::io("make the directory", path)(error)),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let made = rustix::fs::openat(&holder, name, flags, Mode::empty())
        .map_err(FileError::io("open the directory", path))?;
    rustix::fs::fchmod(&made, visibility.directory_mode()).map_err(FileError::io("set the mode of", path))?;
    sync_dir(&made, path)?;
    sync_dir(&holder, &parent)
}

fn accept_dir(path: &Path, visibility: Visibility, stat: &rustix::fs::Stat) -> Result<(), FileError> {
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Err(FileError::NotADirectory { path: path.to_owned() });
    }
    let mode = stat.st_mode & 0o7777;
    match visibility {
        Visibility::Secret if mode & 0o077 != 0 => Err(FileError::Exposed { path: path.to_owned(), mode }),
        Visibility::Secret | Visibility::Public => Ok(()),
    }
}

/// Removes a file durably; one that is not there is removed already. A symbolic link is removed
/// itself, a directory is refused.
pub fn remove(path: &Path) -> Result<(), FileError> {
    let (parent, name) = split(path)?;
    let dir = open_dir(&parent)?;
    match rustix::fs::unlinkat(&dir, name, AtFlags::empty()) {
        Ok(()) => sync_dir(&dir, &parent),
        Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(FileError::io("remove", path)(error)),
    }
}

/// Removes the files that interrupted [`super::place()`]s left in a directory; returns how many.
///
/// One that is being written is locked by its writer, in this process or another, and stays.
pub fn sweep_temporaries(path: &Path) -> Result<usize, FileError> {
    let dir = open_dir(path)?;
    let mut removed = 0;
    for entry in Dir::read_from(&dir).map_err(FileError::io("list", path))? {
        let entry = entry.map_err(FileError::io("list", path))?;
        let name = entry.file_name();
        if !name.to_bytes().starts_with(TEMPORARY.as_bytes()) {
            continue;
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let Ok(file) = rustix::fs::openat(&dir, name, flags, Mode::empty()) else { continue };
        if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            continue;
        }
        match rustix::fs::unlinkat(&dir, name, AtFlags::empty()) {
            Ok(()) => removed += 1,
            Err(Errno::NOENT) => {}
            Err(error) => return Err(FileError::io("remove a temporary file in", path)(error)),
        }
    }
    if removed > 0 {
        sync_dir(&dir, path)?;
    }
    Ok(removed)
}
