//! Why a peer is not let in: in full for the log, and in the words that it is told itself.

use ca::cert::{PathError, Serial, date};
use time::OffsetDateTime;

use crate::entry::KeyDigest;

/// Why a peer is refused. What [`std::fmt::Display`] says is for logs and metrics; the peer is told
/// [`Refusal::answer`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A CA's certificate, which is never a client's identity.
    #[error("the certificate is an authority's, not a client's")]
    AuthorityCertificate,
    /// The certificate's time is over.
    #[error("the certificate expired on {}", date(*not_after))]
    Expired {
        /// When.
        not_after: OffsetDateTime,
    },
    /// The list of the imported authority that signed it has run out.
    #[error("the list of authority {authority} has run out; nobody knows which of its clients are revoked")]
    ListExpired {
        /// The authority's key.
        authority: KeyDigest,
    },
    /// An authority of the path has no list, although there was one, or the others have one.
    #[error("there is no list of authority {authority}; nobody knows which of its clients are revoked")]
    ListMissing {
        /// The authority's key.
        authority: KeyDigest,
    },
    /// The peer showed nothing.
    #[error("no client certificate was shown")]
    Nobody,
    /// A local user who is not trusted.
    #[error("the user is not trusted")]
    NotAuthenticated,
    /// PKI mode is on, and none of the authorities that count signed it.
    #[error("no authority that counts in PKI mode signed the certificate for a TLS client{}", because(why))]
    NotSigned {
        /// What the search for a path to an imported authority ended with.
        why: Option<PathError>,
    },
    /// The certificate's time has not come.
    #[error("the certificate is not valid before {} (is a clock wrong?)", date(*not_before))]
    NotYetValid {
        /// When it begins.
        not_before: OffsetDateTime,
    },
    /// It was let in once and removed.
    #[error("{name} was removed and is denied until added again")]
    Removed {
        /// What the removed entry was called.
        name: String,
    },
    /// A person who was denied.
    #[error("{name} is denied until an administrator allows them again")]
    PersonRemoved {
        /// By which name.
        name: String,
    },
    /// A local user who was let in once and removed.
    #[error("the user {name} was removed and is denied until added again")]
    UserRemoved {
        /// What the removed entry was called.
        name: String,
    },
    /// It, or an authority above it, is revoked.
    #[error("certificate {serial} is revoked")]
    Revoked {
        /// Which certificate of the path.
        serial: Serial,
    },
    /// Nothing speaks for it.
    #[error("there is no entry for the certificate")]
    Stranger,
    /// Our key signed it, and our inventory does not know it.
    #[error("our key signed certificate {serial}, and the inventory does not know it")]
    UnknownSerial {
        /// The certificate.
        serial: Serial,
    },
}

fn because(why: &Option<PathError>) -> String {
    why.as_ref().map(|why| format!(": {why}")).unwrap_or_default()
}

impl Refusal {
    /// What the peer is told, by LXD's and Multipass's words. It tells strangers nothing.
    pub fn answer(&self) -> &'static str {
        match self {
            Refusal::Removed { .. } => "not authorized: this client certificate is not trusted any more",
            Refusal::NotAuthenticated | Refusal::UserRemoved { .. } => {
                "The client is not authenticated with the pki service.\n\
                 Please use 'pki authenticate' before proceeding."
            }
            Refusal::AuthorityCertificate
            | Refusal::Expired { .. }
            | Refusal::ListExpired { .. }
            | Refusal::ListMissing { .. }
            | Refusal::Nobody
            | Refusal::NotSigned { .. }
            | Refusal::NotYetValid { .. }
            | Refusal::PersonRemoved { .. }
            | Refusal::Revoked { .. }
            | Refusal::Stranger
            | Refusal::UnknownSerial { .. } => "not authorized",
        }
    }

    /// One word for metrics, which count refusals by reason.
    pub fn label(&self) -> &'static str {
        match self {
            Refusal::AuthorityCertificate => "authority-certificate",
            Refusal::Expired { .. } => "expired",
            Refusal::ListExpired { .. } => "list-expired",
            Refusal::ListMissing { .. } => "list-missing",
            Refusal::Nobody => "no-certificate",
            Refusal::NotAuthenticated => "not-authenticated",
            Refusal::NotSigned { .. } => "not-signed",
            Refusal::NotYetValid { .. } => "not-yet-valid",
            Refusal::PersonRemoved { .. } => "person-removed",
            Refusal::Removed { .. } => "removed",
            Refusal::Revoked { .. } => "revoked",
            Refusal::Stranger => "stranger",
            Refusal::UnknownSerial { .. } => "unknown-serial",
            Refusal::UserRemoved { .. } => "user-removed",
        }
    }
}
