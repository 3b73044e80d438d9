//! Reading an archive back, into a place where nothing is.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read};
use std::iter;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use age::secrecy::SecretString;
use tar::{Archive, EntryType};

use super::leftover::{self, LAST, Leftover};
use super::{Error, MANIFEST};

/// The most work a passphrase may ask for: 4 GiB of memory would be 2^22.
const MOST_WORK: u8 = 20;
/// Folders of earlier attempts that are stepped over.
const MOST_LEFT: u32 = 1_000;
/// The largest manifest.
const MANIFEST_LIMIT: u64 = 64 * 1024;

/// What came of unpacking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unpacked {
    /// What the archive says of itself.
    pub(crate) manifest: Vec<u8>,
    /// The folders that restores had left which were killed, and that are gone now.
    pub(crate) removed: Vec<PathBuf>,
}

/// Unpacks `input` into `directory`, which must be absent or empty, and returns the manifest.
///
/// Everything is made beside its place and completed there by `finish`, which is given the path, before
/// it is put in place. On any error before that nothing is left. What a restore to the same place left that
/// was killed is removed then.
pub(crate) fn unpack<E: From<Error>>(
    input: impl Read,
    passphrase: &SecretString,
    directory: &Path,
    finish: impl FnOnce(&Path, &[u8]) -> Result<(), E>,
) -> Result<Unpacked, E> {
    let place = std::path::absolute(directory).map_err(|source| Error::Member {
        path: directory.to_owned(),
        act: "read",
        source,
    })?;
    let leftovers = leftover::find(&place);
    check_free(&place, &leftovers)?;
    let decryptor = age::Decryptor::new(input).map_err(|error| Error::Decrypt(error.into()))?;
    let mut identity = age::scrypt::Identity::new(passphrase.clone());
    identity.set_max_work_factor(MOST_WORK);
    let mut plain = decryptor
        .decrypt(iter::once(&identity as &dyn age::Identity))
        .map_err(|error| Error::Decrypt(error.into()))?;
    let beside = Beside::make(place)?;
    let manifest = members(&mut plain, &beside.path)?;
    // tar stops at its own end; the seal's last chunk says whether that was all.
    io::copy(&mut plain, &mut io::sink()).map_err(|source| Error::Decrypt(source.into()))?;
    finish(&beside.path, &manifest)?;
    sync(&beside.path)?;
    let mut removed = Vec::new();
    for leftover in leftovers {
        let failed = |source| Error::Member { path: beside.place.clone(), act: "cleared", source };
        removed.push(leftover.remove(&beside.place).map_err(failed)?);
    }
    beside.into_place()?;
    Ok(Unpacked { manifest, removed })
}

/// Refuses a directory that holds anything but what a dead restore was filling it with.
fn check_free(directory: &Path, leftovers: &[Leftover]) -> Result<(), Error> {
    let occupied = || Error::Occupied { path: directory.to_owned() };
    match fs::read_dir(directory) {
        Ok(entries) => {
            for entry in entries {
                let failed = |source| Error::Member { path: directory.to_owned(), act: "read", source };
                let name = entry.map_err(failed)?.file_name();
                if !leftovers.iter().any(|leftover| leftover.explains(&name)) {
                    return Err(occupied());
                }
            }
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Err(occupied()),
        Err(source) => Err(Error::Member { path: directory.to_owned(), act: "read", source }),
    }
}

/// Makes every member below `root`.
fn members(plain: &mut impl Read, root: &Path) -> Result<Vec<u8>, Error> {
    let unreadable = |source| Error::Io { act: "read", source };
    let mut manifest = None;
    let mut archive = Archive::new(plain);
    for entry in archive.entries().map_err(unreadable)? {
        let mut entry = entry.map_err(unreadable)?;
        let path = entry.path().map_err(unreadable)?.into_owned();
        let foreign = |reason| Error::Foreign { path: path.clone(), reason };
        if manifest.is_none() {
            if path != Path::new(MANIFEST) {
                return Err(Error::Manifest { reason: "it does not begin with a manifest".to_owned() });
            }
            let mut bytes = Vec::new();
            entry.take(MANIFEST_LIMIT).read_to_end(&mut bytes).map_err(unreadable)?;
            manifest = Some(bytes);
            continue;
        }
        let inside = plain_path(&path).ok_or_else(|| foreign("leads out of the directory"))?;
        let target = root.join(inside);
        let failed = |source| Error::Member { path: target.clone(), act: "written", source };
        // Only the owner may read what a group bit does not open.
        let public = entry.header().mode().map_err(unreadable)? & 0o040 != 0;
        match entry.header().entry_type() {
            EntryType::Directory => {
                DirBuilder::new().mode(if public { 0o755 } else { 0o700 }).create(&target).map_err(failed)?;
                fs::set_permissions(&target, fs::Permissions::from_mode(if public { 0o755 } else { 0o700 }))
                    .map_err(failed)?;
            }
            EntryType::Regular => {
                let mut file = OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(&target)
                    .map_err(failed)?;
                io::copy(&mut entry, &mut file).map_err(failed)?;
                if public {
                    file.set_permissions(fs::Permissions::from_mode(0o644)).map_err(failed)?;
                }
                file.sync_all().map_err(failed)?;
            }
            _ => return Err(foreign("is neither a file nor a directory")),
        }
    }
    manifest.ok_or_else(|| Error::Manifest { reason: "it is empty".to_owned() })
}

/// The path, if it goes down and nowhere else.
fn plain_path(path: &Path) -> Option<PathBuf> {
    let parts: Option<Vec<_>> = path
        .components()
        .map(|part| match part {
            Component::Normal(part) => Some(part),
            Component::CurDir | Component::ParentDir | Component::Prefix(_) | Component::RootDir => None,
        })
        .collect();
    parts.filter(|parts| !parts.is_empty()).map(|parts| parts.iter().collect())
}

/// Makes every directory below `root` durable; the files are already.
fn sync(root: &Path) -> Result<(), Error> {
    let failed = |source| Error::Member { path: root.to_owned(), act: "written", source };
    for entry in fs::read_dir(root).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_type().map_err(failed)?.is_dir() {
            sync(&entry.path())?;
        }
    }
    File::open(root).and_then(|directory| directory.sync_all()).map_err(failed)
}

