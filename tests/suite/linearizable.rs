//! "Many of us at once, and every answer is true."
//!
//! Threads hold, release, revoke, claim, look and publish at the same time, on a few certificates so
//! that they meet. Each act is written down with its call and its answer; then an order is looked for
//! in which a plain book of marks would have given the same answers ([`tests::linearize`]). A
//! published list is an act of its own: at one moment between the call and the answer of whoever made
//! it, it named exactly what was revoked. So it holds everything that was answered before it was
//! begun, and nothing that nobody had asked for; and the numbers rise in the same order.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Barrier;
use std::time::Instant;

use ca::key::{KeyType, PrivateKey, make_csr};
use server::Pki;
use server::ops::Operation;
use server::ops::authority::CaList;
use server::ops::crl::CrlPublish;
use server::ops::inventory::{Show, Verify};
use server::ops::issue::{Issue, ProfileName};
use server::ops::revoke::{Release, Revoke};
use server::ops::view::{CrlView, Publication, Selector, Status};
use server::pki::{Keys, OpenMode};
use tests::linearize::{Done, Specification, linearize};
use tests::socket::{Answer, call};
use tests::{Sandbox, Service, fetch};
use time::OffsetDateTime;
use trust::Presented;

use crate::histories::lists;
use crate::histories::model::Reason;

const CERTIFICATES: usize = 4;
const REQUESTS: usize = 2;
/// Threads that change things; two more publish and look.
const CHANGERS: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Mark {
    Valid,
    Held,
    Revoked,
}

/// What an answer said of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Changed,
    Already,
    Refused,
}

#[derive(Clone, Debug)]
enum Act {
    Hold(usize, Outcome),
    Revoke(usize, Outcome),
    Release(usize, Outcome),
    /// `pki show`.
    Shown(usize, Mark),
    /// `pki verify`.
    Verified(usize, bool),
    /// The same request by several: one gets the certificate, the others the same once more.
    Claim {
        request: usize,
        serial: String,
        again: bool,
    },
    List {
        number: u128,
        marks: [Mark; CERTIFICATES],
    },
}

/// The book of marks.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Book {
    marks: [Mark; CERTIFICATES],
    claims: [Option<String>; REQUESTS],
    number: u128,
}

impl Book {
    fn mark(&self, which: usize, mark: Mark) -> Book {
        let mut after = self.clone();
        after.marks[which] = mark;
        after
    }
}

impl Specification for Book {
    type Act = Act;

    fn after(&self, act: &Act) -> Option<Book> {
        use Mark::{Held, Revoked, Valid};
        use Outcome::{Already, Changed, Refused};
        match act {
            Act::Hold(which, outcome) => match (self.marks[*which], outcome) {
                (Valid, Changed) => Some(self.mark(*which, Held)),
                (Held, Already) | (Revoked, Refused) => Some(self.clone()),
                _ => None,
            },
            Act::Revoke(which, outcome) => match (self.marks[*which], outcome) {
                (Valid | Held, Changed) => Some(self.mark(*which, Revoked)),
                (Revoked, Already) => Some(self.clone()),
                _ => None,
            },
            Act::Release(which, outcome) => match (self.marks[*which], outcome) {
                (Held, Changed) => Some(self.mark(*which, Valid)),
                (Valid | Revoked, Refused) => Some(self.clone()),
                _ => None,
            },
            Act::Shown(which, mark) => (self.marks[*which] == *mark).then(|| self.clone()),
            Act::Verified(which, valid) => ((self.marks[*which] == Valid) == *valid).then(|| self.clone()),
            Act::Claim { request, serial, again } => match &self.claims[*request] {
                None if !again => {
                    let mut after = self.clone();
                    after.claims[*request] = Some(serial.clone());
                    Some(after)
                }
                Some(claimed) if *again && claimed == serial => Some(self.clone()),
                _ => None,
            },
            Act::List { number, marks } => (self.marks == *marks && self.number < *number)
                .then(|| Book { number: *number, ..self.clone() }),
        }
    }
}

