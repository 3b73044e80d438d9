//! What is wrong, or about to be: `pki doctor`.
//!
//! Every check looks and touches nothing. A check that can't look says so: it is a finding too.

mod acme;
mod admission;
mod authorities;
mod certificates;
mod files;
mod journal;
mod keys;
mod proxies;
mod published;
mod service;

use ca::records::AuthorityState;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use trust::{Action, Permit};
use utoipa::ToSchema;

use super::view::AuthorityView;
use super::{Error, Operation, shape};
use crate::Pki;

/// Runs every check.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Doctor {}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The check, e.g. `root-key`.
    pub check: String,
    /// What was found.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// All is well.
    Ok,
    /// Worth knowing.
    Note,
    /// Will break before long.
    Warning,
    /// Broken now.
    Error,
}

impl Operation for Doctor {
    const NAME: &'static str = "doctor";
    const ACTION: Action = Action::Inspect;
    type Reply = Vec<Finding>;

    fn run(self, pki: &Pki, _: &Permit, now: OffsetDateTime) -> Result<Vec<Finding>, Error> {
        let mut findings: Vec<Finding> = authorities::root_key(pki)?.into_iter().collect();
        findings.extend(keys::all(pki)?);
        findings.extend(authorities::expiries(pki, now)?);
        findings.extend(authorities::lists(pki, now)?);
        findings.push(published::copies(pki, now)?);
        findings.extend(published::overtaken(pki, now)?);
        findings.extend(authorities::own(pki, now)?);
        findings.push(certificates::ending(pki, now)?);
        findings.extend(acme::certificates(pki, now)?);
        findings.extend(files::modes(pki.layout(), pki.owner()));
        findings.push(files::room(pki.directory()));
        findings.extend(journal::store(pki));
        findings.extend(journal::restored(pki)?);
        findings.push(service::clock(pki, now)?);
        findings.extend(service::settings(pki)?);
        findings.extend(service::jobs(pki));
        findings.extend(admission::files(pki, now));
        findings.extend(proxies::all(pki)?);
        Ok(findings)
    }
}

/// What whoever has just made a PKI should know.
pub fn advice(pki: &Pki) -> Result<Vec<Finding>, Error> {
    let mut advice: Vec<Finding> = authorities::root_key(pki)?.into_iter().collect();
    advice.extend(service::settings(pki)?.into_iter().filter(|finding| finding.check == "public-url"));
    advice.retain(|finding| finding.severity > Severity::Ok);
    Ok(advice)
}

/// The authorities that sign now.
pub(crate) fn current_authorities(pki: &Pki, now: OffsetDateTime) -> Result<Vec<AuthorityView>, Error> {
    let mut authorities = shape::authorities(pki, now)?;
    authorities.retain(|authority| authority.state == AuthorityState::Current.as_str());
    Ok(authorities)
}

/// What it means that a list in place is newer than the records.
pub(crate) use published::in_words as put_back_in_words;

fn finding(severity: Severity, check: &str, message: impl Into<String>, hint: &str) -> Finding {
    let hint = (!hint.is_empty()).then(|| hint.to_owned());
    Finding { severity, check: check.to_owned(), message: message.into(), hint }
}

/// A time in words.
fn told(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_else(|_beyond| at.to_string())
}

fn ok(check: &str, message: impl Into<String>) -> Finding {
    finding(Severity::Ok, check, message, "")
}
