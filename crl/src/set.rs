//! Everything revoked, in memory: the answer to "is it revoked?" and the source of every list.
//!
//! It is read once, at the first question, and then follows the store: before each answer it takes in what
//! was committed since, so that a revocation counts from the moment its commit returned. A record it
//! can't read makes it refuse to answer: an unknown state is not a valid certificate.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use ca::cert::{KeyId, Serial};
use store::{Direction, Key, Record, Sequence, Store, Stored, Table, Version, Write};

use crate::{Entry, Error, Revocation, RevokedList};

/// Records read at once at the start, and entries followed at once later.
const PAGE: usize = 4096;

/// What every authority of this store has revoked. Cheap to clone: every clone is the same set.
#[derive(Clone)]
pub struct RevokedSet {
    store: Store,
    state: Arc<RwLock<Option<State>>>,
}

struct State {
    /// Everything up to here is in.
    seen: Sequence,
    lists: BTreeMap<KeyId, RevokedList>,
}

impl RevokedSet {
    /// The revocations of `store`, read when they are first asked for: a command that needs none of them
    /// does not wait for a million.
    pub fn of(store: Store) -> RevokedSet {
        RevokedSet { store, state: Arc::default() }
    }

    /// Reads the revocations of `store` now.
    ///
    /// # Errors
    /// [`Error::Store`] if they can't be read, [`Error::StrayRecord`] for a key that names no certificate.
    pub fn open(store: Store) -> Result<RevokedSet, Error> {
        let set = RevokedSet::of(store);
        set.catch_up()?;
        Ok(set)
    }

    /// Whether a certificate of this issuer is revoked, and how, by all that is durable now.
    ///
    /// # Errors
    /// [`Error::Store`] or [`Error::StrayRecord`]: then the certificate must not be relied on.
    pub fn find(&self, issuer: &KeyId, serial: &Serial) -> Result<Option<Revocation>, Error> {
        let find = |state: &State| state.lists.get(issuer)?.find(serial).map(Entry::revocation);
        self.caught_up(find)
    }

    /// An authority's revocations as they are now; it stands still whatever is revoked later.
    ///
    /// # Errors
    /// As [`RevokedSet::find`].
    pub fn snapshot(&self, issuer: &KeyId) -> Result<RevokedSnapshot, Error> {
        self.caught_up(|state| RevokedSnapshot {
            list: state.lists.get(issuer).cloned().unwrap_or_default(),
            through: state.seen,
        })
    }

    /// How many certificates of this issuer have ever been revoked and not released.
    ///
    /// # Errors
    /// As [`RevokedSet::find`].
    pub fn count(&self, issuer: &KeyId) -> Result<usize, Error> {
        self.caught_up(|state| state.lists.get(issuer).map_or(0, RevokedList::len))
    }

    /// Whether they were read: until then whoever asks first waits for all of them.
    pub fn is_read(&self) -> bool {
        self.state.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Takes in what was committed since the last time; costs next to nothing when nothing was.
    ///
    /// # Errors
    /// As [`RevokedSet::find`].
    pub fn catch_up(&self) -> Result<Sequence, Error> {
        self.caught_up(|state| state.seen)
    }

    fn caught_up<T>(&self, answer: impl FnOnce(&State) -> T) -> Result<T, Error> {
        let head = self.store.head();
        {
            let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(state) = state.as_ref().filter(|state| state.seen >= head) {
                return Ok(answer(state));
            }
        }
        let mut held = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let state = match held.as_mut() {
            Some(state) => state,
            None => held.insert(State::read(&self.store)?),
        };
        state.follow(&self.store, head)?;
        Ok(answer(state))
    }
}

impl State {
    fn read(store: &Store) -> Result<State, Error> {
        // The head first: what is committed during the scan is followed afterwards, in order.
        let mut state = State { seen: store.head(), lists: BTreeMap::new() };
        let range = Key::new(Revocation::TREE).children();
        let mut after = None;
        loop {
            let page = store.scan(&range, after.as_ref(), PAGE, Direction::Ascending)?;
            let Some(last) = page.last() else { return Ok(state) };
            after = Some(last.key.clone());
            page.into_iter().try_for_each(|stored| state.insert(stored))?;
        }
    }

    fn follow(&mut self, store: &Store, head: Sequence) -> Result<(), Error> {
        while self.seen < head {
            let entries = store.follow(self.seen, PAGE)?;
            if entries.is_empty() {
                return Err(Error::Behind { seen: self.seen, head });
            }
            for entry in entries {
                for (key, write) in entry.writes.iter().flatten() {
                    if key.as_bytes().starts_with(b"revoked/") {
                        self.apply(key, write, entry.sequence)?;
                    }
                }
                self.seen = entry.sequence;
            }
        }
        Ok(())
    }

    fn apply(&mut self, key: &Key, write: &Write, sequence: Sequence) -> Result<(), Error> {
        match write {
            Write::Put(value) => {
                self.insert(Stored { key: key.clone(), version: Version(sequence), value: value.clone() })
            }
            Write::Delete => {
                let (issuer, serial) = Revocation::named_by(key)?;
                self.lists.entry(issuer).or_default().remove(&serial, sequence);
                Ok(())
            }
        }
    }

    fn insert(&mut self, stored: Stored) -> Result<(), Error> {
        let (issuer, serial) = Revocation::named_by(&stored.key)?;
        let read = Table::<Revocation>::decode(stored)?;
        let entry = Entry::new(serial, &read.record, read.version.0);
        self.lists.entry(issuer).or_default().insert(entry);
        Ok(())
    }
}

/// What one authority had revoked at one moment.
#[derive(Clone, Debug)]
pub struct RevokedSnapshot {
    list: RevokedList,
    through: Sequence,
}

impl RevokedSnapshot {
    /// The revocations themselves.
    pub fn list(&self) -> &RevokedList {
        &self.list
    }

    /// Everything the store committed up to here is in it.
    pub fn through(&self) -> Sequence {
        self.through
    }
}
