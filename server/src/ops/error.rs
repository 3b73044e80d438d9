//! Why an operation failed, typed. How that is told is decided in [`crate::http::problem`] alone.

use crate::pki::DirectoryError;
use crate::{archive, listen, settings};

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An ACME authority, or our talk with it.
    #[error(transparent)]
    Acme(Box<::acme::Error>),
    /// A backup could not be written or read.
    #[error(transparent)]
    Archive(#[from] archive::Error),
    /// An authority's certificate is not revoked like a leaf.
    #[error("{subject} is an authority's certificate")]
    Authority {
        /// Its subject.
        subject: String,
    },
    /// A file for HAProxy could not be made.
    #[error(transparent)]
    Bundle(#[from] haproxy::Error),
    /// The authority refused or failed.
    #[error(transparent)]
    Ca(#[from] ca::Error),
    /// Revocation or publication was refused or failed.
    #[error(transparent)]
    Crl(Box<crl::Error>),
    /// This peer may not do it.
    #[error(transparent)]
    Denied(#[from] trust::Denied),
    /// The directory is not one to work in.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// A file could not be read or placed.
    #[error("a file of the directory failed")]
    File(#[from] store::file::FileError),
    /// More was asked for at once than is taken.
    #[error("{count} {what} are too many at once, {limit} are taken")]
    Limit {
        /// Of what.
        what: &'static str,
        /// How many were given.
        count: usize,
        /// How many are taken.
        limit: usize,
    },
    /// An address can't be listened on.
    #[error(transparent)]
    Listen(#[from] listen::Error),
    /// Names were given, but not the one they go with.
    #[error("further names need a name that they go with")]
    Nameless,
    /// Nothing is held that could be released.
    #[error("no certificate of {word} is on hold")]
    NotHeld {
        /// What was asked for.
        word: String,
    },
    /// Nothing of that name can be renewed.
    #[error("no certificate of {word} is valid any more")]
    NotValid {
        /// What was asked for.
        word: String,
    },
    /// A list could not be signed or placed.
    #[error("{} could not be published", issuer.as_ref().map_or_else(|| "the lists".to_owned(), |issuer| format!("the list of authority {issuer}")))]
    Publish {
        /// The authority; `None` where it concerns all.
        issuer: Option<ca::cert::KeyId>,
        /// Why, outermost cause first.
        causes: Vec<String>,
    },
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
    /// The key that seals secrets failed.
    #[error("secrets can't be sealed")]
    Seal(#[from] store::seal::SealError),
    /// A setting was refused.
    #[error(transparent)]
    Setting(#[from] settings::Error),
    /// The service ends; what was under way is stored.
    #[error("the service is stopping")]
    Stopping,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A stored time that no calendar knows.
    #[error("{seconds} seconds since 1970 is no time")]
    Time {
        /// What is stored.
        seconds: i64,
    },
    /// A word that should be a type of key, a digest, and so on.
    #[error("{word:?} is not {expected}")]
    Word {
        /// What was given.
        word: String,
        /// What was expected, with its article.
        expected: &'static str,
    },
}

impl From<::acme::Error> for Error {
    fn from(error: ::acme::Error) -> Error {
        Error::Acme(Box::new(error))
    }
}

impl From<crl::Error> for Error {
    fn from(error: crl::Error) -> Error {
        Error::Crl(Box::new(error))
    }
}
