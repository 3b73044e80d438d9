//! Issuance from order to record.

use std::collections::BTreeSet;

use store::{Batch, Class, Sequence, Store, Table};
use time::Duration;

use crate::blocked::{self, BlockedKey};
use crate::cert::Certificate;
use crate::constraints::NameConstraints;
use crate::hierarchy;
use crate::issue::Desk;
use crate::key::{KeyType, PrivateKey};
use crate::plan::{Delivery, Order, Planned, Requester};
use crate::profile::LifetimeError;
use crate::records::{IssuedRecord, revocation_key};
use crate::subject::{LeafKind, Subject};
use crate::testing::*;
use crate::{Error, inventory};

fn history(store: &Store) -> Vec<String> {
    store.follow(Sequence::ZERO, 100).unwrap().iter().map(|entry| entry.what.clone()).collect()
}

#[test]
fn an_order_becomes_a_certificate_and_a_record() {
    let pki = Pki::new();
    let issued = pki.desk().issue(&client("anna"), NOW).unwrap();
    assert_eq!(issued.delivery, Delivery::New);
    assert_eq!(issued.certificate.common_name(), Some("anna"));
    issued.certificate.verify_signed_by(pki.made.issuing.certificate().certificate()).unwrap();
    // Put together from what was read before it was signed: whoever reads the whole sees the same.
    let read = Certificate::from_der(issued.certificate.der()).unwrap();
    assert_eq!(issued.certificate.fields(), read.fields());
    let found = inventory::by_serial(&pki.store, &issued.record.serial).unwrap().unwrap().record;
    assert_eq!(found, issued.record);
    assert_eq!(found.der.as_deref(), Some(issued.certificate.der()));
    assert_eq!(found.serial, issued.certificate.serial());
    assert_eq!(found.not_after, issued.certificate.not_after().unix_timestamp());
    assert_eq!(found.issuer, pki.made.issuing.certificate().key_id());
    let what = history(&pki.store).pop().unwrap();
    assert_eq!(what, format!("issue client anna serial={}", found.serial));
}

#[test]
fn the_same_order_again_gets_the_same_certificate() {
    let pki = Pki::new();
    let order = client("anna");
    let first = pki.desk().issue(&order, NOW).unwrap();
    let head = pki.store.head();
    let second = pki.desk().issue(&order, NOW + Duration::DAY).unwrap();
    assert_eq!(second.delivery, Delivery::Repeated);
    assert_eq!(second.certificate, first.certificate);
    assert_eq!(pki.store.head(), head, "nothing was written");
    // After its end the same order is a new one.
    let late = NOW + Duration::days(366);
    let third = pki.desk().issue(&order, late).unwrap();
    assert_eq!(third.delivery, Delivery::New);
    assert_ne!(third.record.serial, first.record.serial);
}

#[test]
fn whatever_makes_two_requests_different_makes_two_certificates() {
    let pki = Pki::new();
    let csr = csr();
    let subject = |names_: &[&str]| Subject::client(name("anna"), names(names_)).unwrap();
    let who = |who: &str| Requester::local(who);
    let server = Subject::server(names(&["dns:anna"])).unwrap();
    let orders = [
        Order::new(&csr, LeafKind::Client, subject(&[]), None, who("a")),
        Order::new(&csr, LeafKind::Client, subject(&["dns:x.org"]), None, who("a")),
        Order::new(&csr, LeafKind::Client, subject(&[]), Some(365), who("a")),
        Order::new(&csr, LeafKind::Client, subject(&[]), None, who("b")),
        Order::new(&csr, LeafKind::Server, server, None, who("a")),
        client("anna"),
    ];
    let serials: BTreeSet<_> =
        orders.iter().map(|order| pki.desk().issue(order, NOW).unwrap().record.serial).collect();
    assert_eq!(serials.len(), orders.len());
    assert_eq!(inventory::by_key(&pki.store, &csr.public_key().digest()).unwrap().len(), 5, "the siblings");
}

