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

fn kind(error: &Error) -> ProblemKind {
    match error {
        Error::Absent { .. } => ProblemKind::Unavailable,
        Error::Denied(_) => ProblemKind::Denied,
        Error::File(_) => ProblemKind::Internal,
        Error::Setting(settings::Error::Invalid { .. }) => ProblemKind::Invalid,
        Error::Setting(settings::Error::Unknown { .. }) => ProblemKind::NotFound,
        Error::Setting(settings::Error::Store(source)) | Error::Store(source) => store_kind(source),
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
        Error::Absent { .. } | Error::Denied(_) => None,
    }
}

/// The answer to a request whose handler panicked.
pub(crate) fn panicked() -> axum::response::Response {
    let mut response = axum::response::Response::new(axum::body::Body::empty());
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}
