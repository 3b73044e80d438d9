//! What kind of failure an ACME error is.

use acme::Error;
use acme::client::http::Failure;

use super::store_kind;
use crate::problem::ProblemKind;

pub(super) fn kind(error: &Error) -> ProblemKind {
    match error {
        Error::AddressByDns { .. }
        | Error::Agreement { .. }
        | Error::DirectoryUrl { .. }
        | Error::ExternalAccountKey { .. }
        | Error::ExternalAccountRequired { .. }
        | Error::Http { source: Failure::Roots { .. }, .. }
        | Error::Name { .. }
        | Error::NameCount { .. }
        | Error::Reason { .. }
        | Error::Webroot { .. }
        | Error::WhichAccount { .. }
        | Error::Wildcard { .. } => ProblemKind::Invalid,
        Error::Busy { .. } | Error::Deactivated { .. } | Error::Deactivating { .. } | Error::InUse { .. } => {
            ProblemKind::Conflict
        }
        Error::Later { .. } | Error::Listener { .. } | Error::TimedOut { .. } => ProblemKind::Unavailable,
        Error::NoAccount { .. } | Error::NoCertificate { .. } => ProblemKind::NotFound,
        Error::AccountKey { .. }
        | Error::Challenge { .. }
        | Error::Key(_)
        | Error::Request(_)
        | Error::Seal(_) => ProblemKind::Internal,
        Error::Store(source) => store_kind(source),
        // The authority, or the way to it.
        _ => ProblemKind::External,
    }
}