#[test]
fn one_order_from_many_threads_gets_one_certificate() {
    let pki = Pki::new();
    let order = client("anna");
    let serials: BTreeSet<_> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..8).map(|_| scope.spawn(|| pki.desk().issue(&order, NOW).unwrap())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap().record.serial).collect()
    });
    assert_eq!(serials.len(), 1);
    assert_eq!(inventory::count(&pki.store).unwrap(), 1);
}

#[test]
fn many_orders_are_answered_in_their_order_each_for_itself() {
    let pki = Pki::new();
    let mut orders: Vec<Order> = (0..20).map(|number| client(&format!("client-{number}"))).collect();
    orders.push(orders[3].clone());
    let long = Order::new(
        &csr(),
        LeafKind::Client,
        Subject::client(name("long"), vec![]).unwrap(),
        Some(100_000),
        Requester::local("test"),
    );
    orders.insert(5, long);
    let answers = pki.desk().issue_many(&orders, NOW);
    assert_eq!(answers.len(), 22);
    for (order, answer) in orders.iter().zip(&answers) {
        match answer {
            Ok(issued) => assert_eq!(issued.record.name, order.subject().label()),
            Err(error) => assert!(matches!(error, Error::Lifetime(_)) && order.subject().label() == "long"),
        }
    }
    let serial = |at: usize| answers[at].as_ref().unwrap().record.serial;
    assert_eq!(serial(3), serial(21), "the repeated row");
    assert_eq!(inventory::count(&pki.store).unwrap(), 20);
}

#[test]
fn a_dry_run_signs_and_writes_nothing() {
    let pki = Pki::new();
    let head = pki.store.head();
    let Planned::New(plan) = pki.desk().plan(&client("anna"), NOW).unwrap() else { panic!("repeated") };
    assert_eq!(pki.store.head(), head);
    assert_eq!(plan.record().der, None);
    let printed = plan.to_string();
    for part in [
        "issue client anna serial=",
        "expect issued/",
        "put issued/",
        "put issued-by-name/anna/",
        "expect blocked-key/",
    ] {
        assert!(printed.contains(part), "{part}: {printed}");
    }
}

#[test]
fn a_blocked_key_is_refused_under_every_name() {
    let pki = Pki::new();
    let order = client("anna");
    let first = pki.desk().issue(&order, NOW).unwrap();
    let mut batch = Batch::new(Class::Ledger, 0, "test", "block");
    let record = BlockedKey { since: 0, serial: first.record.serial, who: "test".to_owned() };
    blocked::block(&mut batch, &order.public_key.digest(), &record);
    pki.store.commit(batch).unwrap();
    let mut other = order.clone();
    other.digest = [1; 32];
    for order in [&order, &other] {
        let refused = pki.desk().issue(order, NOW).unwrap_err();
        assert!(
            matches!(refused, Error::BlockedKey { serial } if serial == first.record.serial),
            "{refused}"
        );
    }
}

#[test]
fn a_request_whose_certificate_was_revoked_is_not_answered_with_it() {
    let pki = Pki::new();
    let order = client("anna");
    let first = pki.desk().issue(&order, NOW).unwrap();
    let mut batch = Batch::new(Class::Ledger, 0, "test", "revoke");
    batch.put(revocation_key(&first.record.issuer, &first.record.serial), vec![1]);
    pki.store.commit(batch).unwrap();
    let refused = pki.desk().issue(&order, NOW).unwrap_err();
    assert!(matches!(refused, Error::Revoked { .. }), "{refused}");
}

