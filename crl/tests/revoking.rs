//! Revocation as the service sees it: durable, at once in force, many at a time, keys blocked.
#![allow(clippy::unwrap_used, reason = "a test that fails here has failed")]

mod common;

use std::thread;

use ca::key::{KeyType, PrivateKey};
use common::{Pki, serial, start};
use crl::{Error, Outcome, Reason, Refusal, Revocation, RevokedSet, Target};
use store::{Batch, Class, Key};
use time::Duration;

fn found(pki: &Pki, number: u64) -> Option<Revocation> {
    pki.revoked.find(&pki.issuing(), &serial(number)).unwrap()
}

#[test]
fn a_revocation_is_in_force_when_it_returns_and_the_second_changes_nothing() {
    let pki = Pki::new(KeyType::P256);
    assert_eq!(found(&pki, 1), None);
    let once = crl::revoke(&pki.store, &[pki.target(1)], &pki.request(Reason::Superseded), "test").unwrap();
    assert_eq!(once[0].outcome, Outcome::New);
    assert_eq!(found(&pki, 1), Some(once[0].revocation));
    let head = pki.store.head();
    let again = crl::revoke(&pki.store, &[pki.target(1)], &pki.request(Reason::Superseded), "test").unwrap();
    assert_eq!((again[0].outcome, again[0].revocation), (Outcome::Already, once[0].revocation));
    assert_eq!(pki.store.head(), head, "nothing was written");
    assert_eq!(found(&pki, 2), None);
    let other = pki.root();
    assert_eq!(pki.revoked.find(&other, &serial(1)).unwrap(), None, "another authority's serial");
}

#[test]
fn a_hold_keeps_its_date_when_it_becomes_a_revocation_and_can_be_lifted_before() {
    let mut pki = Pki::new(KeyType::P256);
    pki.revoke([1, 2], Reason::CertificateHold);
    pki.now += Duration::days(2);
    let held = crl::release(&pki.store, &pki.target(1), pki.now, "test").unwrap();
    assert_eq!((held.reason, found(&pki, 1)), (Reason::CertificateHold, None));
    let twice = crl::release(&pki.store, &pki.target(1), pki.now, "test").unwrap_err();
    assert!(matches!(twice, Error::Refused(Refusal::NotRevoked { .. })));

    pki.revoke([2], Reason::Superseded);
    let revoked = found(&pki, 2).unwrap();
    assert_eq!((revoked.reason, revoked.at), (Reason::Superseded, start().unix_timestamp()));
    let late = crl::release(&pki.store, &pki.target(2), pki.now, "test").unwrap_err();
    assert!(matches!(late, Error::Refused(Refusal::NotHeld { recorded: Reason::Superseded, .. })));
}

#[test]
fn one_refusal_leaves_everything_as_it_was() {
    let pki = Pki::new(KeyType::P256);
    pki.revoke([3], Reason::KeyCompromise);
    let head = pki.store.head();
    let targets = [pki.target(1), pki.target(2), pki.target(3)];
    let refused = crl::revoke(&pki.store, &targets, &pki.request(Reason::Superseded), "test").unwrap_err();
    assert!(matches!(refused, Error::Refused(Refusal::ReasonStands { .. })), "{refused}");
    assert_eq!((pki.store.head(), found(&pki, 1)), (head, None));
}

#[test]
fn a_hundred_thousand_are_few_batches() {
    const MANY: u64 = 100_000;
    let pki = Pki::new(KeyType::P256);
    let head = pki.store.head();
    // Some twice: a certificate named twice is revoked once.
    let targets: Vec<Target> = (0..MANY).chain(0..1_000).map(|number| pki.target(number)).collect();
    let revoked =
        crl::revoke(&pki.store, &targets, &pki.request(Reason::CessationOfOperation), "test").unwrap();
    assert_eq!(revoked.len() as u64, MANY);
    assert_eq!(pki.store.head().0 - head.0, 10);
    assert_eq!(pki.revoked.count(&pki.issuing()).unwrap() as u64, MANY);
    let entries = pki.store.follow(head, 1).unwrap();
    assert!(entries[0].what.ends_with(" and 9990 more"), "{}", entries[0].what);
    // A set that is opened later has read them all.
    let later = RevokedSet::open(pki.store.clone()).unwrap();
    assert_eq!(later.count(&pki.issuing()).unwrap() as u64, MANY);
    assert!(later.find(&pki.issuing(), &serial(MANY - 1)).unwrap().is_some());
}

