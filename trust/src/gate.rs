//! The gate: looks up what a decision rests on, and asks for it.
//!
//! [`Gate::admit`] is what a listener calls for every request: a few lookups in memory and
//! [`decide`]. Signatures are checked when a certificate is first shown, again a minute later, and when
//! authorities have changed; lists when they are loaded. What it can't look up it does not let in.

mod lately;
mod lists;
mod renewer;

use std::collections::HashMap;
use std::sync::{Arc, RwLockReadGuard};

use ca::cert::Certificate;
use ca::inventory;
use ca::records::{Reach, RestsOn};
use crl::{ParsedList, Revocation, RevokedSet};
use store::{Store, Versioned, again};
use time::OffsetDateTime;

use crate::admitted::Admitted;
use crate::authority::{Authority, Demand, Link, ListMemory, LoadedList, word};
use crate::change::{Lifting, Vetted};
use crate::decide::{Case, Grant, Imported, Refusal, Way, Who, Word, decide, vet};
use crate::entry::{Denial, Entry, Id, KeyDigest};
use crate::error::Error;
use crate::group;
use crate::local::user_id;
use crate::peer::Peer;
use crate::person::Person;
use crate::presented::{Evidence, Holder, Issued, LocalUser, Presented};
use crate::rights::{ProjectName, Scope};
use crate::role::Permissions;
use crate::set::{State, TrustSet};
use crate::settings::Settings;

use lately::Lately;
use lists::Lists;

pub use renewer::Renewer;

/// Decides who comes in. Cheap to clone: every clone is the same gate.
#[derive(Clone)]
pub struct Gate {
    store: Store,
    set: TrustSet,
    revoked: RevokedSet,
    lists: Lists,
    lately: Lately,
    owner: u32,
}

impl Gate {
    /// A gate over what `store` holds; `owner` is the user who owns the directory.
    ///
    /// # Errors
    /// [`Error::Store`] and others if what is trusted can't be read.
    pub fn open(store: Store, revoked: RevokedSet, owner: u32) -> Result<Gate, Error> {
        let set = TrustSet::open(store.clone())?;
        Ok(Gate { store, set, revoked, lists: Lists::default(), lately: Lately::default(), owner })
    }

    /// What is trusted.
    pub fn set(&self) -> &TrustSet {
        &self.set
    }

    /// Where it is kept.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Decides whether a peer is let in, by all that is durable now.
    ///
    /// # Errors
    /// [`Error::Refused`] if it is not; anything else if that can't be known, which lets nobody in.
    pub fn admit(
        &self,
        presented: &Presented,
        settings: &Settings,
        now: OffsetDateTime,
    ) -> Result<Admitted, Error> {
        match presented {
            Presented::InProcess => Ok(Admitted::in_process()),
            Presented::Nobody => Err(Refusal::Nobody.into()),
            Presented::Local(user) => self.admit_user(user, settings, now),
            Presented::Certificate(holder) => self.admit_holder(holder, settings, now),
            Presented::Person(person) => self.admit_person(person, settings, now),
        }
    }

    /// The same, for whoever needs no permit: what it rests on is not gathered.
    ///
    /// # Errors
    /// As [`Gate::admit`].
    pub fn judge(
        &self,
        presented: &Presented,
        settings: &Settings,
        now: OffsetDateTime,
    ) -> Result<(), Error> {
        match presented {
            Presented::Certificate(holder) => {
                self.with_case(holder, settings, now, |case, _, _| Ok(decide(case, now).map(drop)?))
            }
            Presented::InProcess | Presented::Local(_) | Presented::Nobody | Presented::Person(_) => {
                self.admit(presented, settings, now).map(drop)
            }
        }
    }

