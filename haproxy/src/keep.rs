//! Brings one running HAProxy to what it should be, and proves it.
//!
//! Revocations come first: they let somebody in who should be out. Then certificates, each looked at
//! with a handshake once it is loaded; then, at leisure, the lists, by a reload. What one certificate fails
//! by does not keep the others back, and every failure names its step.
//!
//! The files must be in place before: a HAProxy that starts meanwhile reads what this one is told. What a
//! worker was told is remembered only for as long as that worker lives.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ca::cert::{Certificate, Serial};
use zeroize::Zeroizing;

use crate::plan::Bundle;
use crate::runtime::{Bounds, LoadedList, Master, Runtime, Worker, served};
use crate::written::InstanceSpec;
use crate::{Error, FilePath, RevokedKey, bundle};

/// What a HAProxy should hold.
#[derive(Clone)]
pub struct Wanted {
    /// The certificates.
    pub certificates: Vec<WantedCertificate>,
    /// The map of revoked certificates; `None` where nothing is terminated, so that it is not used.
    pub map: Option<FilePath>,
    /// What it should hold.
    pub revoked: Arc<BTreeSet<RevokedKey>>,
    /// The lists of the clients' authorities.
    pub lists: FilePath,
    /// When that file was last written; `None` if it is not there.
    pub lists_written: Option<SystemTime>,
    /// The time, in seconds since 1970.
    pub now: i64,
}

/// A certificate as it lies on the disk.
#[derive(Clone)]
pub struct WantedCertificate {
    /// Where it lies, and a name that it is served for.
    pub bundle: Bundle,
    /// The file, without what is around its blocks.
    pub text: Zeroizing<String>,
    /// The certificate itself.
    pub leaf: Certificate,
}

impl WantedCertificate {
    /// Reads what lies in a bundle's file.
    pub fn read(bundle: Bundle, text: &str) -> Result<WantedCertificate, Error> {
        let text = bundle::in_order(text)?;
        let leaf = bundle::leaf(&text)?;
        Ok(WantedCertificate { bundle, text, leaf })
    }
}

/// What is known of a running HAProxy from the last time.
#[derive(Clone, Debug, Default)]
pub struct Known {
    worker: Option<Worker>,
    revoked: Option<Arc<BTreeSet<RevokedKey>>>,
    served: BTreeMap<FilePath, Vec<u8>>,
    lists: Vec<LoadedList>,
    /// The lists for which a reload was tried: another one would read the same.
    reloaded_for: Option<SystemTime>,
    /// The certificates for which a reload was tried.
    reload_tried: BTreeMap<FilePath, Vec<u8>>,
}

impl Known {
    /// Forgets what was told to a worker that is gone; what a reload was tried for is remembered.
    fn forget(&mut self) {
        *self = Known {
            reloaded_for: self.reloaded_for,
            reload_tried: std::mem::take(&mut self.reload_tried),
            ..Known::default()
        };
    }
}

/// How thoroughly it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// What changed since the last time is told, and what was told is looked at.
    Changes,
    /// Everything is looked at.
    Whole,
}

/// A step on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// To place the files it reads when it starts.
    Files,
    /// To find out who answers.
    Reach,
    /// To tell what is revoked.
    Revoke,
    /// To tell what ACME authorities are to be answered.
    Challenge,
    /// To replace a certificate.
    Install,
    /// To see what is served.
    Prove,
    /// To have a new worker started.
    Reload,
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Step::Files => "placing its files",
            Step::Reach => "reaching it",
            Step::Revoke => "telling it what is revoked",
            Step::Challenge => "telling it the answers to challenges",
            Step::Install => "replacing a certificate",
            Step::Prove => "looking at what it serves",
            Step::Reload => "reloading it",
        })
    }
}

/// What one pass has come to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Who answered at the end.
    pub worker: Option<Worker>,
    /// Certificates that it serves and has not served before.
    pub installed: Vec<(FilePath, Serial)>,
    /// Entries that its map lacked.
    pub added: usize,
    /// Entries that had to go from it.
    pub removed: usize,
    /// Whether a new worker was started.
    pub reloaded: bool,
    /// What failed.
    pub failures: Vec<(Step, Error)>,
}

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Above so many changes the whole map is looked at instead of each entry.
const FEW: usize = 20;

/// Brings the HAProxy `instance` to what is `wanted`. `https` is where its clients come to it.
pub fn bring(
    instance: &InstanceSpec,
    https: Option<SocketAddr>,
    bounds: Bounds,
    wanted: &Wanted,
    known: &mut Known,
    pass: Pass,
) -> Outcome {
    let mut work = Work {
        runtime: Runtime::new(instance.admin.clone(), bounds),
        master: instance.master.clone().map(|address| Master::new(address, bounds)),
        https,
        wanted,
        outcome: Outcome::default(),
    };
    match work.runtime.worker() {
        Ok(worker) => work.meet(worker, known),
        Err(error) => {
            known.forget();
            work.outcome.failures.push((Step::Reach, error));
            return work.outcome;
        }
    }
    work.revoke(known, pass);
    let behind = work.certificates(known, pass);
    let due = lists_due(&known.lists, wanted) && known.reloaded_for != wanted.lists_written;
    if behind || due {
        work.reload(known, behind);
    }
    work.outcome
}