#[test]
fn what_the_order_rests_on_wins_when_it_changes() {
    let pki = Pki::new();
    let permit = store::Key::new("permit").part("anna");
    let mut batch = Batch::new(Class::Ledger, 0, "test", "permit");
    batch.put(permit.clone(), vec![1]);
    pki.store.commit(batch).unwrap();
    let read = pki.store.get(&permit).unwrap().unwrap();
    let mut order = client("anna");
    order.rests_on = order.rests_on.and(permit.clone(), Some(read.version));
    let Planned::New(plan) = pki.desk().plan(&order, NOW).unwrap() else { panic!("repeated") };
    let mut batch = Batch::new(Class::Ledger, 0, "test", "removed");
    batch.delete(permit.clone());
    pki.store.commit(batch).unwrap();
    let lost = plan.sign().unwrap().submit(&pki.store).wait().unwrap_err();
    assert!(matches!(&lost, store::Error::Conflict { key } if *key == permit), "{lost}");
    let refused = pki.desk().issue(&order, NOW).unwrap_err();
    assert!(matches!(&refused, Error::Withdrawn { key } if *key == permit), "{refused}");
    assert_eq!(inventory::count(&pki.store).unwrap(), 0);
}

#[test]
fn a_rotation_in_between_makes_the_new_authority_sign() {
    let pki = Pki::new();
    let order = client("anna");
    let Planned::New(plan) = pki.desk().plan(&order, NOW).unwrap() else { panic!("repeated") };
    let now = NOW + Duration::MINUTE;
    let rotated =
        hierarchy::rotate(&pki.store, &pki.keyring, None, &pki.policy, "test", now, &pki.random).unwrap();
    let lost = plan.sign().unwrap().submit(&pki.store).wait().unwrap_err();
    assert!(matches!(lost, store::Error::Conflict { .. }), "{lost}");
    let issued = pki.desk().issue(&order, now).unwrap();
    assert_eq!(issued.record.issuer, rotated.current.certificate().key_id());
}

#[test]
fn a_serial_is_never_used_twice() {
    let pki = Pki::new();
    let Planned::New(plan) = pki.desk().plan(&client("anna"), NOW).unwrap() else { panic!("repeated") };
    let serial = plan.record().serial;
    let mut batch = Batch::new(Class::Ledger, 0, "test", "taken");
    batch.put(Table::<IssuedRecord>::key(serial.to_string()), vec![1]);
    pki.store.commit(batch).unwrap();
    let lost = plan.sign().unwrap().submit(&pki.store).wait().unwrap_err();
    assert!(matches!(lost, store::Error::Conflict { .. }), "{lost}");
}

#[test]
fn lifetimes_follow_the_issuer_s_end() {
    let pki = Pki::new();
    let end = pki.made.issuing.certificate().validity().not_after;
    let late = end - Duration::days(30);
    let issued = pki.desk().issue(&client("anna"), late).unwrap();
    assert_eq!(issued.certificate.not_after(), end);
    assert!(issued.shortened.unwrap().to_string().contains("365 days"));
    let subject = Subject::client(name("bert"), vec![]).unwrap();
    let explicit = Order::new(&csr(), LeafKind::Client, subject, Some(60), Requester::local("test"));
    let refused = pki.desk().issue(&explicit, late).unwrap_err();
    assert!(matches!(refused, Error::Lifetime(LifetimeError::PastIssuer { .. })), "{refused}");
    let refused = pki.desk().issue(&client("carl"), end + Duration::SECOND).unwrap_err();
    assert!(matches!(refused, Error::Lifetime(LifetimeError::IssuerNotValid { .. })), "{refused}");
}

#[test]
fn the_form_of_dates_changes_with_2050() {
    let now = time::macros::datetime!(2049-06-01 0:00 UTC);
    let pki = Pki::at(KeyType::P256, NameConstraints::default(), now);
    let issued = pki.desk().issue(&server(&["dns:a.org"]), now).unwrap();
    let der = issued.certificate.der();
    let has = |bytes: &[u8]| der.windows(bytes.len()).any(|window| window == bytes);
    assert!(has(b"\x17\x0d490531235900Z"), "UTCTime through 2049");
    assert!(has(b"\x18\x0f20500702235859Z"), "GeneralizedTime from 2050 on");
}

