//! What is wrong, or about to be: `pki doctor`.

use serde::{Deserialize, Serialize};
use trust::Action;

use super::Operation;

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
}
