//! Publishes the lists: makes those that are wanted, and puts them where others read them.
//!
//! Whoever revokes asks afterwards for the list; all who ask while lists are being made share the
//! next ones ([`Flight`]). A failure undoes nothing: the revocation stands and is enforced here, and
//! whoever asked is told what the lists lack. What was not placed is due at the next occasion.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Builder;

use ca::authority;
use ca::cert::KeyId;
use ca::issuer::Issuer;
use ca::keyring::Keyring;
use ca::records::{AuthorityRecord, KeyPlace};
use store::file::{Others, Pace};
use store::spread::both;
use store::{Store, Table};
use time::OffsetDateTime;

use crate::build::{self, ListTerms, SignedList, signed_list};
use crate::copies::Known;
use crate::files::{Files, Stamp, number_of, tbs_digest};
use crate::kept::{InForce, Kept};
use crate::publication::{Publication, Published, Validity, Which};
use crate::revoke::ReleaseMark;
use crate::{CrlNumber, Error, Flight, ListRecord, Placed, RevokedSet, Standing};

/// A list of more entries than this takes long enough for others to feel it.
const LARGE: usize = 50_000;
/// How much such a list gives way: a tenth of the processor is left to it where somebody else wants all.
const NICE: i32 = 10;

#[derive(Default)]
struct Wanted {
    issuers: BTreeSet<KeyId>,
    for_a_year: BTreeSet<KeyId>,
}

/// Publishes the lists of one PKI into its directory.
pub struct Publisher {
    store: Store,
    keyring: Arc<Keyring>,
    revoked: RevokedSet,
    pub(crate) files: Files,
    flight: Flight<Wanted, Publication>,
    /// Digests of the lists known to be in place.
    pub(crate) placed: Mutex<BTreeMap<KeyId, ([u8; 32], Stamp)>>,
    /// Files that were found right or were placed here: what they were then, and the lists they hold.
    pub(crate) known: Mutex<BTreeMap<PathBuf, Known>>,
    /// Files whose placing failed: they may hold the newest list already, but not durably.
    pub(crate) unsynced: Mutex<BTreeSet<PathBuf>>,
    /// Held while files are put together and placed, so that none is made from what is being replaced.
    pub(crate) placing: Mutex<()>,
    /// Authorities whose keys are open although they are not kept here.
    lent: Mutex<BTreeMap<KeyId, Issuer>>,
    in_force: InForce,
}

impl Publisher {
    /// A publisher into `directory`; the keys are asked for when they are needed.
    pub fn new(
        directory: impl Into<PathBuf>,
        store: Store,
        keyring: Arc<Keyring>,
        revoked: RevokedSet,
    ) -> Publisher {
        let files = Files::new(directory.into());
        let (flight, placed, placing) = (Flight::default(), Mutex::default(), Mutex::default());
        Publisher {
            store,
            keyring,
            revoked,
            files,
            flight,
            placed,
            known: Mutex::default(),
            unsynced: Mutex::default(),
            placing,
            lent: Mutex::default(),
            in_force: InForce::default(),
        }
    }

    /// Lends an authority whose key the keyring doesn't find: the root of a new PKI signs its first
    /// list before its key goes elsewhere.
    pub fn lend(&self, issuer: Issuer) {
        let key_id = issuer.certificate().key_id();
        self.lent.lock().unwrap_or_else(PoisonError::into_inner).insert(key_id, issuer);
    }

    /// Takes back what was lent.
    pub fn take_back(&self, issuer: &KeyId) {
        self.lent.lock().unwrap_or_else(PoisonError::into_inner).remove(issuer);
    }

    fn lent(&self, issuer: &KeyId) -> Option<Issuer> {
        self.lent.lock().unwrap_or_else(PoisonError::into_inner).get(issuer).cloned()
    }

    /// Makes and places lists, and returns when they are in place or have failed. Everything that
    /// was durable before the call is in them. Blocks.
    ///
    /// # Errors
    /// Only if it can't be told which lists are wanted; what fails later is in [`Publication`].
    pub fn publish(
        &self,
        which: &Which,
        validity: Validity,
        now: OffsetDateTime,
    ) -> Result<Arc<Publication>, Error> {
        self.publish_beside(which, validity, now, &|| {})
    }

