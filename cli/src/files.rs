//! The files a certificate's owner gets: `NAME.crt` (the leaf alone), `NAME.key`, `NAME-chain.crt`.
//!
//! Names come from a [`Slug`], never from raw input. A key is durable in `.NAME.pending` before its
//! CSR leaves the process, and stays there until everything is in place: whatever interrupts us, the
//! same command again finishes the same certificate. A key that is already there is never replaced
//! unless the user says so, and then only when its successor's certificate has arrived.

mod folder;
pub mod p12;
mod pending;
mod start;

use std::io::Write;
use std::path::{Path, PathBuf};

use ca::cert::Slug;
use serde::Serialize;
use server::ops::issue::Issued;
use store::file::{Draft, FileError, OnExisting, Pace, Visibility, place, put_in_place, write_aside};

pub use folder::Folder;
pub use p12::Pkcs12;
pub use pending::{Decoded, Pending};
pub use start::{Found, Overwrite, Refusal, Start, start};

use crate::error::CommandError;

/// The largest key or pending file that is read.
const SECRET_LIMIT: usize = 64 * 1024;

/// Puts a file in place, atomically and durably. What an interrupted command left beside it is cleared away.
pub fn write(
    path: &Path,
    bytes: &[u8],
    visibility: Visibility,
    on_existing: OnExisting,
) -> Result<(), FileError> {
    if let Some(folder) = path.parent() {
        tidy(folder);
    }
    place(path, bytes, visibility, on_existing)
}

/// Where the files of one name go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The directory, absolute.
    pub folder: PathBuf,
    /// What the files are called.
    pub slug: Slug,
}

/// What was placed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Placed {
    /// The leaf alone.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The leaf and its issuing CA.
    pub chain: PathBuf,
    /// All of it as PKCS#12, if asked for.
    pub p12: Option<PathBuf>,
}

/// The names of one certificate's files, without a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileNames {
    /// `NAME.crt`
    pub certificate: String,
    /// `NAME.key`
    pub key: String,
    /// `NAME-chain.crt`
    pub chain: String,
    /// `.NAME.pending`
    pub pending: String,
    /// `NAME-root.crt`, of one that was enrolled
    pub root: String,
    /// `NAME.crl`, of one that was enrolled
    pub lists: String,
    /// `NAME.enrolled`, of one that was enrolled
    pub enrolled: String,
}

impl FileNames {
    /// The names for a slug.
    pub fn of(slug: &Slug) -> FileNames {
        let slug = slug.as_str();
        FileNames {
            certificate: format!("{slug}.crt"),
            key: format!("{slug}.key"),
            chain: format!("{slug}-chain.crt"),
            pending: format!(".{slug}.pending"),
            root: format!("{slug}-root.crt"),
            lists: format!("{slug}.crl"),
            enrolled: format!("{slug}.enrolled"),
        }
    }
}

/// A file for everybody that goes beside a certificate.
#[derive(Clone, Copy, Debug)]
pub struct Beside<'a> {
    /// What it is called.
    pub name: &'a str,
    /// What it holds.
    pub bytes: &'a [u8],
}

impl Place {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The unfinished issuance's file.
    pub fn pending_path(&self) -> PathBuf {
        self.path(&FileNames::of(&self.slug).pending)
    }

    /// The key's file.
    pub fn key_path(&self) -> PathBuf {
        self.path(&FileNames::of(&self.slug).key)
    }

    /// Looks what is there already.
    pub fn look(&self) -> Result<Found, CommandError> {
        Folder::open(&self.folder)?.look(&FileNames::of(&self.slug))
    }

    /// What an interrupted command with this request left; `None` if there was none.
    pub fn unfinished(&self, request: &str) -> Result<Option<Pending>, CommandError> {
        if !self.folder.is_dir() {
            return Ok(None);
        }
        Ok(match self.look()?.pending {
            Some(Decoded::Pending(pending)) if pending.request == request => Some(pending),
            Some(Decoded::Pending(_) | Decoded::Foreign | Decoded::Torn) | None => None,
        })
    }

    /// Makes `pending` durable. `None` if another command was faster: look again.
    pub fn begin(
        &self,
        pending: &Pending,
        found: &Found,
        overwrite: Overwrite,
    ) -> Result<Option<()>, CommandError> {
        let torn = matches!(found.pending, Some(Decoded::Torn));
        let on_existing = if torn { OnExisting::Replace } else { OnExisting::Refuse };
        match place(&self.pending_path(), &pending.encode(), Visibility::Secret, on_existing) {
            Ok(()) => {}
            Err(FileError::Exists { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        // Another command may have finished between our look and now: it placed its key before it
        // took its pending file away, so that it shows here.
        let again = Folder::open(&self.folder)?.look(&FileNames::of(&self.slug))?;
        if overwrite == Overwrite::Refuse && (again.key.is_some() || again.certificate.is_some()) {
            store::file::remove(&self.pending_path())?;
            return Ok(None);
        }
        Ok(Some(()))
    }

    /// Puts everything in place, what goes beside it too, then forgets the pending file.
    pub fn finish(
        &self,
        pending: &Pending,
        issued: &Issued,
        p12: Option<&Pkcs12>,
        beside: &[Beside<'_>],
    ) -> Result<Placed, CommandError> {
        let names = FileNames::of(&self.slug);
        let placed = Placed {
            certificate: self.path(&names.certificate),
            key: self.path(&names.key),
            chain: self.path(&names.chain),
            p12: p12.map(|p12| p12.path.clone()),
        };
        let draft = |path: &Path, bytes, visibility| Draft {
            path: path.to_owned(),
            visibility,
            on_existing: OnExisting::Replace,
            write: Box::new(move |out: &mut dyn Write| out.write_all(bytes)),
        };
        // At the same time: until all are durable the pending file holds the key, and whoever asks again gets
        // the same certificate.
        let mut drafts = vec![draft(&placed.key, pending.key.as_bytes(), Visibility::Secret)];
        let paths: Vec<PathBuf> = beside.iter().map(|one| self.path(one.name)).collect();
        for (one, path) in beside.iter().zip(&paths) {
            drafts.push(draft(path, one.bytes, Visibility::Public));
        }
        drafts.push(draft(&placed.chain, issued.chain.as_bytes(), Visibility::Public));
        drafts.push(draft(&placed.certificate, issued.pem.as_bytes(), Visibility::Public));
        let mut key = write_aside(drafts, Pace::Whole).into_iter().collect::<Result<Vec<_>, _>>()?;
        let certificates = key.split_off(1);
        // The key's name is durable before the others: a certificate without a key passes for somebody else's.
        put_in_place(key)?;
        put_in_place(certificates)?;
        // Last: what else may fail here costs nobody the certificate.
        if let Some(p12) = p12 {
            let bytes = p12::encode(&pending.key, &issued.chain, &issued.certificate.name, &p12.passphrase)?;
            write(&p12.path, &bytes, Visibility::Secret, OnExisting::Replace)?;
        }
        store::file::remove(&self.pending_path())?;
        Ok(placed)
    }
}

/// The folder for `--out`, made if it is missing: for its owner alone, since keys go there.
pub fn folder(path: &Path) -> Result<PathBuf, CommandError> {
    if path.is_dir() {
        return Ok(path.to_path_buf());
    }
    store::file::make_dir(path, Visibility::Secret)?;
    Ok(path.to_path_buf())
}

/// Clears away what interrupted commands left half-written. Best effort: it is litter, not damage.
pub fn tidy(folder: &Path) {
    if let Err(error) = store::file::sweep_temporaries(folder) {
        tracing::debug!(%error, "leftovers stay");
    }
}
