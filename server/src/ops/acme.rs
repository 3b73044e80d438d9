//! Certificates from an ACME authority: `pki acme issue|list|renew|revoke`.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use trust::Action;

use super::Operation;

/// Obtains a certificate and places it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AcmeIssue {
    /// DNS names or addresses; the first names the files.
    pub domains: Vec<String>,
    /// Contact for the account.
    pub email: Option<String>,
    /// Directory URL of the authority; Let's Encrypt if `None`.
    pub ca_url: Option<String>,
    /// Whether the user agrees to the authority's terms of service.
    pub agree_tos: bool,
    /// PEM of the only roots to trust for the authority's own HTTPS.
    pub ca_root: Option<String>,
    /// External account binding: key id and base64url HMAC key.
    pub eab: Option<(String, String)>,
    /// Where a standalone HTTP-01 listener binds, when no public listener answers.
    pub http_address: Option<String>,
    /// Where to place the files as well, an absolute path.
    pub out: Option<String>,
}

/// A certificate obtained by ACME.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcmeView {
    /// Its names.
    pub domains: Vec<String>,
    /// Directory URL of the authority.
    pub ca_url: String,
    /// Serial number, hex.
    pub serial: String,
    /// Start of validity.
    #[serde(with = "time::serde::rfc3339")]
    pub not_before: OffsetDateTime,
    /// End of validity.
    #[serde(with = "time::serde::rfc3339")]
    pub not_after: OffsetDateTime,
    /// When the service will renew it.
    #[serde(with = "time::serde::rfc3339")]
    pub renew_at: OffsetDateTime,
    /// The files that were placed, absolute.
    pub files: Vec<String>,
    /// Whether it was revoked by us.
    pub revoked: bool,
    /// What went wrong at the last attempt, if it failed.
    pub last_error: Option<String>,
}

impl Operation for AcmeIssue {
    const NAME: &'static str = "acme-issue";
    const ACTION: Action = Action::Obtain;
    type Reply = AcmeView;
}

/// Lists what was obtained.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AcmeList {}

impl Operation for AcmeList {
    const NAME: &'static str = "acme-list";
    const ACTION: Action = Action::Read;
    type Reply = Vec<AcmeView>;
}

/// Renews now, with what the first issue was told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AcmeRenew {
    /// The first domain; `None` for all that are due.
    pub domain: Option<String>,
}

impl Operation for AcmeRenew {
    const NAME: &'static str = "acme-renew";
    const ACTION: Action = Action::Obtain;
    type Reply = Vec<AcmeView>;
}

/// Asks the authority to revoke.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AcmeRevoke {
    /// The first domain.
    pub domain: String,
    /// The reason in RFC 5280's spelling; `unspecified` if `None`.
    pub reason: Option<String>,
}

impl Operation for AcmeRevoke {
    const NAME: &'static str = "acme-revoke";
    const ACTION: Action = Action::Obtain;
    type Reply = AcmeView;
}
