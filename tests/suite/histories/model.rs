//! What a PKI owes its users, in the plainest form: a list of certificates and a few rules.
//!
//! It knows no store, no list's encoding and no plan for the next list. It is written from the
//! promises (RFC 5280 §3.3 and §5.3, the manual), not from the code that keeps them.

use std::collections::{BTreeMap, BTreeSet};

const DAY: i64 = 86_400;

/// A time of validity, both ends included, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub first: i64,
    pub last: i64,
}

impl Span {
    pub fn contains(&self, now: i64) -> bool {
        self.first <= now && now <= self.last
    }
}

/// Reasons of RFC 5280 §5.3.1 that a leaf can be revoked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    Unspecified,
    KeyCompromise,
    Superseded,
    Hold,
}

impl Reason {
    pub fn word(self) -> &'static str {
        match self {
            Reason::Unspecified => "unspecified",
            Reason::KeyCompromise => "keyCompromise",
            Reason::Superseded => "superseded",
            Reason::Hold => "certificateHold",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revocation {
    pub at: i64,
    pub reason: Reason,
}

#[derive(Clone, Debug)]
pub struct Certificate {
    pub serial: String,
    pub pem: String,
    pub key: usize,
    pub days: Option<u32>,
    pub span: Span,
    /// Which generation signed it.
    pub generation: usize,
    pub revoked: Option<Revocation>,
    /// A list made after its end has named it as it is revoked now.
    pub named_after_end: bool,
}

/// An issuing CA.
#[derive(Clone, Debug)]
pub struct Generation {
    pub key_id: String,
    pub pem: String,
    pub span: Span,
}

/// What makes two requests one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Request {
    Issue { name: usize, key: usize, days: Option<u32> },
    Renew { predecessor: usize },
}

/// What a request must come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A new certificate with this validity.
    New(Span),
    /// One that was issued before.
    Again(usize),
    Refused,
}

#[derive(Clone, Debug)]
pub struct Model {
    pub now: i64,
    pub root: Span,
    pub generations: Vec<Generation>,
    pub certificates: Vec<Certificate>,
    answers: BTreeMap<Request, usize>,
    blocked: BTreeSet<usize>,
}

impl Model {
    pub fn new(now: i64, root: Span, first: Generation) -> Model {
        let (answers, blocked) = (BTreeMap::new(), BTreeSet::new());
        Model { now, root, generations: vec![first], certificates: Vec::new(), answers, blocked }
    }

    pub fn issue(&self, request: &Request) -> Answer {
        let (key, days) = match *request {
            Request::Issue { key, days, .. } => (key, days),
            Request::Renew { predecessor } => {
                let old = &self.certificates[predecessor];
                if self.now > old.span.last || old.revoked.is_some() {
                    return Answer::Refused;
                }
                (old.key, old.days)
            }
        };
        if self.blocked.contains(&key) {
            return Answer::Refused;
        }
        if let Some(&before) = self.answers.get(request) {
            let answered = &self.certificates[before];
            match answered.revoked {
                _ if self.now > answered.span.last => {}
                Some(_) => return Answer::Refused,
                None => return Answer::Again(before),
            }
        }
        let Some(issuer) = self.generations.last().filter(|issuer| issuer.span.contains(self.now)) else {
            return Answer::Refused;
        };
        // A minute back, and the last second of the last day is the last one.
        let first = (self.now - 60).max(issuer.span.first);
        let last = (first + i64::from(days.unwrap_or(365)) * DAY - 1).min(issuer.span.last);
        Answer::New(Span { first, last })
    }

    pub fn issued(&mut self, request: Request, serial: String, pem: String, span: Span) {
        let (key, days) = match request {
            Request::Issue { key, days, .. } => (key, days),
            Request::Renew { predecessor } => {
                (self.certificates[predecessor].key, self.certificates[predecessor].days)
            }
        };
        let generation = self.generations.len() - 1;
        self.answers.insert(request, self.certificates.len());
        let (revoked, named_after_end) = (None, false);
        self.certificates.push(Certificate {
            serial,
            pem,
            key,
            days,
            span,
            generation,
            revoked,
            named_after_end,
        });
    }

    /// Revokes; `false` if that must be refused.
    pub fn revoke(&mut self, which: usize, reason: Reason) -> bool {
        let Some(decided) = decide(self.certificates[which].revoked, reason, self.now) else { return false };
        self.certificates[which].set(Some(decided));
        if reason == Reason::KeyCompromise {
            // Whoever has the key has every certificate of it.
            let key = self.certificates[which].key;
            self.blocked.insert(key);
            for other in self.certificates.iter_mut().filter(|other| other.key == key) {
                other.set(decide(other.revoked, reason, self.now));
            }
        }
        true
    }

    /// Releases; `false` if that must be refused.
    pub fn release(&mut self, which: usize) -> bool {
        let held = self.certificates[which].revoked.is_some_and(|revoked| revoked.reason == Reason::Hold);
        if held {
            self.certificates[which].set(None);
        }
        held
    }

    pub fn of(&self, generation: usize) -> impl Iterator<Item = &Certificate> {
        self.certificates.iter().filter(move |certificate| certificate.generation == generation)
    }

    /// Whether a list of this generation need not be made any more.
    pub fn is_done(&self, generation: usize) -> bool {
        let current = generation + 1 == self.generations.len();
        !current
            && (self.now > self.generations[generation].span.last
                || self.of(generation).all(|certificate| {
                    self.now > certificate.span.last
                        && (certificate.revoked.is_none() || certificate.named_after_end)
                }))
    }

    /// Whether it may be relied on: in date, as all above it, and not revoked.
    pub fn is_valid(&self, certificate: &Certificate) -> bool {
        let above = [self.root, self.generations[certificate.generation].span];
        certificate.revoked.is_none()
            && certificate.span.contains(self.now)
            && above.iter().all(|span| span.contains(self.now))
    }
}

impl Certificate {
    fn set(&mut self, revoked: Option<Revocation>) {
        if self.revoked != revoked {
            self.revoked = revoked;
            // What was listed was something else.
            self.named_after_end = false;
        }
    }
}

/// What a revocation comes to; `None` if what is recorded stands against it.
fn decide(recorded: Option<Revocation>, asked: Reason, now: i64) -> Option<Revocation> {
    use Reason::{Hold, KeyCompromise, Superseded, Unspecified};
    let Some(recorded) = recorded else { return Some(Revocation { at: now, reason: asked }) };
    match (recorded.reason, asked) {
        (old, new) if old == new => Some(recorded),
        // Both keep the date at which it was first revoked.
        (Hold, new) => Some(Revocation { reason: new, ..recorded }),
        (Unspecified | Superseded, KeyCompromise) => Some(Revocation { reason: KeyCompromise, ..recorded }),
        (_, Unspecified) => Some(recorded),
        (_, Hold | Superseded | KeyCompromise) => None,
    }
}