    fn admit_user(
        &self,
        user: &LocalUser,
        settings: &Settings,
        now: OffsetDateTime,
    ) -> Result<Admitted, Error> {
        let peer = Peer::Local { uid: user.uid, name: user.name.clone() };
        let case = Case {
            who: Who::Local(user),
            entry: None,
            denial: None,
            permissions: Permissions::new(),
            ours: Word::Nothing,
            imported: Word::Nothing,
            failure: None,
            authorities: Imported::None,
            settings: *settings,
            owner: self.owner,
        };
        // Whoever needs no record is let in without reading any: a damaged one locks nobody out for good.
        if let Ok(grant @ Grant { way: Way::Owner, .. }) = decide(&case, now) {
            return Ok(Admitted::new(peer, grant, RestsOn::nothing()));
        }
        let state = self.set.now()?;
        let id = user_id(user);
        let (entry, denial) = (state.entry(&id), state.denial(&id));
        let case = Case { entry: entry.map(AsRef::as_ref), denial: denial.map(AsRef::as_ref), ..case };
        let grant = decide(&case, now)?;
        let rests_on = match grant.way {
            Way::Owner => RestsOn::nothing(),
            Way::Entry(_) | Way::Imported | Way::Ours | Way::Provider => RestsOn::nothing()
                .and(Entry::key(&id), entry.map(|entry| entry.version))
                .and(Denial::key(&id), None),
        };
        Ok(Admitted::new(peer, grant, rests_on))
    }

    fn admit_person(
        &self,
        person: &Person,
        settings: &Settings,
        now: OffsetDateTime,
    ) -> Result<Admitted, Error> {
        let state = self.set.now()?;
        let (permissions, rests_on) = group::permitted(&state, person);
        let denial = person.names().find_map(|id| state.denial(&Id::Person(id)));
        let case = Case {
            who: Who::Person(person),
            entry: None,
            denial: denial.map(AsRef::as_ref),
            permissions,
            ours: Word::Nothing,
            imported: Word::Nothing,
            failure: None,
            authorities: Imported::None,
            settings: *settings,
            owner: self.owner,
        };
        let grant = decide(&case, now)?;
        let peer = Peer::Person { name: ca::cert::printable(person.name()) };
        Ok(Admitted::new(peer, grant, rests_on))
    }

    fn admit_holder(
        &self,
        holder: &Holder,
        settings: &Settings,
        now: OffsetDateTime,
    ) -> Result<Admitted, Error> {
        self.with_case(holder, settings, now, |case, state, evidence| {
            let grant = decide(case, now)?;
            let name = case.entry.map(|entry| entry.record.name.to_string());
            let name = name.or_else(|| holder.certificate().common_name().map(ca::cert::printable));
            let peer = Peer::Certificate { fingerprint: *holder.fingerprint(), name, from: holder.from() };
            Ok(Admitted::new(peer, grant, rests_on(holder, case, state, evidence)))
        })
    }

    /// Whether a certificate is acceptable, entry or not: asked before a token, the passphrase, a file or
    /// an administrator adds it. The answer holds as long as the records it names are unchanged.
    ///
    /// # Errors
    /// [`Error::Refused`] if it is not; anything else if that can't be known.
    pub fn vet(&self, holder: &Holder, settings: &Settings, now: OffsetDateTime) -> Result<Vetted, Error> {
        self.with_case(holder, settings, now, |case, state, evidence| {
            vet(case, holder.certificate(), now)?;
            let rests_on = rests_on(holder, &Case { entry: None, ..case.clone() }, state, evidence);
            Ok(Vetted { rests_on, lifting: Lifting::NoDenial })
        })
    }

    /// As [`Gate::vet`], but a denial is no obstacle: for `pki trust add`, which lifts it.
    ///
    /// # Errors
    /// As [`Gate::vet`].
    pub fn vet_again(
        &self,
        holder: &Holder,
        settings: &Settings,
        now: OffsetDateTime,
    ) -> Result<Vetted, Error> {
        self.with_case(holder, settings, now, |case, state, evidence| {
            let lifted = Case { denial: None, ..case.clone() };
            vet(&lifted, holder.certificate(), now)?;
            let rests_on = rests_on(holder, &Case { entry: None, ..case.clone() }, state, evidence);
            Ok(Vetted { rests_on, lifting: Lifting::Denials })
        })
    }

