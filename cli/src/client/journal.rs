//! How far the journal of each service went when we saw it last: who rewrites it is found out.
//!
//! The service signs the head of its journal, and says whether that continues the one we saw. A history that
//! ends before, has another entry there, or is signed by another key is refused before anything is asked for.
//! What this can't show is a service that forges a longer history and lies about it: for that the journal itself
//! has to be read, by `pki audit verify --against` where it lies.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use server::ops::audit::{JournalHead, JournalHeadSeen};
use store::{
    checkpoint::{AuditPublicKey, Checkpoint},
    file::{OnExisting, Visibility, remove},
};

use super::{ClientFolder, RemoteName};
use crate::files;
use crate::{
    connect::Service,
    context::{Context, moment},
    error::{CommandError, Kind},
};

/// The most octets of what is remembered of one service.
const MOST: u64 = 128 << 10;

/// What is remembered of one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Remembered {
    /// The key that signs its checkpoints.
    key: String,
    /// The newest checkpoint.
    checkpoint: String,
}

impl ClientFolder {
    /// Where the last checkpoint of a remote lies.
    pub fn checkpoint_path(&self, name: &RemoteName) -> PathBuf {
        self.path().join("checkpoints").join(format!("{name}.json"))
    }

    /// Forgets what was seen of a remote's journal.
    pub fn forget_journal(&self, name: &RemoteName) -> Result<(), CommandError> {
        let path = self.checkpoint_path(name);
        if path.symlink_metadata().is_ok() {
            remove(&path)?;
        }
        Ok(())
    }

    /// Makes sure that a remote's journal continues what we saw of it, and remembers how far it goes now.
    pub fn follow_journal(
        &self,
        name: &RemoteName,
        service: &Service,
        context: &Context,
    ) -> Result<(), CommandError> {
        let before = self.remembered(name, context)?;
        let since = before.as_ref().map(|before| before.checkpoint.clone());
        let told = match service.call(JournalHead { since }) {
            Ok(told) => told,
            Err(error) => {
                return match (error.kind, &before) {
                    // Metrics alone may not be told, and an older service has nothing to tell. What is asked
                    // for next is refused by itself if anything is wrong.
                    (Kind::Denied | Kind::NotFound, _) => Ok(()),
                    (Kind::Conflict | Kind::Usage, Some(before)) => {
                        Err(rewritten(name, before, &[error.message, error.causes.join(": ")]))
                    }
                    _ => Err(error),
                };
            }
        };
        let (head, now) = read(name, &told)?;
        if let Some(before) = &before {
            continues(before, &head, &now).map_err(|why| rewritten(name, before, &[why]))?;
        }
        if before.as_ref() != Some(&now) {
            let text = serde_json::to_vec_pretty(&now).map_err(|error| {
                CommandError::internal("cannot write the checkpoint as JSON").because(&error)
            })?;
            ClientFolder::make(&self.path().join("checkpoints"))?;
            files::write(&self.checkpoint_path(name), &text, Visibility::Secret, OnExisting::Replace)?;
        }
        Ok(())
    }

    fn remembered(&self, name: &RemoteName, context: &Context) -> Result<Option<Remembered>, CommandError> {
        let path = self.checkpoint_path(name);
        if path.symlink_metadata().is_err() {
            return Ok(None);
        }
        let read = serde_json::from_slice(&context.read(&path, MOST)?);
        Ok(Some(read.map_err(|error| {
            CommandError::conflict(format!("{} is not one of our files", path.display()))
                .because(&error)
                .hint(format!("`pki remote repin {name}` begins anew"))
        })?))
    }
}

/// The head that a service told, its signature verified.
fn read(name: &RemoteName, told: &JournalHeadSeen) -> Result<(Checkpoint, Remembered), CommandError> {
    let bad = |error: &dyn std::error::Error| {
        CommandError::new(Kind::External, format!("{name} tells nothing usable of its journal"))
            .because(error)
    };
    let key: AuditPublicKey = told.key.parse().map_err(|error| bad(&error))?;
    let head = Checkpoint::parse(&told.checkpoint, &key).map_err(|error| bad(&error))?;
    Ok((head, Remembered { key: told.key.clone(), checkpoint: told.checkpoint.clone() }))
}