    /// [`Publisher::publish`], with work that is done once the lists have been signed, while they are placed.
    /// Of those who share lists it is the work of the one that makes them.
    ///
    /// # Errors
    /// As [`Publisher::publish`].
    pub fn publish_beside(
        &self,
        which: &Which,
        validity: Validity,
        now: OffsetDateTime,
        work: &(dyn Fn() + Sync),
    ) -> Result<Arc<Publication>, Error> {
        let wanted = self.wanted(which, now)?;
        if wanted.issuers.is_empty() {
            return Ok(Arc::default());
        }
        let add = |all: &mut Wanted| {
            all.issuers.extend(&wanted.issuers);
            all.for_a_year.extend(&wanted.for_a_year);
        };
        Ok(self.flight.share(add, |all| self.build_aside(&all, validity, now, work)))
    }

    /// A large list is made by a thread that gives way to whoever issues meanwhile.
    fn build_aside(
        &self,
        wanted: &Wanted,
        validity: Validity,
        now: OffsetDateTime,
        work: &(dyn Fn() + Sync),
    ) -> Publication {
        let is_large = |issuer| self.revoked.count(issuer).is_ok_and(|count| count > LARGE);
        if !wanted.issuers.iter().any(is_large) {
            return self.build(wanted, validity, now, work);
        }
        let humbly = || {
            // Of this thread alone, and of those that it starts. If it is denied, the list is made all the same.
            let _ = rustix::process::nice(NICE);
            self.build(wanted, validity, now, work)
        };
        std::thread::scope(|scope| {
            match Builder::new().name("lists".to_owned()).spawn_scoped(scope, humbly) {
                Ok(builder) => builder.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                Err(_) => self.build(wanted, validity, now, work),
            }
        })
    }

    fn wanted(&self, which: &Which, now: OffsetDateTime) -> Result<Wanted, Error> {
        let mut wanted = Wanted::default();
        if let Which::Of(issuers) = which {
            wanted.issuers.clone_from(issuers);
            return Ok(wanted);
        }
        let kept = self.kept(now)?;
        for authority in kept.iter() {
            let elsewhere = matches!(authority.key, KeyPlace::Elsewhere { .. });
            let here = !elsewhere || self.lent(&authority.key_id).is_some();
            let want = match which {
                Which::All => here,
                Which::Issuing => here && (authority.key_id == kept.issuing || !authority.role.is_root()),
                Which::Due => here && self.is_due(&authority.key_id, now)?,
                Which::RootBeforeItLeaves => authority.role.is_root(),
                Which::Of(_) => false,
            };
            if want {
                wanted.issuers.insert(authority.key_id);
            }
        }
        if *which == Which::RootBeforeItLeaves {
            wanted.for_a_year.clone_from(&wanted.issuers);
        }
        Ok(wanted)
    }

    /// Whether an authority's list is past half of its time, lacks a change, or is not in place.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::StrayRecord`].
    pub fn is_due(&self, issuer: &KeyId, now: OffsetDateTime) -> Result<bool, Error> {
        let Some(last) = build::last(&self.store, issuer)? else { return Ok(true) };
        let last = last.record;
        Ok(matches!(last.standing(now), Standing::Due | Standing::Expired)
            || last.is_from_the_future(now)
            || self.lacks_change(issuer)?
            || self.is_placed(issuer, &last) == Placed::No)
    }

    /// Whether something was revoked or released since an authority's last list was made. For a key that
    /// is elsewhere that is the question: half of the list's time is no reason to fetch it.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::StrayRecord`].
    pub fn lacks_change(&self, issuer: &KeyId) -> Result<bool, Error> {
        let changed = self.revoked.snapshot(issuer)?.list().changed().0;
        let released = Table::<ReleaseMark>::get(&self.store, issuer.to_string())?;
        let changed = changed.max(released.map_or(0, |mark| mark.version.0.0));
        let through = build::last(&self.store, issuer)?.map_or(0, |last| last.record.built.through);
        Ok(changed > through)
    }

    /// The lists as they stand, current issuing CA first, root last; those never published are left out.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Authorities`].
    pub fn lists(&self, now: OffsetDateTime) -> Result<Vec<Published>, Error> {
        let mut lists = Vec::new();
        for authority in self.kept(now)?.iter() {
            lists.extend(self.list_of(&authority.key_id)?);
        }
        Ok(lists)
    }

