//! The root's list when its key is elsewhere: drafted here, signed there, installed here.
#![allow(clippy::unwrap_used, reason = "a test that fails here has failed")]

mod common;

use ca::key::KeyType;
use ca::signer;
use common::{Pki, serial, start};
use crl::{Error, InstallError, ListHead, ParsedList, Reason, Target, Validity, Which, to_be_signed};
use time::Duration;

/// Signs what was drafted, as the machine with the root's key does.
fn sign(pki: &Pki, draft: &crl::RootCrlDraft) -> Vec<u8> {
    signer::list(&draft.linted, &pki.made.root).unwrap()
}

fn install_error(pki: &Pki, list: &[u8]) -> InstallError {
    match pki.publisher.install_root(list, pki.now) {
        Err(Error::Install(error)) => error,
        other => panic!("{other:?}"),
    }
}

fn root_target(pki: &Pki, number: u64) -> Target {
    Target { issuer: pki.root(), ..pki.target(number) }
}

#[test]
fn a_drafted_list_comes_back_signed_and_takes_its_place() {
    let mut pki = Pki::new(KeyType::P384);
    pki.publish(&Which::All);
    let target = root_target(&pki, 7);
    crl::revoke(&pki.store, &[target], &pki.request(Reason::CessationOfOperation), "test").unwrap();
    pki.now += Duration::days(1);
    let draft = pki.publisher.root_draft(Validity::default(), pki.now).unwrap();
    assert_eq!(draft.root.key_id(), pki.root());
    let signed = sign(&pki, &draft);
    let installed = pki.publisher.install_root(&signed, pki.now).unwrap();
    assert!(installed.publication.failures.is_empty() && installed.unknown.is_empty());
    let placed = ParsedList::read(&std::fs::read(pki.path("root.crl")).unwrap()).unwrap();
    assert_eq!((placed.der(), placed.serials()), (signed.as_slice(), &[serial(7)][..]));
    let chain = std::fs::read_to_string(pki.path("chain.crl")).unwrap();
    assert!(chain.ends_with(&std::fs::read_to_string(pki.path("root.crl")).unwrap()));
    assert!(!pki.publisher.is_due(&pki.root(), pki.now).unwrap());

    assert!(matches!(install_error(&pki, &signed), InstallError::Number { .. }), "the same again");
}

#[test]
fn what_comes_back_is_not_believed() {
    let mut pki = Pki::new(KeyType::P256);
    pki.publish(&Which::All);
    let stranger = Pki::new(KeyType::P256);
    pki.now += Duration::minutes(1);
    let draft = pki.publisher.root_draft(Validity::default(), pki.now).unwrap();
    let good = sign(&pki, &draft);

    assert!(matches!(install_error(&pki, b"hello"), InstallError::Form(_)));
    let trailing = [good.as_slice(), &[0]].concat();
    assert!(matches!(install_error(&pki, &trailing), InstallError::Form(_)));
    stranger.publish(&Which::All);
    let foreign = std::fs::read(stranger.path("root.crl")).unwrap();
    assert!(matches!(install_error(&pki, &foreign), InstallError::Issuer { .. }));
    let issuing = std::fs::read(pki.path("ca.crl")).unwrap();
    assert!(matches!(install_error(&pki, &issuing), InstallError::Issuer { .. }));
    let mut forged = good.clone();
    *forged.last_mut().unwrap() ^= 1;
    assert!(matches!(install_error(&pki, &forged), InstallError::Signature(_) | InstallError::Form(_)));

    crl::revoke(&pki.store, &[root_target(&pki, 9)], &pki.request(Reason::Superseded), "test").unwrap();
    let missing = install_error(&pki, &good);
    assert_eq!(missing, InstallError::Missing { missing: vec![serial(9)] }, "revoked after the draft");

    let newer = sign(&pki, &pki.publisher.root_draft(Validity::default(), pki.now).unwrap());
    pki.now += Duration::days(400);
    assert!(matches!(install_error(&pki, &newer), InstallError::Dates { .. }), "run out");
    pki.now = start() - Duration::days(1);
    assert!(matches!(install_error(&pki, &newer), InstallError::Dates { .. }), "not yet in force");
    pki.now = start() + Duration::minutes(2);
    assert!(pki.publisher.install_root(&newer, pki.now).is_ok());
}

#[test]
fn what_it_names_beyond_our_records_is_told() {
    let pki = Pki::new(KeyType::P256);
    let other = Pki::new(KeyType::P256);
    // The root's key signs a list with an entry that these records don't have.
    crl::revoke(
        &other.store,
        &[Target { issuer: pki.root(), ..pki.target(5) }],
        &pki.request(Reason::Superseded),
        "x",
    )
    .unwrap();
    let root = pki.made.root.certificate();
    let snapshot = other.revoked.snapshot(&pki.root()).unwrap();
    let head = ListHead {
        algorithm: ca::lint::signature_algorithm(KeyType::P256),
        issuer: root.certificate().subject_raw(),
        key_id: root.key_identifier(),
        number: crl::CrlNumber::from(u64::MAX),
        this_update: pki.now,
        next_update: pki.now + Duration::days(300),
        scope: crl::Scope::Whole,
    };
    let tbs = to_be_signed(&head, snapshot.list().iter());
    let linted = ca::lint::list(tbs, root, None, pki.now).unwrap();
    let installed =
        pki.publisher.install_root(&signer::list(&linted, &pki.made.root).unwrap(), pki.now).unwrap();
    assert_eq!(installed.unknown, [serial(5)]);
}

#[test]
fn the_root_signs_for_a_year_before_its_key_leaves() {
    let pki = Pki::new(KeyType::P256);
    let published = pki.publish(&Which::RootBeforeItLeaves);
    assert_eq!(published.lists.len(), 1);
    assert_eq!(published.lists[0].next_update - published.lists[0].this_update, Duration::days(365));
}

#[test]
fn an_adopted_authority_that_is_its_own_root_has_one_list_under_every_name() {
    let pki = Pki::new(KeyType::P256);
    let mut batch = store::Batch::new(store::Class::Ledger, 0, "test", "adopt");
    let pair = ca::records::CurrentRecord { root: pki.root(), issuing: pki.root() };
    store::Table::put(&mut batch, ca::records::CurrentRecord::PART, &pair);
    pki.store.commit(batch).unwrap();
    let published = pki.publish(&Which::Of([pki.root()].into()));
    assert!(published.failures.is_empty(), "{:?}", published.failures);
    let root = std::fs::read(pki.path("root.crl")).unwrap();
    assert_eq!(std::fs::read(pki.path("ca.crl")).unwrap(), root);
}
