//! Revocation and release: durable and enforced first, then published.

pub(in crate::ops) mod run;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use trust::{Action, Permit};

use super::{
    Error, Operation,
    view::{CertificateView, Publication, Selector},
};
use crate::Pki;

/// The most selectors of one request.
pub const SELECTORS: usize = 10_000;

/// Revokes certificates, and publishes the new lists before it answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
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
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Revoked {
    /// The certificates, with their revocation.
    pub certificates: Vec<CertificateView>,
    /// Serials among them that had been revoked before.
    pub already: Vec<String>,
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

/// Lifts a certificateHold.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Release {
    /// The held certificate.
    pub selector: Selector,
}

/// What was released.
#[derive(Clone, Debug, Serialize, Deserialize)]
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
