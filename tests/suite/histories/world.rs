//! The real thing beside the model: each step is done to both, and then they must agree.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::LazyLock;

use ca::constraints::NameConstraints;
use ca::hierarchy::{Init, RootKeyPlace};
use ca::key::{KeyType, PrivateKey, ScryptCost, make_csr};
use server::Pki;
use server::ops::authority::{CaList, CaRotate, Rotated};
use server::ops::crl::CrlPublish;
use server::ops::inventory::{List, Page, Verify};
use server::ops::issue::{Issue, Issued, ProfileName, Renew, Renewed};
use server::ops::revoke::{Release, Revoke};
use server::ops::view::{AuthorityView, CertificateView, Publication, Selector, Status};
use server::ops::{Error, Operation};
use server::pki::{Keys, OpenMode};
use tempfile::TempDir;
use time::OffsetDateTime;
use trust::{Peer, Presented};

use super::lists::{self, openssl_accepts, openssl_serials};
use super::model::{Answer, Certificate, Generation, Model, Reason, Request, Revocation, Span};
use super::{KEYS, NAMES, Step};

/// 2030-01-01T00:00:00Z.
const START: i64 = 1_893_456_000;
const DAY: i64 = 86_400;
/// The clock is moved between these: an issuing CA lasts ten years.
const CLOCK: std::ops::RangeInclusive<i64> = START - 500 * DAY..=START + 3_000 * DAY;

macro_rules! demand {
    ($holds:expr, $($words:tt)+) => {
        if !$holds {
            return Err(format!($($words)+));
        }
    };
}

/// A CSR for each name and key; making keys would be the most of a history.
static REQUESTS: LazyLock<Vec<Vec<String>>> = LazyLock::new(|| {
    let keys: Vec<_> = (0..KEYS).map(|_| PrivateKey::generate(KeyType::P256).unwrap()).collect();
    let csr = |name: usize, key| make_csr(key, &name_of(name).parse().unwrap(), &[]).unwrap();
    (0..NAMES).map(|name| keys.iter().map(|key| csr(name, key)).collect()).collect()
});

fn name_of(name: usize) -> String {
    format!("client-{name}")
}

/// What is remembered of a generation's last list.
#[derive(Default)]
struct Seen {
    bytes: Vec<u8>,
    number: u128,
    this_update: i64,
    entries: BTreeMap<String, Revocation>,
}

pub struct World {
    directory: TempDir,
    pki: Option<Pki>,
    model: Model,
    seen: Vec<Seen>,
}

fn keys() -> Keys {
    Keys { passphrase: None, cost: ScryptCost::CHEAP }
}

fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(seconds).unwrap()
}

fn span(authority: &AuthorityView) -> Span {
    Span { first: authority.not_before.unix_timestamp(), last: authority.not_after.unix_timestamp() }
}

/// In memory where there is such a place: thousands of small commits.
fn scratch() -> TempDir {
    TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap()
}

impl World {
    pub fn new() -> World {
        let directory = scratch();
        let init = Init {
            organization: "Test".parse().unwrap(),
            key_type: KeyType::P256,
            constraints: NameConstraints::default(),
            root_key: RootKeyPlace::Beside,
        };
        let path = directory.path().join("pki");
        let pki = Pki::init(&path, keys(), &init, &Peer::InProcess, at(START)).unwrap();
        let authorities = pki.run(CaList {}, &Presented::InProcess, at(START)).unwrap();
        let of = |role: &str| authorities.iter().find(|one| one.role == role).unwrap();
        let pem = std::fs::read_to_string(path.join("ca.crt")).unwrap();
        let issuing = of("issuing");
        let first = Generation { key_id: issuing.key_id.clone(), pem, span: span(issuing) };
        let model = Model::new(START, span(of("root")), first);
        let mut world = World { directory, pki: Some(pki), model, seen: vec![Seen::default()] };
        world.compare_list(0, true).unwrap();
        world
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("pki")
    }

    fn run<O: Operation>(&self, operation: O) -> Result<O::Reply, Error> {
        self.pki.as_ref().unwrap().run(operation, &Presented::InProcess, at(self.model.now))
    }

