//! What an operation's failure is in LXD's words and numbers.

use http::StatusCode;
use trust::change::ChangeError;
use trust::token::TokenError;

use super::envelope::Failure;
use crate::http::operation::Refusal;
use crate::http::problem;
use crate::ops::Error;
use crate::ops::trust::TrustError;

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let told = problem::problem(&error);
        let usual = problem::status_of(&error);
        let again = problem::retry_after(&error);
        let mut message = told.message;
        for cause in told.causes {
            message.push_str(": ");
            message.push_str(&cause);
        }
        let message = prefix(&error).to_owned() + &message;
        Failure { again, ..Failure::new(status(&error).unwrap_or(usual), message) }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Failure {
        let again = matches!(refusal, Refusal::Busy).then_some(1);
        let (status, told) = refusal.problem();
        Failure { again, ..Failure::new(status, told.message) }
    }
}

/// The status where LXD has another than ours.
fn status(error: &Error) -> Option<StatusCode> {
    match error {
        Error::Trust(error) => match &**error {
            trust::Error::Change(ChangeError::Ambiguous { .. }) => Some(StatusCode::BAD_REQUEST),
            trust::Error::Token(TokenError::NotListening) => Some(StatusCode::BAD_REQUEST),
            trust::Error::Token(TokenError::NotFound) => Some(StatusCode::NOT_FOUND),
            _ => None,
        },
        // The precondition of RFC 9110 §13.1.1 was false.
        Error::TrustChange(TrustError::Changed { .. }) => Some(StatusCode::PRECONDITION_FAILED),
        _ => None,
    }
}

/// What LXD says before the reason.
fn prefix(error: &Error) -> &'static str {
    match error {
        Error::Trust(error) => match &**error {
            trust::Error::Token(TokenError::Expired { .. }) => {
                "Failed during search for certificate add token operation: "
            }
            _ => "",
        },
        _ => "",
    }
}
