//! The journal as an audit trail: `pki audit`, `pki audit verify`.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use trust::{Action, Permit};
use utoipa::ToSchema;

use store::Sequence;
use store::checkpoint::Checkpoint;

use super::{Error, Operation};
use crate::Pki;

/// Reads the trail, oldest first.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Audit {
    /// Begin after this sequence.
    pub after: u64,
    /// At most so many; the service caps it at 1,000.
    pub limit: u32,
    /// The newest `limit` instead.
    pub newest: bool,
}

/// One line of the trail.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
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
    const ACTION: Action = Action::Inspect;
    type Reply = Vec<AuditLine>;

    fn run(self, pki: &Pki, _: &Permit, _: OffsetDateTime) -> Result<Vec<AuditLine>, Error> {
        let limit = self.limit.min(Audit::LIMIT);
        let after = match self.newest {
            true => Sequence(pki.store().head().0.saturating_sub(u64::from(limit))),
            false => Sequence(self.after),
        };
        let entries = pki.store().follow(after, limit as usize)?;
        let line = |entry: &store::Entry| AuditLine {
            sequence: entry.sequence.0,
            // Whoever wrote it had a time that exists; a record that says otherwise shows as 1970.
            at: OffsetDateTime::from_unix_timestamp(entry.time).unwrap_or(OffsetDateTime::UNIX_EPOCH),
            who: entry.who.clone(),
            what: entry.what.clone(),
        };
        Ok(entries.iter().map(|entry| line(entry)).collect())
    }
}

impl Audit {
    /// The most lines of one answer.
    pub const LIMIT: u32 = 1_000;
}

/// Checks every segment, digest and link of the journal.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AuditVerify {
    /// An earlier checkpoint (signed note): the journal must be a continuation of it.
    pub against: Option<String>,
}

/// What the check found. A journal that fails it is an error, not a reply.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
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
    const ACTION: Action = Action::Inspect;
    type Reply = AuditVerified;

    fn run(self, pki: &Pki, _: &Permit, now: OffsetDateTime) -> Result<AuditVerified, Error> {
        let against = match &self.against {
            Some(note) => {
                let key = pki.audit_key()?.public(pki.log_name()?);
                Some(Checkpoint::parse(note, &key).map_err(store::Error::from)?)
            }
            None => None,
        };
        let report = pki.store().verify()?;
        if let Some(checkpoint) = &against {
            pki.store().verify_against(checkpoint)?;
        }
        Ok(AuditVerified {
            entries: report.tip.sequence.0,
            segments: report.segments.len() as u64,
            head: hex::encode(report.tip.hash),
            checkpoint: pki.checkpoint(now)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{self, Setting};

    #[test]
    fn the_trail_is_read_from_either_end() {
        let pki = Pki::in_memory(std::path::Path::new("/nowhere"), 0).unwrap();
        for days in ["1", "2", "3"] {
            settings::set(pki.store(), Setting::ProfileClientDays, Some(days), "anna", 7).unwrap();
        }
        let ask = |after, limit, newest| {
            let audit = Audit { after, limit, newest };
            let lines = pki.run(audit, &trust::Presented::InProcess, OffsetDateTime::UNIX_EPOCH).unwrap();
            lines.iter().map(|line| line.sequence).collect::<Vec<_>>()
        };
        assert_eq!(ask(0, 2, false), [1, 2]);
        assert_eq!(ask(2, 2, false), [3]);
        assert_eq!(ask(0, 2, true), [2, 3]);
        assert_eq!(ask(9, 2, false), [0; 0]);
    }
}