    fn pick(&self, which: usize) -> Option<usize> {
        let count = self.model.certificates.len();
        (count > 0).then(|| which % count)
    }

    fn word(&self, which: usize) -> Selector {
        Selector::Word(self.model.certificates[which].serial.clone())
    }

    /// Does a step to both, and compares what it came to.
    pub fn step(&mut self, step: &Step) -> Result<(), String> {
        let mut renewed_lists = Vec::new();
        match *step {
            Step::Issue { name, key, days } => {
                let request = Issue {
                    profile: ProfileName::Client,
                    csr: REQUESTS[name][key].clone(),
                    name: Some(name_of(name)),
                    names: Vec::new(),
                    days,
                    dry_run: false,
                    project: None,
                };
                let reply = self.run(request);
                self.issued(Request::Issue { name, key, days }, reply)?;
            }
            Step::Renew(which) => {
                let Some(predecessor) = self.pick(which) else { return Ok(()) };
                let request = Renew { selector: self.word(predecessor), csr: None, if_due: false };
                let reply = self.run(request).map(|renewed| match renewed {
                    Renewed::Renewed(issued) => *issued,
                    Renewed::NotDue(view) => panic!("{view:?} was not asked"),
                });
                self.issued(Request::Renew { predecessor }, reply)?;
            }
            Step::Revoke(which, reason) => {
                let Some(which) = self.pick(which) else { return Ok(()) };
                let reason_word = Some(reason.word().to_owned());
                let (selectors, all, dry_run) = (vec![self.word(which)], false, false);
                let before: Vec<_> = self.model.certificates.iter().map(|one| one.revoked).collect();
                let reply = self.run(Revoke { selectors, reason: reason_word, all, dry_run });
                let allowed = self.model.revoke(which, reason);
                demand!(reply.is_ok() == allowed, "allowed: {allowed}, answered {reply:?}");
                if let Ok(reply) = reply {
                    published(&reply.publication)?;
                    let now = self.model.certificates.iter();
                    let changed = now.zip(before).filter(|(now, before)| now.revoked != *before);
                    renewed_lists.extend(changed.map(|(now, _)| now.generation));
                    renewed_lists.push(self.model.certificates[which].generation);
                }
            }
            Step::Release(which) => {
                let Some(which) = self.pick(which) else { return Ok(()) };
                let reply = self.run(Release { selector: self.word(which) });
                let allowed = self.model.release(which);
                demand!(reply.is_ok() == allowed, "allowed: {allowed}, answered {reply:?}");
                if let Ok(reply) = reply {
                    published(&reply.publication)?;
                    renewed_lists.push(self.model.certificates[which].generation);
                }
            }
            Step::Clock(seconds) => {
                self.model.now = (self.model.now + seconds).clamp(*CLOCK.start(), *CLOCK.end());
            }
            Step::Rotate => {
                let reply = self.run(CaRotate { key_type: None, csr_only: false });
                let allowed = self.model.root.contains(self.model.now);
                demand!(reply.is_ok() == allowed, "allowed: {allowed}, answered {reply:?}");
                if let Ok(Rotated::Rotated { current, unpublished, .. }) = reply {
                    demand!(unpublished.is_empty(), "{unpublished:?}");
                    let pem = std::fs::read_to_string(self.path().join("ca.crt")).unwrap();
                    let (key_id, span) = (current.key_id.clone(), span(&current));
                    self.model.generations.push(Generation { key_id, pem, span });
                    self.seen.push(Seen::default());
                    renewed_lists.push(self.model.generations.len() - 1);
                }
            }
            Step::Publish => {
                let reply = self.run(CrlPublish { root: false });
                demand!(reply.is_ok(), "{reply:?}");
                renewed_lists.extend(0..self.model.generations.len());
            }
            Step::Reopen => {
                self.pki = None;
                let now = at(self.model.now);
                let pki = Pki::open(&self.path(), keys(), OpenMode::Service, now);
                self.pki = Some(pki.map_err(|error| format!("it does not open again: {error}"))?);
            }
        }
        for generation in 0..self.seen.len() {
            let renewed = renewed_lists.contains(&generation) && !self.model.is_done(generation);
            self.compare_list(generation, renewed)?;
        }
        self.compare_answers()
    }

