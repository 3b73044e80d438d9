//! Why an operation failed, typed. How that is told is decided in [`crate::http::problem`] alone.

use crate::settings;

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An ACME authority, or our talk with it.
    #[error(transparent)]
    Acme(#[from] ::acme::Error),
    /// A file for HAProxy could not be made.
    #[error(transparent)]
    Bundle(#[from] haproxy::Error),
    /// This peer may not do it.
    #[error(transparent)]
    Denied(#[from] trust::Denied),
    /// A file could not be read or placed.
    #[error("a file of the directory failed")]
    File(#[from] store::file::FileError),
    /// Not a reason for revocation.
    #[error(transparent)]
    Reason(crl::ReasonError),
    /// A path that means something else to whoever asked than to the service.
    #[error("{} is not an absolute path", path.display())]
    RelativePath {
        /// The path.
        path: std::path::PathBuf,
    },
    /// No runtime could be started.
    #[error("this thread can't wait for the network")]
    Runtime {
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A setting was refused.
    #[error(transparent)]
    Setting(#[from] settings::Error),
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] store::Error),
    /// A stored time that no calendar knows.
    #[error("{seconds} seconds since 1970 is no time")]
    Time {
        /// What is stored.
        seconds: i64,
    },
    /// This version can't do it yet.
    #[error("{operation} is not part of this version")]
    Absent {
        /// The operation's name.
        operation: &'static str,
    },
}
