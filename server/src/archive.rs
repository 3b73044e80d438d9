//! The form of a backup: a tar file, encrypted to a passphrase in the age format.
//!
//! Any `age` and any `tar` can open one. Both directions stream: an archive is never held whole.
//! Reading one back makes plain files and directories below one new directory and refuses everything
//! else a tar file can hold (links, devices, paths that lead out): an archive is input from outside,
//! however it was sealed.

mod leftover;
mod read;
mod write;

use std::io;
use std::path::PathBuf;

use store::file::FileError;

pub(crate) use read::unpack;
pub(crate) use write::{Member, Source, Work, pack};

/// The first member: what the archive holds.
pub(crate) const MANIFEST: &str = "manifest.json";

/// Why an archive could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It can't be decrypted or was changed.
    #[error("the archive can't be decrypted")]
    Decrypt(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Something in it does not belong there.
    #[error("the archive holds {path:?}, which {reason}")]
    Foreign {
        /// The member.
        path: PathBuf,
        /// Why it does not belong there.
        reason: &'static str,
    },
    /// Reading or writing the archive itself failed.
    #[error("the archive can't be {act}")]
    Io {
        /// `read` or `written`.
        act: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It has no manifest, or one this version can't read.
    #[error("this is not a backup of pki, or one of a newer version: {reason}")]
    Manifest {
        /// What is wrong.
        reason: String,
    },
    /// The place is taken.
    #[error("{path} is not empty: a backup is restored only where nothing is")]
    Occupied {
        /// The directory.
        path: PathBuf,
    },
    /// A file of the PKI could not be read into the archive, or made from it.
    #[error("{path} can't be {act}")]
    Member {
        /// The file.
        path: PathBuf,
        /// What could not be done, a participle such as `read`.
        act: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A directory could not be made.
    #[error("the directory can't be made")]
    Place(#[from] FileError),
}

#[cfg(test)]
mod tests;
