//! `authenticated-certs/clients.pem`, followed: Multipass's own way out of the loop in which nobody can set the
//! passphrase and nobody can authenticate.
//!
//! What an administrator appends becomes an entry, without a restart. Only a file counts that root or the
//! service's user owns, that nobody else could have written, and that no link leads to; it lies in a
//! directory of which the same holds. It only ever adds: who was removed stays out, whatever it says. What is
//! wrong with it, or with a certificate in it, is said in the log once, and keeps no other certificate out.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{MutexGuard, PoisonError, TryLockError};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use store::again;
use store::file::{FileError, Visibility, make_dir};
use time::OffsetDateTime;
use trust::Holder;
use trust::change::{ChangeError, add_certificate};
use trust::local::clients_file::{self, FileFacts, FileKind, FileRefusal, LONGEST};

use super::Pki;
use crate::http::problem::in_words;
use crate::ops::Error;

/// How a file was: when it was written and when its owner or mode was changed, its size, and which file it was.
type Stamp = (i64, i64, i64, i64, u64, u64);

/// What is known of the file.
#[derive(Debug, Default)]
pub(super) struct Clients {
    /// How it was when it was last read.
    stamp: Option<Stamp>,
    /// Whether everything in it was dealt with: what was refused may be acceptable later.
    settled: Settled,
    /// What was said about it in the log.
    told: BTreeSet<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Settled {
    #[default]
    Yes,
    No,
}

/// What became of a certificate in the file.
enum Taken {
    /// It is trusted.
    In,
    /// It is not, for now.
    Refused(String),
}

impl Pki {
    /// Makes the directory of the file, so that somebody can append to it.
    pub(crate) fn make_room_for_clients(&self) {
        let directory = self.layout().authenticated();
        if !directory.exists()
            && let Err(error) = make_dir(&directory, Visibility::Public)
        {
            tracing::warn!(%error, "there is no room for clients.pem");
        }
    }

    /// Whether the file is another than when it was last read. While somebody reads it, it may be.
    pub(crate) fn clients_have_changed(&self) -> bool {
        let stamp = stamp(&self.layout().clients());
        match self.shared.clients.try_lock() {
            Ok(clients) => clients.stamp != stamp,
            Err(TryLockError::Poisoned(clients)) => clients.into_inner().stamp != stamp,
            Err(TryLockError::WouldBlock) => true,
        }
    }

    /// Takes in what is new in the file. Blocks until it is durable.
    ///
    /// # Errors
    /// If the file can't be read or the store fails; what is wrong with the file itself is said in the log.
    pub(crate) fn follow_clients(&self, now: OffsetDateTime) -> Result<(), Error> {
        let mut clients = self.clients();
        let stamp = stamp(&self.layout().clients());
        if clients.stamp == stamp && clients.settled == Settled::Yes {
            return Ok(());
        }
        if clients.stamp != stamp {
            clients.told.clear();
        }
        clients.stamp = stamp;
        clients.settled = Settled::No;
        let content = match read(&self.layout().authenticated(), self.owner())? {
            Found::Nothing => {
                clients.settled = Settled::Yes;
                return Ok(());
            }
            Found::Refused(refusal) => {
                // Its owner and mode are part of the stamp.
                clients.settled = Settled::Yes;
                clients.tell(does_not_count(&refusal));
                return Ok(());
            }
            Found::Content(content) => content,
        };
        let contents = clients_file::read(&content, &*self.gate().set().now()?);
        for reason in contents.unreadable {
            clients.tell(cannot_be_read(&reason));
        }
        let mut settled = Settled::Yes;
        for holder in &contents.new {
            match self.take_client(holder, now)? {
                Taken::In => {
                    tracing::warn!(fingerprint = %holder.fingerprint(), "trusted, for it stands in clients.pem");
                }
                Taken::Refused(reason) => {
                    settled = Settled::No;
                    clients.tell(not_trusted(holder, &reason));
                }
            }
        }
        clients.settled = settled;
        Ok(())
    }

    fn take_client(&self, holder: &Holder, now: OffsetDateTime) -> Result<Taken, Error> {
        again(|| {
            let settings = self.settings()?;
            let vetted = match self.gate().vet(holder, &settings.trust(), now) {
                Err(trust::Error::Refused(refusal)) => return Ok(Taken::Refused(refusal.to_string())),
                vetted => vetted?,
            };
            let batch = {
                let state = self.gate().set().now()?;
                add_certificate(&state, holder, &vetted, &clients_file::wish(), &clients_file::cause(), now)
            };
            let mut batch = match batch {
                Err(ChangeError::Already { .. }) => return Ok(Taken::In),
                Err(error) => return Ok(Taken::Refused(in_words(&error))),
                Ok(batch) => batch,
            };
            settings.trust_rests_on().demand(&mut batch);
            self.store().commit(batch)?;
            Ok(Taken::In)
        })
    }

