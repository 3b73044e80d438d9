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

/// Asks how far the journal goes: for whoever remembers that, to find out if it is ever rewritten.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct JournalHead {
    /// The checkpoint that was seen last: the journal must be a continuation of it.
    pub since: Option<String>,
}

/// How far the journal goes. One that does not continue what was seen is an error, not a reply.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct JournalHeadSeen {
    /// A fresh checkpoint, a signed note.
    pub checkpoint: String,
    /// The key that signs checkpoints, as a verifier key (name+hash+key).
    pub key: String,
}

impl Operation for JournalHead {
    const NAME: &'static str = "journal-head";
    const ACTION: Action = Action::Read;
    type Reply = JournalHeadSeen;

    fn run(self, pki: &Pki, _: &Permit, now: OffsetDateTime) -> Result<JournalHeadSeen, Error> {
        let (signer, name) = (pki.audit_key()?, pki.log_name()?);
        let key = signer.public(name.clone());
        if let Some(note) = &self.since {
            pki.store().verify_against(&Checkpoint::parse(note, &key).map_err(store::Error::from)?)?;
        }
        // Not kept: whoever asks must not make us write.
        let head = Checkpoint::new(name, pki.store().tip(), now.unix_timestamp());
        let checkpoint = head.sign(&signer).map_err(store::Error::from)?;
        Ok(JournalHeadSeen { checkpoint, key: key.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{self, Setting};

    #[test]
    fn whoever_remembers_the_head_is_told_whether_the_journal_continues_it() {
        let dir = tempfile::tempdir().unwrap();
        let ask = |pki: &Pki, since: Option<&str>| {
            let since = since.map(str::to_owned);
            pki.run(JournalHead { since }, &trust::Presented::InProcess, crate::testing::at(5))
        };
        let pki = crate::testing::made(&dir.path().join("one"));
        let first = ask(&pki, None).unwrap();
        crate::testing::issue(&pki, "web-1");
        let second = ask(&pki, Some(&first.checkpoint)).unwrap();
        assert_eq!(first.key, second.key);
        let sequence = |seen: &JournalHeadSeen| {
            Checkpoint::parse(&seen.checkpoint, &seen.key.parse().unwrap()).unwrap().sequence
        };
        assert!(sequence(&second) > sequence(&first));
        // What was signed by another key is no checkpoint of ours.
        let other = crate::testing::made(&dir.path().join("two"));
        assert!(matches!(
            ask(&other, Some(&first.checkpoint)),
            Err(Error::Store(store::Error::Checkpoint(_)))
        ));
        // Of a history that went further than this one.
        let mut head = Checkpoint::parse_unverified(&second.checkpoint).unwrap();
        head.sequence = Sequence(head.sequence.0 + 1);
        let ahead = head.sign(&pki.audit_key().unwrap()).unwrap();
        assert!(matches!(ask(&pki, Some(&ahead)), Err(Error::Store(store::Error::Inconsistent { .. }))));
    }

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
