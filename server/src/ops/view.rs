//! How things look to whoever asks: the shapes that several replies share.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

/// A certificate that the inventory knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CertificateView {
    /// Serial number, lower-case hex without separators.
    pub serial: String,
    /// The name it was issued under; for a client or a server its common name.
    pub name: String,
    /// `client`, `server`, `issuing` or `root`.
    pub profile: String,
    /// Subject alternative names as `dns:…`, `ip:…`, `email:…`, `uri:…`.
    pub names: Vec<String>,
    /// SHA-256 over the DER, lower-case hex.
    pub fingerprint: String,
    /// Key identifier of the authority that signed it, lower-case hex.
    pub issuer: String,
    /// Type of its key: `p256`, `p384`, `p521`, `ed25519`, `rsa2048`, ….
    pub key_type: String,
    /// Start of validity.
    #[serde(with = "time::serde::rfc3339")]
    pub not_before: OffsetDateTime,
    /// End of validity, included.
    #[serde(with = "time::serde::rfc3339")]
    pub not_after: OffsetDateTime,
    /// When it was issued.
    #[serde(with = "time::serde::rfc3339")]
    pub issued_at: OffsetDateTime,
    /// Who caused its issue.
    pub issued_by: String,
    /// The project it belongs to.
    pub project: String,
    /// Whether it may be relied on at the time of the answer.
    pub status: Status,
    /// Why and since when it may not, if it was revoked or is held.
    pub revocation: Option<RevocationView>,
}

/// What a certificate is worth at the time of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Past its notAfter.
    Expired,
    /// On hold (reason certificateHold): may be released.
    Held,
    /// Revoked for good.
    Revoked,
    /// In date and not revoked.
    Valid,
}

/// A revocation, RFC 5280 §5.3.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RevocationView {
    /// When it was revoked.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The CRL reason, in RFC 5280's spelling: `unspecified`, `keyCompromise`, ….
    pub reason: String,
}

/// An authority of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuthorityView {
    /// Key identifier (its SKI), lower-case hex.
    pub key_id: String,
    /// `root` or `issuing`.
    pub role: String,
    /// Its distinguished name, RFC 4514.
    pub subject: String,
    /// SHA-256 over the DER, lower-case hex.
    pub fingerprint: String,
    /// Serial number, lower-case hex.
    pub serial: String,
    /// Type of its key.
    pub key_type: String,
    /// Start of validity.
    #[serde(with = "time::serde::rfc3339")]
    pub not_before: OffsetDateTime,
    /// End of validity.
    #[serde(with = "time::serde::rfc3339")]
    pub not_after: OffsetDateTime,
    /// `current`, `retired`, `revoked` or `awaiting-certificate` (a rotation whose CSR is out).
    pub state: String,
    /// Where its private key is: `here`, `here-encrypted` or `elsewhere`.
    pub key: String,
    /// Certificates it signed that are in date.
    pub live_certificates: u64,
}

/// Which certificate is meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Selector {
    /// A certificate by its PEM: the CLI reads the file.
    Pem(String),
    /// A name or a serial, as typed: a unique serial or fingerprint prefix of ≥ 8 hex digits, else a name.
    Word(String),
}

/// The state of a published list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CrlView {
    /// Key identifier of the authority that signs it.
    pub issuer: String,
    /// `root` or `issuing`.
    pub role: String,
    /// CRL number, decimal.
    pub number: String,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub this_update: OffsetDateTime,
    /// When the next one is due at the latest.
    #[serde(with = "time::serde::rfc3339")]
    pub next_update: OffsetDateTime,
    /// How many certificates it lists.
    pub entries: u64,
    /// Its size in octets, DER.
    pub size: u64,
    /// Where it lies, relative to the directory.
    pub path: String,
}

/// What became of the lists after a change of the revocations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Publication {
    /// The new lists are in place.
    Published {
        /// The lists that were made.
        lists: Vec<CrlView>,
    },
    /// Durable and enforced here, but the list could not be signed or placed.
    Pending {
        /// Why, outermost cause first.
        causes: Vec<String>,
    },
}
