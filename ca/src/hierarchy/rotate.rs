//! The next issuing CA: made at once where the root's key is, or by way of a CSR where it is not.

use std::sync::Arc;

use aws_lc_rs::rand::SecureRandom;
use store::file::OnExisting;
use store::{Batch, Class, Store, Table};
use time::OffsetDateTime;

use super::{Making, certify, organization, record, subject};
use crate::authority::{self, Current};
use crate::cert::{Certificate, Csr, PublicKey};
use crate::constraints::NameConstraints;
use crate::distribution::Distribution;
use crate::error::Error;
use crate::issuer::{Issuer, IssuerCertificate};
use crate::key::{KeyType, PrivateKey, make_csr};
use crate::keyring::Keyring;
use crate::plan::Policy;
use crate::profile::ProfileKind;
use crate::records::{AuthorityRecord, AuthorityState, CurrentRecord, Role};

/// A rotation that is in force.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// The issuing CA that signs from now on.
    pub current: Issuer,
    /// The record of the one that signed before.
    pub previous: AuthorityRecord,
    /// Where the new one's certificate says that the root's list and certificate are.
    pub distribution: Distribution,
}

/// Makes the next issuing CA and puts it in force; the root's key must be in the keyring.
pub fn rotate(
    store: &Store,
    keyring: &Keyring,
    key_type: Option<KeyType>,
    policy: &Policy,
    who: &str,
    now: OffsetDateTime,
    random: &dyn SecureRandom,
) -> Result<Rotation, Error> {
    let current = Current::load(store)?;
    let root = keyring.issuer(&current.root.record)?;
    let constraints = carried(&current)?;
    let key = new_key(keyring, &current, key_type)?;
    let certificate =
        sign(root.certificate(), root.key(), key.public_key(), &constraints, policy, now, random)?;
    let certificate = IssuerCertificate::new(certificate)?;
    let place = keyring.place_kind();
    let next = record(
        certificate.certificate(),
        Role::Issuing,
        place,
        &constraints,
        root.certificate().key_id(),
        now,
    );
    let previous = put_in_force(store, &current, &next, None, who, now)?;
    keyring.hold(certificate.key_id(), key.clone());
    Ok(Rotation {
        current: Issuer::new(certificate, key)?,
        previous,
        distribution: policy.distribution.clone(),
    })
}

/// Makes the key of the next issuing CA, and its CSR (PEM) for a root that is elsewhere.
///
/// Asked again before the certificate came, it returns the same CSR.
pub fn request(
    store: &Store,
    keyring: &Keyring,
    key_type: Option<KeyType>,
    who: &str,
    now: OffsetDateTime,
) -> Result<AuthorityRecord, Error> {
    let current = Current::load(store)?;
    let wanted = key_type.map_or_else(|| current_type(&current), Ok)?;
    for awaiting in authority::list(store)? {
        if awaiting.state == AuthorityState::AwaitingCertificate
            && keyring.key(&awaiting)?.key_type() == wanted
        {
            return Ok(awaiting);
        }
    }
    let root = IssuerCertificate::new(certificate_of(&current.root.record)?)?;
    let constraints = carried(&current)?;
    let key = new_key(keyring, &current, key_type)?;
    let names = subject(&organization(root.certificate())?, ProfileKind::Issuing, key.public_key())?;
    let common_name =
        names.common_name().ok_or(Error::NotFound { word: "the name of the new authority".to_owned() })?;
    let (permitted, excluded) = constraints.texts();
    let record = AuthorityRecord {
        key_id: key.public_key().key_id(),
        role: Role::Issuing,
        state: AuthorityState::AwaitingCertificate,
        key: keyring.place_kind(),
        certificate: None,
        csr: Some(make_csr(&key, common_name, &[])?),
        constraints: permitted,
        created_at: now.unix_timestamp(),
        parent: root.key_id(),
        excluded,
    };
    let what = format!("ca rotate csr issuing={}", record.key_id);
    let mut batch = Batch::new(Class::Ledger, now.unix_timestamp(), who, what);
    batch.expect_unchanged(current.pair.key.clone(), current.pair.version);
    batch.expect_absent(Table::<AuthorityRecord>::key(record.key_id.to_string()));
    Table::put(&mut batch, record.key_id.to_string(), &record);
    store.commit(batch)?;
    keyring.hold(record.key_id, key);
    Ok(record)
}

