//! Why an operation failed, typed. How that is told is decided in [`crate::http::problem`] alone.

use crate::settings;

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// This peer may not do it.
    #[error(transparent)]
    Denied(#[from] trust::Denied),
    /// A file could not be read or placed.
    #[error("a file of the directory failed")]
    File(#[from] store::file::FileError),
    /// A setting was refused.
    #[error(transparent)]
    Setting(#[from] settings::Error),
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] store::Error),
    /// This version can't do it yet.
    #[error("{operation} is not part of this version")]
    Absent {
        /// The operation's name.
        operation: &'static str,
    },
}
