//! What is known of every instance, and the one way to bring it up to date.
//!
//! One pass at a time for an instance, and none waits for another instance's: one that hangs keeps
//! nobody else back. Files are placed before anybody is told.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use ::haproxy::keep::{Known, Outcome, Pass, Step, Wanted, WantedCertificate, bring};
use ::haproxy::runtime::{Address, Bounds, revoked_file};
use ::haproxy::written::{DomainSpec, InstanceSpec, Way};
use ::haproxy::{FilePath, RevokedKey, placeholder, plan, render};
use ca::cert::KeyId;
use store::Sequence;
use store::file::{OnExisting, Visibility, make_dir, place, read_limited};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::{challenges, placeholders};
use crate::Pki;
use crate::http::problem;
use crate::ops::Error;
use crate::settings::{Setting, Settings};

/// The most octets of a certificate with its chain and key.
const BUNDLE: usize = 1 << 20;

/// Every instance that was ever told something by this process.
#[derive(Debug, Default)]
pub struct Fleet {
    seats: Mutex<BTreeMap<String, Arc<Seat>>>,
    revoked: Mutex<Option<Revoked>>,
    /// What the map's file holds.
    laid: Mutex<Option<(FilePath, Arc<BTreeSet<RevokedKey>>)>>,
    /// Held while the file of the challenges is written.
    challenges: Mutex<()>,
}

/// The revoked certificates as of these changes.
#[derive(Debug)]
struct Revoked {
    as_of: BTreeMap<KeyId, Sequence>,
    keys: Arc<BTreeSet<RevokedKey>>,
}

#[derive(Debug, Default)]
pub(super) struct Seat {
    known: Mutex<Known>,
    /// Held while it is told the challenges: an order does not wait for a certificate to be proved.
    pub(super) challenges: Mutex<()>,
    last: Mutex<Option<Last>>,
    reloads: AtomicU64,
}

/// What the last pass over an instance came to.
#[derive(Clone, Debug)]
pub struct Last {
    /// When it was.
    pub at: OffsetDateTime,
    /// Since when no pass has failed; `None` if the last one did.
    pub in_step_since: Option<OffsetDateTime>,
    /// HAProxy's version, if it was reached.
    pub version: Option<String>,
    /// The certificates that it serves now and did not before, and their serial numbers.
    pub installed: Vec<(String, String)>,
    /// Entries its map lacked, and had too many.
    pub changed: (usize, usize),
    /// Whether a new worker was started.
    pub reloaded: bool,
    /// How many certificates are in its map.
    pub revoked: usize,
    /// Bundles that are not on the disk yet.
    pub absent: Vec<String>,
    /// Those in whose place a placeholder lies.
    pub placeholders: Vec<String>,
    /// What failed: the step, and the causes, outermost first.
    pub failures: Vec<(Step, Vec<String>)>,
}

impl Fleet {
    /// What the last passes came to, by instance.
    pub fn last(&self) -> BTreeMap<String, Last> {
        let seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        let last = |seat: &Arc<Seat>| seat.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        seats.iter().filter_map(|(name, seat)| Some((name.clone(), last(seat)?))).collect()
    }

    /// How often an instance was reloaded by this process.
    pub fn reloads(&self, instance: &str) -> u64 {
        let seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        seats.get(instance).map_or(0, |seat| seat.reloads.load(Ordering::Relaxed))
    }

    pub(super) fn challenges(&self) -> &Mutex<()> {
        &self.challenges
    }

    pub(super) fn seat(&self, instance: &InstanceSpec) -> Arc<Seat> {
        let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(seats.entry(instance.to_string()).or_default())
    }
}

