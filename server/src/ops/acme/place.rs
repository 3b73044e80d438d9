//! Puts what was obtained where other programs read it.
//!
//! All files of one certificate change together, the key first. HAProxy's file is one of them: it holds
//! everything that must match, and so is never half old.

use std::path::{Path, PathBuf};

use ::acme::client::Obtained;
use ca::cert::Slug;
use store::file::{FileError, Part, Visibility, make_dir, place_together};

use zeroize::Zeroizing;

use crate::Pki;
use crate::ops::Error;

/// The folder of a certificate in the directory.
pub fn folder(pki: &Pki, first_name: &str) -> PathBuf {
    pki.layout().acme().join(Slug::of(first_name).as_str())
}

/// Refuses folders that nothing could be placed in: better found out before an order than after it. What is
/// not there yet is made in the nearest folder above that is.
pub fn check_room(folders: &[PathBuf]) -> Result<(), Error> {
    for folder in folders {
        let Some(there) = folder.ancestors().find(|above| above.exists()) else { continue };
        let writable = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
        rustix::fs::access(there, writable).map_err(|error| FileError::Io {
            operation: "write into",
            path: there.to_owned(),
            source: error.into(),
        })?;
    }
    Ok(())
}

/// Places a certificate in `folders`, and returns the files.
pub fn place(obtained: &Obtained, folders: &[PathBuf]) -> Result<Vec<String>, Error> {
    let certificate = &obtained.certificate;
    let (leaf, chain, full) = (certificate.leaf_pem(), certificate.issuers_pem(), certificate.chain_pem());
    let bundle = haproxy::bundle::render(&full, &obtained.key)?;
    let secret = |name, bytes| Part { name, bytes, visibility: Visibility::Secret };
    let public = |name, bytes| Part { name, bytes, visibility: Visibility::Public };
    let parts = [
        secret("key.pem", obtained.key.as_bytes()),
        secret("haproxy.pem", bundle.as_bytes()),
        public("cert.pem", leaf.as_bytes()),
        public("chain.pem", chain.as_bytes()),
        public("fullchain.pem", full.as_bytes()),
    ];
    let mut files = Vec::new();
    for folder in folders {
        make_dir(folder, Visibility::Public)?;
        place_together(folder, &parts)?;
        files.extend(parts.iter().map(|part| shown(&folder.join(part.name))));
    }
    Ok(files)
}

/// The folder beside the files of a certificate where those before it are kept.
const BEFORE: &str = "previous";
/// The names of the files, as they are placed.
const NAMES: [&str; 5] = ["key.pem", "haproxy.pem", "cert.pem", "chain.pem", "fullchain.pem"];

/// Keeps a copy of the files that lie in `folder`, until [`drop_before`]. One that is kept already is of what
/// was last seen in service: it stays.
pub fn keep_before(folder: &Path) -> Result<(), Error> {
    let before = folder.join(BEFORE);
    let whole = NAMES.iter().all(|name| folder.join(name).exists());
    let kept = NAMES.iter().all(|name| before.join(name).exists());
    if kept || !whole {
        return Ok(());
    }
    let read = |name: &&'static str| {
        let path = folder.join(name);
        let bytes = std::fs::read(&path).map(Zeroizing::new);
        let bytes = bytes.map_err(|source| FileError::Io { operation: "read", path, source })?;
        Ok::<_, Error>((*name, bytes))
    };
    let files = NAMES.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let visibility = |name: &str| match name {
        "key.pem" | "haproxy.pem" => Visibility::Secret,
        _ => Visibility::Public,
    };
    let part = files.iter().map(|(name, bytes)| Part { name, bytes, visibility: visibility(name) });
    let parts: Vec<Part<'_>> = part.collect();
    make_dir(&before, Visibility::Secret)?;
    Ok(place_together(&before, &parts)?)
}

/// Removes what [`keep_before`] kept: the new ones are in service.
pub fn drop_before(folder: &Path) -> Result<(), Error> {
    let before = folder.join(BEFORE);
    match std::fs::remove_dir_all(&before) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(FileError::Io { operation: "remove", path: before, source }.into())
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
