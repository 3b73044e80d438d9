//! What an operation's failure is in LXD's words and numbers.

use ca::cert::WeakKey;
use http::StatusCode;
use trust::Refusal as Refused;
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
        let message = unfit(&error).unwrap_or_else(|| prefix(&error).to_owned() + &message);
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
            trust::Error::Change(ChangeError::Weak { .. }) => Some(StatusCode::BAD_REQUEST),
            _ => None,
        },
        Error::TrustChange(TrustError::Unacceptable(_)) => Some(StatusCode::BAD_REQUEST),
        // The precondition of RFC 9110 §13.1.1 was false.
        Error::TrustChange(TrustError::Changed { .. }) => Some(StatusCode::PRECONDITION_FAILED),
        _ => None,
    }
}

/// What LXD says of a certificate that can't be trusted.
fn unfit(error: &Error) -> Option<String> {
    match error {
        Error::Trust(error) => match &**error {
            trust::Error::Change(ChangeError::Weak { source: WeakKey::TooShort { limit, .. } }) => {
                Some(format!("RSA key is too weak (minimum of {limit}bit)"))
            }
            _ => None,
        },
        Error::TrustChange(TrustError::Unacceptable(refusal)) => match out_of_date(refusal) {
            Some(told) => Some(told.to_owned()),
            None if is_of_authorities(refusal) => {
                Some(format!("The certificate is not trusted by the CA or has been revoked: {refusal}"))
            }
            None => None,
        },
        _ => None,
    }
}

/// What LXD says of a certificate whose time it is not.
pub(super) fn out_of_date(refusal: &Refused) -> Option<&'static str> {
    match refusal {
        Refused::Expired { .. } => Some("The provided certificate is expired"),
        Refused::NotYetValid { .. } => Some("The provided certificate isn't valid yet"),
        _ => None,
    }
}

/// Whether it is authorities, or their lists, that do not speak for a certificate.
fn is_of_authorities(refusal: &Refused) -> bool {
    matches!(
        refusal,
        Refused::ListExpired { .. }
            | Refused::ListMissing { .. }
            | Refused::NotSigned { .. }
            | Refused::Revoked { .. }
            | Refused::UnknownSerial { .. }
    )
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

#[cfg(test)]
mod tests {
    use super::*;
    use time::OffsetDateTime;

    fn told(error: Error) -> (u16, String) {
        let failure = Failure::from(error);
        (failure.status.as_u16(), failure.message)
    }

    #[test]
    fn a_certificate_that_cannot_be_trusted_is_refused_in_lxds_words() {
        let at = OffsetDateTime::UNIX_EPOCH;
        let unacceptable = |refusal| told(TrustError::Unacceptable(refusal).into());
        let (expired, early) = (Refused::Expired { not_after: at }, Refused::NotYetValid { not_before: at });
        assert_eq!(unacceptable(expired.clone()), (400, "The provided certificate is expired".to_owned()));
        assert_eq!(unacceptable(early), (400, "The provided certificate isn't valid yet".to_owned()));
        let (status, unsigned) = unacceptable(Refused::NotSigned { why: None });
        assert_eq!(status, 400);
        assert!(
            unsigned
                .starts_with("The certificate is not trusted by the CA or has been revoked: no authority")
        );
        let (status, authority) = unacceptable(Refused::AuthorityCertificate);
        assert!(status == 400 && authority.contains("an authority's"), "{authority}");
        let weak = ChangeError::Weak { source: WeakKey::TooShort { bits: 1024, limit: 2048 } };
        assert_eq!(told(weak.into()), (400, "RSA key is too weak (minimum of 2048bit)".to_owned()));
        // Whoever asks for anything else with it is told nothing.
        assert_eq!(told(Error::Refused(expired)), (403, "not authorized".to_owned()));
    }
}
