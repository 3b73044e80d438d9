//! What is told of a refused change of who is trusted.

use crate::ops::trust::TrustError;
use crate::problem::ProblemKind;

pub(super) fn kind(error: &TrustError) -> ProblemKind {
    match error {
        TrustError::Ambiguous { .. }
        | TrustError::Changed { .. }
        | TrustError::DefaultProject
        | TrustError::NoServerCertificate
        | TrustError::ProjectExists { .. }
        | TrustError::ProjectInUse { .. }
        | TrustError::Unacceptable(_) => ProblemKind::Conflict,
        TrustError::NotItself(_) => ProblemKind::Denied,
        TrustError::NoAuthority { .. } | TrustError::NoToken { .. } | TrustError::NoUser { .. } => {
            ProblemKind::NotFound
        }
        TrustError::Expiry(_)
        | TrustError::GroupName(_)
        | TrustError::Name(_)
        | TrustError::Pattern(_)
        | TrustError::Permission(_)
        | TrustError::Person(_)
        | TrustError::Type(_)
        | TrustError::Unrestricted => ProblemKind::Invalid,
        TrustError::Wire(_) => ProblemKind::Internal,
    }
}

/// What to do where `trust` itself refused.
pub(super) fn hint_of_trust(error: &trust::Error) -> Option<&'static str> {
    use trust::change::ChangeError;
    use trust::group::GroupError;
    use trust::token::TokenError;
    Some(match error {
        trust::Error::Change(ChangeError::Already { .. }) => "`pki trust edit` changes what it may do",
        trust::Error::Change(ChangeError::Ambiguous { .. }) => "name it by the beginning of its fingerprint",
        trust::Error::Change(ChangeError::NotFound { .. }) => "`pki trust list` shows who is trusted",
        trust::Error::Change(ChangeError::Weak { .. }) => "make a new key",
        trust::Error::Group(GroupError::Exists { .. }) => "`pki group show` shows it",
        trust::Error::Group(GroupError::NotFound { .. }) => "`pki group list` shows those there are",
        trust::Error::Group(GroupError::NotDenied { .. }) => "`pki group list` shows who is denied",
        trust::Error::Group(GroupError::Widens { .. }) => "somebody who has it has to do it",
        trust::Error::Import(_) => "name the certificate of the authority that signs the clients'",
        trust::Error::List(_) => "fetch the newest list of that authority; nothing was imported",
        trust::Error::Token(TokenError::NotListening) => {
            "`pki config set core.https_address 127.0.0.1` opens it to this machine, [::] to all"
        }
        _ => return None,
    })
}

pub(super) fn hint(error: &TrustError) -> &'static str {
    match error {
        TrustError::Ambiguous { .. } => "name one by the beginning of its id or fingerprint",
        TrustError::Changed { .. } => "look at it again with `pki trust show`",
        TrustError::DefaultProject => "it is where certificates belong that name no project",
        TrustError::Expiry(_) => "`pki config set core.remote_token_expiry 15d`",
        TrustError::GroupName(_) | TrustError::Name(_) => "choose another name",
        TrustError::NoAuthority { .. } => "`pki trust ca list` shows them",
        TrustError::NoServerCertificate => "`pki up` makes one",
        TrustError::NotItself(_) => {
            "ask for a token and enrol again: `pki trust add NAME --enroll` there, `pki enroll TOKEN` here"
        }
        TrustError::NoToken { .. } => "`pki trust list-tokens` shows those that wait",
        TrustError::NoUser { .. } => "a user that only a directory service knows is named by their uid",
        TrustError::Pattern(_) => "a name like web.internal, or *.web.internal for all below it",
        TrustError::Permission(_) => "`pki group --help` says what each permits",
        TrustError::Person(_) => "as the identity provider spells it",
        TrustError::ProjectExists { .. } => "`pki project show` shows it",
        TrustError::ProjectInUse { .. } => {
            "give them other projects with `pki trust edit`, remove them, revoke the tokens, withdraw the groups' permission first"
        }
        TrustError::Type(_) => {
            "a client works with the service, a server looks things up, metrics reads those"
        }
        TrustError::Unacceptable(_) => "`pki doctor` and `pki config list` show what it was judged by",
        TrustError::Unrestricted => "give --restricted too, or leave --projects away",
        TrustError::Wire(_) => "`pki doctor` says more",
    }
}
