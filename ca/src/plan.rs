//! Decides an issuance: what will be signed and recorded, or which certificate already answers.
//!
//! [`decide`] is pure: everything it rests on was read into a [`State`] before, the time and the serial
//! number are arguments. A [`Plan`] is printed by a dry run, or signed and handed to the store. Signing
//! and submitting are apart, so that many can be signed at once and share a commit.

use std::borrow::Cow;
use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};
use store::{Batch, Class, Key, Pending, Store, Table, Version};
use time::OffsetDateTime;

use crate::blocked::{self, BlockedKey};
use crate::cert::{Certificate, Csr, KeyId, PublicKey, Serial};
use crate::constraints::NameConstraints;
use crate::distribution::Distribution;
use crate::error::Error;
use crate::issuer::Issuer;
use crate::lint::{self, ForCertificate, Linted};
use crate::profile::{Lifetime, Profiles, Shortened};
use crate::records::{IssuedProfile, IssuedRecord, Predecessor, Reach, RestsOn, index};
use crate::signer;
use crate::subject::{LeafKind, Subject};
use crate::template::{self, Template};

/// What settings say about issuance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// The profiles in force.
    pub profiles: Profiles,
    /// What certificates say of lists and issuers.
    pub distribution: Distribution,
}

/// One certificate that is asked for. Of a CSR only its key is in here.
#[derive(Clone, Debug)]
pub struct Order {
    pub(crate) kind: LeafKind,
    pub(crate) subject: Subject,
    pub(crate) public_key: PublicKey,
    pub(crate) lifetime: Lifetime,
    pub(crate) days: Option<u32>,
    pub(crate) requester: String,
    pub(crate) project: String,
    pub(crate) rests_on: RestsOn,
    pub(crate) digest: [u8; 32],
    pub(crate) predecessor: Option<Predecessor>,
    pub(crate) reach: Option<Reach>,
}

impl Order {
    /// Asks for a certificate for the key of `csr`.
    ///
    /// `rests_on` are the records that allow it (a permit, a token); they are expected unchanged.
    /// The same CSR, kind, subject, days, requester and project are the same order: it is answered once.
    pub fn new(csr: &Csr, kind: LeafKind, subject: Subject, days: Option<u32>, by: Requester) -> Order {
        let who = match by.project.as_str() {
            Requester::DEFAULT_PROJECT => Cow::Borrowed(&by.who),
            project => Cow::Owned(format!("{}\n{project}", by.who)),
        };
        let digest = request_digest("issue", csr.der(), kind, &subject, days, &who);
        Order {
            kind,
            subject,
            public_key: csr.public_key().clone(),
            lifetime: days.map_or(Lifetime::Default, Lifetime::Exactly),
            days,
            requester: by.who,
            project: by.project,
            rests_on: by.rests_on,
            digest,
            predecessor: None,
            reach: Some(by.reach),
        }
    }

    /// The name it is for.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }
}

/// Who asks, for which project, and by which records they may.
#[derive(Clone, Debug)]
pub struct Requester {
    /// Who causes the issue, as the audit trail says it.
    pub who: String,
    /// The project it is for.
    pub project: String,
    /// The records that allow it.
    pub rests_on: RestsOn,
    /// How far they reach themselves.
    pub reach: Reach,
}

impl Requester {
    /// The project of whoever names none.
    pub const DEFAULT_PROJECT: &'static str = "default";

    /// Someone who needs no record to be allowed, in the default project.
    pub fn local(who: impl Into<String>) -> Requester {
        Requester {
            who: who.into(),
            project: Self::DEFAULT_PROJECT.to_owned(),
            rests_on: RestsOn::nothing(),
            reach: Reach::Everything,
        }
    }
}

/// What an issuance rests on, as it was read.
#[derive(Clone, Debug)]
pub struct State {
    /// The authority that will sign.
    pub issuer: Issuer,
    /// The records that make it the one.
    pub rests_on: RestsOn,
    /// The version of the index entry for this order, if it was answered before.
    pub answered_version: Option<Version>,
    /// The certificate that answered it.
    pub answered: Option<IssuedRecord>,
    /// Whether that certificate is revoked or on hold.
    pub answer_revoked: Option<Version>,
    /// Whether the key is blocked.
    pub blocked: Option<BlockedKey>,
}

