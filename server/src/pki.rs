//! One PKI, open: what every operation works on.
//!
//! A clone is the same PKI. Whoever holds one may do everything to it: who is let near is decided by
//! [`Pki::run`], which is how the socket and the command in process both come in.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use store::Store;
use time::OffsetDateTime;
use trust::Peer;

use crate::challenge::ChallengeBoard;
use crate::http::public::Shelf;
use crate::jobs::Failures;
use crate::layout::Layout;
use crate::ops::{Error, Operation};
use crate::serve::PublicState;
use crate::settings::Settings;

/// An open PKI.
#[derive(Clone)]
pub struct Pki {
    shared: Arc<Shared>,
}

struct Shared {
    layout: Layout,
    owner: u32,
    store: Store,
    challenges: ChallengeBoard,
    failures: Failures,
    shelf: Shelf,
    public: ArcSwap<PublicState>,
}

impl Pki {
    /// Decides whether `peer` may do the operation, and does it.
    pub fn run<O: Operation>(
        &self,
        operation: O,
        peer: &Peer,
        now: OffsetDateTime,
    ) -> Result<O::Reply, Error> {
        let permit = trust::decide(peer, O::ACTION, self.shared.owner)?;
        operation.run(self, &permit, now)
    }

    /// Where things lie.
    pub fn layout(&self) -> &Layout {
        &self.shared.layout
    }

    /// Its directory.
    pub fn directory(&self) -> &Path {
        self.shared.layout.root()
    }

    /// The user id that owns the directory.
    pub fn owner(&self) -> u32 {
        self.shared.owner
    }

    /// What is kept.
    pub fn store(&self) -> &Store {
        &self.shared.store
    }

    /// The settings in force now.
    pub fn settings(&self) -> Result<Settings, Error> {
        Ok(Settings::load(&self.shared.store)?)
    }

    /// The HTTP-01 answers of the public listener.
    pub fn challenges(&self) -> &ChallengeBoard {
        &self.shared.challenges
    }

    /// The periodic work that fails at the moment.
    pub fn job_failures(&self) -> &Failures {
        &self.shared.failures
    }

    /// What has become of the public listener; off unless a service runs in this process.
    pub fn public_state(&self) -> PublicState {
        (**self.shared.public.load()).clone()
    }

    pub(crate) fn set_public_state(&self, state: PublicState) {
        self.shared.public.store(Arc::new(state));
    }

    /// Takes what is published now onto the shelf.
    pub(crate) fn fill_shelf(&self) -> Result<(), Error> {
        Ok(())
    }

    /// What the public listener serves.
    pub(crate) fn shelf(&self) -> &Shelf {
        &self.shared.shelf
    }
}

impl Pki {
    /// A PKI without a disk below it: for unit tests of operations.
    pub fn in_memory(root: &Path, owner: u32) -> Pki {
        Pki {
            shared: Arc::new(Shared {
                layout: Layout::new(root),
                owner,
                store: Store::in_memory(),
                challenges: ChallengeBoard::default(),
                failures: Failures::default(),
                shelf: Shelf::default(),
                public: ArcSwap::from_pointee(PublicState::Off),
            }),
        }
    }
}
