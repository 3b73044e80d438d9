//! Putting a file in its place in one step: written aside, synced, renamed, the directory synced.
//!
//! Several that belong together are written at the same time and renamed one after the other: the directory
//! is synced once for all of them.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::directory::{TEMPORARY, open_dir, split, sync_dir};
use super::pace::{Pace, Paced};
use super::{FileError, OnExisting, Visibility};
use crate::spread::spread;

/// Leftovers under the same name that are stepped over before giving up.
const MAX_NAMES_TRIED: usize = 10_000;
/// Files that are written at the same time.
const AT_ONCE: usize = 8;

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
    let (folder, _) = split(path)?;
    let folder = Arc::new(Folder::open(&folder)?);
    let fill = |file: &mut File| fill(file, write);
    let aside = Aside::write(folder, path, visibility, on_existing, fill)?;
    put_in_place(vec![aside])
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
    let mut drafts = Vec::with_capacity(parts.len());
    for part in parts {
        let path = folder.join(part.name);
        if split(&path)?.1 != part.name {
            return Err(FileError::NoName { path });
        }
        let write = Box::new(|out: &mut dyn Write| out.write_all(part.bytes));
        let (visibility, on_existing) = (part.visibility, OnExisting::Replace);
        drafts.push(Draft { path, visibility, on_existing, write });
    }
    put_in_place(write_aside(drafts, Pace::Whole).into_iter().collect::<Result<_, _>>()?)
}

/// A file that is to be written beside its place.
pub struct Draft<'a> {
    /// Where it goes.
    pub path: PathBuf,
    /// Who may read it.
    pub visibility: Visibility,
    /// What happens to a file that has the name.
    pub on_existing: OnExisting,
    /// Writes its content.
    pub write: WriteOnce<'a>,
}

/// Writes the content of a file.
pub type WriteOnce<'a> = Box<dyn FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'a>;

/// Writes files beside their places, at the same time: what takes long is to wait for the disk, and it
/// makes several durable in about the time of one. What became of each is returned in the order given;
/// those that were written appear once they are [`put_in_place`].
pub fn write_aside(drafts: Vec<Draft<'_>>, pace: Pace<'_>) -> Vec<Result<Aside, FileError>> {
    let turn = Mutex::default();
    let mut folders: BTreeMap<PathBuf, Arc<Folder>> = BTreeMap::new();
    let mut opened = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let folder = split(&draft.path).and_then(|(parent, _)| match folders.get(&parent) {
            Some(folder) => Ok(Arc::clone(folder)),
            None => Folder::open(&parent)
                .map(|folder| Arc::clone(folders.entry(parent).or_insert(Arc::new(folder)))),
        });
        opened.push((folder, draft));
    }
    let write = |(folder, draft): (Result<Arc<Folder>, FileError>, Draft<'_>)| {
        let Draft { path, visibility, on_existing, write } = draft;
        let fill = |file: &mut File| fill(Paced::new(file, pace, &turn), write);
        Aside::write(folder?, &path, visibility, on_existing, fill)
    };
    spread(opened, AT_ONCE, write)
}

/// Gives files their names, in the order given, and makes the names durable. Where a file lies in another
/// directory than the one before it, that one is synced first: no name is durable before those that come
/// before it.
pub fn put_in_place(files: Vec<Aside>) -> Result<(), FileError> {
    let mut before: Option<Arc<Folder>> = None;
    for mut aside in files {
        let folder = Arc::clone(&aside.temporary.folder);
        match before.replace(folder) {
            Some(before) if before.path != aside.temporary.folder.path => {
                sync_dir(&before.dir, &before.path)?
            }
            Some(_) | None => {}
        }
        let (_, name) = split(&aside.path)?;
        aside.temporary.rename(name, &aside.path, aside.on_existing)?;
    }
    match before {
        Some(folder) => sync_dir(&folder.dir, &folder.path),
        None => Ok(()),
    }
}

/// A file that lies beside its place: whole, durable, and still without its name. Dropped, it disappears.
pub struct Aside {
    temporary: Temporary,
    path: PathBuf,
    on_existing: OnExisting,
}

impl Aside {
    fn write(
        folder: Arc<Folder>,
        path: &Path,
        visibility: Visibility,
        on_existing: OnExisting,
        fill: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> Result<Aside, FileError> {
        check_target(&folder.dir, split(path)?.1, path, on_existing)?;
        let mut temporary = Temporary::create(folder, path)?;
        temporary.fill(path, visibility, fill)?;
        Ok(Aside { temporary, path: path.to_owned(), on_existing })
    }
}

/// Writes the content of a file.
fn fill(file: impl Write, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut buffered = BufWriter::new(file);
    write(&mut buffered)?;
    buffered.flush()
}

/// An open directory.
struct Folder {
    dir: OwnedFd,
    path: PathBuf,
}

impl Folder {
    fn open(path: &Path) -> Result<Folder, FileError> {
        Ok(Folder { dir: open_dir(path)?, path: path.to_owned() })
    }
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
struct Temporary {
    folder: Arc<Folder>,
    name: String,
    file: File,
    placed: bool,
}

impl Temporary {
    /// Creates and locks it; the lock tells [`super::sweep_temporaries`] that it is not a leftover.
    fn create(folder: Arc<Folder>, path: &Path) -> Result<Temporary, FileError> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        for _ in 0..MAX_NAMES_TRIED {
            let number = COUNTER.fetch_add(1, Ordering::Relaxed);
            let name = format!("{TEMPORARY}{}-{number}", std::process::id());
            let file = match rustix::fs::openat(&folder.dir, &name, flags, Mode::RUSR | Mode::WUSR) {
                Ok(file) => File::from(file),
                Err(Errno::EXIST) => continue,
                Err(error) => return Err(FileError::io("create a file beside", path)(error)),
            };
            let made = Temporary { folder: Arc::clone(&folder), name, file, placed: false };
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

impl Temporary {
    /// Writes it whole, with its mode, down to the disk.
    fn fill(
        &mut self,
        path: &Path,
        visibility: Visibility,
        fill: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> Result<(), FileError> {
        fill(&mut self.file).map_err(FileError::io("write", path))?;
        // Opened 0600 and widened only when whole: at no time may anybody read more than is meant.
        rustix::fs::fchmod(&self.file, visibility.file_mode())
            .map_err(FileError::io("set the mode of", path))?;
        rustix::fs::fsync(&self.file).map_err(FileError::io("sync", path))
    }

    /// Gives it its name; the directory is still to be synced.
    fn rename(&mut self, name: &OsStr, path: &Path, on_existing: OnExisting) -> Result<(), FileError> {
        let dir = &self.folder.dir;
        match on_existing {
            OnExisting::Replace => rustix::fs::renameat(dir, &self.name, dir, name)
                .map_err(FileError::io("rename into", path))?,
            OnExisting::Refuse => rename_new(dir, &self.name, name, path)?,
        }
        self.placed = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.placed {
            // Nothing can be told from here; what stays is swept at the next start.
            let _ = rustix::fs::unlinkat(&self.folder.dir, &self.name, AtFlags::empty());
        }
    }
}