/// How the operations are reached, and the lists.
enum Door<'a> {
    InProcess(&'a Pki),
    Service { socket: &'a Path, address: &'a str },
}

impl Door<'_> {
    fn run<O: Operation>(&self, operation: O) -> Result<O::Reply, String> {
        match self {
            Door::InProcess(pki) => {
                let done = pki.run(operation, &Presented::InProcess, OffsetDateTime::now_utc());
                done.map_err(|error| server::http::problem::problem(&error).message)
            }
            Door::Service { socket, .. } => match call(socket, &operation) {
                Answer::Done(reply) => Ok(reply),
                Answer::Refused { problem, .. } => Err(problem.message),
                Answer::Silent => panic!("no answer"),
            },
        }
    }

    fn list(&self, authority: &str) -> Vec<u8> {
        match self {
            Door::InProcess(pki) => {
                std::fs::read(pki.directory().join(format!("cas/{authority}.crl"))).unwrap()
            }
            Door::Service { address, .. } => {
                let response = fetch(address, &format!("/crl/{authority}/0.crl"), &[]).unwrap();
                assert_eq!(response.status, 200);
                response.body
            }
        }
    }
}

/// What one thread saw.
#[derive(Default)]
struct Notes {
    acts: Vec<Done<Act>>,
    /// Lists that were reported as made between call and answer.
    made: Vec<Done<u128>>,
    /// Lists as they were found in place.
    read: Vec<Done<(u128, BTreeMap<String, Reason>)>>,
}

struct Round<'a> {
    door: &'a Door<'a>,
    clock: Instant,
    authority: &'a str,
    certificate: &'a str,
    serials: Vec<String>,
    pems: Vec<String>,
    requests: Vec<Issue>,
}

/// A row of numbers that look random.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % limit
    }
}

fn request(name: &str) -> Issue {
    let key = PrivateKey::generate(KeyType::P256).unwrap();
    let csr = make_csr(&key, &name.parse().unwrap(), &[]).unwrap();
    let name = Some(name.to_owned());
    Issue {
        profile: ProfileName::Client,
        csr,
        name,
        names: Vec::new(),
        days: None,
        dry_run: false,
        project: None,
    }
}