/// What an order comes to.
#[derive(Debug)]
pub enum Planned {
    /// A certificate already answers it.
    Repeated(Box<Issued>),
    /// This would be signed and recorded.
    New(Box<Plan>),
}

/// Decides, from what was read alone.
pub fn decide(
    state: State,
    order: &Order,
    policy: &Policy,
    now: OffsetDateTime,
    serial: Serial,
) -> Result<Planned, Error> {
    if let Some(blocked) = &state.blocked {
        return Err(Error::BlockedKey { serial: blocked.serial });
    }
    if let Some(answered) = state.answered.filter(|record| !record.is_expired(now)) {
        if state.answer_revoked.is_some() {
            return Err(Error::Revoked { serial: answered.serial });
        }
        return Ok(Planned::Repeated(Box::new(Issued::again(answered, state.issuer)?)));
    }
    let profile = policy.profiles.of(order.kind.profile());
    let issuer = state.issuer.certificate();
    let decided = profile.validity(order.lifetime, Some(issuer.validity()), now)?;
    let template = Template {
        profile,
        subject: &order.subject,
        public_key: &order.public_key,
        serial: &serial,
        validity: decided.validity,
        issuer: Some(issuer),
        distribution: &policy.distribution,
        constraints: &NameConstraints::default(),
    };
    let linted = lint::certificate(template::write(&template)?, &template, now)?;
    let record = IssuedRecord {
        serial,
        der: None,
        name: order.subject.label().to_owned(),
        profile: match order.kind {
            LeafKind::Client => IssuedProfile::Client,
            LeafKind::Server => IssuedProfile::Server,
        },
        names: order.subject.names().iter().map(ToString::to_string).collect(),
        project: order.project.clone(),
        requester: order.requester.clone(),
        issued_at: now.unix_timestamp(),
        not_before: Some(decided.validity.not_before.unix_timestamp()),
        not_after: decided.validity.not_after.unix_timestamp(),
        issuer: issuer.key_id(),
        key: Some(order.public_key.digest()),
        request: Some(order.digest),
        days: order.days,
        predecessor: order.predecessor,
        reach: order.reach,
    };
    let mut batch = Batch::new(Class::Ledger, now.unix_timestamp(), &order.requester, what(&record));
    batch.expect_absent(Table::<IssuedRecord>::key(serial.to_string()));
    batch.expect(index::by_request(&order.digest), state.answered_version);
    batch.expect_absent(blocked::key(&order.public_key.digest()));
    state.rests_on.demand(&mut batch);
    order.rests_on.demand(&mut batch);
    Ok(Planned::New(Box::new(Plan {
        issuer: state.issuer,
        linted,
        record,
        batch,
        shortened: decided.shortened,
    })))
}

/// The audit trail's words.
fn what(record: &IssuedRecord) -> String {
    let profile = record.profile.as_str();
    match &record.predecessor {
        None => format!("issue {profile} {} serial={}", record.name, record.serial),
        Some(old) => {
            format!("renew {profile} {} serial={} replaces={}", record.name, record.serial, old.serial)
        }
    }
}

/// A decided issuance, linted and not yet signed.
#[derive(Debug)]
pub struct Plan {
    issuer: Issuer,
    linted: Linted<ForCertificate>,
    record: IssuedRecord,
    batch: Batch,
    shortened: Option<Shortened>,
}

impl Plan {
    /// What will be recorded, its DER still missing.
    pub fn record(&self) -> &IssuedRecord {
        &self.record
    }

    /// The authority that will sign.
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// Whether the lifetime was cut.
    pub fn shortened(&self) -> Option<Shortened> {
        self.shortened
    }

    /// The certificate's bytes as they will be signed.
    pub fn to_be_signed(&self) -> &Linted<ForCertificate> {
        &self.linted
    }

    /// Demands what a read of `key` returned, and lets the caller's own writes join the batch.
    pub fn batch_mut(&mut self) -> &mut Batch {
        &mut self.batch
    }

