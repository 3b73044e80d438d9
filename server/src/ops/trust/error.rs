//! Why a change of who is trusted was refused before `trust` was asked.

use trust::Refusal;
use trust::entry::EntryNameError;
use trust::group::GroupNameError;
use trust::person::PersonError;
use trust::project::DnsPatternError;
use trust::rights::ClientTypeError;
use trust::role::PermissionError;
use trust::token::{ExpiryError, WireError};

/// Why a change of who is trusted was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// Several things fit a word.
    #[error("{word:?} matches several: {}", candidates.join(", "))]
    Ambiguous {
        /// What was asked for.
        word: String,
        /// What fits.
        candidates: Vec<String>,
    },
    /// The entry was changed since it was read.
    #[error("the entry {name} was changed meanwhile")]
    Changed {
        /// What it is called.
        name: String,
    },
    /// The project without which nothing has a place.
    #[error("the project default is always there")]
    DefaultProject,
    /// How long tokens live is not set as it should be.
    #[error(transparent)]
    Expiry(ExpiryError),
    /// A group can't be called that.
    #[error(transparent)]
    GroupName(GroupNameError),
    /// An entry can't be called that.
    #[error(transparent)]
    Name(EntryNameError),
    /// There is no such imported authority.
    #[error("no trusted authority matches {word:?}")]
    NoAuthority {
        /// What was asked for.
        word: String,
    },
    /// A certificate asked for its own successor and gets none.
    #[error("this certificate can't renew itself: {0}")]
    NotItself(Refusal),
    /// The service has no certificate of its own that a token could name.
    #[error("the service has no certificate of its own yet")]
    NoServerCertificate,
    /// There is no such token.
    #[error("there is no token for {word}")]
    NoToken {
        /// What was asked for.
        word: String,
    },
    /// There is no such user on this machine.
    #[error("this machine has no user {name}")]
    NoUser {
        /// What was asked for.
        name: String,
    },
    /// A pattern for DNS names is none.
    #[error(transparent)]
    Pattern(DnsPatternError),
    /// There is no such permission.
    #[error(transparent)]
    Permission(PermissionError),
    /// Nobody, and no provider's group, can be called that.
    #[error(transparent)]
    Person(PersonError),
    /// There is a project of that name.
    #[error("the project {name} is there already")]
    ProjectExists {
        /// Its name.
        name: String,
    },
    /// Somebody's rights name the project.
    #[error("the project {name} is in use by {}", users.join(", "))]
    ProjectInUse {
        /// Its name.
        name: String,
        /// Who.
        users: Vec<String>,
    },
    /// There is no such type of client.
    #[error(transparent)]
    Type(ClientTypeError),
    /// Whoever had the certificate would not be let in.
    #[error("the certificate can't be trusted: {0}")]
    Unacceptable(Refusal),
    /// Projects limit a restricted client alone.
    #[error("projects are for restricted clients")]
    Unrestricted,
    /// A token can't be written down.
    #[error(transparent)]
    Wire(WireError),
}
