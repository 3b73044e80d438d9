//! "Nobody's access grows, whatever happens in whatever order."
//!
//! Random histories run in process: peers of every kind issue, renew, revoke and release, as far as
//! they may; an administrator removes, narrows and adds
//! entries; tokens are made, and tried by anybody, a stranger too; projects come and go; the clock goes on and back. For every
//! certificate there is a bound that only an administrator's `trust add` lifts: what whoever caused its
//! issue could do themselves, and what the certificate that it renews was bound to. After every step
//! each certificate is judged, with `core.trust_ca_certificates` and without, and held to its bounds.

use std::sync::{Arc, LazyLock};

use ca::cert::{Certificate, Fingerprint};
use ca::constraints::NameConstraints;
use ca::hierarchy::{Init, RootKeyPlace};
use ca::key::{KeyType, PrivateKey, ScryptCost, make_csr};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use server::Pki;
use server::ops::config::ConfigSet;
use server::ops::issue::{Issue, ProfileName, Renew, Renewed};
use server::ops::revoke::{Release, Revoke};
use server::ops::trust::project::{ProjectCreate, ProjectRemove};
use server::ops::view::Selector;
use server::pki::Keys;
use store::{Batch, Versioned};
use tempfile::TempDir;
use time::OffsetDateTime;
use trust::change::{Cause, Edit, Wish, add_certificate, edit, remove};
use trust::entry::{Entry, Origin};
use trust::project::Project;
use trust::rights::{ClientType, Rights, Scope};
use trust::settings::TrustCa;
use trust::token::{self, Purpose, Reachable, Redeemed, Secret};
use trust::{Action, Holder, Peer, Presented, Settings};

const START: i64 = 1_800_000_000;
const DAY: i64 = 24 * 60 * 60;
const PROJECTS: [&str; 3] = ["default", "web", "db"];

/// Which of those that there are; what is none of them is the administrator.
type Whom = usize;

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    Clock(i64),
    Issue {
        by: Whom,
        project: Option<usize>,
        days: Option<u32>,
    },
    /// An administrator makes an entry's rights other rights.
    Narrow(usize, Grant),
    Release {
        by: Whom,
        which: usize,
    },
    Remove(usize),
    Renew {
        by: Whom,
        which: usize,
        rekey: bool,
    },
    Revoke {
        by: Whom,
        which: usize,
        hold: bool,
    },
    /// A project goes, or comes.
    Project(usize),
    /// Somebody tries a token that was made, used or not.
    Redeem(usize, usize),
    Token(Whom, Grant),
    Trust(usize, Grant),
}

/// Rights, as they are drawn.
#[derive(Clone, Debug)]
enum Grant {
    Everything,
    Metrics,
    Projects([bool; 3]),
}

impl Grant {
    fn rights(&self) -> Rights {
        let kind = match self {
            Grant::Everything | Grant::Projects(_) => ClientType::Client,
            Grant::Metrics => ClientType::Metrics,
        };
        let scope = match self {
            Grant::Everything | Grant::Metrics => Scope::Everything,
            Grant::Projects(some) => {
                let named = PROJECTS.iter().zip(some).filter(|(_, taken)| **taken);
                Scope::Projects(named.map(|(name, _)| name.parse().unwrap()).collect())
            }
        };
        Rights { kind, scope }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let grant = || {
        prop_oneof![
            1 => Just(Grant::Everything),
            1 => Just(Grant::Metrics),
            5 => any::<[bool; 3]>().prop_map(Grant::Projects),
        ]
    };
    let days = prop_oneof![3 => Just(None), 1 => Just(Some(1))];
    let project = prop_oneof![1 => Just(None), 2 => (0..3usize).prop_map(Some)];
    let clock = prop_oneof![Just(60), Just(DAY / 2), Just(2 * DAY), Just(-60), Just(-2 * DAY)];
    let (by, which) = (|| 0..10usize, || 0..10usize);
    prop_oneof![
        1 => clock.prop_map(Step::Clock),
        6 => (by(), project, days).prop_map(|(by, project, days)| Step::Issue { by, project, days }),
        1 => (which(), grant()).prop_map(|(which, grant)| Step::Narrow(which, grant)),
        1 => (by(), which()).prop_map(|(by, which)| Step::Release { by, which }),
        1 => which().prop_map(Step::Remove),
        9 => (by(), which(), any::<bool>()).prop_map(|(by, which, rekey)| Step::Renew { by, which, rekey }),
        1 => (by(), which(), any::<bool>()).prop_map(|(by, which, hold)| Step::Revoke { by, which, hold }),
        1 => (1..3usize).prop_map(Step::Project),
        3 => (0..6usize, which()).prop_map(|(token, which)| Step::Redeem(token, which)),
        2 => (by(), grant()).prop_map(|(by, grant)| Step::Token(by, grant)),
        3 => (which(), grant()).prop_map(|(which, grant)| Step::Trust(which, grant)),
    ]
}

/// A certificate, and what it must never go beyond.
struct Peered {
    serial: String,
    presented: Presented,
    /// All of these; `None` is nothing at all.
    bounds: Option<Vec<Rights>>,
    /// Whether an administrator ever gave it, or what it renews, an entry.
    entered: bool,
}

/// A token, and what whoever comes in by it must never go beyond.
struct Made {
    secret: Secret,
    bounds: Vec<Rights>,
    used: bool,
}

struct World {
    _directory: TempDir,
    pki: Pki,
    now: i64,
    certificates: Vec<Peered>,
    tokens: Vec<Made>,
    requests: usize,
}

/// Somebody whom we know nothing of, and who may find a token.
static STRANGER: LazyLock<String> = LazyLock::new(|| {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    (params.not_before, params.not_after) = (at(START - DAY), at(START + 400 * DAY));
    params.self_signed(&key).unwrap().pem()
});

static REQUESTS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let request = |_| {
        let key = PrivateKey::generate(KeyType::P256).unwrap();
        make_csr(&key, &"peer".parse().unwrap(), &[]).unwrap()
    };
    (0..80).map(request).collect()
});

fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(seconds).unwrap()
}

fn certificate(presented: &Presented) -> &Holder {
    match presented {
        Presented::Certificate(holder) => holder,
        _ => panic!("no certificate"),
    }
}

impl World {
    fn new() -> World {
        let directory = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap();
        let init = Init {
            organization: "Test".parse().unwrap(),
            key_type: KeyType::P256,
            constraints: NameConstraints::default(),
            root_key: RootKeyPlace::Beside,
        };
        let keys = Keys { passphrase: None, cost: ScryptCost::CHEAP };
        let pki = Pki::init(&directory.path().join("pki"), keys, &init, &Peer::InProcess, at(START)).unwrap();
        for project in &PROJECTS[1..] {
            let batch = Project::put(project.parse().unwrap(), Vec::new(), None, "test", at(START));
            pki.store().commit(batch).unwrap();
        }
        let set = ConfigSet { key: "core.trust_ca_certificates".into(), value: Some("true".into()) };
        pki.run(set, &Presented::InProcess, at(START)).unwrap();
        let (certificates, tokens) = (Vec::new(), Vec::new());
        World { _directory: directory, pki, now: START, certificates, tokens, requests: 0 }
    }

    fn presented(&self, whom: Whom) -> &Presented {
        self.certificates.get(whom).map_or(&Presented::InProcess, |one| &one.presented)
    }

    fn request(&mut self) -> String {
        self.requests += 1;
        REQUESTS[self.requests % REQUESTS.len()].clone()
    }

    fn rights(&self, presented: &Presented, trust_ca: TrustCa) -> Option<Rights> {
        let settings = Settings { trust_ca, ..Settings::default() };
        let admitted = self.pki.gate().admit(presented, &settings, at(self.now)).ok()?;
        admitted.rights().cloned()
    }

    fn entry(&self, which: usize) -> Option<Arc<Versioned<Entry>>> {
        let one = self.certificates.get(which)?;
        let state = self.pki.gate().set().now().unwrap();
        state.entry_of(certificate(&one.presented).fingerprint()).cloned()
    }

    fn cause(&self) -> Cause {
        Cause::from(&self.pki.permit(&Presented::InProcess, Action::Trust, at(self.now)).unwrap())
    }

    fn commit(&self, batch: Batch) {
        self.pki.store().commit(batch).unwrap();
    }

    /// Binds everybody whom an entry admits.
    fn bind(&mut self, entry: &Entry, bounds: Option<Vec<Rights>>) {
        let admitted = entry.fingerprints();
        for one in &mut self.certificates {
            if admitted.contains(certificate(&one.presented).fingerprint()) {
                one.bounds.clone_from(&bounds);
            }
        }
    }

    fn add(&mut self, pem: &str, serial: &str, bounds: Option<Vec<Rights>>, entered: bool) {
        let presented =
            Presented::Certificate(Holder::new(Certificate::from_pem(pem.as_bytes()).unwrap(), Vec::new()));
        self.certificates.push(Peered { serial: serial.to_owned(), presented, bounds, entered });
    }