    fn with_case<T>(
        &self,
        holder: &Holder,
        settings: &Settings,
        now: OffsetDateTime,
        then: impl FnOnce(&Case<'_>, &State, &Evidence) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let (state, evidence) = self.examined(holder, now)?;
        let case = Case {
            who: Who::Certificate(holder.certificate()),
            entry: state.entry_of(holder.fingerprint()).map(AsRef::as_ref),
            denial: state.denial_of(holder.fingerprint(), holder.key()).map(AsRef::as_ref),
            permissions: Permissions::new(),
            ours: self.ours(holder, &evidence, now)?,
            failure: evidence.failure.as_ref(),
            imported: self.imported(&evidence, &state, settings, now),
            authorities: match state.signers().imported.is_empty() {
                true => Imported::None,
                false => Imported::Some,
            },
            settings: *settings,
            owner: self.owner,
        };
        then(&case, &state, &evidence)
    }

    /// What is trusted now, and the evidence under just these authorities.
    fn examined(
        &self,
        holder: &Holder,
        now: OffsetDateTime,
    ) -> Result<(RwLockReadGuard<'_, State>, Arc<Evidence>), Error> {
        loop {
            let state = self.set.now()?;
            let generation = state.signers().generation;
            if let Some(evidence) = holder.evidence(generation) {
                return Ok((state, evidence));
            }
            if let Some(evidence) = self.lately.find(holder, generation, now) {
                return Ok((state, holder.keep(evidence)));
            }
            // Signatures are checked while others may change what is trusted; then it is looked at again.
            let signers = state.signers().clone();
            drop(state);
            let evidence = holder.keep(Arc::new(holder.examine(&signers, self.issued(holder)?, now)));
            self.lately.keep(holder, &evidence, now);
        }
    }

    /// What the inventory says of a certificate.
    fn issued(&self, holder: &Holder) -> Result<Option<Issued>, Error> {
        let found = inventory::by_fingerprint(&self.store, holder.fingerprint())?;
        Ok(found.map(|found| Issued {
            issuer: found.record.issuer,
            serial: found.record.serial,
            project: found.record.project.parse::<ProjectName>().ok(),
            reach: found.record.reach,
        }))
    }

    fn ours(&self, holder: &Holder, evidence: &Evidence, now: OffsetDateTime) -> Result<Word, Error> {
        let path = evidence.ours.as_ref();
        let leaf = evidence.issued.as_ref().map(|issued| (issued.issuer, issued.serial));
        for (issuer, serial) in path.iter().flat_map(|path| &path.links).copied().chain(leaf) {
            if self.revoked.find(&issuer, &serial)?.is_some() {
                return Ok(Word::Refused(Refusal::Revoked { serial }));
            }
        }
        Ok(match (path, &evidence.issued) {
            (None, _) => Word::Nothing,
            (Some(_), None) => {
                Word::Refused(Refusal::UnknownSerial { serial: holder.certificate().serial() })
            }
            (Some(path), Some(_)) if !path.is_in_date(now) => Word::Nothing,
            (Some(_), Some(issued)) => Word::Good(worth(issued)),
        })
    }

    /// The evidence was gathered under the authorities as they are now: the one at its end is one of them.
    fn imported(&self, evidence: &Evidence, state: &State, settings: &Settings, now: OffsetDateTime) -> Word {
        let Some(path) = evidence.imported.as_ref().filter(|path| path.is_in_date(now)) else {
            return Word::Nothing;
        };
        word(&path.links, &self.lists.under(state), demanded(&path.links, state), settings.crl_expired, now)
    }

    /// Takes a list in: verifies it, remembers its number durably, and enforces it from then on. A list
    /// that is refused changes nothing.
    ///
    /// # Errors
    /// [`Error::List`], [`Error::Store`], [`Error::Contended`].
    pub fn load_list(
        &self,
        list: &ParsedList,
        who: &str,
        now: OffsetDateTime,
    ) -> Result<Arc<LoadedList>, Error> {
        again(|| {
            let turn = self.lists.turn();
            // A list is verified, and a large one read, while others go on being judged.
            let known: HashMap<KeyDigest, Known> = {
                let state = self.set.now()?;
                let known = state.authorities().map(|(key, authority)| {
                    Ok((
                        *key,
                        Known {
                            certificate: authority.record.certificate()?,
                            authority: (**authority).clone(),
                            memory: state.memory(key).map(|memory| (**memory).clone()),
                        },
                    ))
                });
                known.collect::<Result<_, Error>>()?
            };
            let authorities = known.iter().map(|(key, known)| (key, &known.certificate));
            let memory = |key: &KeyDigest| Some(known.get(key)?.memory.as_ref()?.record.clone());
            let loaded = LoadedList::verify(list, authorities, memory, now)?;
            let Some(Known { authority, memory, .. }) = known.get(loaded.authority()) else {
                return Err(Error::Authorities(ca::Error::NotFound { word: loaded.authority().to_string() }));
            };
            let number = loaded.remember(authority, memory.as_ref(), who, now);
            let before = memory.as_ref().map(|memory| memory.version);
            let loaded = Arc::new(loaded);
            turn.enforce(Arc::clone(&loaded), before, || match number {
                Some(batch) => self.store.commit(batch).map(drop),
                None => Ok(()),
            })?;
            Ok(loaded)
        })
    }

    /// The list of an imported authority that is enforced now.
    pub fn list(&self, authority: &KeyDigest) -> Option<Arc<LoadedList>> {
        self.lists.of(authority)
    }
}

/// An imported authority, as it was read.
struct Known {
    certificate: Certificate,
    authority: Versioned<Authority>,
    memory: Option<Versioned<ListMemory>>,
}

/// What a certificate of ours is worth without an entry: at most what whoever caused its issue could
/// reach, and everything only in the project that is everybody's.
fn worth(issued: &Issued) -> Option<Scope> {
    let project = issued.project.clone()?;
    match issued.reach? {
        Reach::Everything if project == ProjectName::default_project() => Some(Scope::Everything),
        Reach::Everything | Reach::Project => Some(Scope::project(project)),
    }
}

/// Whether every authority of a path must have a list: as soon as one of them ever had. Where no list
/// was ever loaded, none is waited for.
fn demanded(links: &[Link], state: &State) -> Demand {
    match links.iter().any(|link| state.memory(&link.issuer).is_some()) {
        true => Demand::Every,
        false => Demand::None,
    }
}

/// The records by which a certificate is let in, so that a change in between wins.
fn rests_on(holder: &Holder, case: &Case<'_>, state: &State, evidence: &Evidence) -> RestsOn {
    let (certificate, key) = (Id::Certificate(*holder.fingerprint()), Id::Key(*holder.key()));
    let version = |id: &Id| state.denial(id).map(|denial| denial.version);
    let mut rests_on = RestsOn::nothing()
        .and(Denial::key(&certificate), version(&certificate))
        .and(Denial::key(&key), version(&key));
    if let Some(entry) = case.entry {
        rests_on = rests_on.and(entry.key.clone(), Some(entry.version));
    }
    let own = evidence.ours.iter().flat_map(|path| &path.links).copied();
    for (issuer, serial) in own.chain(evidence.issued.as_ref().map(|issued| (issued.issuer, issued.serial))) {
        rests_on = rests_on.and(Revocation::key(&issuer, &serial), None);
    }
    if let Some(path) = &evidence.imported {
        let anchor = state.authority(&path.anchor).map(|authority| authority.version);
        rests_on = rests_on.and(Authority::key(&path.anchor), anchor);
        for link in &path.links {
            let memory = state.memory(&link.issuer).map(|memory| memory.version);
            rests_on = rests_on.and(ListMemory::key(&link.issuer), memory);
        }
    }
    rests_on
}

#[cfg(test)]
mod tests;
