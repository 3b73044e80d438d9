//! The authorities themselves: `pki ca list|rotate|install|revoke|root-offline`.

mod run;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use trust::{Action, Permit};
use utoipa::ToSchema;

use super::{
    Error, Operation, shape,
    view::{AuthorityView, Publication},
};
use crate::Pki;

/// Lists every generation.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CaList {}

impl Operation for CaList {
    const NAME: &'static str = "ca-list";
    const ACTION: Action = Action::Read;
    type Reply = Vec<AuthorityView>;

    fn run(self, pki: &Pki, _: &Permit, now: OffsetDateTime) -> Result<Vec<AuthorityView>, Error> {
        shape::authorities(pki, now)
    }
}

/// Makes the next issuing CA, with a DN and a key of its own.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CaRotate {
    /// `p256`, `p384`, `ed25519` or `rsa4096`; `None` as the current one.
    pub key_type: Option<String>,
    /// Only make the key and its CSR: the root signs elsewhere.
    pub csr_only: bool,
}

/// What a rotation came to.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(clippy::large_enum_variant, reason = "one at a time, on its way to whoever asked")]
pub enum Rotated {
    /// The key is here, and its CSR goes to the root.
    Csr {
        /// The CSR, PEM.
        pem: String,
        /// The names that its certificate has to be held to: those of the issuing CA in force.
        name_constraints: Vec<String>,
        /// The base of the URLs that its certificate should carry; the setting `core.public_url`.
        public_url: Option<String>,
    },
    /// The new issuing CA signs from now on.
    Rotated {
        /// The new one.
        current: AuthorityView,
        /// The one that signed before; its list stays published.
        previous: AuthorityView,
        /// Why not all files are in place, outermost cause first; empty if they are.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        unpublished: Vec<String>,
        /// What is in force, but not as the settings ask for.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        warnings: Vec<String>,
    },
}

impl Operation for CaRotate {
    const NAME: &'static str = "ca-rotate";
    const ACTION: Action = Action::Authority;
    type Reply = Rotated;

    fn run(self, pki: &Pki, permit: &Permit, now: OffsetDateTime) -> Result<Rotated, Error> {
        run::rotate(&self, pki, permit, now)
    }
}

/// Puts the certificate that the root made for our CSR in force.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CaInstall {
    /// The issuing CA's certificate, PEM.
    pub pem: String,
}

impl Operation for CaInstall {
    const NAME: &'static str = "ca-install";
    const ACTION: Action = Action::Authority;
    type Reply = Rotated;

    fn run(self, pki: &Pki, permit: &Permit, now: OffsetDateTime) -> Result<Rotated, Error> {
        run::install(&self, pki, permit, now)
    }
}

/// Revokes an issuing CA on the root's list. Refused for the current one.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CaRevoke {
    /// Key identifier, or a unique prefix of it of ≥ 8 hex digits.
    pub key_id: String,
    /// The reason in RFC 5280's spelling; `unspecified` if `None`.
    pub reason: Option<String>,
}

/// What was revoked.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CaRevoked {
    /// The authority.
    pub authority: AuthorityView,
    /// Whether it had been revoked before.
    #[serde(default)]
    pub already: bool,
    /// Whether the root's list is in place (pending when the root's key is elsewhere).
    pub publication: Publication,
}

impl Operation for CaRevoke {
    const NAME: &'static str = "ca-revoke";
    const ACTION: Action = Action::Authority;
    type Reply = CaRevoked;

    fn run(self, pki: &Pki, permit: &Permit, now: OffsetDateTime) -> Result<CaRevoked, Error> {
        run::revoke(&self, pki, permit, now)
    }
}

/// Prepares for life without the root's key: signs a list for a year, then forgets the key.
///
/// The CLI has copied the key file to safety before it asks.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CaRootOffline {
    /// SHA-256 of the key file as it was copied; must match what is about to be removed. Hex.
    pub key_file_digest: String,
}

impl Operation for CaRootOffline {
    const NAME: &'static str = "ca-root-offline";
    const ACTION: Action = Action::Authority;
    type Reply = AuthorityView;

    fn run(self, pki: &Pki, permit: &Permit, now: OffsetDateTime) -> Result<AuthorityView, Error> {
        run::root_offline(&self, pki, permit, now)
    }
}
