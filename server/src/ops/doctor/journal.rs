//! The store: what opening it found, and whether this PKI was restored from a backup.

use store::{IndexState, Origin};

use super::{Finding, Severity, finding, ok, told};
use crate::Pki;
use crate::http::problem;
use crate::ops::Error;
use crate::ops::backup::Restoration;

/// What opening the store found.
pub(super) fn store(pki: &Pki) -> Vec<Finding> {
    let Some(report) = pki.store_report() else { return Vec::new() };
    let mut findings: Vec<Finding> = report
        .warnings
        .iter()
        .map(|warning| finding(Severity::Warning, "store", warning.clone(), "pki audit verify"))
        .collect();
    if let Some(dropped) = &report.dropped {
        let message = format!(
            "{} octets of an interrupted write were removed from {}; nobody had been told of it",
            dropped.bytes,
            dropped.file.display()
        );
        findings.push(finding(Severity::Note, "store", message, ""));
    }
    if let Some(failure) = pki.store().failure() {
        let message = format!("{}; lists and answers are still served", problem::in_words(&failure));
        findings.push(finding(
            Severity::Error,
            "store",
            message,
            "look at the disk, then restart the service",
        ));
    }
    findings.push(match &report.index {
        _ if report.origin == Origin::Created => ok("store", "the journal was begun just now"),
        IndexState::Ready => ok("store", "the journal and its index were whole"),
        IndexState::CaughtUp { entries } => {
            ok("store", format!("the index lacked {entries} entries of the journal and has them now"))
        }
        IndexState::Rebuilt { reason, entries } => finding(
            Severity::Note,
            "store",
            format!("the index was built again from {entries} entries: {reason}"),
            "if that happens again without a crash before it, look at the disk",
        ),
    });
    findings
}

/// Whether what happened after a backup is missing.
pub(super) fn restored(pki: &Pki) -> Result<Option<Finding>, Error> {
    let Some(last) = Restoration::last(pki.store())? else { return Ok(None) };
    Ok(Some(finding(
        Severity::Note,
        "restored",
        format!(
            "this PKI was restored on {} from a backup of {}: what was issued and revoked in between is not in it",
            told(last.restored_at()),
            told(last.backed_up_at())
        ),
        "revoke again what had been revoked since; lists carry higher numbers by themselves",
    )))
}
