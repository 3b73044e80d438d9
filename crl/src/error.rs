//! What can go wrong between a revocation and the list that tells the world.

use std::path::PathBuf;

use ca::cert::{CertificateError, KeyId, Serial};
use store::{Contention, Key, Sequence};

use crate::{CheckError, InstallError, NumberError, ReasonError, Refusal};

/// Why a revocation or a list failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store refused or failed.
    #[error("the revocations can't be read or written")]
    Store(#[from] store::Error),
    /// A key below `revoked/` names no certificate.
    #[error("the record {key} names no certificate")]
    StrayRecord {
        /// The key as it was found.
        key: Key,
    },
    /// The store claims entries that it does not hand out.
    #[error("the store ends at entry {seen} although its head is {head}")]
    Behind {
        /// The last entry it handed out.
        seen: Sequence,
        /// The one it claims to have.
        head: Sequence,
    },
    /// Others changed the same records over and over.
    #[error("the records kept changing; nothing was written after {attempts} attempts")]
    Contended {
        /// How often it was tried.
        attempts: u32,
    },
    /// A certificate that the authority did not sign.
    #[error("certificate {serial} was not signed by this authority")]
    NotOurs {
        /// The certificate.
        serial: Serial,
        /// How that is known.
        #[source]
        source: CertificateError,
    },
    /// What is recorded stands.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The reason is none.
    #[error(transparent)]
    Reason(#[from] ReasonError),
    /// There is no next CRL number.
    #[error("the list of authority {issuer} can't be numbered")]
    Number {
        /// The authority.
        issuer: KeyId,
        /// Why.
        #[source]
        source: NumberError,
    },
    /// The authorities or certificates on record can't be read.
    #[error("the authorities and certificates on record can't be read")]
    Authorities(#[source] ca::Error),
    /// There is no such authority, or it has no certificate yet.
    #[error("there is no authority {issuer} with a certificate")]
    UnknownAuthority {
        /// Its key identifier.
        issuer: KeyId,
    },
    /// The authority can't sign: its key is elsewhere, locked or damaged.
    #[error("authority {issuer} can't sign its list")]
    Keyring {
        /// The authority.
        issuer: KeyId,
        /// Why.
        #[source]
        source: ca::keyring::KeyringError,
    },
    /// The finished list breaks a rule for lists; it was not signed.
    #[error("the list of authority {issuer} was not signed")]
    Lint {
        /// The authority.
        issuer: KeyId,
        /// The rules it breaks.
        #[source]
        source: ca::lint::LintError,
    },
    /// Signing failed; the number is used up.
    #[error("the list of authority {issuer} could not be signed")]
    Sign {
        /// The authority.
        issuer: KeyId,
        /// Why.
        #[source]
        source: ca::signer::SignError,
    },
    /// A file could not be read or placed.
    #[error("the published lists could not be read or placed")]
    File(#[from] store::file::FileError),
    /// A list that was signed elsewhere can't be relied on.
    #[error("the list was not installed")]
    Install(#[from] InstallError),
    /// A list that others need beside a new one is not there.
    #[error("there is no list of authority {issuer} yet: {} lacks it", path.display())]
    MissingList {
        /// The authority.
        issuer: KeyId,
        /// The file that lacks it.
        path: PathBuf,
    },
    /// What lies in the place of a list is none.
    #[error("{} is not a list of authority {issuer}", path.display())]
    NotAList {
        /// The authority.
        issuer: KeyId,
        /// The file.
        path: PathBuf,
    },
    /// The finished list was refused before it was signed.
    #[error("the list of authority {issuer} was not signed")]
    Check {
        /// The authority.
        issuer: KeyId,
        /// What is wrong with it.
        #[source]
        source: CheckError,
    },
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