/// Brings one instance to what it should be.
pub fn pass(pki: &Pki, instance: &InstanceSpec, pass: Pass, now: OffsetDateTime) -> Result<Last, Error> {
    let settings = pki.settings()?;
    let seat = pki.fleet().seat(instance);
    let mut known = seat.known.lock().unwrap_or_else(PoisonError::into_inner);
    let begin = Instant::now();
    let before = {
        let last = seat.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().and_then(|last| last.in_step_since)
    };
    let last = match wanted(pki, &settings, now) {
        Ok(Found { wanted, absent, placeholders, mut unread }) => {
            // A disk that is full keeps nobody who is revoked in.
            unread.extend(lay(pki, &settings, &wanted, pass, now).err());
            let https = https(instance, &settings);
            let mut outcome = bring(instance, https, Bounds::STANDARD, &wanted, &mut known, pass);
            if pass == Pass::Whole && outcome.worker.is_some() {
                match super::files(pki, &settings).map(|files| challenges::tell(pki, instance, &files)) {
                    // A configuration that answers challenges in another way is nobody's fault.
                    Ok(Ok(()) | Err(::haproxy::Error::NoMap { .. })) => {}
                    Ok(Err(error)) => outcome.failures.push((Step::Challenge, error)),
                    Err(error) => unread.push(error),
                }
            }
            tell(instance, &outcome, begin);
            seat.reloads.fetch_add(u64::from(outcome.reloaded), Ordering::Relaxed);
            let revoked = wanted.map.as_ref().map_or(0, |_| wanted.revoked.len());
            Last {
                absent: absent.iter().map(ToString::to_string).collect(),
                placeholders: placeholders.iter().map(ToString::to_string).collect(),
                ..summed(outcome, revoked, &unread, before, now)
            }
        }
        // Nobody was told anything.
        Err(error) => summed(Outcome::default(), 0, &[error], None, now),
    };
    *seat.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(last.clone());
    Ok(last)
}

/// An error and what caused it, outermost first.
fn causes(error: &dyn std::error::Error) -> Vec<String> {
    std::iter::once(error.to_string()).chain(problem::causes(error)).collect()
}

fn summed(
    outcome: Outcome,
    revoked: usize,
    unread: &[Error],
    before: Option<OffsetDateTime>,
    now: OffsetDateTime,
) -> Last {
    let of_files = unread.iter().map(|error| (Step::Files, causes(error)));
    let told = outcome.failures.iter().map(|(step, error)| (*step, causes(error)));
    let failures: Vec<(Step, Vec<String>)> = of_files.chain(told).collect();
    Last {
        at: now,
        in_step_since: failures.is_empty().then(|| before.unwrap_or(now)),
        version: outcome.worker.map(|worker| worker.version),
        installed: outcome
            .installed
            .iter()
            .map(|(file, serial)| (file.to_string(), serial.to_string()))
            .collect(),
        changed: (outcome.added, outcome.removed),
        reloaded: outcome.reloaded,
        revoked,
        absent: Vec::new(),
        placeholders: Vec::new(),
        failures,
    }
}

fn tell(instance: &InstanceSpec, outcome: &Outcome, begin: Instant) {
    let took = begin.elapsed().as_micros();
    for (file, serial) in &outcome.installed {
        tracing::info!(%instance, %file, %serial, "HAProxy serves a new certificate");
    }
    if outcome.added + outcome.removed > 0 {
        let (added, removed) = (outcome.added, outcome.removed);
        tracing::info!(%instance, added, removed, took, "HAProxy was told what is revoked");
    }
    if outcome.reloaded {
        tracing::info!(%instance, "HAProxy was reloaded");
    }
}

/// Where the clients of an instance come to it.
pub(super) fn https(instance: &InstanceSpec, settings: &Settings) -> Option<std::net::SocketAddr> {
    let first = settings.haproxy_addresses(Setting::HaproxyHttpsAddress).first().copied();
    instance.https.or_else(|| {
        let mut address = first?;
        match &instance.admin {
            Address::Tcp(admin) => address.set_ip(admin.ip()),
            Address::Unix(_) if address.ip().is_unspecified() => {
                address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
            }
            Address::Unix(_) => {}
        }
        Some(address)
    })
}

/// What an instance should hold.
pub(super) struct Found {
    /// What was found.
    pub(super) wanted: Wanted,
    /// The bundles that are not there yet.
    pub(super) absent: Vec<FilePath>,
    /// Those in whose place a placeholder lies: no running HAProxy is told of it.
    pub(super) placeholders: Vec<FilePath>,
    /// Why others could not be read; they keep nothing else back.
    pub(super) unread: Vec<Error>,
}

