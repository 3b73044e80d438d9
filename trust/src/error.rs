//! What can go wrong below a decision.

use ca::cert::CertificateError;
use store::{Contention, Key, Sequence};

use crate::authority::{ImportError, ListError};
use crate::change::ChangeError;
use crate::decide::Refusal;
use crate::group::GroupError;
use crate::local::passphrase::PassphraseError;
use crate::token::TokenError;

/// Why trust could not be decided on or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The records of certificates can't be read.
    #[error("the certificates on record can't be read")]
    Authorities(#[from] ca::Error),
    /// The store claims entries that it does not hand out.
    #[error("the store ends at entry {seen} although its head is {head}")]
    Behind {
        /// The last entry it handed out.
        seen: Sequence,
        /// The one it claims to have.
        head: Sequence,
    },
    /// A recorded certificate can't be read.
    #[error("a certificate on record can't be read")]
    Certificate(#[from] CertificateError),
    /// What was asked for can't be done.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// Others changed the same records over and over.
    #[error("the records kept changing; nothing was written after {attempts} attempts")]
    Contended {
        /// How often it was tried.
        attempts: u32,
    },
    /// A group can't be changed like that.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// A certificate can't be an authority.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// An imported list does not count.
    #[error(transparent)]
    List(#[from] ListError),
    /// The passphrase does not let anybody in, or is not one to set.
    #[error(transparent)]
    Passphrase(#[from] PassphraseError),
    /// The peer is not let in, or the certificate is not acceptable.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Revocations can't be read or made.
    #[error(transparent)]
    Revocation(#[from] Box<crl::Error>),
    /// The store refused or failed.
    #[error("what is trusted can't be read or written")]
    Store(#[from] store::Error),
    /// A record lies under a key that is not its own.
    #[error("the record {key} names nothing that could be trusted")]
    StrayRecord {
        /// The key as it was found.
        key: Key,
    },
    /// A token does not let anybody in.
    #[error(transparent)]
    Token(#[from] TokenError),
}

impl Contention for Error {
    fn of_commit(&self) -> Option<&store::Error> {
        match self {
            Error::Store(error) => Some(error),
            _ => None,
        }
    }

    fn contended(attempts: u32) -> Error {
        Error::Contended { attempts }
    }
}

impl From<crl::Error> for Error {
    fn from(error: crl::Error) -> Error {
        Error::Revocation(Box::new(error))
    }
}