    /// An authority's list as it stands; `None` if it was never published, or is not in the directory.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn list_of(&self, issuer: &KeyId) -> Result<Option<Published>, Error> {
        let Some(size) = self.files.own_size(issuer) else { return Ok(None) };
        Ok(build::last(&self.store, issuer)?.map(|last| Published::new(*issuer, &last.record, size)))
    }

    pub(crate) fn kept(&self, now: OffsetDateTime) -> Result<Kept, Error> {
        Kept::load(&self.store, &self.revoked, &self.in_force, now)
    }

    pub(crate) fn is_placed(&self, issuer: &KeyId, last: &ListRecord) -> Placed {
        let known = self.placed.lock().unwrap_or_else(PoisonError::into_inner).get(issuer).copied();
        let stamp = self.files.stamp(&Files::own_name(issuer));
        let found = match known.filter(|(_, then)| stamp == Some(*then)) {
            Some((digest, _)) => Some(digest),
            // What can't be read is not in place: the list is made again.
            None => self.files.own(issuer).ok().flatten().and_then(|der| tbs_digest(&der)),
        };
        if let (Some(digest), Some(stamp)) = (found, stamp) {
            let mut placed = self.placed.lock().unwrap_or_else(PoisonError::into_inner);
            placed.insert(*issuer, (digest, stamp));
        }
        if found == Some(last.digest) { Placed::Yes } else { Placed::No }
    }

    /// The number of the list in place, if it is one by this authority's key.
    pub(crate) fn number_in_place(&self, authority: &AuthorityRecord) -> Option<CrlNumber> {
        let der = self.files.own(&authority.key_id).ok().flatten()?;
        let certificate = build::certificate_of(authority).ok()?;
        number_of(&der, certificate.public_key())
    }

    fn build(
        &self,
        wanted: &Wanted,
        validity: Validity,
        now: OffsetDateTime,
        work: &(dyn Fn() + Sync),
    ) -> Publication {
        let mut publication = Publication::default();
        let kept = match self.kept(now) {
            Ok(kept) => kept,
            Err(error) => {
                publication.failures.push((None, error));
                return publication;
            }
        };
        let before = self.store.head();
        let mut signed = BTreeMap::new();
        for issuer in &wanted.issuers {
            match self.sign(issuer, &kept, wanted, validity, now) {
                Ok(Some(list)) => {
                    signed.insert(*issuer, list);
                }
                Ok(None) => {}
                Err(error) => publication.failures.push((Some(*issuer), error)),
            }
        }
        if signed.is_empty() {
            return publication;
        }
        // Each list claimed its number by a commit; every other one is somebody's who waits for the disk.
        let ours = before.0 + signed.len() as u64;
        let others = || if self.store.head().0 > ours { Others::Waiting } else { Others::None };
        let pace = Pace::GivingWay(&others);
        both(work, || self.place(&kept, signed, pace, &mut publication));
        publication
    }

    /// Signs an authority's next list; `None` if it is one of ours that owes no more: past its own end, or
    /// of an earlier generation with nothing left to say. A revocation there is no reason to complain.
    fn sign(
        &self,
        issuer: &KeyId,
        kept: &Kept,
        wanted: &Wanted,
        validity: Validity,
        now: OffsetDateTime,
    ) -> Result<Option<SignedList>, Error> {
        let Some(authority) = kept.find(issuer) else {
            return match authority::find(&self.store, issuer).map_err(Error::Authorities)? {
                Some(_) => Ok(None),
                None => Err(Error::UnknownAuthority { issuer: *issuer }),
            };
        };
        let validity =
            if wanted.for_a_year.contains(issuer) { validity.root } else { validity.of(authority) };
        let is_placed = |last: &ListRecord| self.is_placed(issuer, last);
        let floor = || self.number_in_place(authority);
        let terms = ListTerms { validity, now, is_placed: &is_placed, number_in_place: &floor };
        // First of all the key: without it no number is used up.
        let signer = match self.lent(issuer) {
            Some(signer) => signer,
            None => {
                let refuse = |source| Error::Keyring { issuer: *issuer, source };
                self.keyring.issuer(authority).map_err(refuse)?
            }
        };
        signed_list(&self.store, &signer, &self.revoked, &terms).map(Some)
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn revoked(&self) -> &RevokedSet {
        &self.revoked
    }
}
