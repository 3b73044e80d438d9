//! What can go wrong in this crate, one variant for each thing that a caller may want to tell apart.

use std::path::PathBuf;

use crate::cert::{CertificateError, CsrError, KeyId, Serial, SerialError};
use crate::constraints::{ConstraintError, NameConstraints};
use crate::issuer::IssuerError;
use crate::key::{KeyType, PrivateKeyError, RequestError};
use crate::keyring::KeyringError;
use crate::lint::LintError;
use crate::profile::LifetimeError;
use crate::records::AuthorityState;
use crate::signer::SignError;
use crate::subject::SubjectError;
use crate::template::TemplateError;

/// Why an authority refused or failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An existing CA can't be adopted.
    #[error("the CA can't be adopted")]
    Adopt(#[from] crate::adopt::AdoptError),
    /// There is a PKI already.
    #[error("there is a PKI already: its root is {root}")]
    AlreadyInitialised {
        /// The root's key identifier.
        root: KeyId,
    },
    /// A word that could mean several things.
    #[error("{word:?} could mean any of {}", candidates.join(", "))]
    Ambiguous {
        /// The word.
        word: String,
        /// What it could mean, a line each.
        candidates: Vec<String>,
    },
    /// A key that was reported as compromised.
    #[error("this key is blocked for ever: certificate {serial} with it was revoked as compromised")]
    BlockedKey {
        /// The certificate whose revocation blocked it.
        serial: Serial,
    },
    /// Others kept changing what the change rests on.
    #[error("the records kept changing; the change was given up after {attempts} attempts")]
    Busy {
        /// How often it was tried.
        attempts: u32,
    },
    /// A certificate that can't be read.
    #[error("the certificate can't be read")]
    Certificate(#[from] CertificateError),
    /// Name constraints that can't be kept to.
    #[error("the name constraints can't be used")]
    Constraints(#[from] ConstraintError),
    /// A CSR that can't be used.
    #[error("the request can't be used")]
    Csr(#[from] CsrError),
    /// The current issuing CA can't be taken out of service.
    #[error("authority {key_id} signs at present; rotate first")]
    CurrentAuthority {
        /// The authority.
        key_id: KeyId,
    },
    /// A file could not be read or placed.
    #[error("a file could not be read or placed")]
    File(#[from] store::file::FileError),
    /// Certificates and lists are here, but no records.
    #[error("{} is there, but the store knows no authority: its records are lost or elsewhere", path.display())]
    RecordsMissing {
        /// What was found.
        path: PathBuf,
    },
    /// A root key would go where the backup, and whoever takes the directory, finds it.
    #[error("{} lies inside the PKI's directory: the root's key would not be away", path.display())]
    InsideDirectory {
        /// The file.
        path: PathBuf,
    },
    /// A certificate that was made elsewhere breaks a rule that it would have been held to here.
    #[error("the certificate was not installed")]
    Install(#[source] LintError),
    /// A certificate that can't sign.
    #[error("the certificate can't be an authority's")]
    Issuer(#[from] IssuerError),
    /// A private key that can't be used.
    #[error("the private key can't be used")]
    Key(#[from] PrivateKeyError),
    /// An authority's key can't be used.
    #[error("the authority's key can't be used")]
    Keyring(#[from] KeyringError),
    /// The copy of the key is not what is here.
    #[error("the copy of the root's key differs from {}; it was not removed", path.display())]
    KeyCopyDiffers {
        /// The key file that stays.
        path: PathBuf,
    },
    /// An interrupted `init` left a key of another type than is wanted now.
    #[error("an earlier init left a {found} key at {}, and {asked} is asked for now", path.display())]
    LeftoverKey {
        /// The key file.
        path: PathBuf,
        /// What it holds.
        found: KeyType,
        /// What was asked for.
        asked: KeyType,
    },
    /// A lifetime that can't be given.
    #[error("the lifetime can't be given")]
    Lifetime(#[from] LifetimeError),
    /// A rule was about to be broken.
    #[error("the certificate was not signed")]
    Lint(#[from] LintError),
    /// Names that can't be certified.
    #[error("the names can't be certified")]
    Names(#[from] SubjectError),
    /// Nothing has this name, serial or fingerprint.
    #[error("nothing is known of {word:?}")]
    NotFound {
        /// What was looked for.
        word: String,
    },
    /// There is no PKI yet.
    #[error("there is no PKI yet")]
    NotInitialised,
    /// The certificate can't be renewed.
    #[error("certificate {serial} can't be renewed: {reason}")]
    NotRenewable {
        /// The certificate.
        serial: Serial,
        /// Why not.
        reason: &'static str,
    },
    /// A request could not be made.
    #[error("the certificate request can't be made")]
    Request(#[from] RequestError),
    /// The certificate that answered this request, or that is to be renewed, is revoked.
    #[error("certificate {serial} is revoked or on hold; make a new key")]
    Revoked {
        /// The certificate.
        serial: Serial,
    },
    /// No serial number.
    #[error("no serial number could be made")]
    Serial(#[from] SerialError),
    /// Signing failed.
    #[error("signing failed")]
    Sign(#[from] SignError),
    /// An authority is in no state for this.
    #[error("authority {key_id} is {}: it can't be {action}", state.as_str())]
    State {
        /// The authority.
        key_id: KeyId,
        /// What it is.
        state: AuthorityState,
        /// What was to be done with it.
        action: &'static str,
    },
    /// The store refused or failed.
    #[error("the store refused or failed")]
    Store(#[from] store::Error),
    /// The certificate could not be written.
    #[error("the certificate could not be written")]
    Template(#[from] TemplateError),
    /// The certificate of the next issuing CA is not held to the names that this one is held to.
    #[error(
        "the certificate is held to these names: {found}; the issuing CA in force, which it would follow, to these: {wanted}"
    )]
    OtherConstraints {
        /// What the certificate is held to.
        found: NameConstraints,
        /// What it must be held to.
        wanted: NameConstraints,
    },
    /// What allowed the change is no longer as it was.
    #[error("what allowed this has changed in the meantime ({key})")]
    Withdrawn {
        /// The record that changed.
        key: store::Key,
    },
    /// A certificate that was signed elsewhere is not what was asked for.
    #[error("the certificate is not what was asked for: {reason}")]
    Unasked {
        /// What is wrong.
        reason: String,
    },
}
