//! All that trust rests on, in memory: entries, denials, authorities, projects, groups.
//!
//! It is read once when it is opened and then follows the journal: before each answer it takes in what
//! was committed since, so that a removal counts from the moment its commit returned. A record that it
//! can't read makes it refuse to answer.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use ca::authority;
use ca::cert::{Certificate, Fingerprint};
use ca::records::AuthorityRecord;
use store::{Direction, Key, Record, Sequence, Store, Stored, Table, Version, Versioned, Write};

use crate::authority::{Authority, ListMemory};
use crate::entry::{Denial, Entry, Id, KeyDigest};
use crate::error::Error;
use crate::group::{Group, GroupName};
use crate::local::FirstUser;
use crate::presented::Authorities;
use crate::project::Project;
use crate::rights::ProjectName;

/// Records read at once at the start, and entries of the journal followed at once later.
const PAGE: usize = 4096;

/// What is trusted. Cheap to clone: every clone is the same set.
#[derive(Clone)]
pub struct TrustSet {
    store: Store,
    state: Arc<RwLock<State>>,
}

/// What the set holds at one moment.
#[derive(Default)]
pub struct State {
    seen: Sequence,
    entries: HashMap<Id, Arc<Versioned<Entry>>>,
    /// Which entry admits a certificate: the newest of a lineage and those it renewed.
    by_fingerprint: HashMap<Fingerprint, Id>,
    denials: HashMap<Id, Arc<Versioned<Denial>>>,
    imported: BTreeMap<KeyDigest, Arc<Versioned<Authority>>>,
    memories: HashMap<KeyDigest, Arc<Versioned<ListMemory>>>,
    projects: BTreeMap<ProjectName, Arc<Versioned<Project>>>,
    groups: BTreeMap<GroupName, Arc<Versioned<Group>>>,
    first_user: Option<Versioned<FirstUser>>,
    authorities: Arc<Authorities>,
}

/// The trees whose records the set holds.
const TREES: [&str; 7] = [
    Entry::TREE,
    Denial::TREE,
    Authority::TREE,
    ListMemory::TREE,
    Project::TREE,
    FirstUser::TREE,
    Group::TREE,
];

impl TrustSet {
    /// Reads what `store` holds.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::StrayRecord`], [`Error::Certificate`].
    pub fn open(store: Store) -> Result<TrustSet, Error> {
        // The head first: what is committed during the scan is followed afterwards, in order.
        let mut state = State { seen: store.head(), ..State::default() };
        for tree in TREES {
            let range = Key::new(tree).children();
            let mut after = None;
            loop {
                let page = store.scan(&range, after.as_ref(), PAGE, Direction::Ascending)?;
                let Some(last) = page.last() else { break };
                after = Some(last.key.clone());
                page.into_iter().try_for_each(|stored| state.put(tree, stored))?;
            }
        }
        state.read_authorities(&store)?;
        Ok(TrustSet { store, state: Arc::new(RwLock::new(state)) })
    }

    /// What holds by all that is durable now. Nothing changes while the answer is held, and nobody is let
    /// in who asks meanwhile: let go of it before a commit, and before anything is asked of the gate.
    ///
    /// # Errors
    /// As [`TrustSet::open`]; then nobody may be let in.
    pub fn now(&self) -> Result<RwLockReadGuard<'_, State>, Error> {
        let head = self.store.head();
        loop {
            let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
            if state.seen >= head {
                return Ok(state);
            }
            drop(state);
            self.state.write().unwrap_or_else(PoisonError::into_inner).follow(&self.store, head)?;
        }
    }
}

impl State {
    /// The entry with this id.
    pub fn entry(&self, id: &Id) -> Option<&Arc<Versioned<Entry>>> {
        self.entries.get(id)
    }

    /// The entry that admits a certificate: its own, or that of one which renewed it.
    pub fn entry_of(&self, fingerprint: &Fingerprint) -> Option<&Arc<Versioned<Entry>>> {
        self.entries.get(self.by_fingerprint.get(fingerprint)?)
    }