impl Round<'_> {
    fn now(&self) -> u64 {
        self.clock.elapsed().as_nanos() as u64
    }

    fn note(&self, notes: &mut Notes, act: impl FnOnce(&mut Vec<CrlView>) -> Act) {
        let mut lists = Vec::new();
        let begun = self.now();
        let act = act(&mut lists);
        let ended = self.now();
        notes.acts.push(Done { begun, ended, act });
        self.made(notes, begun, ended, lists);
    }

    fn made(&self, notes: &mut Notes, begun: u64, ended: u64, lists: Vec<CrlView>) {
        let ours = lists.iter().filter(|list| list.issuer == self.authority);
        notes.made.extend(ours.map(|list| Done { begun, ended, act: list.number.parse().unwrap() }));
    }

    fn read(&self, notes: &mut Notes) {
        let begun = self.now();
        let der = self.door.list(self.authority);
        let ended = self.now();
        let list = lists::read(&der, self.certificate).unwrap();
        let entries = list.entries.into_iter().map(|(serial, entry)| (serial, entry.reason)).collect();
        notes.read.push(Done { begun, ended, act: (list.number, entries) });
    }

    fn word(&self, which: usize) -> Selector {
        Selector::Word(self.serials[which].clone())
    }

    fn revoke(&self, which: usize, reason: Reason, made: &mut Vec<CrlView>) -> Outcome {
        let (selectors, reason) = (vec![self.word(which)], Some(reason.word().to_owned()));
        match self.door.run(Revoke { selectors, reason, all: false, dry_run: false }) {
            Ok(reply) => {
                made.extend(published(reply.publication));
                if reply.already.is_empty() { Outcome::Changed } else { Outcome::Already }
            }
            Err(why) if why.contains("its reason can't become") => Outcome::Refused,
            Err(why) => panic!("{why}"),
        }
    }

    fn release(&self, which: usize, made: &mut Vec<CrlView>) -> Outcome {
        match self.door.run(Release { selector: self.word(which) }) {
            Ok(reply) => {
                made.extend(published(reply.publication));
                Outcome::Changed
            }
            Err(why) if why.contains("is not revoked") || why.contains("is revoked for good") => {
                Outcome::Refused
            }
            Err(why) => panic!("{why}"),
        }
    }

    fn change(&self, notes: &mut Notes, dice: &mut Dice) {
        let which = dice.below(CERTIFICATES);
        match dice.below(16) {
            0..7 => self.note(notes, |made| Act::Hold(which, self.revoke(which, Reason::Hold, made))),
            7..15 => self.note(notes, |made| Act::Release(which, self.release(which, made))),
            _ => self.note(notes, |made| Act::Revoke(which, self.revoke(which, Reason::Superseded, made))),
        }
        self.read(notes);
    }

    fn look(&self, notes: &mut Notes, dice: &mut Dice) {
        let which = dice.below(CERTIFICATES);
        self.note(notes, |_| {
            let shown = self.door.run(Show { selector: self.word(which) }).unwrap();
            Act::Shown(
                which,
                match shown[0].certificate.status {
                    Status::Valid => Mark::Valid,
                    Status::Held => Mark::Held,
                    Status::Revoked => Mark::Revoked,
                    Status::Expired => panic!("it has just been issued"),
                },
            )
        });
        let which = dice.below(CERTIFICATES);
        self.note(notes, |_| {
            let request = Verify { pem: self.pems[which].clone(), purpose: None };
            Act::Verified(which, self.door.run(request).unwrap().valid)
        });
        self.read(notes);
    }

    fn publish(&self, notes: &mut Notes) {
        let begun = self.now();
        let lists = self.door.run(CrlPublish { root: false }).unwrap();
        self.made(notes, begun, self.now(), lists);
        self.read(notes);
    }

    fn claim(&self, notes: &mut Notes, request: usize) {
        self.note(notes, |_| {
            let issued = self.door.run(self.requests[request].clone()).unwrap();
            Act::Claim { request, serial: issued.certificate.serial, again: issued.repeated }
        });
    }

    /// Everybody at once.
    fn run(&self, acts: usize, seed: u64) -> Notes {
        let start = Barrier::new(CHANGERS + 2);
        let threads = std::thread::scope(|scope| {
            let start = &start;
            let threads: Vec<_> = (0..CHANGERS + 2)
                .map(|number| {
                    scope.spawn(move || {
                        let mut notes = Notes::default();
                        let mut dice = Dice(seed * 31 + number as u64 + 1);
                        start.wait();
                        if number < CHANGERS {
                            (0..REQUESTS).for_each(|request| self.claim(&mut notes, request));
                        }
                        for _ in 0..acts {
                            match number {
                                CHANGERS => self.publish(&mut notes),
                                0..CHANGERS => self.change(&mut notes, &mut dice),
                                _ => self.look(&mut notes, &mut dice),
                            }
                        }
                        notes
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<Notes>>()
        });
        let mut all = Notes::default();
        for notes in threads {
            all.acts.extend(notes.acts);
            all.made.extend(notes.made);
            all.read.extend(notes.read);
        }
        all
    }

    /// The lists as acts, each as long as everybody who knows of it allows; `first` lay there before.
    fn lists(&self, notes: &Notes, first: u128, former: &BTreeSet<String>) -> Vec<Done<Act>> {
        for made in &notes.made {
            // What was answered as published is what others find from then on.
            let stale = notes.read.iter().find(|read| read.begun > made.ended && read.act.0 < made.act);
            assert!(stale.is_none(), "list {} was answered, then found: {stale:?}", made.act);
        }
        let contents: BTreeMap<u128, (u64, &BTreeMap<String, Reason>)> =
            notes.read.iter().rev().map(|read| (read.act.0, (read.ended, &read.act.1))).collect();
        let mut acts = Vec::new();
        for (number, (mut ended, entries)) in contents.into_iter().filter(|(number, _)| *number > first) {
            let of = |read: &&Done<(u128, BTreeMap<String, Reason>)>| read.act.0 == number;
            for read in notes.read.iter().filter(of) {
                assert_eq!(read.act.1, *entries, "two lists have the number {number}");
                ended = ended.min(read.ended);
            }
            let mut begun = 0;
            for made in notes.made.iter().filter(|made| made.act == number) {
                (begun, ended) = (begun.max(made.begun), ended.min(made.ended));
            }
            assert!(begun < ended, "list {number} was there before it was asked for");
            let strange =
                entries.keys().find(|listed| !self.serials.contains(listed) && !former.contains(*listed));
            assert_eq!(strange, None, "list {number} names what nobody revoked");
            let mark = |which: usize| match entries.get(&self.serials[which]) {
                None => Mark::Valid,
                Some(Reason::Hold) => Mark::Held,
                Some(_) => Mark::Revoked,
            };
            acts.push(Done { begun, ended, act: Act::List { number, marks: std::array::from_fn(mark) } });
        }
        acts
    }
}

fn published(publication: Publication) -> Vec<CrlView> {
    match publication {
        Publication::Published { lists } => lists,
        Publication::Pending { causes } => panic!("not published: {causes:?}"),
    }
}

fn check(door: &Door<'_>, directory: &Path, rounds: u64, acts: usize) {
    let authorities = door.run(CaList {}).unwrap();
    let authority = authorities.iter().find(|one| one.role == "issuing").unwrap().key_id.clone();
    let certificate = std::fs::read_to_string(directory.join("ca.crt")).unwrap();
    let mut former = BTreeSet::new();
    for round in 0..rounds {
        let new = |number| door.run(request(&format!("client-{round}-{number}"))).unwrap();
        let issued: Vec<_> = (0..CERTIFICATES).map(new).collect();
        let this = Round {
            door,
            clock: Instant::now(),
            authority: &authority,
            certificate: &certificate,
            serials: issued.iter().map(|issued| issued.certificate.serial.clone()).collect(),
            pems: issued.into_iter().map(|issued| issued.pem).collect(),
            requests: (0..REQUESTS).map(|number| request(&format!("claimed-{round}-{number}"))).collect(),
        };
        let mut before = Notes::default();
        this.publish(&mut before);
        let first = before.read[0].act.0;
        let mut notes = this.run(acts, round + 1);
        let lists = this.lists(&notes, first, &former);
        assert!(lists.len() >= acts / 2, "only {} lists were seen", lists.len());
        notes.acts.extend(lists);
        let book =
            Book { marks: [Mark::Valid; CERTIFICATES], claims: [const { None }; REQUESTS], number: first };
        if let Err(at) = linearize(book, &notes.acts) {
            notes.acts.sort_by_key(|done| done.begun);
            panic!("round {round}: no order has a place for act {at} of\n{:#?}", notes.acts);
        }
        former.extend(this.serials);
    }
}

fn in_process(rounds: u64, acts: usize) {
    let sandbox = Sandbox::with_pki();
    let keys = Keys::default();
    let pki = Pki::open(&sandbox.dir(), keys, OpenMode::Service, OffsetDateTime::now_utc()).unwrap();
    check(&Door::InProcess(&pki), &sandbox.dir(), rounds, acts);
}

fn over_the_socket(rounds: u64, acts: usize) {
    let sandbox = Sandbox::with_pki();
    let service = Service::start(&sandbox);
    let socket = sandbox.dir().join("pki.socket");
    let door = Door::Service { socket: &socket, address: service.address() };
    check(&door, &sandbox.dir(), rounds, acts);
    service.stop();
}

#[test]
fn what_threads_do_at_once_has_an_order() {
    in_process(4, 8);
}

#[test]
fn what_clients_of_the_service_do_at_once_has_an_order() {
    over_the_socket(2, 6);
}

#[test]
#[ignore = "tests/full: hundreds of rounds"]
fn what_hundreds_of_rounds_do_at_once_has_an_order() {
    in_process(200, 20);
    over_the_socket(50, 20);
}