/// Where an archive is unpacked before it is put in place; removed unless it gets there.
///
/// A directory that is not there yet is made beside its place and renamed. One that is there (made by
/// the package, in a parent that its user may not write) is filled from within, the store last:
/// without a store there is no PKI.
struct Beside {
    path: PathBuf,
    place: PathBuf,
    filling: Filling,
    /// Says that this restore lives.
    _lock: File,
}

#[derive(Clone, Copy)]
enum Filling {
    FromBeside,
    FromWithin,
}

impl Beside {
    fn make(place: PathBuf) -> Result<Beside, Error> {
        let (Some(parent), Some(name)) = (place.parent(), place.file_name()) else {
            return Err(Error::Occupied { path: place });
        };
        let (folder, filling) = match place.is_dir() {
            true => (place.as_path(), Filling::FromWithin),
            false => (parent, Filling::FromBeside),
        };
        // One that was killed leaves its folder behind.
        let mut number = 0;
        loop {
            let path = folder.join(leftover::name(name, number));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => {
                    let failed = |source| Error::Member { path: path.clone(), act: "written", source };
                    let lock = leftover::lock(&path).map_err(failed)?;
                    return Ok(Beside { path, place: place.clone(), filling, _lock: lock });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < MOST_LEFT => {
                    number += 1
                }
                Err(source) => return Err(Error::Member { path, act: "written", source }),
            }
        }
    }

    fn into_place(self) -> Result<(), Error> {
        let failed = |source| Error::Member { path: self.place.clone(), act: "put in place", source };
        match self.filling {
            Filling::FromBeside => {
                fs::set_permissions(&self.path, fs::Permissions::from_mode(0o755)).map_err(failed)?;
                fs::rename(&self.path, &self.place).map_err(failed)?;
                sync_one(self.place.parent().unwrap_or(&self.place)).map_err(failed)
            }
            Filling::FromWithin => {
                let mut names = Vec::new();
                for entry in fs::read_dir(&self.path).map_err(failed)? {
                    names.push(entry.map_err(failed)?.file_name());
                }
                names.sort_by_key(|name| name == LAST);
                leftover::write_down(&self.path, &names).map_err(failed)?;
                for name in names {
                    if name == LAST {
                        sync_one(&self.place).map_err(failed)?;
                    }
                    fs::rename(self.path.join(&name), self.place.join(&name)).map_err(failed)?;
                }
                sync_one(&self.place).map_err(failed)
            }
        }
    }
}

fn sync_one(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

impl Drop for Beside {
    fn drop(&mut self) {
        // Once it is in place there is nothing of this name any more, or nothing in it.
        let _ = fs::remove_dir_all(&self.path);
    }
}