    /// Every entry, by name and then by id.
    pub fn entries(&self) -> Vec<Arc<Versioned<Entry>>> {
        let mut all: Vec<_> = self.entries.values().cloned().collect();
        all.sort_by(|a, b| (&a.record.name, &a.key).cmp(&(&b.record.name, &b.key)));
        all
    }

    /// The denial of a certificate, a key or a user.
    pub fn denial(&self, id: &Id) -> Option<&Arc<Versioned<Denial>>> {
        self.denials.get(id)
    }

    /// The denial that meets a certificate: its own, or its key's.
    pub fn denial_of(&self, fingerprint: &Fingerprint, key: &KeyDigest) -> Option<&Arc<Versioned<Denial>>> {
        self.denials.get(&Id::Certificate(*fingerprint)).or_else(|| self.denials.get(&Id::Key(*key)))
    }

    /// Every denial.
    pub fn denials(&self) -> impl Iterator<Item = (&Id, &Arc<Versioned<Denial>>)> {
        self.denials.iter()
    }

    /// The imported authority of a key.
    pub fn authority(&self, key: &KeyDigest) -> Option<&Arc<Versioned<Authority>>> {
        self.imported.get(key)
    }

    /// Every imported authority, by its key.
    pub fn authorities(&self) -> impl Iterator<Item = (&KeyDigest, &Arc<Versioned<Authority>>)> {
        self.imported.iter()
    }

    /// What is remembered of an authority's lists.
    pub fn memory(&self, key: &KeyDigest) -> Option<&Arc<Versioned<ListMemory>>> {
        self.memories.get(key)
    }

    /// A project that was created; `default` need not be.
    pub fn project(&self, name: &ProjectName) -> Option<&Arc<Versioned<Project>>> {
        self.projects.get(name)
    }

    /// Every project that was created.
    pub fn projects(&self) -> impl Iterator<Item = &Arc<Versioned<Project>>> {
        self.projects.values()
    }

    /// A group of people.
    pub fn group(&self, name: &GroupName) -> Option<&Arc<Versioned<Group>>> {
        self.groups.get(name)
    }

    /// Every group, by name.
    pub fn groups(&self) -> impl Iterator<Item = &Arc<Versioned<Group>>> {
        self.groups.values()
    }

    /// Who was the first other user to connect, once there was one.
    pub fn first_user(&self) -> Option<&Versioned<FirstUser>> {
        self.first_user.as_ref()
    }

    /// Everything the store committed up to here is in it.
    pub fn seen(&self) -> Sequence {
        self.seen
    }

    /// The authorities' certificates.
    pub(crate) fn signers(&self) -> &Arc<Authorities> {
        &self.authorities
    }

    fn follow(&mut self, store: &Store, head: Sequence) -> Result<(), Error> {
        while self.seen < head {
            let entries = store.follow(self.seen, PAGE)?;
            if entries.is_empty() {
                return Err(Error::Behind { seen: self.seen, head });
            }
            let mut signers_changed = false;
            for entry in entries {
                for (key, write) in entry.writes.iter().flatten() {
                    let Some(tree) = tree_of(key) else { continue };
                    signers_changed |= tree == AuthorityRecord::TREE || tree == Authority::TREE;
                    if tree != AuthorityRecord::TREE {
                        self.apply(tree, key, write, entry.sequence)?;
                    }
                }
                self.seen = entry.sequence;
            }
            if signers_changed {
                self.read_authorities(store)?;
            }
        }
        Ok(())
    }

    fn apply(&mut self, tree: &str, key: &Key, write: &Write, sequence: Sequence) -> Result<(), Error> {
        match write {
            Write::Put(value) => {
                self.put(tree, Stored { key: key.clone(), version: Version(sequence), value: value.clone() })
            }
            Write::Delete => self.delete(tree, key),
        }
    }

