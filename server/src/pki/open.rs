//! Opening a PKI, and making one.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ca::authority::Current;
use ca::hierarchy::{self, Init, RootKeyPlace};
use ca::records::KeyPlace;
use crl::Which;
use store::file::{Visibility, make_dir};
use store::{Create, IndexState, OpenOptions, OpenReport, Origin, Progress, Store};
use time::OffsetDateTime;
use trust::{Action, Peer};

use super::directory::{self, DirectoryError, Found};
use super::{Keys, Pki};
use crate::http::public::TOP;
use crate::layout::Layout;
use crate::ops::Error;

/// What a PKI is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// For one operation: keys are opened when they are needed.
    Command,
    /// For a service: the issuing CA's key must open now, and what is published is put in order.
    Service,
}

impl Pki {
    /// Opens the PKI in `directory`. Only its owner may, and only one process at a time.
    ///
    /// # Errors
    /// [`DirectoryError`] inside; [`store::Error::Locked`] if another process has it open;
    /// [`ca::keyring::KeyringError::Locked`] for a service whose key needs a passphrase.
    pub fn open(directory: &Path, keys: Keys, mode: OpenMode, now: OffsetDateTime) -> Result<Pki, Error> {
        Pki::open_watched(directory, keys, mode, now, &Progress::default())
    }

    /// The same; how far an index is that has to be built again is told meanwhile.
    ///
    /// # Errors
    /// As [`Pki::open`].
    pub fn open_watched(
        directory: &Path,
        keys: Keys,
        mode: OpenMode,
        now: OffsetDateTime,
        progress: &Progress,
    ) -> Result<Pki, Error> {
        let layout = layout(directory)?;
        let (found, owner) = directory::examine(&layout)?;
        let missing = || DirectoryError::Missing { directory: layout.root().to_owned() };
        let owner = owner.ok_or_else(missing)?;
        match found {
            Found::Pki => directory::check_owner(&layout, owner)?,
            Found::Nothing => return Err(missing().into()),
            Found::Broken { part } => {
                return Err(DirectoryError::Broken { directory: layout.root().to_owned(), part }.into());
            }
        }
        let (store, report) = open_store(&layout, Create::Refuse, progress)?;
        let pki = Pki::assemble(layout, owner, store, Some(report), keys)?;
        let Some(current) = Current::find(pki.store())? else {
            return Err(DirectoryError::Unfinished { directory: pki.directory().to_owned() }.into());
        };
        pki.sweep();
        pki.load_trusted_lists(now);
        match mode {
            OpenMode::Command => {}
            OpenMode::Service => {
                pki.keyring().issuer(&current.issuing.record).map_err(ca::Error::from)?;
                // The next list says nothing of it any more: this line in the log is what is left.
                for overtaken in pki.publisher().overtaken(now)? {
                    tracing::error!("{}", crate::ops::doctor::put_back_in_words(&overtaken));
                }
                // What an interruption left undone is finished here.
                pki.place_certificates(now)?;
            }
        }
        Ok(pki)
    }

    /// Makes a PKI in `directory` and returns it open. One that is there is never touched; an
    /// interrupted `init` is finished by the next.
    ///
    /// # Errors
    /// As [`Pki::open`], and what the authority refuses.
    pub fn init(
        directory: &Path,
        keys: Keys,
        init: &Init,
        peer: &Peer,
        now: OffsetDateTime,
    ) -> Result<Pki, Error> {
        let pki = match Pki::begin(directory, keys.clone()) {
            Err(Error::Directory(DirectoryError::Exists { directory })) => {
                return Pki::finish(directory, keys, &init.root_key, now);
            }
            begun => begun?,
        };
        let permit = trust::owner_only(peer, Action::Authority, pki.owner())?;
        let who = permit.peer().to_string();
        let policy = pki.policy()?;
        let made = hierarchy::init(pki.store(), pki.keyring(), init, &policy, &who, now, pki.random())?;
        let root = made.root.certificate().key_id();
        let both = Which::Of(BTreeSet::from([root, made.issuing.certificate().key_id()]));
        match &init.root_key {
            RootKeyPlace::Beside => pki.publish_first(&both, now)?,
            RootKeyPlace::File(_) => {
                // The root signs its first list now; after that it is needed once a year.
                pki.publisher().lend(made.root.clone());
                let published = pki.publish_first(&both, now);
                pki.publisher().take_back(&root);
                published?;
            }
        }
        pki.checkpoint(now)?;
        Ok(pki)
    }

