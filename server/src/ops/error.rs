//! Why an operation failed, typed. How that is told is decided in [`crate::http::problem`] alone.

use store::Contention;

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
    /// Something for HAProxy was refused, or HAProxy did not do it.
    #[error(transparent)]
    Bundle(#[from] haproxy::Error),
    /// The authority refused or failed.
    #[error(transparent)]
    Ca(#[from] ca::Error),
    /// Revocation or publication was refused or failed.
    #[error(transparent)]
    Crl(Box<crl::Error>),
    /// As many passphrases are being tried as may be at once.
    #[error("too many passphrases are being tried at the moment")]
    Crowded,
    /// This peer may not do it.
    #[error(transparent)]
    Denied(#[from] trust::Denied),
    /// This peer was let in, and may not do it.
    #[error(transparent)]
    Forbidden(#[from] trust::Forbidden),
    /// The directory is not one to work in.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// A file could not be read or placed.
    #[error("a file of the directory failed")]
    File(#[from] store::file::FileError),
    /// A program that is to be run for a certificate can't be.
    #[error(transparent)]
    Hook(#[from] super::acme::HookError),
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
    /// A name is to be proved by a listener that is not there.
    #[error("{method} is answered by the HTTPS listener of a running service, and there is none")]
    NoListener {
        /// How it was to be proved.
        method: ::acme::client::Method,
    },
    /// A certificate that was obtained can't be shown.
    #[error("a certificate from an ACME authority can't be shown")]
    Served(#[source] crate::tls::OwnCertificateError),
    /// Names were given, but not the one they go with.
    #[error("further names need a name that they go with")]
    Nameless,
    /// An authority's list is not where it was put, or was never made.
    #[error("the list of authority {issuer} is not in place")]
    NoList {
        /// The authority.
        issuer: ca::cert::KeyId,
    },
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
    /// A name that the project does not allow.
    #[error(transparent)]
    NameNotAllowed(#[from] trust::project::NameNotAllowed),
    /// There is no such project.
    #[error("there is no project {project}")]
    NoProject {
        /// What was asked for.
        project: trust::rights::ProjectName,
    },
    /// A project that whoever asked has no rights in.
    #[error(transparent)]
    OtherProject(#[from] trust::OtherProject),
    /// What can't be a project's name.
    #[error(transparent)]
    ProjectName(#[from] trust::rights::ProjectNameError),
    /// Whoever asked is not let in; they are told no more than [`trust::Refusal::answer`] says.
    #[error("{}", .0.answer())]
    Refused(trust::Refusal),
    /// A path that means something else to whoever asked than to the service.
    #[error("{} is not an absolute path", path.display())]
    RelativePath {
        /// The path.
        path: std::path::PathBuf,
    },
    /// No resolver of DNS is known.
    #[error("no resolver of DNS is known")]
    Resolvers {
        /// Why.
        #[source]
        source: std::io::Error,
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
    /// Who is trusted can't be known, or not be changed so.
    #[error(transparent)]
    Trust(Box<trust::Error>),
    /// Whoever tries passphrases has to wait.
    #[error(transparent)]
    TooOften(#[from] trust::local::throttle::TooOften),
    /// A change of who is trusted was refused.
    #[error(transparent)]
    TrustChange(#[from] crate::ops::trust::TrustError),
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

impl From<trust::Error> for Error {
    fn from(error: trust::Error) -> Error {
        match error {
            trust::Error::Refused(refusal) => Error::Refused(refusal),
            other => Error::Trust(Box::new(other)),
        }
    }
}

impl From<trust::change::ChangeError> for Error {
    fn from(error: trust::change::ChangeError) -> Error {
        trust::Error::from(error).into()
    }
}

impl Contention for Error {
    fn of_commit(&self) -> Option<&store::Error> {
        match self {
            Error::Store(error) => Some(error),
            _ => None,
        }
    }

    fn contended(attempts: u32) -> Error {
        trust::Error::Contended { attempts }.into()
    }
}

impl Error {
    /// The store's part in it, wherever that failed.
    pub(crate) fn of_store(&self) -> Option<&store::Error> {
        match self {
            Error::Ca(ca::Error::Store(source))
            | Error::Setting(settings::Error::Store(source))
            | Error::Store(source) => Some(source),
            Error::Crl(error) => match &**error {
                crl::Error::Store(source) | crl::Error::Authorities(ca::Error::Store(source)) => Some(source),
                _ => None,
            },
            Error::Trust(error) => match &**error {
                trust::Error::Store(source) => Some(source),
                _ => None,
            },
            Error::Acme(error) => match &**error {
                ::acme::Error::Store(source) => Some(source),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether a record changed under way that had allowed it.
    pub(crate) fn is_withdrawn(&self) -> bool {
        matches!(self, Error::Ca(ca::Error::Withdrawn { .. }))
            || matches!(self.of_store(), Some(store::Error::Withdrawn { .. }))
    }
}

impl From<crl::Error> for Error {
    fn from(error: crl::Error) -> Error {
        Error::Crl(Box::new(error))
    }
}
