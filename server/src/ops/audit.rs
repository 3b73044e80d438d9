//! The journal as an audit trail: `pki audit`, `pki audit verify`.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use trust::Action;

use super::Operation;

/// Reads the trail, oldest first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Audit {
    /// Begin after this sequence.
    pub after: u64,
    /// At most so many; the service caps it at 1,000.
    pub limit: u32,
    /// The newest `limit` instead.
    pub newest: bool,
}

/// One line of the trail.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuditLine {
    /// Place in the history.
    pub sequence: u64,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Who caused it.
    pub who: String,
    /// What happened.
    pub what: String,
}

impl Operation for Audit {
    const NAME: &'static str = "audit";
    const ACTION: Action = Action::Read;
    type Reply = Vec<AuditLine>;
}

/// Checks every segment, digest and link of the journal.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuditVerify {
    /// An earlier checkpoint (signed note): the journal must be a continuation of it.
    pub against: Option<String>,
}

/// What the check found. A journal that fails it is an error, not a reply.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuditVerified {
    /// Entries whose header chain was followed.
    pub entries: u64,
    /// Segments read.
    pub segments: u64,
    /// Hash of the last header, hex.
    pub head: String,
    /// A fresh checkpoint over it, a signed note.
    pub checkpoint: String,
}

impl Operation for AuditVerify {
    const NAME: &'static str = "audit-verify";
    const ACTION: Action = Action::Read;
    type Reply = AuditVerified;
}