    /// Publishes what an `init` that was interrupted after its commit had not published yet. Where
    /// nothing is missing, no `init` was interrupted.
    fn finish(
        directory: PathBuf,
        keys: Keys,
        root_key: &RootKeyPlace,
        now: OffsetDateTime,
    ) -> Result<Pki, Error> {
        if is_published(&directory) {
            return Err(DirectoryError::Exists { directory }.into());
        }
        let pki = Pki::open(&directory, keys, OpenMode::Command, now)?;
        pki.finish_first(root_key, now)?;
        Ok(pki)
    }

    /// Publishes what is still missing of a new PKI's files. If the root's key is elsewhere its first list
    /// is signed with the file that the interrupted `init` wrote.
    pub(crate) fn finish_first(&self, root_key: &RootKeyPlace, now: OffsetDateTime) -> Result<(), Error> {
        if is_published(self.directory()) {
            return Ok(());
        }
        let root = Current::load(self.store())?.root.record;
        let lent = match (&root.key, root_key) {
            (KeyPlace::Elsewhere { .. }, RootKeyPlace::File(path)) => {
                Some(hierarchy::root_from(self.store(), self.keyring(), path)?)
            }
            _ => None,
        };
        if let Some(issuer) = &lent {
            self.publisher().lend(issuer.clone());
        }
        let published = self.publish_first(&Which::Due, now);
        self.publisher().take_back(&root.key_id);
        published?;
        self.checkpoint(now)?;
        Ok(())
    }

    /// Removes what interrupted writers left, copies of keys among them. A failure is litter, not damage.
    fn sweep(&self) {
        for written in self.layout().written() {
            if let Err(error) = store::file::sweep_temporaries(&written) {
                tracing::warn!(%error, "leftovers of interrupted writes stay");
            }
        }
    }

    /// Opens the directory of a PKI that is still to be made.
    pub(super) fn begin(directory: &Path, keys: Keys) -> Result<Pki, Error> {
        let layout = layout(directory)?;
        let (found, owner) = directory::examine(&layout)?;
        if let Some(owner) = owner {
            directory::check_owner(&layout, owner)?;
        }
        if let Found::Broken { part } = found {
            return Err(DirectoryError::Broken { directory: layout.root().to_owned(), part }.into());
        }
        make_dir(layout.root(), Visibility::Public)?;
        let owner = rustix::process::geteuid().as_raw();
        let (store, report) = open_store(&layout, Create::IfAbsent, &Progress::default())?;
        let pki = Pki::assemble(layout, owner, store, Some(report), keys)?;
        match Current::find(pki.store())? {
            None => {
                pki.sweep();
                Ok(pki)
            }
            Some(_) => Err(DirectoryError::Exists { directory: pki.directory().to_owned() }.into()),
        }
    }

    /// As an `init` that was interrupted at its worst moment leaves it.
    #[cfg(test)]
    pub(crate) fn begin_for_test(directory: &Path) {
        let _begun = Pki::begin(directory, crate::testing::keys()).unwrap();
    }

    /// Places what a new PKI publishes.
    pub(super) fn publish_first(&self, which: &Which, now: OffsetDateTime) -> Result<(), Error> {
        self.place_certificates(now)?;
        let publication = self.publish(which, now)?;
        crate::ops::crl::first_failure(&publication)
    }

    /// Whether some key here is encrypted and no passphrase was given.
    pub fn needs_passphrase(&self) -> Result<bool, Error> {
        if self.keyring().place_kind() == KeyPlace::HereEncrypted {
            return Ok(false);
        }
        let authorities = ca::authority::list(self.store())?;
        Ok(authorities.iter().any(|authority| authority.key == KeyPlace::HereEncrypted))
    }
}

/// Whether every file at the top is there.
fn is_published(directory: &Path) -> bool {
    TOP.iter().all(|name| directory.join(name).exists())
}

fn layout(directory: &Path) -> Result<Layout, DirectoryError> {
    let root = std::path::absolute(directory)
        .map_err(|source| DirectoryError::Unreadable { directory: directory.to_owned(), source })?;
    Ok(Layout::new(root))
}

fn open_store(layout: &Layout, create: Create, progress: &Progress) -> Result<(Store, OpenReport), Error> {
    let mut options = OpenOptions::new(create);
    options.progress = progress.clone();
    let (store, report) = Store::open(&layout.store(), options)?;
    for warning in &report.warnings {
        tracing::warn!(warning, "the store");
    }
    if let Some(dropped) = &report.dropped {
        tracing::warn!(?dropped, "the end of an interrupted write was removed");
    }
    if let (Origin::Opened, IndexState::Rebuilt { reason, entries }) = (report.origin, &report.index) {
        tracing::warn!(reason, entries, "the store's index was lost or damaged and has been built again");
    }
    Ok((store, report))
}

#[cfg(test)]
mod tests;
