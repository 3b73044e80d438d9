//! What a failure about HAProxy is to whoever asked.

use haproxy::Error;

use crate::problem::ProblemKind;

pub(super) fn kind(error: &Error) -> ProblemKind {
    match error {
        Error::Word { .. }
        | Error::Address { .. }
        | Error::Wildcard { .. }
        | Error::Twice { .. }
        | Error::Missing { .. }
        | Error::TooMany { .. }
        | Error::IssuerName { .. }
        | Error::CommandTooLong { .. } => ProblemKind::Invalid,
        Error::Deadline { .. }
        | Error::Exchange { .. }
        | Error::AnswerTooLong { .. }
        | Error::Answer { .. }
        | Error::NotReplaced { .. }
        | Error::MapDiffers { .. }
        | Error::NoMap { .. }
        | Error::NotServed { .. }
        | Error::NotReloaded { .. }
        | Error::ListsOld { .. }
        | Error::Handshake { .. } => ProblemKind::External,
        _ => ProblemKind::Internal,
    }
}

pub(super) fn hint(error: &Error) -> &'static str {
    match error {
        Error::Missing { what: "domains", .. } => {
            "pki haproxy render --domain 'NAME pass IP:PORT', or pki config set haproxy.domains '…'"
        }
        Error::Word { .. } => "`pki haproxy render --help` has the words and examples",
        Error::Wildcard { .. } => "name every host; one certificate may still hold the wildcard",
        Error::Deadline { .. } | Error::Exchange { .. } => {
            "is HAProxy running, is that its `stats socket … level admin`, and may this user open it?"
        }
        Error::NotReplaced { .. } | Error::MapDiffers { .. } | Error::Answer { .. } => {
            "reload HAProxy; `master=SOCKET` in haproxy.instances lets pki do that by itself"
        }
        Error::NoMap { .. } => "`pki haproxy render --out FILE` writes a configuration that has it",
        _ => "`pki haproxy status` shows every instance",
    }
}