/// Reads what an instance should hold.
pub(super) fn wanted(pki: &Pki, settings: &Settings, now: OffsetDateTime) -> Result<Found, Error> {
    let files = super::files(pki, settings)?;
    let domains = super::domains(settings)?;
    let (mut certificates, mut absent) = (Vec::new(), Vec::new());
    let (mut placeholders, mut unread) = (Vec::new(), Vec::new());
    for bundle in plan::bundles(&domains, &files)? {
        match Path::new(bundle.file.as_str()).exists() {
            false => absent.push(bundle.file),
            true => match read(bundle) {
                Ok(found) if placeholder::is_one(&found.leaf) => placeholders.push(found.bundle.file),
                Ok(certificate) => certificates.push(certificate),
                Err(error) => unread.push(error),
            },
        }
    }
    let lists_written = std::fs::metadata(files.crl.as_str()).and_then(|found| found.modified()).ok();
    let wanted = Wanted {
        certificates,
        map: terminates(&domains).then(|| files.revoked()).transpose()?,
        revoked: revoked(pki, now)?,
        lists: files.crl,
        lists_written,
        now: now.unix_timestamp(),
    };
    Ok(Found { wanted, absent, placeholders, unread })
}

/// Whether TLS ends at HAProxy for any of them: then its configuration has the map.
fn terminates(domains: &[DomainSpec]) -> bool {
    domains.iter().any(|domain| matches!(domain.way, Way::Terminate { .. }))
}

fn read(bundle: plan::Bundle) -> Result<WantedCertificate, Error> {
    let bytes = Zeroizing::new(read_limited(Path::new(bundle.file.as_str()), BUNDLE)?);
    let text = Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned());
    Ok(WantedCertificate::read(bundle, &text)?)
}

/// The revoked certificates, made anew when one was added or taken back.
fn revoked(pki: &Pki, now: OffsetDateTime) -> Result<Arc<BTreeSet<RevokedKey>>, Error> {
    let mut held = pki.fleet().revoked.lock().unwrap_or_else(PoisonError::into_inner);
    let mut as_of = BTreeMap::new();
    for key_id in super::issuers(pki)?.into_keys() {
        as_of.insert(key_id, pki.revoked().snapshot(&key_id)?.list().changed());
    }
    match held.as_ref().filter(|held| held.as_of == as_of) {
        Some(held) => Ok(Arc::clone(&held.keys)),
        None => {
            let keys = Arc::new(super::revoked(pki, now)?);
            *held = Some(Revoked { as_of, keys: Arc::clone(&keys) });
            Ok(keys)
        }
    }
}

/// Places the files that a HAProxy reads when it starts.
fn lay(
    pki: &Pki,
    settings: &Settings,
    wanted: &Wanted,
    pass: Pass,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let mut laid = pki.fleet().laid.lock().unwrap_or_else(PoisonError::into_inner);
    let files = super::files(pki, settings)?;
    let there = |file: &FilePath| Path::new(file.as_str()).exists();
    let put = |file: &FilePath, text: &str| {
        place(Path::new(file.as_str()), text.as_bytes(), Visibility::Secret, OnExisting::Replace)
    };
    let map = files.revoked()?;
    let keys = &wanted.revoked;
    let same = laid.as_ref().is_some_and(|(file, held)| *file == map && Arc::ptr_eq(held, keys));
    if !same || !there(&map) {
        make_dir(Path::new(files.folder.as_str()), Visibility::Public)?;
        put(&map, &revoked_file(keys))?;
        *laid = Some((map, Arc::clone(keys)));
    }
    if pass == Pass::Whole && settings.value(Setting::HaproxyDomains).is_some() {
        challenges::lay(pki, &files)?;
        placeholders::lay(&super::domains(settings)?, &files, now)?;
        let list =
            render(&super::plan(pki, super::Instead::default())?.site()?)?.crt_list.unwrap_or_default();
        let file = files.crt_list()?;
        if std::fs::read(file.as_str()).ok().as_deref() != Some(list.as_bytes()) {
            put(&file, &list)?;
        }
    }
    Ok(())
}
