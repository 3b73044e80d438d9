//! Revoking and releasing: read, decide, commit. What returns from here is durable and in force.
//!
//! Nothing is signed here, and no list is written: that follows, and may fail without undoing this.
//! All are decided before the first is written, so that one refusal leaves everything as it was.
//!
//! A compromised key is blocked in the batch that revokes its certificate, and every other certificate
//! of that key is revoked with it: those past their end too, for the clock may be ahead.

use std::collections::{BTreeMap, BTreeSet};

use ca::blocked::{self, BlockedKey};
use ca::cert::{Certificate, KeyId, Serial};
use ca::inventory;
use ca::records::IssuedRecord;
use minicbor::{Decode, Encode};
use store::spread::{cores, spread};
use store::{Batch, Class, Format, Key, Record, Store, Table, Version, again};
use time::OffsetDateTime;

use crate::{Decision, Error, Request, Revocation};

/// Revocations that one batch carries at most: a megabyte of journal.
const BATCH: usize = 10_000;
/// The same where certificates are recorded along with their revocation.
const RECORDED_BATCH: usize = 250;
/// Serials that the audit line spells out.
const NAMED: usize = 10;
/// From so many on they are decided on every core.
const MANY: usize = 1_000;

/// A certificate that is to be revoked or released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The authority that signed it.
    pub issuer: KeyId,
    /// Its serial number.
    pub serial: Serial,
    /// Its last second.
    pub not_after: OffsetDateTime,
    /// SHA-256 of its SubjectPublicKeyInfo; `None` if only an old index knows the certificate.
    pub key: Option<[u8; 32]>,
}

impl Target {
    /// A certificate that `authority` signed, whether or not the inventory knows it.
    ///
    /// # Errors
    /// [`Error::NotOurs`] if the authority's key did not sign it.
    pub fn signed_by(certificate: &Certificate, authority: &Certificate) -> Result<Target, Error> {
        let serial = certificate.serial();
        certificate.verify_signed_by(authority).map_err(|source| Error::NotOurs { serial, source })?;
        Ok(Target {
            issuer: authority.key_id(),
            serial,
            not_after: certificate.not_after(),
            key: Some(certificate.public_key().digest()),
        })
    }
}

impl From<&IssuedRecord> for Target {
    fn from(record: &IssuedRecord) -> Target {
        Target { issuer: record.issuer, serial: record.serial, not_after: record.ends(), key: record.key }
    }
}

/// What became of one certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// The certificate.
    pub target: Target,
    /// Its revocation as it now stands.
    pub revocation: Revocation,
    /// Whether this request made it so.
    pub outcome: Outcome,
}

/// Whether a request changed anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was revoked before, and stays as it was.
    Already,
    /// It was revoked before, and its reason has changed.
    Changed,
    /// It is revoked by this request.
    New,
}

/// The record `crl-released/KEYID`: its version tells when a hold was last lifted, which leaves no
/// other trace for whoever decides whether a list is out of date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct ReleaseMark {
    #[n(0)]
    pub(crate) at: i64,
}

impl Record for ReleaseMark {
    const TREE: &'static str = "crl-released";
    const FORMAT: Format = 1;
}

/// Revokes certificates; returns each once, when all is durable: those asked for in the order of
/// issuer and serial, then those that share a compromised key with one of them.
///
/// A certificate that is revoked already is no error. Many go into few batches; if the store fails
/// between two of them, those of the first are revoked, and the same call again does the rest.
///
/// # Errors
/// [`Error::Refused`] (then nothing was written), [`Error::Store`], [`Error::Contended`].
pub fn revoke(
    store: &Store,
    targets: &[Target],
    request: &Request,
    who: &str,
) -> Result<Vec<Revoked>, Error> {
    revoke_found(store, targets, &BTreeMap::new(), request, who)
}

/// [`revoke`], for certificates of which some may be unknown to the inventory: their records in `found`
/// join the batch that revokes them, so that nothing is revoked that can't be listed or released.
///
/// # Errors
/// As [`revoke`].
pub fn revoke_found(
    store: &Store,
    targets: &[Target],
    found: &BTreeMap<Serial, IssuedRecord>,
    request: &Request,
    who: &str,
) -> Result<Vec<Revoked>, Error> {
    let size = if found.is_empty() { BATCH } else { RECORDED_BATCH };
    let mut done: Vec<Revoked> = Vec::with_capacity(targets.len());
    let mut next = planned(store, targets, request)?;
    // A certificate may be issued for the key until the key is blocked: look again after that.
    while !next.is_empty() {
        for some in next.chunks(size) {
            done.extend(commit_decided(store, some, found, request, who)?);
        }
        next = decide_all(store, &siblings(store, &done, request)?, request)?;
    }
    Ok(done)
}

