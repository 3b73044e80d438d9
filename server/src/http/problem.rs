//! The one place where an error becomes what a user is told, and where that becomes an HTTP status.

use http::StatusCode;

use crate::ops::Error;
use crate::problem::{Problem, ProblemKind};
use crate::settings;

/// What whoever asked is told of an error.
pub fn problem(error: &Error) -> Problem {
    Problem { kind: kind(error), message: error.to_string(), causes: causes(error), hint: hint(error) }
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
    let mut words = error.to_string();
    for cause in causes(error) {
        words.push_str(": ");
        words.push_str(&cause);
    }
    words
}

fn kind(error: &Error) -> ProblemKind {
    match error {
        Error::Absent { .. } => ProblemKind::Unavailable,
        Error::Acme(error) => acme_kind(error),
        Error::Bundle(_) | Error::Runtime { .. } | Error::Time { .. } => ProblemKind::Internal,
        Error::Reason(_) | Error::RelativePath { .. } => ProblemKind::Invalid,
        Error::Denied(_) => ProblemKind::Denied,
        Error::File(_) => ProblemKind::Internal,
        Error::Setting(settings::Error::Invalid { .. }) => ProblemKind::Invalid,
        Error::Setting(settings::Error::Unknown { .. }) => ProblemKind::NotFound,
        Error::Setting(settings::Error::Store(source)) | Error::Store(source) => store_kind(source),
    }
}

fn acme_kind(error: &acme::Error) -> ProblemKind {
    use acme::Error as Acme;
    match error {
        Acme::Agreement { .. }
        | Acme::DirectoryUrl { .. }
        | Acme::ExternalAccountKey { .. }
        | Acme::ExternalAccountRequired { .. }
        | Acme::Name { .. }
        | Acme::NameCount { .. }
        | Acme::Reason { .. }
        | Acme::Wildcard { .. } => ProblemKind::Invalid,
        Acme::Busy { .. } => ProblemKind::Conflict,
        Acme::Later { .. } | Acme::Listener { .. } | Acme::TimedOut { .. } => ProblemKind::Unavailable,
        Acme::NoCertificate { .. } => ProblemKind::NotFound,
        Acme::AccountKey { .. }
        | Acme::Challenge { .. }
        | Acme::Key(_)
        | Acme::Request(_)
        | Acme::Seal(_) => ProblemKind::Internal,
        Acme::Store(source) => store_kind(source),
        // The authority, or the way to it.
        _ => ProblemKind::External,
    }
}

fn store_kind(error: &store::Error) -> ProblemKind {
    match error {
        store::Error::Conflict { .. } => ProblemKind::Conflict,
        store::Error::Closed => ProblemKind::Unavailable,
        _ => ProblemKind::Internal,
    }
}

fn hint(error: &Error) -> Option<String> {
    match error {
        Error::Setting(settings::Error::Unknown { nearest: Some(nearest), .. }) => {
            Some(format!("did you mean {nearest}?"))
        }
        Error::Setting(settings::Error::Unknown { nearest: None, .. }) => {
            Some("`pki config list` shows every setting".to_owned())
        }
        Error::Setting(settings::Error::Invalid { setting, .. }) => Some(setting.help().to_owned()),
        Error::File(_) | Error::Setting(settings::Error::Store(_)) | Error::Store(_) => {
            Some("`pki doctor` says more".to_owned())
        }
        Error::Acme(error) => error.advice(),
        Error::Reason(_) => None,
        Error::RelativePath { .. } => Some("give the whole path".to_owned()),
        Error::Bundle(_) | Error::Runtime { .. } | Error::Time { .. } => {
            Some("`pki doctor` says more".to_owned())
        }
        Error::Absent { .. } | Error::Denied(_) => None,
    }
}

/// The answer to a request whose handler panicked.
pub(crate) fn panicked() -> axum::response::Response {
    let mut response = axum::response::Response::new(axum::body::Body::empty());
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}
