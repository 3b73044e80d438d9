//! Revocation and release: durable and enforced first, then published.

pub(in crate::ops) mod run;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use trust::{Action, Permit};
use utoipa::ToSchema;

use super::{
    Error, Operation,
    view::{CertificateView, Publication, Selector},
};
use crate::Pki;

/// The most selectors of one request.
pub const SELECTORS: usize = 10_000;

/// The most certificates that the answer to [`Revoke`] lists; it counts the others.
pub const LISTED: usize = 1_000;

/// Revokes certificates, and publishes the new lists before it answers.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Revoke {
    /// What to revoke. A certificate given as PEM need not be in the inventory: our signature is enough.
    pub selectors: Vec<Selector>,
    /// The reason in RFC 5280's spelling; `unspecified` if `None`.
    pub reason: Option<String>,
    /// Revoke every live certificate of a name instead of refusing an ambiguous one.
    pub all: bool,
    /// Say what would be revoked, and do nothing.
    pub dry_run: bool,
}

/// What was revoked.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Revoked {
    /// The certificates, with their revocation; the first [`LISTED`] of them.
    pub certificates: Vec<CertificateView>,
    /// Serials among these that had been revoked before.
    pub already: Vec<String>,
    /// How many more there are.
    #[serde(default)]
    pub more: u64,
    /// Whether the lists are in place.
    pub publication: Publication,
}

impl Operation for Revoke {
    const NAME: &'static str = "revoke";
    const ACTION: Action = Action::Revoke;
    type Reply = Revoked;

    fn run(self, pki: &Pki, permit: &Permit, now: OffsetDateTime) -> Result<Revoked, Error> {
        run::revoke(&self, pki, permit, now)
    }
}

/// Revokes certificates by the hundred thousand, all for one reason: one refusal leaves everything as it was,
/// and one list at the end names them all. The answer counts instead of telling of each.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RevokeMany {
    /// Serials, fingerprints, or names of which one certificate is valid; at most [`RevokeMany::LIMIT`].
    pub words: Vec<String>,
    /// The reason, as in [`Revoke`].
    pub reason: Option<String>,
    /// Every live certificate of a name, as in [`Revoke`].
    pub all: bool,
    /// Say how many would be revoked, and do nothing.
    pub dry_run: bool,
}

impl RevokeMany {
    /// How many words one call may carry.
    pub const LIMIT: usize = 200_000;
}

/// What became of many.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RevokedMany {
    /// How many were revoked by this (under `dry_run`: would be).
    pub revoked: u64,
    /// How many had been revoked before.
    pub already: u64,
    /// Whether the lists are in place.
    pub publication: Publication,
}

impl Operation for RevokeMany {
    const NAME: &'static str = "revoke-many";
    const ACTION: Action = Action::Revoke;
    type Reply = RevokedMany;

    fn run(self, pki: &Pki, permit: &Permit, now: OffsetDateTime) -> Result<RevokedMany, Error> {
        run::revoke_many(self, pki, permit, now)
    }
}

/// Lifts a certificateHold.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Release {
    /// The held certificate.
    pub selector: Selector,
}

/// What was released.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Released {
    /// The certificate, valid again.
    pub certificate: CertificateView,
    /// Whether the lists are in place.
    pub publication: Publication,
}

impl Operation for Release {
    const NAME: &'static str = "release";
    const ACTION: Action = Action::Revoke;
    type Reply = Released;

    fn run(self, pki: &Pki, permit: &Permit, now: OffsetDateTime) -> Result<Released, Error> {
        run::release(&self, pki, permit, now)
    }
}