    fn issued(&mut self, request: Request, reply: Result<Issued, Error>) -> Result<(), String> {
        match (self.model.issue(&request), reply) {
            (Answer::Refused, Err(_)) => Ok(()),
            (Answer::New(span), Ok(issued)) if !issued.repeated => {
                let view = &issued.certificate;
                let (first, last) = (view.not_before.unix_timestamp(), view.not_after.unix_timestamp());
                demand!(span == Span { first, last }, "{span:?} was owed, {view:?} was issued");
                let current = self.model.generations.last().map(|one| one.key_id.as_str());
                demand!(current == Some(&view.issuer), "{view:?} is not signed by the current authority");
                self.model.issued(request, view.serial.clone(), issued.pem.clone(), span);
                Ok(())
            }
            (Answer::Again(before), Ok(issued)) if issued.repeated => {
                let before = &self.model.certificates[before];
                demand!(issued.pem == before.pem, "another certificate than {}", before.serial);
                Ok(())
            }
            (expected, reply) => Err(format!("{expected:?} was owed, answered {reply:?}")),
        }
    }

    /// The published list of a generation against the rules. `renewed`: there must be a new one.
    fn compare_list(&mut self, generation: usize, renewed: bool) -> Result<(), String> {
        let now = self.model.now;
        let authority = &self.model.generations[generation];
        let path = self.path().join(format!("cas/{}.crl", authority.key_id));
        let der = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let seen = &self.seen[generation];
        if der == seen.bytes {
            demand!(!renewed, "no new list of generation {generation}");
            return Ok(());
        }
        let list = lists::read(&der, &authority.pem)?;
        demand!(list.number > seen.number, "number {} after {}", list.number, seen.number);
        demand!(list.next_update > now, "a list that has run out at {}: {list:?}", list.next_update);
        let foretold = list.this_update > now && list.this_update != seen.this_update;
        demand!(!foretold, "a list from the future at {now}: {list:?}");
        let mut owed = BTreeMap::new();
        for certificate in self.model.of(generation) {
            let Some(revocation) = certificate.revoked else { continue };
            let may_go = certificate.named_after_end && certificate.span.last < now;
            if !may_go || list.entries.contains_key(&certificate.serial) {
                // A date behind the list's own would be refused: the record keeps it (decision 0005).
                let at = revocation.at.min(list.this_update);
                owed.insert(certificate.serial.clone(), Revocation { at, ..revocation });
            }
        }
        demand!(list.entries == owed, "at {now} {owed:?} is owed, listed is {:?}", list.entries);
        for certificate in self.model.certificates.iter_mut().filter(|one| one.generation == generation) {
            if certificate.span.last < now && list.entries.contains_key(&certificate.serial) {
                certificate.named_after_end = true;
            }
        }
        let lists::List { number, this_update, entries, .. } = list;
        self.seen[generation] = Seen { bytes: der, number, this_update, entries };
        Ok(())
    }

    /// What is listed, looked up and judged here, certificate by certificate.
    fn compare_answers(&self) -> Result<(), String> {
        let all = self.listed(false)?;
        let revoked = self.listed(true)?;
        demand!(all.len() == self.model.certificates.len(), "listed are {:?}", all.keys());
        let expected = self.model.certificates.iter().filter(|one| one.revoked.is_some()).count();
        demand!(revoked.len() == expected, "{expected} are revoked, listed are {:?}", revoked.keys());
        let set = self.pki.as_ref().unwrap().revoked();
        for certificate in &self.model.certificates {
            let serial = &certificate.serial;
            let view = all.get(serial).ok_or_else(|| format!("{serial} is not listed"))?;
            let (status, told) = (status(certificate, self.model.now), told(view));
            demand!(
                view.status == status && told == certificate.revoked,
                "{certificate:?} shows as {view:?}"
            );
            demand!(revoked.contains_key(serial) == told.is_some(), "{view:?} is listed as revoked or not");
            let issuer = self.model.generations[certificate.generation].key_id.parse().unwrap();
            let found = set.find(&issuer, &serial.parse().unwrap()).map_err(|error| error.to_string())?;
            let found = found.map(|found| (found.at, found.reason.to_string()));
            let known = certificate.revoked.map(|known| (known.at, known.reason.word().to_owned()));
            demand!(found == known, "{known:?} is remembered as {found:?}");
            let request = Verify { pem: certificate.pem.clone(), purpose: None };
            let verdict = self.run(request).map_err(|error| error.to_string())?;
            let check = verdict.checks.iter().find(|check| check.name == "revocation");
            let passed = check.ok_or("revocation was not looked at")?.passed;
            demand!(passed == certificate.revoked.is_none(), "{certificate:?} is judged {verdict:?}");
            let valid = self.model.is_valid(certificate);
            demand!(verdict.valid == valid, "valid: {valid}; {certificate:?} is judged {verdict:?}");
        }
        Ok(())
    }