    fn step(&mut self, step: &Step) {
        let now = at(self.now);
        match *step {
            Step::Clock(by) => self.now = (self.now + by).max(START),
            Step::Issue { by, project, days } => {
                let issue = Issue {
                    profile: ProfileName::Client,
                    csr: self.request(),
                    name: Some("peer".to_owned()),
                    names: Vec::new(),
                    days,
                    dry_run: false,
                    project: project.map(|project| PROJECTS[project].to_owned()),
                };
                let own = self.rights(self.presented(by), TrustCa::SignatureSuffices);
                if let Ok(issued) = self.pki.run(issue, self.presented(by), now)
                    && !issued.repeated
                {
                    let own = own.unwrap();
                    self.add(&issued.pem, &issued.certificate.serial, Some(vec![own]), false);
                }
            }
            Step::Renew { by, which, rekey } => {
                let Some(old) = self.certificates.get(which) else { return };
                let (mut bounds, entered) = (old.bounds.clone(), old.entered);
                let selector = Selector::Word(old.serial.clone());
                let itself = match (self.entry(which), self.certificates.get(by)) {
                    (Some(entry), Some(one)) => {
                        entry.record.fingerprints().contains(certificate(&one.presented).fingerprint())
                    }
                    _ => by == which,
                };
                let csr = rekey.then(|| self.request());
                let own = self.rights(self.presented(by), TrustCa::SignatureSuffices);
                let renew = Renew { selector, csr, if_due: false };
                if let Ok(Renewed::Renewed(next)) = self.pki.run(renew, self.presented(by), now)
                    && !next.repeated
                {
                    if !itself {
                        bounds = bounds.map(|bounds| bounds.into_iter().chain(own).collect());
                    }
                    self.add(&next.pem, &next.certificate.serial, bounds, entered);
                }
            }
            Step::Revoke { by, which, hold } => {
                let Some(one) = self.certificates.get(which) else { return };
                let selectors = vec![Selector::Word(one.serial.clone())];
                let reason = hold.then(|| "certificateHold".to_owned());
                let revoke = Revoke { selectors, reason, all: false, dry_run: false };
                drop(self.pki.run(revoke, self.presented(by), now));
            }
            Step::Release { by, which } => {
                let Some(one) = self.certificates.get(which) else { return };
                let release = Release { selector: Selector::Word(one.serial.clone()) };
                drop(self.pki.run(release, self.presented(by), now));
            }
            Step::Remove(which) => {
                let Some(entry) = self.entry(which) else { return };
                let cause = self.cause();
                let removal = {
                    let state = self.pki.gate().set().now().unwrap();
                    remove(self.pki.store(), &state, &entry, None, &cause, now).unwrap()
                };
                self.commit(removal.batch);
                self.bind(&entry.record, None);
            }
            Step::Narrow(which, ref grant) => {
                let Some(entry) = self.entry(which) else { return };
                let (rights, cause) = (grant.rights(), self.cause());
                if !entry.record.rights.cover(&rights) {
                    return;
                }
                let new = Edit { name: None, rights: Some(rights.clone()) };
                if let Some(batch) = edit(&entry, &new, &cause, now).unwrap() {
                    self.commit(batch);
                    self.bind(&entry.record, Some(vec![rights]));
                }
            }
            Step::Project(which) => {
                let name = PROJECTS[which].to_owned();
                let there = self.pki.gate().set().now().unwrap().project(&name.parse().unwrap()).is_some();
                let done = match there {
                    true => self.pki.run(ProjectRemove { name }, &Presented::InProcess, now).map(drop),
                    false => {
                        let create = ProjectCreate { name, allow_dns: Vec::new() };
                        self.pki.run(create, &Presented::InProcess, now).map(drop)
                    }
                };
                // One in use stays.
                assert!(there || done.is_ok(), "{done:?}");
            }
            Step::Token(by, ref grant) => {
                let Ok(permit) = self.pki.permit(self.presented(by), Action::Trust, now) else { return };
                let own = self.rights(self.presented(by), TrustCa::SignatureSuffices).unwrap();
                let rights = grant.rights();
                let purpose = Purpose::Trust { rights: rights.clone() };
                let reachable =
                    Reachable { fingerprint: Fingerprint::of(b"server"), addresses: vec!["a:1".to_owned()] };
                let (name, cause) = ("token".parse().unwrap(), Cause::from(&permit));
                let end = Some(now + time::Duration::DAY);
                let made = token::create(name, purpose, &reachable, end, &cause, now, self.pki.random());
                if let Ok(made) = made {
                    self.commit(made.batch);
                    let bounds = vec![rights, own];
                    self.tokens.push(Made { secret: made.wire.secret, bounds, used: false });
                }
            }
            Step::Redeem(place, which) => {
                let (Some(token), Some(one)) = (self.tokens.get(place), self.certificates.get(which)) else {
                    return;
                };
                let holder = certificate(&one.presented);
                let settings = self.pki.settings().unwrap().trust();
                let Ok(vetted) = self.pki.gate().vet(holder, &settings, now) else { return };
                let redeemed = {
                    let state = self.pki.gate().set().now().unwrap();
                    token::redeem(self.pki.store(), &state, &token.secret, holder, &vetted, now)
                };
                let Ok(redeemed) = redeemed else { return };
                assert!(!token.used, "a token was taken twice");
                let bounds = token.bounds.clone();
                self.tokens[place].used = true;
                match redeemed {
                    Redeemed::Trusted { batch, .. } => {
                        self.commit(batch);
                        let one = &mut self.certificates[which];
                        (one.bounds, one.entered) = (Some(bounds), true);
                    }
                    Redeemed::AlreadyTrusted { batch } => self.commit(batch),
                }
            }
            Step::Trust(which, ref grant) => {
                let Some(one) = self.certificates.get(which) else { return };
                let (holder, cause) = (certificate(&one.presented), self.cause());
                let settings = self.pki.settings().unwrap().trust();
                let Ok(vetted) = self.pki.gate().vet_again(holder, &settings, now) else { return };
                let wish = Wish { name: None, rights: grant.rights(), origin: Origin::Added };
                let batch = {
                    let state = self.pki.gate().set().now().unwrap();
                    add_certificate(&state, holder, &vetted, &wish, &cause, now)
                };
                if let Ok(batch) = batch {
                    self.commit(batch);
                    let one = &mut self.certificates[which];
                    (one.bounds, one.entered) = (Some(vec![grant.rights()]), true);
                }
            }
        }
    }