/// Whether a head can follow what was seen, whatever the service says of it.
fn continues(before: &Remembered, head: &Checkpoint, now: &Remembered) -> Result<(), String> {
    if before.key != now.key {
        return Err("its checkpoints are signed by another key".to_string());
    }
    let seen = Checkpoint::parse_unverified(&before.checkpoint).map_err(|error| error.to_string())?;
    if head.sequence < seen.sequence || head.epoch < seen.epoch {
        return Err(format!("it ends at entry {}", head.sequence));
    }
    if head.sequence == seen.sequence && head.hash != seen.hash {
        return Err("it has another entry there".to_string());
    }
    Ok(())
}

fn rewritten(name: &RemoteName, before: &Remembered, why: &[String]) -> CommandError {
    let seen = match Checkpoint::parse_unverified(&before.checkpoint) {
        Ok(seen) => {
            let at = time::OffsetDateTime::from_unix_timestamp(seen.time).map(moment).unwrap_or_default();
            format!("entry {}, which this client saw on {at}", seen.sequence)
        }
        Err(_) => "what this client saw".to_string(),
    };
    let mut error = CommandError::new(
        Kind::External,
        format!("the journal of {name} was rewritten: it does not continue {seen}"),
    )
    .hint("nothing was asked for; a service that was restored from a backup has lost what came after it")
    .hint(format!("ask its administrator; if it was, `pki remote repin {name}` forgets what was seen"));
    error.causes = why.iter().filter(|why| !why.is_empty()).cloned().collect();
    error
}

#[cfg(test)]
mod tests {
    use store::{
        Epoch, Sequence, Tip,
        checkpoint::{AuditKey, LogName},
    };

    use super::*;

    fn signed(key: &AuditKey, sequence: u64, hash: u8, epoch: u32) -> JournalHeadSeen {
        let name = LogName::new("pki/test").unwrap();
        let tip = Tip { sequence: Sequence(sequence), hash: [hash; 32], epoch: Epoch(epoch) };
        let checkpoint = Checkpoint::new(name.clone(), tip, 1_800_000_000).sign(key).unwrap();
        JournalHeadSeen { checkpoint, key: key.public(name).to_string() }
    }

    #[test]
    fn a_head_that_cannot_follow_is_refused_whatever_the_service_says() {
        let folder = tempfile::tempdir().unwrap();
        let random = aws_lc_rs::rand::SystemRandom::new();
        let key = |name: &str| AuditKey::load_or_create(&folder.path().join(name), &random).unwrap();
        let (ours, other) = (key("ours"), key("other"));
        let name: RemoteName = "office".parse().unwrap();
        let (_, before) = read(&name, &signed(&ours, 7, 1, 2)).unwrap();
        let judge = |told: &JournalHeadSeen| {
            let (head, now) = read(&name, told).unwrap();
            continues(&before, &head, &now).err().unwrap_or_default()
        };
        assert_eq!(judge(&signed(&ours, 7, 1, 2)), "");
        assert_eq!(judge(&signed(&ours, 8, 9, 2)), "");
        assert_eq!(judge(&signed(&ours, 8, 9, 3)), "");
        assert_eq!(judge(&signed(&ours, 7, 2, 2)), "it has another entry there");
        assert_eq!(judge(&signed(&ours, 6, 1, 2)), "it ends at entry 6");
        assert_eq!(judge(&signed(&ours, 9, 9, 1)), "it ends at entry 9");
        assert_eq!(judge(&signed(&other, 8, 9, 2)), "its checkpoints are signed by another key");
        let forged = JournalHeadSeen { key: signed(&ours, 8, 9, 2).key, ..signed(&other, 8, 9, 2) };
        assert!(read(&name, &forged).is_err(), "signed by another than the key it names");
    }
}