    /// All pages, by serial.
    fn listed(&self, revoked: bool) -> Result<BTreeMap<String, CertificateView>, String> {
        let (mut found, mut after) = (BTreeMap::new(), None);
        loop {
            // Small pages, so that there are several.
            let request = List { revoked, after, limit: 3, ..List::default() };
            let Page { certificates, next } = self.run(request).map_err(|error| error.to_string())?;
            for view in certificates {
                let serial = view.serial.clone();
                demand!(found.insert(serial.clone(), view).is_none(), "{serial} is listed twice");
            }
            after = next;
            if after.is_none() {
                return Ok(found);
            }
        }
    }

    /// Lets OpenSSL read every list and judge every certificate by them.
    pub fn ask_openssl(&self) -> Result<(), String> {
        let now = self.model.now;
        let place = |name: &str, text: &str| {
            let path = self.directory.path().join(name);
            std::fs::write(&path, text).map(|()| path).map_err(|error| error.to_string())
        };
        let of_root = lists::begins(&self.path().join("root.crl"))?;
        for (generation, (authority, seen)) in self.model.generations.iter().zip(&self.seen).enumerate() {
            // A clock that was put back leaves lists that nobody else accepts yet (decision 0005).
            let is_ahead = now < seen.this_update.max(of_root);
            let issuing = place("issuing.crt", &authority.pem)?;
            let list = self.path().join(format!("cas/{}.crl", authority.key_id));
            let mut serials: Vec<String> = seen.entries.keys().cloned().collect();
            serials.sort();
            let found = openssl_serials(&list, &issuing)?;
            demand!(found == serials, "OpenSSL finds {found:?}, x509-parser {serials:?}");
            let current = std::fs::read_to_string(self.path().join("chain.crl")).unwrap_or_default();
            demand!(current.contains("BEGIN X509 CRL"), "chain.crl is empty");
            for certificate in self.model.of(generation).filter(|_| !self.model.is_done(generation)) {
                let leaf = place("leaf.crt", &certificate.pem)?;
                let accepted = openssl_accepts(&self.path(), &issuing, &leaf, now);
                let valid = self.model.is_valid(certificate) && !is_ahead;
                demand!(accepted == valid, "valid: {valid}, OpenSSL accepts: {accepted}: {certificate:?}");
            }
        }
        Ok(())
    }

    /// Brings every list up to date, so that verifiers accept them.
    pub fn publish_all(&mut self) -> Result<(), String> {
        self.run(CrlPublish { root: true }).map_err(|error| error.to_string())?;
        self.step(&Step::Publish)
    }
}

fn published(publication: &Publication) -> Result<(), String> {
    match publication {
        Publication::Published { .. } => Ok(()),
        Publication::Pending { causes } => Err(format!("the list is not in place: {causes:?}")),
    }
}

fn status(certificate: &Certificate, now: i64) -> Status {
    match certificate.revoked.map(|revoked| revoked.reason) {
        Some(Reason::Hold) => Status::Held,
        Some(_) => Status::Revoked,
        None if now > certificate.span.last => Status::Expired,
        None => Status::Valid,
    }
}

fn told(view: &CertificateView) -> Option<Revocation> {
    let told = view.revocation.as_ref()?;
    let reasons = [Reason::Unspecified, Reason::KeyCompromise, Reason::Superseded, Reason::Hold];
    let reason = reasons.into_iter().find(|reason| reason.word() == told.reason)?;
    Some(Revocation { at: told.at.unix_timestamp(), reason })
}
