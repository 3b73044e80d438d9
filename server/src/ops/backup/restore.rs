//! Restoring: into a place where nothing is, and with a new epoch of the journal, so that the history
//! after the backup and the history after the restore can be told apart.
//!
//! The numbers of lists move ahead of all that may have been made since the backup; serial numbers are
//! random.

use std::io::Read;
use std::path::{Path, PathBuf};

use minicbor::{Decode, Encode};
use store::{Batch, Class, Create, Direction, Key, OpenOptions, Record, Store, Table};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use trust::Peer;

use super::{FORMAT, Manifest, Phrase, secret};
use crate::archive::{self, unpack};
use crate::layout::Layout;
use crate::ops::{Error, shape};
use crate::pki::directory;

/// The record `restoration/TIME`: this PKI came out of a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Restoration {
    /// When it was restored, in seconds since 1970.
    #[n(0)]
    at: i64,
    /// When the backup was made, likewise.
    #[n(1)]
    made_at: i64,
    /// The newest entry of the journal in the backup.
    #[n(2)]
    sequence: u64,
}

impl Record for Restoration {
    const TREE: &'static str = "restoration";
    const FORMAT: store::Format = 1;
}

impl Restoration {
    /// The newest one, if this PKI was ever restored.
    pub(crate) fn last(store: &Store) -> Result<Option<Restoration>, Error> {
        let range = Key::new(Restoration::TREE).children();
        let newest = store.scan(&range, None, 1, Direction::Descending)?.into_iter().next();
        Ok(newest.map(Table::<Restoration>::decode).transpose()?.map(|found| found.record))
    }

    /// When it was restored.
    pub fn restored_at(&self) -> OffsetDateTime {
        shape::moment(self.at)
    }

    /// When the backup was made.
    pub fn backed_up_at(&self) -> OffsetDateTime {
        shape::moment(self.made_at)
    }
}

/// A PKI that came out of a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// What the backup said of itself.
    pub manifest: Manifest,
    /// The folders of restores that had been killed; they held keys, and are gone now.
    pub removed: Vec<PathBuf>,
}

/// Restores a backup into `directory`, which must be absent or empty, but for what a restore left there that
/// was killed.
///
/// # Errors
/// [`super::ArchiveError`] for a wrong passphrase, a changed archive, or a place that is taken; nothing is
/// left behind then.
pub fn restore(
    archive: impl Read,
    phrase: &Phrase,
    directory: &Path,
    peer: &Peer,
    now: OffsetDateTime,
) -> Result<Restored, Error> {
    let layout = Layout::new(directory);
    if let (_, Some(owner)) = directory::examine(&layout)? {
        directory::check_owner(&layout, owner)?;
    }
    let unpacked = unpack::<Error>(archive, &secret(phrase), directory, |beside, manifest| {
        let manifest = read(manifest)?;
        begin_epoch(&Layout::new(beside), &manifest, peer, now)
    })?;
    Ok(Restored { manifest: read(&unpacked.manifest)?, removed: unpacked.removed })
}

fn read(manifest: &[u8]) -> Result<Manifest, Error> {
    let refuse = |reason: String| Error::Archive(archive::Error::Manifest { reason });
    let manifest: Manifest = serde_json::from_slice(manifest).map_err(|error| refuse(error.to_string()))?;
    match manifest.format {
        FORMAT => Ok(manifest),
        other => Err(refuse(format!("its form is {other}, this version reads {FORMAT}"))),
    }
}

/// Writes the restoration down as the first entry of a new epoch.
fn begin_epoch(layout: &Layout, manifest: &Manifest, peer: &Peer, now: OffsetDateTime) -> Result<(), Error> {
    let (store, _report) = Store::open(&layout.store(), OpenOptions::new(Create::Refuse))?;
    let restoration = Restoration {
        at: now.unix_timestamp(),
        made_at: manifest.made_at.unix_timestamp(),
        sequence: manifest.sequence,
    };
    let made_at = manifest.made_at.format(&Rfc3339).unwrap_or_else(|_beyond| manifest.made_at.to_string());
    let what = format!("restore backup={made_at} sequence={}", manifest.sequence);
    let mut batch = Batch::new(Class::Ledger, restoration.at, peer.to_string(), what);
    Table::put(&mut batch, format!("{:016x}", restoration.at), &restoration);
    crl::raise_numbers(&store, &mut batch, now - manifest.made_at)?;
    let begun = store.begin_epoch(batch);
    store.close();
    begun?;
    Ok(())
}
