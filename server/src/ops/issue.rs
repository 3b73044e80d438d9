//! Issuance: `pki issue-client`, `issue-server`, `sign`, `renew`, one by one or by the thousand.

mod run;

pub(super) use run::{in_parallel, reply, succeed};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use trust::{Action, Permit};
use utoipa::ToSchema;

use super::{
    Error, Operation,
    trust::view::RightsWanted,
    view::{CertificateView, Selector},
};
use crate::Pki;

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProfileName {
    /// TLS client authentication.
    Client,
    /// TLS server authentication.
    Server,
}

/// Signs a CSR. The profile decides every field; of the CSR only the key is taken.
///
/// The same CSR, profile, project and requester again return the same certificate. It is recorded how far
/// the requester reaches: the certificate by itself never opens more than that.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Issue {
    /// What the certificate is for.
    pub profile: ProfileName,
    /// The CSR, PEM.
    pub csr: String,
    /// The name: a client's common name, a server's first DNS name or address.
    /// `None`: taken from the CSR's subject and SAN, checked like any other (`pki sign`).
    pub name: Option<String>,
    /// Further names as `dns:…`, `ip:…`, `email:…`, `uri:…`.
    pub names: Vec<String>,
    /// Lifetime; `None` for the profile's own.
    pub days: Option<u32>,
    /// Decide and lint, but sign and record nothing.
    pub dry_run: bool,
    /// The project it belongs to; `None` for the only one of whoever asks, else `default`.
    #[serde(default)]
    pub project: Option<String>,
}

/// A certificate with all its owner needs.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Issued {
    /// What was issued (under `dry_run`: what would be).
    pub certificate: CertificateView,
    /// The leaf, PEM; empty under `dry_run`.
    pub pem: String,
    /// The leaf and its issuing CA, PEM; empty under `dry_run`.
    pub chain: String,
    /// Whether this repeats an earlier answer.
    pub repeated: bool,
    /// What the user should know, e.g. a lifetime that was shortened.
    pub warnings: Vec<String>,
}

impl Operation for Issue {
    const NAME: &'static str = "issue";
    const ACTION: Action = Action::Issue;
    type Reply = Issued;

    fn run(self, pki: &Pki, permit: &Permit, now: OffsetDateTime) -> Result<Issued, Error> {
        run::issue(&self, pki, permit, now)
    }
}

/// As [`Issue`], and the certificate is trusted from the moment it exists: the entry is added by the batch
/// that records it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct IssueTrusted {
    /// What to sign; under `dry_run` no entry is added either.
    pub issue: Issue,
    /// What the entry may do, and where.
    pub rights: RightsWanted,
}

impl Operation for IssueTrusted {
    const NAME: &'static str = "issue-trusted";
    const ACTION: Action = Action::Issue;
    const ALSO: &'static [Action] = &[Action::Trust];
    type Reply = Issued;

    fn run(self, pki: &Pki, permit: &Permit, now: OffsetDateTime) -> Result<Issued, Error> {
        match self.issue.dry_run {
            true => run::issue(&self.issue, pki, permit, now),
            false => run::issue_trusted(&self, pki, permit, now),
        }
    }
}

/// Signs many CSRs; each succeeds or fails on its own. At most [`IssueMany::LIMIT`] at once.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct IssueMany {
    /// What to sign.
    pub requests: Vec<Issue>,
}

impl IssueMany {
    /// How many requests one call may carry.
    pub const LIMIT: usize = 512;
}

/// The answer to one row of an [`IssueMany`].
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RowReply {
    /// It was refused.
    Failed(crate::problem::Problem),
    /// It was issued.
    Issued(Box<Issued>),
}

impl Operation for IssueMany {
    const NAME: &'static str = "issue-many";
    const ACTION: Action = Action::Issue;
    type Reply = Vec<RowReply>;

    fn run(self, pki: &Pki, permit: &Permit, now: OffsetDateTime) -> Result<Vec<RowReply>, Error> {
        run::issue_many(self, pki, permit, now)
    }
}

/// Issues a successor with the same names, profile, project and rights. The entry by which the
/// predecessor is let in becomes the successor's in the same batch, as restricted as it is.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Renew {
    /// The certificate to renew.
    pub selector: Selector,
    /// A CSR for a new key, PEM; `None` keeps the key.
    pub csr: Option<String>,
    /// Only when two thirds of the lifetime have passed.
    pub if_due: bool,
}

/// What a renewal came to.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Renewed {
    /// Not due yet: nothing was done.
    NotDue(Box<CertificateView>),
    /// The successor.
    Renewed(Box<Issued>),
}

impl Operation for Renew {
    const NAME: &'static str = "renew";
    const ACTION: Action = Action::Issue;
    type Reply = Renewed;

    fn run(self, pki: &Pki, permit: &Permit, now: OffsetDateTime) -> Result<Renewed, Error> {
        run::renew(&self, pki, permit, now)
    }
}