/// Signs the certificate of an issuing CA from its CSR: what is done where the root's key lives.
///
/// Only the key is taken from the CSR; the name follows from the root's and the key.
pub fn sign_issuing(
    root: &Certificate,
    root_key: PrivateKey,
    csr: &Csr,
    constraints: &NameConstraints,
    policy: &Policy,
    now: OffsetDateTime,
    random: &dyn SecureRandom,
) -> Result<Certificate, Error> {
    let root = Issuer::new(IssuerCertificate::new(root.clone())?, Arc::new(root_key))?;
    sign(root.certificate(), root.key(), csr.public_key(), constraints, policy, now, random)
}

fn sign(
    root: &IssuerCertificate,
    root_key: &PrivateKey,
    public_key: &PublicKey,
    constraints: &NameConstraints,
    policy: &Policy,
    now: OffsetDateTime,
    random: &dyn SecureRandom,
) -> Result<Certificate, Error> {
    let subject = subject(&organization(root.certificate())?, ProfileKind::Issuing, public_key)?;
    let making = Making {
        kind: ProfileKind::Issuing,
        subject: &subject,
        public_key,
        issuer: Some(root),
        constraints,
        policy,
    };
    certify(&making, root_key, now, random)
}

/// Commits a new current authority, the previous one retired; both in one batch.
pub(super) fn put_in_force(
    store: &Store,
    current: &Current,
    next: &AuthorityRecord,
    awaiting: Option<store::Version>,
    who: &str,
    now: OffsetDateTime,
) -> Result<AuthorityRecord, Error> {
    let mut previous = current.issuing.record.clone();
    let what = format!("ca rotate issuing={} previous={}", next.key_id, previous.key_id);
    let mut batch = Batch::new(Class::Ledger, now.unix_timestamp(), who, what);
    batch.expect_unchanged(current.pair.key.clone(), current.pair.version);
    batch.expect_unchanged(current.issuing.key.clone(), current.issuing.version);
    batch.expect(Table::<AuthorityRecord>::key(next.key_id.to_string()), awaiting);
    // An adopted CA that was both goes on as the root that it is.
    match previous.role {
        Role::RootAndIssuing => {}
        Role::Root | Role::Issuing => previous.state = AuthorityState::Retired,
    }
    Table::put(&mut batch, previous.key_id.to_string(), &previous);
    Table::put(&mut batch, next.key_id.to_string(), next);
    let pair = CurrentRecord { issuing: next.key_id, ..current.pair.record.clone() };
    Table::put(&mut batch, CurrentRecord::PART, &pair);
    store.commit(batch)?;
    Ok(previous)
}

/// The constraints of the issuing CA in force: its successor is held to the same names.
fn carried(current: &Current) -> Result<NameConstraints, Error> {
    Ok(current.issuing.record.name_constraints()?)
}

fn new_key(
    keyring: &Keyring,
    current: &Current,
    key_type: Option<KeyType>,
) -> Result<Arc<PrivateKey>, Error> {
    let key = PrivateKey::generate(key_type.map_or_else(|| current_type(current), Ok)?)?;
    keyring.write(&keyring.issuing_path(&key.public_key().key_id()), &key, OnExisting::Refuse)?;
    Ok(Arc::new(key))
}

/// The type of the key in force; an adopted CA's may be one that is no longer made.
fn current_type(current: &Current) -> Result<KeyType, Error> {
    let found = certificate_of(&current.issuing.record)?.public_key().key_type();
    Ok(if KeyType::OFFERED.contains(&found) { found } else { KeyType::P384 })
}

pub(super) fn certificate_of(record: &AuthorityRecord) -> Result<Certificate, Error> {
    Ok(crate::keyring::issuer_certificate(record)?.certificate().clone())
}
