//! Checkpoints: a signed statement of how far the history went, so that nobody can change it later
//! without being found out by whoever kept one.
//!
//! The text is a C2SP checkpoint (c2sp.org/tlog-checkpoint) in a signed note (c2sp.org/signed-note):
//! origin, sequence, the head's hash in base64, then lines of our own, an empty line, signatures.
//! In place of a tree's root stands the hash of the newest entry's header: the chain makes it cover
//! everything before. The audit key signs nothing else and is no certificate's key.

mod key;
mod name;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::chain::Hash;
use crate::file::FileError;
use crate::{Epoch, Sequence, Tip};

pub use key::{AuditKey, AuditPublicKey};
pub use name::LogName;

/// The longest note that is read.
pub const MAX_NOTE: usize = 64 << 10;
/// What begins a signature line, an em dash and a space.
const SIGNATURE: &str = "\u{2014} ";

/// Why a checkpoint or its key could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The key's file could not be read or written.
    #[error("the audit key's file can't be used")]
    File(#[from] FileError),
    /// The key's file holds no Ed25519 private key in PKCS#8 PEM.
    #[error("{} holds no audit key", path.display())]
    KeyFile {
        /// The file.
        path: std::path::PathBuf,
    },
    /// No key could be made.
    #[error("no audit key could be made")]
    Generate,
    /// The key did not sign.
    #[error("the audit key did not sign")]
    Sign,
    /// A name that can't stand in a note.
    #[error(
        "`{name}` can't name a log: it must be 1 to 255 printable ASCII characters without space or plus"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// A verifier key that is none.
    #[error("this is no verifier key for Ed25519 (name+hash+key)")]
    VerifierKey,
    /// The text is no checkpoint.
    #[error("this is no checkpoint: {reason}")]
    Text {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// It has no signature by the key that it is checked against.
    #[error("the checkpoint is not signed by {name}")]
    Unsigned {
        /// The key's name.
        name: LogName,
    },
    /// It names the key, and the signature is wrong.
    #[error("the signature of {name} on the checkpoint is wrong")]
    Signature {
        /// The key's name.
        name: LogName,
    },
}

/// How far a history went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Whose history.
    pub origin: LogName,
    /// Its newest entry.
    pub sequence: Sequence,
    /// The hash of that entry's header.
    pub hash: Hash,
    /// The epoch it belongs to.
    pub epoch: Epoch,
    /// When it was signed, in seconds since 1970-01-01T00:00:00Z.
    pub time: i64,
}

impl Checkpoint {
    /// A statement about `tip`.
    pub fn new(origin: LogName, tip: Tip, time: i64) -> Checkpoint {
        Checkpoint { origin, sequence: tip.sequence, hash: tip.hash, epoch: tip.epoch, time }
    }

    /// The text that is signed.
    fn text(&self) -> Result<String, CheckpointError> {
        let time = OffsetDateTime::from_unix_timestamp(self.time)
            .ok()
            .and_then(|time| time.format(&Rfc3339).ok())
            .ok_or(CheckpointError::Text { reason: "its time is out of range" })?;
        let Checkpoint { origin, sequence, hash, epoch, .. } = self;
        let hash = STANDARD.encode(hash);
        Ok(format!("{origin}\n{sequence}\n{hash}\nepoch {epoch}\ntime {time}\n"))
    }

    /// Signs it; returns the note.
    pub fn sign(&self, key: &AuditKey) -> Result<String, CheckpointError> {
        let text = self.text()?;
        let signature = key.sign(&self.origin, text.as_bytes())?;
        Ok(format!("{text}\n{SIGNATURE}{} {}\n", self.origin, STANDARD.encode(signature)))
    }

    /// Reads a note and checks its signature by `key`. Signatures by others are ignored, as the
    /// format demands.
    pub fn parse(note: &str, key: &AuditPublicKey) -> Result<Checkpoint, CheckpointError> {
        let (text, signatures) = split(note)?;
        let mut found = false;
        for line in signatures.lines() {
            let (name, signature) = line
                .strip_prefix(SIGNATURE)
                .and_then(|rest| rest.split_once(' '))
                .ok_or(CheckpointError::Text { reason: "a signature line is malformed" })?;
            let signature = STANDARD
                .decode(signature)
                .map_err(|_| CheckpointError::Text { reason: "a signature is no base64" })?;
            match signature.split_at_checked(4) {
                Some((hash, bytes)) if name == key.name().as_str() && hash == key.hash() => {
                    key.verify(text.as_bytes(), bytes)?;
                    found = true;
                }
                Some(_) => {}
                None => return Err(CheckpointError::Text { reason: "a signature is too short" }),
            }
        }
        match found {
            true => parse_text(text),
            false => Err(CheckpointError::Unsigned { name: key.name().clone() }),
        }
    }

    /// Reads a note without asking who signed it: a hint, not a proof.
    pub fn parse_unverified(note: &str) -> Result<Checkpoint, CheckpointError> {
        parse_text(split(note)?.0)
    }
}

/// The text with its last newline, and the signature lines.
fn split(note: &str) -> Result<(&str, &str), CheckpointError> {
    if note.len() > MAX_NOTE {
        return Err(CheckpointError::Text { reason: "it is too long" });
    }
    let at = note.rfind("\n\n").ok_or(CheckpointError::Text { reason: "it has no signature" })?;
    Ok((&note[..at + 1], &note[at + 2..]))
}

fn parse_text(text: &str) -> Result<Checkpoint, CheckpointError> {
    let refuse = |reason| CheckpointError::Text { reason };
    let mut lines = text.lines();
    let origin = LogName::new(lines.next().ok_or(refuse("it is empty"))?)?;
    let number = lines.next().ok_or(refuse("it has no sequence"))?;
    let sequence: u64 = number.parse().map_err(|_| refuse("its sequence is no number"))?;
    if sequence.to_string() != number {
        return Err(refuse("its sequence is not in its plain form"));
    }
    let hash = lines.next().and_then(|line| STANDARD.decode(line).ok());
    let hash = hash.and_then(|hash| hash.try_into().ok()).ok_or(refuse("it has no hash of 32 bytes"))?;
    let (mut epoch, mut time) = (None, None);
    for line in lines {
        // Lines that we do not know are somebody's extension.
        match line.split_once(' ') {
            Some(("epoch", value)) => epoch = value.parse().ok(),
            Some(("time", value)) => time = OffsetDateTime::parse(value, &Rfc3339).ok(),
            _ => {}
        }
    }
    Ok(Checkpoint {
        origin,
        sequence: Sequence(sequence),
        hash,
        epoch: Epoch(epoch.ok_or(refuse("it has no epoch"))?),
        time: time.ok_or(refuse("it has no time"))?.unix_timestamp(),
    })
}
