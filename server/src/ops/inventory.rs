//! Looking things up: `pki list`, `show`, `verify`.

mod run;
mod verify;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use trust::{Action, Permit};
use utoipa::ToSchema;

use super::{
    Error, Operation,
    view::{CertificateView, Selector},
};
use crate::Pki;

/// Lists certificates, a page at a time.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct List {
    /// Only those that end within so many seconds (and have not ended yet).
    pub expiring_within: Option<u64>,
    /// Only revoked and held ones.
    pub revoked: bool,
    /// Only names that match this glob (`*`, `?`).
    pub name: Option<String>,
    /// Continue after the page that returned this.
    pub after: Option<String>,
    /// At most so many; the service caps it at 1,000.
    pub limit: u32,
    /// Only those of this project; `None` for all that whoever asks reaches.
    #[serde(default)]
    pub project: Option<String>,
}

/// A page of certificates.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Page {
    /// The certificates, by name and then by issue.
    pub certificates: Vec<CertificateView>,
    /// Ask with this as `after` for the next page; `None` at the end.
    pub next: Option<String>,
}

impl List {
    /// The most certificates of one page.
    pub const LIMIT: u32 = 1_000;
}

impl Operation for List {
    const NAME: &'static str = "list";
    const ACTION: Action = Action::Read;
    type Reply = Page;

    fn run(self, pki: &Pki, permit: &Permit, now: OffsetDateTime) -> Result<Page, Error> {
        run::list(&self, pki, permit, now)
    }
}

/// Shows one certificate whole, or all that bear a name.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Show {
    /// Which.
    pub selector: Selector,
}

/// One certificate, whole.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Shown {
    /// What the inventory says of it.
    pub certificate: CertificateView,
    /// The leaf, PEM.
    pub pem: String,
    /// The leaf and its issuing CA, PEM.
    pub chain: String,
    /// Key usages, extensions and so on, a name and a value a row.
    pub details: Vec<(String, String)>,
}

impl Operation for Show {
    const NAME: &'static str = "show";
    const ACTION: Action = Action::Read;
    type Reply = Vec<Shown>;

    fn run(self, pki: &Pki, permit: &Permit, now: OffsetDateTime) -> Result<Vec<Shown>, Error> {
        run::show(&self, pki, permit, now)
    }
}

/// Judges a certificate as our own service would.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Verify {
    /// The certificate and, behind it, any intermediates, PEM.
    pub pem: String,
    /// `client` or `server`; `None` accepts either.
    pub purpose: Option<super::issue::ProfileName>,
}

/// The judgement, check by check.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Verdict {
    /// Whether every check passed.
    pub valid: bool,
    /// The checks: chain, dates, purpose, revocation, inventory.
    pub checks: Vec<Check>,
}

/// One check of a [`Verdict`].
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// Whether it passed.
    pub passed: bool,
    /// What was found, in words.
    pub detail: String,
}

impl Operation for Verify {
    const NAME: &'static str = "verify";
    const ACTION: Action = Action::Read;
    type Reply = Verdict;

    fn run(self, pki: &Pki, _: &Permit, now: OffsetDateTime) -> Result<Verdict, Error> {
        verify::verify(&self, pki, now)
    }
}
