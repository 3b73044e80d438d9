//! The directory before it is opened: whether a PKI is there, and whether it is ours to open.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::layout::Layout;

/// What lies in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Parts of a PKI, but no store: it was lost, or the PKI was never finished.
    Broken {
        /// What was found.
        part: PathBuf,
    },
    /// Nothing, or nothing of ours.
    Nothing,
    /// A PKI.
    Pki,
}

/// Why a directory is not opened.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// Parts of a PKI without its store. It is never taken for a new one.
    #[error("{directory} has {} but no store: this is a PKI that lost its journal", part.display())]
    Broken {
        /// The directory.
        directory: PathBuf,
        /// What was found.
        part: PathBuf,
    },
    /// There is a PKI already.
    #[error("there is a PKI in {directory} already")]
    Exists {
        /// The directory.
        directory: PathBuf,
    },
    /// It belongs to another user; not even root goes in.
    #[error("{directory} belongs to the user {owner}, and this is the user {user}")]
    Foreign {
        /// The directory.
        directory: PathBuf,
        /// Whose it is: a name, else a number.
        owner: String,
        /// Who asks, likewise.
        user: String,
    },
    /// There is no PKI.
    #[error("there is no PKI in {directory}")]
    Missing {
        /// The directory.
        directory: PathBuf,
    },
    /// A PKI that was begun and never finished: nothing was ever issued.
    #[error("the PKI in {directory} was begun and never finished")]
    Unfinished {
        /// The directory.
        directory: PathBuf,
    },
    /// It can't be read.
    #[error("{directory} can't be read")]
    Unreadable {
        /// The directory.
        directory: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// What lies in `layout`'s directory, and who owns it. `None` for one that is not there.
pub(crate) fn examine(layout: &Layout) -> Result<(Found, Option<u32>), DirectoryError> {
    let directory = layout.root();
    let unreadable = |source| DirectoryError::Unreadable { directory: directory.to_owned(), source };
    let owner = match fs::metadata(directory) {
        Ok(metadata) => metadata.uid(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Found::Nothing, None)),
        Err(source) => return Err(unreadable(source)),
    };
    let is_there = |path: &Path| match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(unreadable(source)),
    };
    if is_there(&layout.store())? {
        return Ok((Found::Pki, Some(owner)));
    }
    for part in [layout.root().join("root.crt"), layout.keys(), layout.authorities()] {
        if is_there(&part)? {
            let part = part.strip_prefix(directory).unwrap_or(&part).to_owned();
            return Ok((Found::Broken { part }, Some(owner)));
        }
    }
    Ok((Found::Nothing, Some(owner)))
}

/// Refuses a directory that belongs to anybody but the user of this process: a store that root has
/// written in could not be opened by its owner any more.
pub(crate) fn check_owner(layout: &Layout, owner: u32) -> Result<(), DirectoryError> {
    let user = rustix::process::geteuid().as_raw();
    if user == owner {
        return Ok(());
    }
    let name = |uid| crate::peer::user(uid).name.unwrap_or_else(|| format!("#{uid}"));
    Err(DirectoryError::Foreign { directory: layout.root().to_owned(), owner: name(owner), user: name(user) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pki_without_its_store_is_not_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().join("pki"));
        assert_eq!(examine(&layout).unwrap(), (Found::Nothing, None));
        fs::create_dir(layout.root()).unwrap();
        fs::write(layout.root().join("notes"), "").unwrap();
        assert_eq!(examine(&layout).unwrap().0, Found::Nothing);
        fs::create_dir(layout.keys()).unwrap();
        assert_eq!(examine(&layout).unwrap().0, Found::Broken { part: "keys".into() });
        fs::create_dir(layout.store()).unwrap();
        assert_eq!(examine(&layout).unwrap().0, Found::Pki);
    }

    #[test]
    fn another_users_directory_is_refused() {
        let user = rustix::process::geteuid().as_raw();
        let layout = Layout::new("/x");
        assert!(check_owner(&layout, user).is_ok());
        let refused = check_owner(&layout, user.wrapping_add(70_000)).unwrap_err().to_string();
        assert!(
            refused.contains(&format!("belongs to the user #{}", user.wrapping_add(70_000))),
            "{refused}"
        );
    }
}
