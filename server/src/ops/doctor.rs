//! What is wrong, or about to be: `pki doctor`.
//!
//! Every check looks and touches nothing. A check that can't look says so: it is a finding too.

mod files;
mod service;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use trust::{Action, Permit};

use super::{Error, Operation};
use crate::Pki;

/// Runs every check.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Doctor {}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
    const ACTION: Action = Action::Read;
    type Reply = Vec<Finding>;

    fn run(self, pki: &Pki, _: &Permit, now: OffsetDateTime) -> Result<Vec<Finding>, Error> {
        let mut findings = files::modes(pki.layout(), pki.owner());
        findings.push(files::room(pki.directory()));
        findings.push(service::clock(pki, now)?);
        findings.extend(service::settings(pki)?);
        findings.extend(service::jobs(pki));
        Ok(findings)
    }
}

fn finding(severity: Severity, check: &str, message: impl Into<String>, hint: &str) -> Finding {
    let hint = (!hint.is_empty()).then(|| hint.to_owned());
    Finding { severity, check: check.to_owned(), message: message.into(), hint }
}

fn ok(check: &str, message: impl Into<String>) -> Finding {
    finding(Severity::Ok, check, message, "")
}