struct Work<'a> {
    runtime: Runtime,
    master: Option<Master>,
    https: Option<SocketAddr>,
    wanted: &'a Wanted,
    outcome: Outcome,
}

impl Work<'_> {
    fn fail(&mut self, step: Step, error: Error) {
        self.outcome.failures.push((step, error));
    }

    /// Forgets what was told to another worker.
    fn meet(&mut self, worker: Worker, known: &mut Known) {
        if known.worker.as_ref() != Some(&worker) {
            known.forget();
            known.worker = Some(worker.clone());
            match self.runtime.lists(&self.wanted.lists) {
                Ok(lists) => known.lists = lists,
                Err(error) => self.fail(Step::Reach, error),
            }
        }
        self.outcome.worker = Some(worker);
    }

    fn revoke(&mut self, known: &mut Known, pass: Pass) {
        let Some(map) = &self.wanted.map else { return };
        let wanted = &self.wanted.revoked;
        let told = match (known.revoked.take(), pass) {
            (Some(before), Pass::Changes) => {
                let new: Vec<_> = wanted.difference(&before).copied().collect();
                let gone: Vec<_> = before.difference(wanted).copied().collect();
                match new.len() + gone.len() {
                    0 => Ok((0, 0)),
                    1..=FEW => {
                        self.runtime.change_revoked(map, &new, &gone).map(|()| (new.len(), gone.len()))
                    }
                    _ => self.runtime.keep_revoked(map, wanted).map(|change| (change.added, change.removed)),
                }
            }
            (None, _) | (_, Pass::Whole) => {
                self.runtime.keep_revoked(map, wanted).map(|change| (change.added, change.removed))
            }
        };
        match told {
            Ok((added, removed)) => {
                self.outcome.added += added;
                self.outcome.removed += removed;
                known.revoked = Some(Arc::clone(wanted));
            }
            Err(error) => self.fail(Step::Revoke, error),
        }
    }

    /// Installs what is not served. Returns whether a reload might help, and was not tried yet.
    fn certificates(&mut self, known: &mut Known, pass: Pass) -> bool {
        let mut behind = false;
        let wanted = self.wanted;
        for certificate in &wanted.certificates {
            let file = &certificate.bundle.file;
            if pass == Pass::Changes
                && known.served.get(file).is_some_and(|served| served == certificate.leaf.der())
            {
                continue;
            }
            match self.install(certificate) {
                Ok(installed) => {
                    known.served.insert(file.clone(), certificate.leaf.der().to_vec());
                    if installed {
                        self.outcome.installed.push((file.clone(), certificate.leaf.serial()));
                    }
                }
                Err((step, error)) => {
                    known.served.remove(file);
                    let der = certificate.leaf.der().to_vec();
                    behind |= known.reload_tried.insert(file.clone(), der.clone()) != Some(der);
                    self.fail(step, error);
                }
            }
        }
        behind
    }

    fn install(&self, certificate: &WantedCertificate) -> Result<bool, (Step, Error)> {
        let file = &certificate.bundle.file;
        let loaded = self.runtime.loaded(file).map_err(|error| (Step::Install, error))?;
        let current = loaded == Some(certificate.leaf.serial());
        if !current {
            self.runtime.install(file, &certificate.text).map_err(|error| (Step::Install, error))?;
        }
        self.prove(certificate).map_err(|error| (Step::Prove, error))?;
        Ok(!current)
    }

    fn prove(&self, certificate: &WantedCertificate) -> Result<(), Error> {
        let Some(address) = self.https else { return Ok(()) };
        let name = &certificate.bundle.name;
        let found = served(address, name, HANDSHAKE)?;
        match found.der() == certificate.leaf.der() {
            true => Ok(()),
            false => Err(Error::NotServed {
                address,
                name: name.clone(),
                wanted: certificate.leaf.serial(),
                served: found.serial(),
            }),
        }
    }

    /// Has a new worker started, which reads the files, and tells it the rest.
    fn reload(&mut self, known: &mut Known, behind: bool) {
        let Some(master) = &self.master else {
            if !behind {
                let instance = self.runtime.name();
                self.fail(Step::Reload, Error::ListsOld { instance, file: self.wanted.lists.clone() });
            }
            return;
        };
        known.reloaded_for = self.wanted.lists_written;
        if let Err(error) = master.reload() {
            return self.fail(Step::Reload, error);
        }
        self.outcome.reloaded = true;
        match self.runtime.worker() {
            Ok(worker) => self.meet(worker, known),
            Err(error) => return self.fail(Step::Reload, error),
        }
        // What the old worker could not do is forgiven if the new one has it.
        let before = std::mem::take(&mut self.outcome.failures);
        self.outcome.failures = before.into_iter().filter(|(step, _)| *step == Step::Reach).collect();
        self.revoke(known, Pass::Whole);
        self.certificates(known, Pass::Whole);
    }
}

/// Whether a loaded list has less than a quarter of its time left.
fn lists_due(lists: &[LoadedList], wanted: &Wanted) -> bool {
    lists.iter().any(|list| list.next_update - wanted.now < (list.next_update - list.last_update) / 4)
}