    /// Signs. Nothing of it may leave before [`PendingIssue::wait`] returned.
    pub fn sign(mut self) -> Result<Signed, Error> {
        let certificate = signer::leaf(self.linted, self.issuer.key())?;
        self.record.der = Some(certificate.der().to_vec());
        self.record.put(&mut self.batch);
        let issued = Issued {
            record: self.record,
            certificate,
            issuer: self.issuer,
            delivery: Delivery::New,
            shortened: self.shortened,
        };
        Ok(Signed { batch: self.batch, issued })
    }
}

/// What a dry run shows: the records that would be written, one a line.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.batch.what)?;
        for (key, expectation) in &self.batch.expects {
            writeln!(f, "expect {key} {expectation:?}")?;
        }
        let mut complete = Batch::new(self.batch.class, self.batch.time, "", "");
        self.record.put(&mut complete);
        for (key, _) in self.batch.writes.iter().chain(&complete.writes) {
            writeln!(f, "put {key}")?;
        }
        Ok(())
    }
}

/// A signed certificate that is not recorded yet; its bytes stay in here until it is.
#[derive(Debug)]
pub struct Signed {
    batch: Batch,
    issued: Issued,
}

impl Signed {
    /// Lets the caller's own changes, which may name the certificate, join the batch that records it.
    pub(crate) fn join<E>(
        &mut self,
        join: impl FnOnce(&Certificate, &mut Batch) -> Result<(), E>,
    ) -> Result<(), E> {
        join(&self.issued.certificate, &mut self.batch)
    }

    /// Hands it to the store; all that are submitted before one waits share a commit.
    pub fn submit(self, store: &Store) -> PendingIssue {
        PendingIssue { pending: store.submit(self.batch), issued: self.issued }
    }
}

/// A signed certificate on its way into the store.
pub struct PendingIssue {
    pending: Pending,
    issued: Issued,
}

impl PendingIssue {
    /// Waits until it is durable; [`store::Error::Conflict`] means decide anew.
    pub fn wait(self) -> Result<Issued, store::Error> {
        self.pending.wait()?;
        Ok(self.issued)
    }
}

/// Whether an answer was made now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Signed and recorded now.
    New,
    /// The same as an earlier answer.
    Repeated,
}

/// A certificate that is durable in the store.
#[derive(Clone, Debug)]
pub struct Issued {
    /// Its record.
    pub record: IssuedRecord,
    /// The certificate.
    pub certificate: Certificate,
    /// The authority that is current; for an earlier answer not always the one that signed it
    /// ([`IssuedRecord::issuer`] says which did).
    pub issuer: Issuer,
    /// Whether it was made now.
    pub delivery: Delivery,
    /// Whether its lifetime was cut.
    pub shortened: Option<Shortened>,
}

impl Issued {
    fn again(record: IssuedRecord, issuer: Issuer) -> Result<Issued, Error> {
        let der = record.der.as_deref().ok_or_else(|| Error::NotFound { word: record.serial.to_string() })?;
        let certificate = Certificate::from_der(der)?;
        Ok(Issued { certificate, record, issuer, delivery: Delivery::Repeated, shortened: None })
    }

    /// The authority that signed it.
    pub fn signed_by(&self) -> KeyId {
        self.record.issuer
    }
}

/// SHA-256 over everything that makes two requests one. Each part is preceded by its length, so that no
/// two different requests run together to the same octets.
pub(crate) fn request_digest(
    verb: &str,
    key: &[u8],
    kind: LeafKind,
    subject: &Subject,
    days: Option<u32>,
    requester: &str,
) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    let mut part = |octets: &[u8]| {
        context.update(&(octets.len() as u64).to_be_bytes());
        context.update(octets);
    };
    part(verb.as_bytes());
    part(key);
    part(kind.profile().as_str().as_bytes());
    part(requester.as_bytes());
    part(&days.map_or([0; 4], u32::to_be_bytes));
    part(subject.label().as_bytes());
    for name in subject.names() {
        part(name.to_string().as_bytes());
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

/// Where the record of a serial lies.
pub(crate) fn issued_key(serial: &Serial) -> Key {
    Table::<IssuedRecord>::key(serial.to_string())
}