#[test]
fn concurrent_revocations_of_one_certificate_agree() {
    let pki = Pki::new(KeyType::P256);
    let outcomes: Vec<Outcome> = thread::scope(|scope| {
        let threads: Vec<_> = (0..16)
            .map(|_| {
                scope.spawn(|| {
                    let request = pki.request(Reason::Superseded);
                    crl::revoke(&pki.store, &[pki.target(1)], &request, "test").unwrap()[0].outcome
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Outcome::New).count(), 1);
}

#[test]
fn a_compromised_key_is_blocked_and_takes_its_other_certificates_with_it() {
    let pki = Pki::new(KeyType::P256);
    let key = PrivateKey::generate(KeyType::P256).unwrap();
    let [first, second] = ["web-1", "web-2"].map(|name| pki.desk_issue(name, &key).unwrap().record);
    let bystander = pki.desk_issue("web-3", &PrivateKey::generate(KeyType::P256).unwrap()).unwrap().record;
    pki.revoke_records(&[&second], Reason::Superseded);
    assert!(pki.desk_issue("web-4", &key).is_ok(), "superseded says nothing of the key");

    let request = pki.request(Reason::KeyCompromise);
    let targets = [Target::from(&first)];
    let planned = crl::plan(&pki.store, &targets, &request).unwrap();
    let revoked = crl::revoke(&pki.store, &targets, &request, "test").unwrap();
    assert_eq!(planned, revoked, "what is foretold is what is done");
    assert_eq!(revoked[0].target.serial, first.serial, "what was asked for comes first");
    assert_eq!(revoked.len(), 3);
    assert!(revoked.iter().all(|revoked| revoked.revocation.reason == Reason::KeyCompromise));
    assert!(
        revoked.iter().any(|also| also.target.serial == second.serial && also.outcome == Outcome::Changed)
    );
    assert_eq!(pki.revoked.find(&pki.issuing(), &bystander.serial).unwrap(), None);
    let refused = pki.desk_issue("web-5", &key).unwrap_err();
    assert!(matches!(refused, ca::Error::BlockedKey { .. }), "{refused}");
    let head = pki.store.head();
    crl::revoke(&pki.store, &targets, &request, "test").unwrap();
    assert_eq!(pki.store.head(), head, "and again changes nothing");
}

#[test]
fn a_clock_that_was_ahead_leaves_no_certificate_of_a_compromised_key() {
    let mut pki = Pki::new(KeyType::P256);
    let key = PrivateKey::generate(KeyType::P256).unwrap();
    let first = pki.desk_issue("web-1", &key).unwrap().record;
    pki.now += time::Duration::days(800);
    let second = pki.desk_issue("web-2", &key).unwrap().record;
    let request = pki.request(Reason::KeyCompromise);
    crl::revoke(&pki.store, &[Target::from(&second)], &request, "test").unwrap();
    // The clock is put right, and the first is in date again.
    pki.now -= time::Duration::days(800);
    assert!(!first.is_expired(pki.now));
    let found = pki.revoked.find(&pki.issuing(), &first.serial).unwrap().unwrap();
    assert_eq!(found.reason, Reason::KeyCompromise);
}

#[test]
fn a_certificate_issued_while_its_key_is_being_blocked_falls_as_well() {
    let pki = Pki::new(KeyType::P256);
    let key = PrivateKey::generate(KeyType::P256).unwrap();
    let first = pki.desk_issue("web-0", &key).unwrap().record;
    // Thousands of others widen the time between looking for siblings and blocking the key.
    let mut targets: Vec<Target> = (0..5_000).map(|number| pki.target(number)).collect();
    targets.push(Target::from(&first));
    let issued = thread::scope(|scope| {
        let issuing = scope.spawn(|| {
            let names = (1..).map(|number| format!("web-{number}"));
            names.take_while(|name| pki.desk_issue(name, &key).is_ok()).count()
        });
        crl::revoke(&pki.store, &targets, &pki.request(Reason::KeyCompromise), "test").unwrap();
        issuing.join().unwrap()
    });
    assert!(issued > 0, "nothing was issued meanwhile");
    let all = ca::inventory::by_key(&pki.store, &key.public_key().digest()).unwrap();
    assert_eq!(all.len(), issued + 1);
    for certificate in all {
        let found = pki.revoked.find(&pki.issuing(), &certificate.record.serial).unwrap();
        assert_eq!(
            found.map(|found| found.reason),
            Some(Reason::KeyCompromise),
            "{}",
            certificate.record.name
        );
    }
}

#[test]
fn a_batch_rests_on_the_revocation_as_it_was_read() {
    let pki = Pki::new(KeyType::P256);
    let mut batch = Batch::new(Class::Ledger, pki.now.unix_timestamp(), "test", "revoke");
    crl::revoke_into(&pki.store, &mut batch, &pki.target(1), &pki.request(Reason::Superseded)).unwrap();
    pki.revoke([1], Reason::KeyCompromise);
    assert!(matches!(pki.store.commit(batch), Err(store::Error::Conflict { .. })));
    assert_eq!(found(&pki, 1).unwrap().reason, Reason::KeyCompromise);
}

impl Pki {
    fn revoke_records(&self, records: &[&ca::records::IssuedRecord], reason: Reason) {
        let targets: Vec<Target> = records.iter().map(|record| Target::from(*record)).collect();
        crl::revoke(&self.store, &targets, &self.request(reason), "test").unwrap();
    }
}

#[test]
fn a_certificate_is_revoked_from_its_file_if_our_key_signed_it() {
    let (ours, others) = (Pki::new(KeyType::Ed25519), Pki::new(KeyType::Ed25519));
    let key = PrivateKey::generate(KeyType::P256).unwrap();
    let mine = ours.desk_issue("web-1", &key).unwrap().certificate;
    let target = Target::signed_by(&mine, ours.issuing_certificate()).unwrap();
    assert_eq!((target.issuer, target.serial), (ours.issuing(), mine.serial()));
    assert_eq!(target.key, Some(key.public_key().digest()));
    let foreign = others.desk_issue("web-1", &key).unwrap().certificate;
    let refused = Target::signed_by(&foreign, ours.issuing_certificate()).unwrap_err();
    assert!(matches!(refused, Error::NotOurs { .. }));
}

#[test]
fn the_revocation_of_an_authority_joins_the_batch_that_retires_it() {
    let pki = Pki::new(KeyType::P256);
    let certificate = pki.issuing_certificate();
    let target = Target::signed_by(certificate, pki.made.root.certificate().certificate()).unwrap();
    let mut batch = Batch::new(Class::Ledger, pki.now.unix_timestamp(), "test", "ca revoke");
    batch.put(Key::new("authority").part("other"), vec![1]);
    crl::revoke_into(&pki.store, &mut batch, &target, &pki.request(Reason::CaCompromise)).unwrap();
    assert_eq!(pki.revoked.find(&pki.root(), &certificate.serial()).unwrap(), None);
    pki.store.commit(batch).unwrap();
    assert!(pki.revoked.find(&pki.root(), &certificate.serial()).unwrap().is_some());
    assert!(pki.store.get(&ca::blocked::key(&certificate.public_key().digest())).unwrap().is_some());
}

#[test]
fn a_record_that_names_no_certificate_stops_the_answers() {
    let pki = Pki::new(KeyType::P256);
    let mut batch = Batch::new(Class::Ledger, 0, "test", "damage");
    batch.put(Key::new("revoked").part(pki.issuing().to_string()).part("NOT-A-SERIAL"), vec![1]);
    pki.store.commit(batch).unwrap();
    assert!(matches!(pki.revoked.find(&pki.issuing(), &serial(1)), Err(Error::StrayRecord { .. })));
    assert!(RevokedSet::open(pki.store.clone()).is_err());
}

#[test]
fn a_snapshot_stands_still_while_the_set_goes_on() {
    let pki = Pki::new(KeyType::P256);
    pki.revoke(0..2_000, Reason::Superseded);
    let before = pki.revoked.snapshot(&pki.issuing()).unwrap();
    pki.revoke(2_000..4_000, Reason::Superseded);
    assert_eq!(before.list().len(), 2_000);
    let after = pki.revoked.snapshot(&pki.issuing()).unwrap();
    assert_eq!(after.list().len(), 4_000);
    assert!(after.through() > before.through() && after.list().changed() > before.list().changed());
}