    fn check(&self) -> Result<(), TestCaseError> {
        for (place, one) in self.certificates.iter().enumerate() {
            for trust_ca in [TrustCa::EntryNeeded, TrustCa::SignatureSuffices] {
                let Some(rights) = self.rights(&one.presented, trust_ca) else { continue };
                let entered = one.entered || trust_ca == TrustCa::SignatureSuffices;
                prop_assert!(entered, "certificate {place} came in without an entry as {rights}");
                let within = one.bounds.as_ref().is_some_and(|all| all.iter().all(|one| one.cover(&rights)));
                prop_assert!(within, "certificate {place} has {rights}, beyond {:?}", one.bounds);
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        max_shrink_iters: 300,
        failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
        ..ProptestConfig::default()
    })]

    #[test]
    fn nobodys_access_grows_whatever_happens(steps in prop::collection::vec(step(), 10..50)) {
        let mut world = World::new();
        world.add(&STRANGER, "0", None, false);
        for step in &steps {
            world.step(step);
            world.check()?;
        }
    }
}

/// A clock that was ahead had ended a certificate before its lineage forgot it.
#[test]
fn what_a_lineage_forgets_by_a_wrong_clock_is_not_let_in_either() {
    let mut world = World::new();
    world.step(&Step::Issue { by: 99, project: None, days: Some(1) });
    world.step(&Step::Trust(0, Grant::Projects([true, false, false])));
    for (which, later) in [(0, DAY / 2), (1, DAY * 3 / 4)] {
        world.step(&Step::Clock(later));
        world.step(&Step::Renew { by: 99, which, rekey: true });
    }
    assert_eq!(world.certificates.len(), 3);
    world.step(&Step::Clock(-DAY));
    world.check().unwrap();
}

/// Renewed more often than its lineage remembers.
#[test]
fn what_a_lineage_forgets_is_not_let_in_by_its_signature() {
    let mut world = World::new();
    world.step(&Step::Issue { by: 99, project: None, days: None });
    world.step(&Step::Trust(0, Grant::Projects([true, false, false])));
    for which in 0..10 {
        world.step(&Step::Renew { by: 99, which, rekey: which % 2 == 0 });
        world.check().unwrap();
    }
    assert_eq!(world.certificates.len(), 11);
    assert!(world.rights(&world.certificates[0].presented, TrustCa::SignatureSuffices).is_none());
}