    fn put(&mut self, tree: &str, stored: Stored) -> Result<(), Error> {
        let key = stored.key.clone();
        match tree {
            Entry::TREE => {
                let id = id(&key)?;
                self.remove_entry(&id);
                let entry = Table::<Entry>::decode(stored)?;
                if entry.record.id() != id {
                    return Err(Error::StrayRecord { key });
                }
                for fingerprint in entry.record.fingerprints() {
                    self.by_fingerprint.insert(fingerprint, id);
                }
                self.entries.insert(id, Arc::new(entry));
            }
            Denial::TREE => {
                self.denials.insert(id(&key)?, Arc::new(Table::decode(stored)?));
            }
            Authority::TREE => {
                self.imported.insert(digest(&key)?, Arc::new(Table::decode(stored)?));
            }
            ListMemory::TREE => {
                self.memories.insert(digest(&key)?, Arc::new(Table::decode(stored)?));
            }
            Project::TREE => {
                self.projects.insert(project(&key)?, Arc::new(Table::decode(stored)?));
            }
            FirstUser::TREE => self.first_user = Some(Table::decode(stored)?),
            Group::TREE => {
                let group = Table::<Group>::decode(stored)?;
                if Group::key(&group.record.name) != key {
                    return Err(Error::StrayRecord { key });
                }
                self.groups.insert(group.record.name.clone(), Arc::new(group));
            }
            _ => return Err(Error::StrayRecord { key }),
        }
        Ok(())
    }

    fn delete(&mut self, tree: &str, key: &Key) -> Result<(), Error> {
        match tree {
            Entry::TREE => self.remove_entry(&id(key)?),
            Denial::TREE => drop(self.denials.remove(&id(key)?)),
            Authority::TREE => drop(self.imported.remove(&digest(key)?)),
            ListMemory::TREE => drop(self.memories.remove(&digest(key)?)),
            Project::TREE => drop(self.projects.remove(&project(key)?)),
            FirstUser::TREE => self.first_user = None,
            Group::TREE => drop(self.groups.remove(&group(key)?)),
            _ => return Err(Error::StrayRecord { key: key.clone() }),
        }
        Ok(())
    }

    fn remove_entry(&mut self, id: &Id) {
        let Some(entry) = self.entries.remove(id) else { return };
        for fingerprint in entry.record.fingerprints() {
            // A renewal has put the successor in before the predecessor is taken out.
            if self.by_fingerprint.get(&fingerprint) == Some(id) {
                self.by_fingerprint.remove(&fingerprint);
            }
        }
    }

    /// Reads the certificates of all authorities anew; they change rarely.
    fn read_authorities(&mut self, store: &Store) -> Result<(), Error> {
        let mut own = Vec::new();
        for record in authority::list(store)? {
            if let Some(der) = &record.certificate {
                own.push((record.key_id, Certificate::from_der(der)?));
            }
        }
        let imported = self
            .imported
            .iter()
            .map(|(key, authority)| Ok((*key, authority.record.certificate()?)))
            .collect::<Result<Vec<_>, Error>>()?;
        self.authorities = Arc::new(Authorities { generation: self.seen, own, imported });
        Ok(())
    }
}

/// The tree of a key, if its records matter here.
fn tree_of(key: &Key) -> Option<&'static str> {
    let bytes = key.as_bytes();
    let tree = &bytes[..bytes.iter().position(|&b| b == b'/')?];
    let mut known = TREES.into_iter().chain([AuthorityRecord::TREE]);
    known.find(|known| known.as_bytes() == tree)
}

fn id(key: &Key) -> Result<Id, Error> {
    Id::from_key(key).ok_or_else(|| Error::StrayRecord { key: key.clone() })
}

fn text(key: &Key) -> Option<String> {
    String::from_utf8(key.last_part()?).ok()
}

fn digest(key: &Key) -> Result<KeyDigest, Error> {
    text(key).and_then(|text| text.parse().ok()).ok_or_else(|| Error::StrayRecord { key: key.clone() })
}

fn project(key: &Key) -> Result<ProjectName, Error> {
    text(key).and_then(|text| text.parse().ok()).ok_or_else(|| Error::StrayRecord { key: key.clone() })
}

fn group(key: &Key) -> Result<GroupName, Error> {
    text(key).and_then(|text| text.parse().ok()).ok_or_else(|| Error::StrayRecord { key: key.clone() })
}

#[cfg(test)]
mod tests;