#[test]
fn a_name_outside_the_constraints_is_refused() {
    let pki = Pki::of(KeyType::P256, NameConstraints::parse(["example.com", "192.0.2.0/24"]).unwrap());
    pki.desk().issue(&server(&["dns:www.example.com", "ip:192.0.2.1"]), NOW).unwrap();
    pki.desk().issue(&client("anna"), NOW).unwrap();
    for order in [server(&["dns:www.example.org"]), client("www.example.org")] {
        let refused = pki.desk().issue(&order, NOW).unwrap_err();
        let told = match &refused {
            Error::Lint(error) => error.to_string(),
            other => panic!("{other}"),
        };
        assert!(told.contains("only example.com"), "{told}");
    }
}

#[test]
fn a_locked_or_absent_key_is_an_error_that_says_so() {
    let pki = Pki::new();
    let keyring = keyring(pki.directory.path());
    std::fs::remove_dir_all(keyring.directory()).unwrap();
    let desk = Desk { keyring: &keyring, ..pki.desk() };
    let refused = desk.issue(&client("anna"), NOW).unwrap_err();
    assert!(matches!(refused, Error::Keyring(_)), "{refused}");
}

#[test]
fn nothing_is_copied_from_a_csr_but_its_key() {
    let pki = Pki::new();
    let key = PrivateKey::generate(KeyType::P256).unwrap();
    let key_file = pki.path("leaf.key");
    std::fs::write(&key_file, key.to_pem().unwrap().as_bytes()).unwrap();
    let csr_file = pki.path("leaf.csr");
    let path = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    openssl(&[
        "req",
        "-new",
        "-key",
        &path(&key_file),
        "-out",
        &path(&csr_file),
        "-subj",
        "/O=Evil/OU=x/CN=root",
        "-addext",
        "basicConstraints=critical,CA:TRUE",
        "-addext",
        "keyUsage=critical,keyCertSign,cRLSign",
        "-addext",
        "extendedKeyUsage=anyExtendedKeyUsage,serverAuth",
        "-addext",
        "subjectAltName=DNS:evil.example.com",
        "-addext",
        "subjectKeyIdentifier=01020304",
        "-addext",
        "nameConstraints=permitted;DNS:evil",
        "-addext",
        "1.2.3.4=critical,ASN1:NULL",
    ])
    .unwrap();
    let csr = crate::cert::Csr::from_pem_or_der(&std::fs::read(&csr_file).unwrap()).unwrap();
    let subject = Subject::client(name("anna"), vec![]).unwrap();
    let order = Order::new(&csr, LeafKind::Client, subject, None, Requester::local("test"));
    let issued = pki.desk().issue(&order, NOW).unwrap().certificate;
    assert_eq!(issued.subject_display(), "CN=anna");
    assert!(!issued.is_ca());
    assert!(issued.names().is_empty());
    assert_eq!(issued.public_key(), key.public_key());
    assert_eq!(issued.subject_key_id(), Some(&key.public_key().key_id().as_bytes()[..]));
    // Asked for its names, each is checked; this one asks for one of a kind a client may have.
    let requested = Subject::requested(LeafKind::Client, &csr).unwrap();
    assert_eq!((requested.label(), requested.names().len()), ("root", 1));
}

#[test]
fn bytes_linted_for_one_authority_are_not_signed_by_another() {
    let pki = Pki::new();
    let Planned::New(plan) = pki.desk().plan(&client("anna"), NOW).unwrap() else { panic!("repeated") };
    let refused = crate::signer::certificate(plan.to_be_signed(), pki.made.root.key()).unwrap_err();
    assert!(matches!(refused, crate::signer::SignError::WrongSigner), "{refused}");
    crate::signer::certificate(plan.to_be_signed(), pki.made.issuing.key()).unwrap();
}