/// What [`revoke`] would do, without doing it.
///
/// # Errors
/// As [`revoke`].
pub fn plan(store: &Store, targets: &[Target], request: &Request) -> Result<Vec<Revoked>, Error> {
    Ok(planned(store, targets, request)?.into_iter().map(|(_, revoked)| revoked).collect())
}

/// What was decided of a certificate, and the version of its revocation that this rests on.
type Decided = (Option<Version>, Revoked);

fn planned(store: &Store, targets: &[Target], request: &Request) -> Result<Vec<Decided>, Error> {
    let unique: BTreeMap<(KeyId, Serial), Target> =
        targets.iter().map(|target| ((target.issuer, target.serial), *target)).collect();
    let unique: Vec<Target> = unique.into_values().collect();
    let mut planned = decide_all(store, &unique, request)?;
    let revoked: Vec<Revoked> = planned.iter().map(|(_, revoked)| *revoked).collect();
    planned.extend(decide_all(store, &siblings(store, &revoked, request)?, request)?);
    Ok(planned)
}

/// Decides each, on every core where there are many: a decision is a look into the index.
fn decide_all(store: &Store, targets: &[Target], request: &Request) -> Result<Vec<Decided>, Error> {
    let threads = if targets.len() < MANY { 1 } else { cores() };
    spread(targets.iter().collect(), threads, |target| decide(store, target, request)).into_iter().collect()
}

/// Commits what was decided. The batch names the versions that this rests on: only if others have changed
/// one of them since is it decided anew.
fn commit_decided(
    store: &Store,
    decided: &[Decided],
    found: &BTreeMap<Serial, IssuedRecord>,
    request: &Request,
    who: &str,
) -> Result<Vec<Revoked>, Error> {
    match revoke_batch(store, decided, found, request, who) {
        Err(Error::Store(store::Error::Conflict { .. })) => {}
        outcome => return outcome,
    }
    let targets: Vec<Target> = decided.iter().map(|(_, revoked)| revoked.target).collect();
    again(|| revoke_batch(store, &decide_all(store, &targets, request)?, found, request, who))
}

/// Adds the revocation of one certificate to a batch that does more: that of an authority, whose
/// record changes with it. Nothing is written until the batch is committed.
///
/// # Errors
/// [`Error::Refused`], [`Error::Store`].
pub fn revoke_into(
    store: &Store,
    batch: &mut Batch,
    target: &Target,
    request: &Request,
) -> Result<Revoked, Error> {
    let (version, revoked) = decide(store, target, request)?;
    batch.urgent();
    add(batch, version, &revoked);
    if request.reason.is_compromise() {
        block_keys(store, batch, std::slice::from_ref(target))?;
    }
    Ok(revoked)
}

/// Adds a decided revocation to a batch; one that stands already only has to stay as it was read.
fn add(batch: &mut Batch, version: Option<Version>, revoked: &Revoked) {
    let key = Revocation::key(&revoked.target.issuer, &revoked.target.serial);
    batch.expect(key.clone(), version);
    if revoked.outcome != Outcome::Already {
        batch.put(key, Table::encode(&revoked.revocation));
    }
}

/// The other certificates of the keys that a compromise takes from `revoked`, as far as they are not
/// revoked as compromised already. Past their end or not: that is the clock's word, and when a clock
/// that was ahead is put right they would be valid again, with a key that others have.
fn siblings(store: &Store, revoked: &[Revoked], request: &Request) -> Result<Vec<Target>, Error> {
    if !request.reason.is_compromise() {
        return Ok(Vec::new());
    }
    let known: BTreeSet<(KeyId, Serial)> =
        revoked.iter().map(|revoked| (revoked.target.issuer, revoked.target.serial)).collect();
    let keys: BTreeSet<[u8; 32]> = revoked.iter().filter_map(|revoked| revoked.target.key).collect();
    let mut found = Vec::new();
    for key in keys {
        for issued in inventory::by_key(store, &key).map_err(Error::Authorities)? {
            let record = issued.record;
            let target = Target::from(&record);
            let other = !known.contains(&(target.issuer, target.serial));
            let compromised =
                read(store, &target)?.is_some_and(|(_, recorded)| recorded.reason.is_compromise());
            if other && !compromised {
                found.push(target);
            }
        }
    }
    Ok(found)
}

