//! What goes into a backup: the manifest, a snapshot of the store, and every other file of the directory.
//!
//! Files are opened before the first octet is written. Each was placed by a rename, so that what is open
//! stays as it is, whatever is published meanwhile.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use store::file::Visibility;
use time::OffsetDateTime;

use super::{FORMAT, Manifest, PrivateKeys};
use crate::Pki;
use crate::archive::{self, MANIFEST, Member, Source};
use crate::ops::Error;

/// The store's directory; its files come from a snapshot.
const STORE: &str = "store";
/// The directory of keys.
const KEYS: &str = "keys";

/// Every member, the manifest first.
pub(super) fn all(
    pki: &Pki,
    keys: PrivateKeys,
    now: OffsetDateTime,
) -> Result<Vec<Result<Member, archive::Error>>, Error> {
    let snapshot = pki.store().snapshot()?;
    let manifest = Manifest {
        format: FORMAT,
        version: crate::http::VERSION.to_owned(),
        made_at: now,
        sequence: snapshot.tip.sequence.0,
        keys,
    };
    let manifest = serde_json::to_vec_pretty(&manifest)
        .map_err(|error| archive::Error::Manifest { reason: error.to_string() })?;
    let mut members = vec![member(PathBuf::from(MANIFEST), Visibility::Public, Source::Bytes(manifest))];
    // The rest before the store: a key is durable before the record that names it, so that a record in
    // the snapshot may lack nothing. Records come first in the archive all the same.
    let mut others = Vec::new();
    walk(pki.directory(), Path::new(""), keys, &mut others)?;
    let mut folders = vec![PathBuf::from(STORE)];
    for file in &snapshot.files {
        let folder = Path::new(STORE).join(file.path.parent().unwrap_or(Path::new("")));
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    members.extend(folders.into_iter().map(|folder| member(folder, Visibility::Secret, Source::Directory)));
    for file in snapshot.files {
        let source = Source::Reader(file.open()?, file.size());
        members.push(member(Path::new(STORE).join(&file.path), Visibility::Secret, source));
    }
    members.extend(others);
    Ok(members)
}

fn member(path: PathBuf, visibility: Visibility, source: Source) -> Result<Member, archive::Error> {
    Ok(Member { path, visibility, source })
}

/// Everything below `inside` but the store, sockets, links, and files that are still being written.
fn walk(
    root: &Path,
    inside: &Path,
    keys: PrivateKeys,
    members: &mut Vec<Result<Member, archive::Error>>,
) -> Result<(), archive::Error> {
    let folder = root.join(inside);
    let failed = |path: &Path, source| archive::Error::Member { path: path.to_owned(), act: "read", source };
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).map_err(|source| failed(&folder, source))? {
        names.push(entry.map_err(|source| failed(&folder, source))?.file_name());
    }
    names.sort();
    for name in names {
        let path = inside.join(&name);
        // Temporaries have names that begin with a dot.
        if name.as_encoded_bytes().starts_with(b".") || path == Path::new(STORE) || is_left_out(&path, keys) {
            continue;
        }
        let full = root.join(&path);
        let found = match fs::symlink_metadata(&full) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(source) => return Err(failed(&full, source)),
        };
        let visibility = if found.mode() & 0o040 != 0 { Visibility::Public } else { Visibility::Secret };
        if found.is_dir() {
            members.push(member(path.clone(), visibility, Source::Directory));
            walk(root, &path, keys, members)?;
        } else if found.is_file() {
            let file = File::open(&full).map_err(|source| failed(&full, source))?;
            let length = file.metadata().map_err(|source| failed(&full, source))?.len();
            members.push(member(path, visibility, Source::Reader(Box::new(file), length)));
        }
    }
    Ok(())
}

/// Whether a file is left out of a backup without keys. The directory of keys stays, empty.
fn is_left_out(path: &Path, keys: PrivateKeys) -> bool {
    match keys {
        PrivateKeys::Included => false,
        PrivateKeys::LeftOut => {
            path.extension().is_some_and(|extension| extension == "key")
                || path.parent() == Some(Path::new(KEYS))
        }
    }
}
