//! What a restore that was killed left behind: a folder with keys in it, and where it was filling a directory
//! from within, perhaps some of that directory's files already.
//!
//! A restore holds a lock on its folder as long as it lives. A folder that nobody holds is a dead one's: it, and
//! what it says that it was putting in place, makes way for the next restore to the same place once that
//! has all it needs. Nothing else is touched.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// What stands in a folder's name behind that of the place.
const MARK: &str = ".restore-";
/// In the folder: the names that are being put in place, each with a zero octet behind it.
const PLACING: &str = ".placing";
/// The member that makes a directory a PKI, put in place last.
pub(super) const LAST: &str = "store";

/// The folder of a restore that is dead. Nobody else takes it for one while this is held.
#[derive(Debug)]
pub(super) struct Leftover {
    path: PathBuf,
    names: BTreeSet<OsString>,
    _lock: File,
}

/// The name of a folder for `place`: by the process, and by a number, for in a container each has the same.
pub(super) fn name(place: &OsStr, number: u32) -> OsString {
    let mut hidden = begin(place);
    hidden.push(format!("{}-{number}", std::process::id()));
    hidden
}

fn begin(place: &OsStr) -> OsString {
    let mut hidden = OsString::from(".");
    hidden.push(place);
    hidden.push(MARK);
    hidden
}

/// Locks a folder for as long as the file is open.
pub(super) fn lock(folder: &Path) -> io::Result<File> {
    let file = File::open(folder)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    Ok(file)
}

/// What dead restores to `place` left beside it and in it. What can't be looked at is left alone.
pub(super) fn find(place: &Path) -> Vec<Leftover> {
    let (Some(parent), Some(own)) = (place.parent(), place.file_name()) else { return Vec::new() };
    let begins = begin(own);
    let mut found = Vec::new();
    for entry in
        [parent, place].into_iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten()
    {
        let ours = entry.file_name().as_bytes().starts_with(begins.as_bytes())
            && entry
                .metadata()
                .is_ok_and(|found| found.is_dir() && found.uid() == rustix::process::geteuid().as_raw());
        if !ours {
            continue;
        }
        let Ok(held) = lock(&entry.path()) else { continue };
        // Only one that fills the place from within has anything there.
        let names =
            if entry.path().parent() == Some(place) { placing(&entry.path()) } else { BTreeSet::new() };
        found.push(Leftover { path: entry.path(), names, _lock: held });
    }
    found
}

/// Writes down what is about to be put in place.
pub(super) fn write_down(folder: &Path, names: &[OsString]) -> io::Result<()> {
    let mut file = File::create_new(folder.join(PLACING))?;
    for name in names {
        file.write_all(name.as_bytes())?;
        file.write_all(&[0])?;
    }
    file.sync_all()?;
    File::open(folder)?.sync_all()
}

fn placing(folder: &Path) -> BTreeSet<OsString> {
    let text = fs::read(folder.join(PLACING)).unwrap_or_default();
    // What has no end was not written to its end: nothing of it was acted on.
    let whole = text.iter().rposition(|octet| *octet == 0).map_or(&[][..], |end| &text[..end]);
    let names = whole.split(|octet| *octet == 0).map(|name| OsString::from_vec(name.to_vec()));
    names.filter(|name| Path::new(name).file_name() == Some(name) && name != LAST).collect()
}

impl Leftover {
    /// Whether a name in the place is its folder, or what it was putting there.
    pub(super) fn explains(&self, name: &OsStr) -> bool {
        self.path.file_name() == Some(name) || self.names.contains(name)
    }

    /// Removes it, and returns what it was.
    pub(super) fn remove(self, place: &Path) -> io::Result<PathBuf> {
        for name in &self.names {
            let path = place.join(name);
            match fs::symlink_metadata(&path) {
                Ok(found) if found.is_dir() => fs::remove_dir_all(&path)?,
                Ok(_) => fs::remove_file(&path)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        fs::remove_dir_all(&self.path)?;
        Ok(self.path)
    }
}
