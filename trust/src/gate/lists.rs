//! The lists of imported authorities that are enforced, and the one that is about to be.
//!
//! A list's number is committed before the list counts, and a commit takes as long as the disk likes. Nobody
//! who is judged waits for the disk: as long as the number is not durable, the list before is the one that
//! counts. From then on nobody is judged by that one: whoever knows of the number waits for the list, which
//! lies in memory already. So no decision by the old list rests on the record of the new one, and whoever
//! looks again because of that record finds the new list. Those who load lists wait for each other.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use store::Version;

use crate::authority::LoadedList;
use crate::entry::KeyDigest;
use crate::set::State;

/// The lists that are enforced, by their authorities.
pub(super) type Enforced = HashMap<KeyDigest, Arc<LoadedList>>;

/// A clone holds the same.
#[derive(Clone, Default)]
pub(super) struct Lists(Arc<Shared>);

#[derive(Default)]
struct Shared {
    turn: Mutex<()>,
    held: Mutex<Held>,
    moved: Condvar,
}

#[derive(Default)]
struct Held {
    enforced: Arc<Enforced>,
    coming: Option<Coming>,
}

/// A list whose number is being committed.
struct Coming {
    authority: KeyDigest,
    /// What is remembered of the list that counts until then.
    before: Option<Version>,
}

impl Coming {
    /// Whether somebody who goes by `state` knows of its number.
    fn is_known(&self, state: &State) -> bool {
        state.memory(&self.authority).map(|memory| memory.version) != self.before
    }
}

impl Lists {
    /// The lists by which whoever goes by `state` judges.
    pub(super) fn under(&self, state: &State) -> Arc<Enforced> {
        let is_late = |held: &mut Held| held.coming.as_ref().is_some_and(|coming| coming.is_known(state));
        let held = self.0.moved.wait_while(self.held(), is_late);
        Arc::clone(&held.unwrap_or_else(PoisonError::into_inner).enforced)
    }

    /// The list of an authority that is enforced now.
    pub(super) fn of(&self, authority: &KeyDigest) -> Option<Arc<LoadedList>> {
        self.held().enforced.get(authority).cloned()
    }

    /// Waits until nobody else loads a list.
    pub(super) fn turn(&self) -> Turn<'_> {
        Turn { lists: self, _alone: self.0.turn.lock().unwrap_or_else(PoisonError::into_inner) }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to load a list; one has it at a time.
pub(super) struct Turn<'a> {
    lists: &'a Lists,
    _alone: MutexGuard<'a, ()>,
}

impl Turn<'_> {
    /// Enforces a list as soon as its number is committed. `before` is what was remembered of the authority's
    /// lists until then.
    pub(super) fn enforce<E>(
        &self,
        list: Arc<LoadedList>,
        before: Option<Version>,
        commit: impl FnOnce() -> Result<(), E>,
    ) -> Result<(), E> {
        let authority = *list.authority();
        let announced = self.announce(Coming { authority, before });
        commit()?;
        Arc::make_mut(&mut announced.0.held().enforced).insert(authority, list);
        Ok(())
    }

    fn announce(&self, coming: Coming) -> Announced<'_> {
        self.lists.held().coming = Some(coming);
        Announced(self.lists)
    }
}

/// That a list is coming, until it has come or does not come, whatever the reason.
struct Announced<'a>(&'a Lists);

impl Drop for Announced<'_> {
    fn drop(&mut self) {
        self.0.held().coming = None;
        self.0.0.moved.notify_all();
    }
}

#[cfg(test)]
mod tests;
