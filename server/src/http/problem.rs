//! The one place where an error becomes what a user is told, and where that becomes an HTTP status.

mod acme;
mod hint;
mod proxy;
mod trusting;

use ca::key::PrivateKeyError;
use ca::keyring::KeyringError;
use http::StatusCode;

use crate::ops::Error;
use crate::pki::DirectoryError;
use crate::problem::{Problem, ProblemKind};
use crate::{archive, listen, settings};

/// What whoever asked is told of an error.
pub fn problem(error: &Error) -> Problem {
    Problem {
        kind: kind(error),
        message: error.to_string(),
        causes: all_causes(error),
        hint: hint::hint(error),
    }
}

/// The HTTP status of a kind of failure (RFC 9110 §15).
pub fn status(kind: ProblemKind) -> StatusCode {
    match kind {
        ProblemKind::Conflict => StatusCode::CONFLICT,
        ProblemKind::Denied => StatusCode::FORBIDDEN,
        ProblemKind::External => StatusCode::BAD_GATEWAY,
        ProblemKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        ProblemKind::Invalid => StatusCode::BAD_REQUEST,
        ProblemKind::NotFound => StatusCode::NOT_FOUND,
        ProblemKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// What whoever is refused is told, where no operation failed.
pub(crate) fn refused(message: &str) -> Problem {
    Problem { kind: ProblemKind::Denied, message: message.to_owned(), causes: Vec::new(), hint: None }
}

/// The messages of everything that caused `error`, outermost first.
pub fn causes(error: &dyn std::error::Error) -> Vec<String> {
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    causes
}

/// An error with everything that caused it, on one line.
pub fn in_words(error: &dyn std::error::Error) -> String {
    std::iter::once(error.to_string()).chain(causes(error)).collect::<Vec<_>>().join(": ")
}

/// Everything that caused an operation to fail, also what another thread or process said.
pub(crate) fn all_causes(error: &Error) -> Vec<String> {
    match error {
        Error::Publish { causes, .. } => causes.clone(),
        other => causes(other),
    }
}

/// Whether it was refused because the disk is behind, others changed what it rests on, or there was no room
/// to try a passphrase, with nothing done: the same may go through soon.
pub(crate) fn is_busy(error: &Error) -> bool {
    error.is_withdrawn()
        || matches!(error, Error::Crowded)
        || matches!(error.of_store(), Some(store::Error::Busy { .. }))
}

/// The HTTP status of an error (RFC 9110 §15; RFC 6585 §4 for whoever asks too often).
pub(crate) fn status_of(error: &Error) -> StatusCode {
    match error {
        Error::TooOften(_) => StatusCode::TOO_MANY_REQUESTS,
        other => status(kind(other)),
    }
}

/// In how many seconds to try again, if that helps (RFC 9110 §10.2.3).
pub(crate) fn retry_after(error: &Error) -> Option<u64> {
    match error {
        Error::TooOften(too_often) => Some(too_often.seconds()),
        other => is_busy(other).then_some(1),
    }
}

fn kind(error: &Error) -> ProblemKind {
    match error {
        _ if error.is_withdrawn() => ProblemKind::Unavailable,
        Error::Acme(error) => acme::kind(error),
        Error::Archive(error) => archive_kind(error),
        Error::Ca(error) => ca_kind(error),
        Error::Crl(error) => crl_kind(error),
        Error::Denied(_)
        | Error::Forbidden(_)
        | Error::NameNotAllowed(_)
        | Error::OtherProject(_)
        | Error::Refused(_) => ProblemKind::Denied,
        Error::Trust(error) => trust_kind(error),
        Error::TrustChange(error) => trusting::kind(error),
        Error::Directory(error) => match error {
            DirectoryError::Broken { .. } | DirectoryError::Unreadable { .. } => ProblemKind::Internal,
            DirectoryError::Exists { .. } => ProblemKind::Conflict,
            DirectoryError::Foreign { .. } => ProblemKind::Denied,
            DirectoryError::Missing { .. } | DirectoryError::Unfinished { .. } => ProblemKind::NotFound,
        },
        Error::Authority { .. }
        | Error::Hook(_)
        | Error::Limit { .. }
        | Error::Nameless
        | Error::ProjectName(_)
        | Error::RelativePath { .. }
        | Error::Word { .. } => ProblemKind::Invalid,
        Error::Listen(listen::Error::Busy { .. }) => ProblemKind::Conflict,
        Error::Listen(_) => ProblemKind::Invalid,
        Error::Crowded
        | Error::Resolvers { .. }
        | Error::NoList { .. }
        | Error::NoListener { .. }
        | Error::TooOften(_)
        | Error::Stopping => ProblemKind::Unavailable,
        Error::Bundle(error) => proxy::kind(error),
        Error::Runtime { .. } | Error::Served(_) | Error::Time { .. } => ProblemKind::Internal,
        Error::NoProject { .. } | Error::NotHeld { .. } | Error::NotValid { .. } => ProblemKind::NotFound,
        Error::File(_) | Error::Publish { .. } | Error::Seal(_) => ProblemKind::Internal,
        Error::Setting(
            settings::Error::InClear { .. }
            | settings::Error::Invalid { .. }
            | settings::Error::NoProvider
            | settings::Error::Provider(_),
        ) => ProblemKind::Invalid,
        Error::Setting(settings::Error::Sealed { .. }) => ProblemKind::Internal,
        Error::Setting(settings::Error::Unknown { .. }) => ProblemKind::NotFound,
        Error::Setting(settings::Error::Store(source)) | Error::Store(source) => store_kind(source),
    }
}

fn trust_kind(error: &trust::Error) -> ProblemKind {
    use trust::change::ChangeError;
    use trust::group::GroupError;
    use trust::local::passphrase::PassphraseError;
    use trust::token::TokenError;
    match error {
        trust::Error::Passphrase(PassphraseError::TooShort { .. } | PassphraseError::TooLong) => {
            ProblemKind::Invalid
        }
        trust::Error::Token(TokenError::NotListening) => ProblemKind::Conflict,
        trust::Error::Refused(_) | trust::Error::Passphrase(_) | trust::Error::Token(_) => {
            ProblemKind::Denied
        }
        trust::Error::Change(ChangeError::Already { .. } | ChangeError::Ambiguous { .. }) => {
            ProblemKind::Conflict
        }
        trust::Error::Change(ChangeError::NotFound { .. }) => ProblemKind::NotFound,
        trust::Error::Change(ChangeError::Denied { .. } | ChangeError::Widens { .. }) => ProblemKind::Denied,
        trust::Error::Group(GroupError::Exists { .. } | GroupError::NotDenied { .. }) => {
            ProblemKind::Conflict
        }
        trust::Error::Group(GroupError::NotFound { .. }) => ProblemKind::NotFound,
        trust::Error::Group(GroupError::Widens { .. }) => ProblemKind::Denied,
        trust::Error::Change(_)
        | trust::Error::Group(_)
        | trust::Error::Certificate(_)
        | trust::Error::Import(_)
        | trust::Error::List(_) => ProblemKind::Invalid,
        trust::Error::Contended { .. } => ProblemKind::Unavailable,
        trust::Error::Authorities(error) => ca_kind(error),
        trust::Error::Revocation(error) => crl_kind(error),
        trust::Error::Store(error) => store_kind(error),
        // Records that can't be right: our own affair.
        _ => ProblemKind::Internal,
    }
}

fn archive_kind(error: &archive::Error) -> ProblemKind {
    match error {
        archive::Error::Decrypt(_) => ProblemKind::Denied,
        archive::Error::Foreign { .. } | archive::Error::Manifest { .. } => ProblemKind::Invalid,
        archive::Error::Occupied { .. } => ProblemKind::Conflict,
        archive::Error::Io { .. } | archive::Error::Member { .. } | archive::Error::Place(_) => {
            ProblemKind::Internal
        }
    }
}

fn store_kind(error: &store::Error) -> ProblemKind {
    match error {
        store::Error::Conflict { .. } | store::Error::Inconsistent { .. } => ProblemKind::Conflict,
        store::Error::Busy { .. }
        | store::Error::Closed
        | store::Error::Locked { .. }
        | store::Error::Threads { .. }
        | store::Error::Withdrawn { .. } => ProblemKind::Unavailable,
        store::Error::TooLarge { .. } | store::Error::Checkpoint(_) => ProblemKind::Invalid,
        store::Error::Absent { .. } | store::Error::NoEntry { .. } => ProblemKind::NotFound,
        // Damage, a full disk, a later format: nothing the request could have done better.
        _ => ProblemKind::Internal,
    }
}

fn ca_kind(error: &ca::Error) -> ProblemKind {
    match error {
        ca::Error::AlreadyInitialised { .. }
        | ca::Error::Ambiguous { .. }
        | ca::Error::CurrentAuthority { .. }
        | ca::Error::KeyCopyDiffers { .. }
        | ca::Error::NotRenewable { .. }
        | ca::Error::RecordsMissing { .. }
        | ca::Error::LeftoverKey { .. }
        | ca::Error::Revoked { .. }
        | ca::Error::State { .. }
        | ca::Error::Withdrawn { .. } => ProblemKind::Conflict,
        ca::Error::BlockedKey { .. }
        | ca::Error::Adopt(_)
        | ca::Error::Certificate(_)
        | ca::Error::Constraints(_)
        | ca::Error::Csr(_)
        | ca::Error::InsideDirectory { .. }
        | ca::Error::Install(_)
        | ca::Error::Issuer(_)
        | ca::Error::Key(_)
        | ca::Error::Lifetime(_)
        | ca::Error::Lint(_)
        | ca::Error::Names(_)
        | ca::Error::OtherConstraints { .. }
        | ca::Error::Request(_)
        | ca::Error::Template(_)
        | ca::Error::Unasked { .. } => ProblemKind::Invalid,
        ca::Error::NotFound { .. } | ca::Error::NotInitialised => ProblemKind::NotFound,
        ca::Error::Busy { .. } => ProblemKind::Unavailable,
        ca::Error::Keyring(error) => keyring_kind(error),
        ca::Error::Store(error) => store_kind(error),
        // Files, randomness, signing: our own affair.
        _ => ProblemKind::Internal,
    }
}

fn keyring_kind(error: &KeyringError) -> ProblemKind {
    match error {
        KeyringError::Locked { .. } => ProblemKind::Denied,
        KeyringError::Key { source: PrivateKeyError::WrongPassphrase, .. } => ProblemKind::Denied,
        KeyringError::Elsewhere { .. }
        | KeyringError::File(store::file::FileError::Exists { .. })
        | KeyringError::NoCertificate { .. } => ProblemKind::Conflict,
        _ => ProblemKind::Internal,
    }
}

fn crl_kind(error: &crl::Error) -> ProblemKind {
    match error {
        crl::Error::Store(error) => store_kind(error),
        crl::Error::Contended { .. } => ProblemKind::Unavailable,
        crl::Error::NotOurs { .. } | crl::Error::Reason(_) | crl::Error::Install(_) => ProblemKind::Invalid,
        crl::Error::Refused(_) => ProblemKind::Conflict,
        crl::Error::Authorities(error) => ca_kind(error),
        crl::Error::UnknownAuthority { .. } => ProblemKind::NotFound,
        crl::Error::Keyring { source, .. } => keyring_kind(source),
        // A list that can't be made from sound records is our own fault, or the disk's.
        _ => ProblemKind::Internal,
    }
}

/// The answer to a request whose handler panicked.
pub(crate) fn panicked() -> axum::response::Response {
    let mut response = axum::response::Response::new(axum::body::Body::empty());
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}
