//! Backup and restore: `pki backup`, `pki restore`.
//!
//! A backup is consistent while the service runs: the store's part is a snapshot, and everything else
//! is placed atomically. It streams, so it is not an [`super::Operation`]; a restore happens where no
//! PKI is, so it needs none.

mod members;
mod restore;

use std::io::Write;

use age::secrecy::SecretString;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use trust::{Action, Presented};
use utoipa::ToSchema;

use super::Error;
use crate::Pki;
use crate::archive::{Work, pack};

pub use super::phrase::Phrase;
pub use crate::archive::Error as ArchiveError;
pub use restore::{Restoration, Restored, restore};

/// As `age` takes it.
fn secret(phrase: &Phrase) -> SecretString {
    SecretString::from(phrase.expose())
}

/// What a backup holds of the private keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PrivateKeys {
    /// All of them.
    Included,
    /// None: what is restored can show everything and sign nothing.
    LeftOut,
}

/// Asks for a backup.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct BackupRequest {
    /// What the archive is encrypted to.
    pub passphrase: Phrase,
    /// Whether private keys go in.
    pub keys: PrivateKeys,
}

/// What a backup says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The form of the archive; this version reads 1.
    pub format: u32,
    /// The version of the program that made it.
    pub version: String,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub made_at: OffsetDateTime,
    /// The newest entry of the journal in it.
    pub sequence: u64,
    /// Whether private keys are in it.
    pub keys: PrivateKeys,
}

/// The form that this version writes and reads.
const FORMAT: u32 = 1;

impl Pki {
    /// Writes a backup to `out`, encrypted; it streams.
    ///
    /// # Errors
    /// Whoever may not, an empty passphrase, a file that can't be read, an `out` that fails.
    pub fn backup(
        &self,
        request: &BackupRequest,
        out: impl Write,
        presented: &Presented,
        now: OffsetDateTime,
    ) -> Result<(), Error> {
        self.permit(presented, Action::Backup, now)?;
        if request.passphrase.expose().is_empty() {
            return Err(Error::Word { word: String::new(), expected: "a passphrase" });
        }
        let members = members::all(self, request.keys, now)?;
        let work = Work::beside(self.keyring().cost());
        Ok(pack(out, &secret(&request.passphrase), work, members.into_iter(), now)?)
    }
}

#[cfg(test)]
mod tests;
