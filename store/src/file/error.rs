//! Why a file could not be placed or read.

use std::io;
use std::path::{Path, PathBuf};

/// What went wrong with a file or directory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The operating system refused.
    #[error("can't {operation} {}", path.display())]
    Io {
        /// What was tried, a verb such as `open` or `rename`.
        operation: &'static str,
        /// The file or directory it was tried on.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file that must not be replaced has this name already.
    #[error("{} exists already", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Something that is not a regular file has this name.
    #[error("{} is {found}, not a regular file", path.display())]
    Irregular {
        /// Its path.
        path: PathBuf,
        /// What it is, with an article: `a directory`.
        found: &'static str,
    },
    /// Something that is not a directory has the name of one.
    #[error("{} is not a directory", path.display())]
    NotADirectory {
        /// Its path.
        path: PathBuf,
    },
    /// A secret lies open: its group or everybody may read, write or enter.
    #[error("{} holds a secret and is open to others (mode {mode:04o})", path.display())]
    Exposed {
        /// The file or directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A path that names no file, such as `..`.
    #[error("{} is no file name", path.display())]
    NoName {
        /// The path.
        path: PathBuf,
    },
    /// A file is larger than anything that is expected there.
    #[error("{} is larger than {limit} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The largest size that is read.
        limit: usize,
    },
}

impl FileError {
    /// Wraps a system error; for use in `map_err`.
    pub(crate) fn io<E: Into<io::Error>>(
        operation: &'static str,
        path: &Path,
    ) -> impl FnOnce(E) -> FileError {
        move |source| FileError::Io { operation, path: path.to_owned(), source: source.into() }
    }

    /// The system's error, if that was the cause.
    pub fn io_kind(&self) -> Option<io::ErrorKind> {
        match self {
            FileError::Io { source, .. } => Some(source.kind()),
            FileError::Exists { .. }
            | FileError::Irregular { .. }
            | FileError::NotADirectory { .. }
            | FileError::Exposed { .. }
            | FileError::NoName { .. }
            | FileError::TooLarge { .. } => None,
        }
    }
}