fn revoke_batch(
    store: &Store,
    decided: &[Decided],
    found: &BTreeMap<Serial, IssuedRecord>,
    request: &Request,
    who: &str,
) -> Result<Vec<Revoked>, Error> {
    let targets: Vec<Target> = decided.iter().map(|(_, revoked)| revoked.target).collect();
    let changes: Vec<&Decided> =
        decided.iter().filter(|(_, revoked)| revoked.outcome != Outcome::Already).collect();
    let serials: Vec<String> =
        changes.iter().take(NAMED).map(|(_, revoked)| revoked.target.serial.to_string()).collect();
    let more = match changes.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let what = format!("revoke reason={} serial={}{more}", request.reason, serials.join(","));
    let mut batch = Batch::new(Class::Ledger, request.now.unix_timestamp(), who, what);
    // A full disk must not keep anyone from being locked out.
    batch.urgent();
    for (version, revoked) in changes {
        add(&mut batch, *version, revoked);
    }
    // What was revoked before it could be recorded is recorded now.
    for record in targets.iter().filter_map(|target| found.get(&target.serial)) {
        record_found(store, &mut batch, record)?;
    }
    if request.reason.is_compromise() {
        block_keys(store, &mut batch, &targets)?;
    }
    if !batch.writes.is_empty() {
        store.commit(batch)?;
    }
    Ok(decided.iter().map(|(_, revoked)| *revoked).collect())
}

/// Records a certificate unless the inventory has one of its serial.
fn record_found(store: &Store, batch: &mut Batch, record: &IssuedRecord) -> Result<(), Error> {
    let key = Table::<IssuedRecord>::key(record.serial.to_string());
    if store.get(&key)?.is_none() {
        batch.expect_absent(key);
        record.put(batch);
    }
    Ok(())
}

/// Blocks the keys of `targets` that are not blocked yet.
fn block_keys(store: &Store, batch: &mut Batch, targets: &[Target]) -> Result<(), Error> {
    let keys: BTreeMap<[u8; 32], Serial> =
        targets.iter().filter_map(|target| Some((target.key?, target.serial))).collect();
    for (digest, serial) in keys {
        let key = blocked::key(&digest);
        if store.get(&key)?.is_none() {
            batch.expect_absent(key);
            let record = BlockedKey { since: batch.time, serial, who: batch.who.clone() };
            blocked::block(batch, &digest, &record);
        }
    }
    Ok(())
}

fn decide(store: &Store, target: &Target, request: &Request) -> Result<Decided, Error> {
    let read = read(store, target)?;
    let version = read.map(|(version, _)| version);
    let recorded = read.map(|(_, record)| record);
    let (revocation, outcome) = match Revocation::decide(recorded, target.serial, target.not_after, request)?
    {
        Decision::Already(revocation) => (revocation, Outcome::Already),
        Decision::Write(revocation) if recorded.is_some() => (revocation, Outcome::Changed),
        Decision::Write(revocation) => (revocation, Outcome::New),
    };
    Ok((version, Revoked { target: *target, revocation, outcome }))
}

fn read(store: &Store, target: &Target) -> Result<Option<(Version, Revocation)>, Error> {
    let key: Key = Revocation::key(&target.issuer, &target.serial);
    let Some(stored) = store.get(&key)? else { return Ok(None) };
    let read = Table::<Revocation>::decode(stored)?;
    Ok(Some((read.version, read.record)))
}

/// Lifts a certificateHold; returns the revocation that ended.
///
/// # Errors
/// [`Error::Refused`] if it is not on hold, [`Error::Store`], [`Error::Contended`].
pub fn release(store: &Store, target: &Target, now: OffsetDateTime, who: &str) -> Result<Revocation, Error> {
    again(|| {
        let read = read(store, target)?;
        Revocation::decide_release(read.map(|(_, record)| record), target.serial)?;
        let Some((version, held)) = read else {
            return Err(crate::Refusal::NotRevoked { serial: target.serial }.into());
        };
        let what = format!("release serial={}", target.serial);
        let mut batch = Batch::new(Class::Ledger, now.unix_timestamp(), who, what);
        let key = Revocation::key(&target.issuer, &target.serial);
        batch.expect_unchanged(key.clone(), version);
        batch.delete(key);
        Table::put(&mut batch, target.issuer.to_string(), &ReleaseMark { at: now.unix_timestamp() });
        store.commit(batch)?;
        Ok(held)
    })
}