    /// What is wrong with the file now, or with what is in it.
    ///
    /// # Errors
    /// If it can't be read or the store fails.
    pub(crate) fn clients_problems(&self, now: OffsetDateTime) -> Result<Vec<String>, Error> {
        let content = match read(&self.layout().authenticated(), self.owner())? {
            Found::Nothing => return Ok(Vec::new()),
            Found::Refused(refusal) => return Ok(vec![does_not_count(&refusal)]),
            Found::Content(content) => content,
        };
        let contents = clients_file::read(&content, &*self.gate().set().now()?);
        let mut problems: Vec<String> =
            contents.unreadable.iter().map(|reason| cannot_be_read(reason)).collect();
        for holder in &contents.new {
            match self.gate().vet(holder, &self.settings()?.trust(), now) {
                Err(trust::Error::Refused(refusal)) => {
                    problems.push(not_trusted(holder, &refusal.to_string()))
                }
                // It is taken in within seconds.
                vetted => drop(vetted?),
            }
        }
        Ok(problems)
    }

    fn clients(&self) -> MutexGuard<'_, Clients> {
        self.shared.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clients {
    /// Says something in the log, once for each state of the file.
    fn tell(&mut self, words: String) {
        if !self.told.contains(&words) {
            tracing::error!("{words}");
            self.told.insert(words);
        }
    }
}

fn does_not_count(refusal: &Unfit) -> String {
    format!("clients.pem does not count: {refusal}")
}

fn cannot_be_read(reason: &str) -> String {
    format!("a block of clients.pem can't be read: {reason}")
}

fn not_trusted(holder: &Holder, reason: &str) -> String {
    format!("{} of clients.pem is not trusted: {reason}", holder.fingerprint())
}

/// What lies in the place of the file.
enum Found {
    Content(Vec<u8>),
    Nothing,
    Refused(Unfit),
}

/// Why what lies there does not count.
#[derive(Debug, thiserror::Error)]
enum Unfit {
    #[error(transparent)]
    File(#[from] FileRefusal),
    #[error("its directory is none, or a link leads there")]
    NotADirectory,
    #[error("its directory: {0}")]
    Directory(FileRefusal),
}

/// Reads the file in `directory`, if nobody but root and the user `owner` could have put it there.
fn read(directory: &Path, owner: u32) -> Result<Found, Error> {
    const NAME: &str = "clients.pem";
    let path = directory.join(NAME);
    let failed =
        |source: io::Error| Error::File(FileError::Io { operation: "read", path: path.clone(), source });
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = match rustix::fs::open(directory, flags, Mode::empty()) {
        Ok(folder) => File::from(folder),
        Err(Errno::NOENT) => return Ok(Found::Nothing),
        Err(Errno::NOTDIR | Errno::LOOP) => return Ok(Found::Refused(Unfit::NotADirectory)),
        Err(error) => return Err(failed(error.into())),
    };
    let found = folder.metadata().map_err(failed)?;
    // A directory whose owner and mode are right is as good as such a file.
    let facts = FileFacts { kind: FileKind::Regular, owner: found.uid(), mode: found.mode(), length: 0 };
    if let Err(refusal) = clients_file::check(&facts, owner) {
        return Ok(Found::Refused(Unfit::Directory(refusal)));
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(&folder, NAME, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT) => return Ok(Found::Nothing),
        Err(Errno::LOOP) => return Ok(Found::Refused(FileRefusal::NotAFile.into())),
        Err(error) => return Err(failed(error.into())),
    };
    let found = file.metadata().map_err(failed)?;
    let kind = match (found.is_file(), found.nlink()) {
        (true, 1) => FileKind::Regular,
        (true, _) => FileKind::Link,
        (false, _) => FileKind::Other,
    };
    let facts = FileFacts { kind, owner: found.uid(), mode: found.mode(), length: found.len() };
    if let Err(refusal) = clients_file::check(&facts, owner) {
        return Ok(Found::Refused(refusal.into()));
    }
    let mut content = Vec::new();
    file.take(LONGEST).read_to_end(&mut content).map_err(failed)?;
    Ok(Found::Content(content))
}

fn stamp(path: &Path) -> Option<Stamp> {
    let found = fs::symlink_metadata(path).ok()?;
    Some((found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec(), found.len(), found.ino()))
}

#[cfg(test)]
mod tests;
