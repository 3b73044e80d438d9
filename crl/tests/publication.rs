//! Publication as others see it: whole files, shared builds, failures that undo nothing.
#![allow(clippy::unwrap_used, reason = "a test that fails here has failed")]

mod common;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use ca::hierarchy::{RootKeyPlace, rotate};
use ca::key::{KeyType, PrivateKey};
use ca::plan::Policy;
use common::{Pki, openssl, serial, text};
use crl::{Error, ListRecord, ParsedList, Published, Publisher, Reason, RevokedSet, Validity, Which};
use store::{Create, OpenOptions, Sequence, Store, Table};
use time::Duration;

fn read(pki: &Pki, name: &str) -> ParsedList {
    ParsedList::read(&std::fs::read(pki.path(name)).unwrap()).unwrap()
}

/// The lists in a file of several, by openssl's account of their issuers.
fn chain_issuers(pki: &Pki) -> Vec<String> {
    let text = std::fs::read_to_string(pki.path("chain.crl")).unwrap();
    let end = "-----END X509 CRL-----\n";
    let lists = text.split_inclusive(end).map(|pem| ParsedList::read(pem.as_bytes()).unwrap());
    lists.map(|list| list.report(None, pki.now).unwrap().issuer).collect()
}

fn claims(pki: &Pki) -> usize {
    let entries = pki.store.follow(Sequence::ZERO, usize::MAX).unwrap();
    entries.iter().filter(|entry| entry.what.starts_with("publish crl")).count()
}

#[test]
fn a_full_disk_keeps_nobody_from_being_locked_out() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("store");
    let (store, _) = Store::open(&folder, OpenOptions::new(Create::IfAbsent)).unwrap();
    let mut pki = Pki::in_store(store, directory, KeyType::P256, RootKeyPlace::Beside);
    pki.store.close();
    // Twice of what is free: as if the disk were filled to half of the reserve.
    let mut options = OpenOptions::new(Create::Refuse);
    let disk = rustix::fs::statvfs(&folder).unwrap();
    options.limits.reserve = disk.f_bavail * disk.f_frsize * 2;
    pki.store = Store::open(&folder, options).unwrap().0;
    pki.revoked = RevokedSet::open(pki.store.clone()).unwrap();
    pki.publisher =
        Publisher::new(pki.directory.path(), pki.store.clone(), pki.keyring.clone(), pki.revoked.clone());
    let refused = pki.desk_issue("alice", &PrivateKey::generate(KeyType::P256).unwrap()).unwrap_err();
    assert!(matches!(refused, ca::Error::Store(store::Error::Full { .. })), "{refused:?}");
    pki.revoke([7], Reason::KeyCompromise);
    assert_eq!(pki.publish(&Which::Issuing).lists[0].entries, 1);
}

#[test]
fn every_file_is_there_and_says_the_same() {
    let pki = Pki::new(KeyType::P256);
    pki.revoke([7], Reason::Superseded);
    let published = pki.publish(&Which::All);
    assert_eq!(published.lists.len(), 2);
    let own = format!("cas/{}.crl", pki.issuing());
    let der = std::fs::read(pki.path(&own)).unwrap();
    assert_eq!(read(&pki, "ca.crl").der(), der);
    assert_eq!(std::fs::read(pki.path("ca.crl.der")).unwrap(), der);
    let root = std::fs::read(pki.path(format!("cas/{}.crl", pki.root()))).unwrap();
    assert_eq!(read(&pki, "root.crl").der(), root);
    let (ca, root_pem) =
        (std::fs::read(pki.path("ca.crl")).unwrap(), std::fs::read(pki.path("root.crl")).unwrap());
    assert_eq!(std::fs::read(pki.path("chain.crl")).unwrap(), [ca, root_pem].concat());
    let listed: &Published =
        &published.lists.iter().find(|list| list.issuer == pki.issuing()).unwrap().clone();
    assert_eq!(
        (listed.entries, listed.size, listed.path.to_str()),
        (1, der.len() as u64, Some(own.as_str()))
    );
    assert_eq!(pki.publisher.lists(pki.now).unwrap()[0], *listed);
    let root_list = published.lists.iter().find(|list| list.issuer == pki.root()).unwrap();
    assert_eq!(root_list.next_update - root_list.this_update, Validity::ROOT_KEY_HERE);
}

#[test]
fn readers_see_whole_lists_only_and_every_answered_revocation() {
    const THREADS: u64 = 4;
    const EACH: u64 = 25;
    let pki = Pki::new(KeyType::P256);
    pki.publish(&Which::All);
    let before = claims(&pki);
    let (finished, rounds) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        let pki = &pki;
        let revokers: Vec<_> = (0..THREADS)
            .map(|thread| {
                scope.spawn(move || {
                    for number in thread * EACH..(thread + 1) * EACH {
                        pki.revoke([number], Reason::Superseded);
                        let publication = pki.publish(&Which::Of([pki.issuing()].into()));
                        assert!(publication.failures.is_empty(), "{:?}", publication.failures);
                        let listed = read(pki, "ca.crl");
                        assert!(listed.serials().contains(&serial(number)), "{number} was answered");
                        assert!(pki.revoked.find(&pki.issuing(), &serial(number)).unwrap().is_some());
                    }
                })
            })
            .collect();
        let (finished, rounds) = (&finished, &rounds);
        for name in ["ca.crl", "ca.crl.der", "chain.crl"] {
            scope.spawn(move || {
                let (mut last, mut count) = (None, 0);
                while !finished.load(Ordering::Relaxed) {
                    let list = read_first(pki, name);
                    let report = list.report(Some(pki.issuing_certificate()), pki.now).unwrap();
                    assert_eq!(report.findings, []);
                    assert!(report.number >= last && report.entries >= count, "a list went back");
                    (last, count) = (report.number, report.entries);
                    rounds.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let outcomes: Vec<_> = revokers.into_iter().map(|revoker| revoker.join()).collect();
        finished.store(true, Ordering::Relaxed);
        assert!(outcomes.iter().all(Result::is_ok));
    });
    assert!(rounds.load(Ordering::Relaxed) > 10);
    assert_eq!(read(&pki, "ca.crl").serials().len() as u64, THREADS * EACH);
    let builds = claims(&pki) - before;
    assert!(builds as u64 <= THREADS * EACH, "{builds} builds");
}

/// The first list of a file, which may be of several.
fn read_first(pki: &Pki, name: &str) -> ParsedList {
    let bytes = std::fs::read(pki.path(name)).unwrap();
    let end = b"-----END X509 CRL-----\n";
    let first = bytes.windows(end.len()).position(|window| window == end).map(|at| &bytes[..at + end.len()]);
    ParsedList::read(first.unwrap_or(&bytes)).unwrap()
}

#[test]
fn numbers_rise_and_this_update_stays_with_the_clock_set_back() {
    let mut pki = Pki::new(KeyType::P256);
    let mut last: Option<Published> = None;
    for step in [0, 60, -3_600, -365 * 86_400, 0, 1, -1] {
        pki.now += Duration::seconds(step);
        let publication = pki.publish(&Which::Of([pki.issuing()].into()));
        let list = publication.lists.first().unwrap().clone();
        if let Some(last) = &last {
            assert!(list.number > last.number && list.this_update >= last.this_update);
        }
        last = Some(list);
    }
}

#[test]
fn a_list_that_cannot_be_placed_is_pending_and_due_while_the_revocation_stands() {
    let pki = Pki::new(KeyType::P256);
    pki.publish(&Which::All);
    assert!(!pki.publisher.is_due(&pki.issuing(), pki.now).unwrap());
    std::fs::remove_file(pki.path("ca.crl")).unwrap();
    std::fs::create_dir(pki.path("ca.crl")).unwrap();
    pki.revoke([1], Reason::Superseded);
    let pending = pki.publish(&Which::Of([pki.issuing()].into()));
    assert!(pending.lists.is_empty());
    assert!(matches!(pending.failure(&pki.issuing()), Some(Error::File(_))), "{:?}", pending.failures);
    assert!(pki.revoked.find(&pki.issuing(), &serial(1)).unwrap().is_some(), "enforced here");
    assert!(pki.publisher.is_due(&pki.issuing(), pki.now).unwrap());

    std::fs::remove_dir(pki.path("ca.crl")).unwrap();
    let repaired = pki.publish(&Which::Due);
    assert_eq!(repaired.lists.iter().map(|list| list.issuer).collect::<Vec<_>>(), [pki.issuing()]);
    assert_eq!(read(&pki, "ca.crl").serials(), [serial(1)]);
    assert!(pki.publish(&Which::Due).lists.is_empty());
}

#[test]
fn what_makes_a_list_due() {
    let mut pki = Pki::new(KeyType::P256);
    let due = |pki: &Pki| pki.publisher.is_due(&pki.issuing(), pki.now).unwrap();
    assert!(due(&pki), "there is none yet");
    pki.publish(&Which::All);
    assert!(!due(&pki));
    pki.revoke([1], Reason::CertificateHold);
    assert!(due(&pki), "a revocation");
    pki.publish(&Which::Due);
    crl::release(&pki.store, &pki.target(1), pki.now, "test").unwrap();
    // A process that starts after the release sees no trace of it in the set.
    let revoked = crl::RevokedSet::open(pki.store.clone()).unwrap();
    let later = crl::Publisher::new(pki.directory.path(), pki.store.clone(), pki.keyring.clone(), revoked);
    assert!(later.is_due(&pki.issuing(), pki.now).unwrap(), "a release");
    pki.publish(&Which::Due);
    assert!(read(&pki, "ca.crl").serials().is_empty() && !due(&pki));
    std::fs::write(pki.path(format!("cas/{}.crl", pki.issuing())), b"not a list").unwrap();
    let later = {
        let revoked = crl::RevokedSet::open(pki.store.clone()).unwrap();
        crl::Publisher::new(pki.directory.path(), pki.store.clone(), pki.keyring.clone(), revoked)
    };
    assert!(later.is_due(&pki.issuing(), pki.now).unwrap(), "another file in its place");
    pki.publish(&Which::All);
    pki.now += Duration::hours(83);
    assert!(!due(&pki));
    pki.now += Duration::hours(1);
    assert!(due(&pki), "half of its time");
}

#[test]
fn a_number_is_claimed_before_the_list_is_visible() {
    let pki = Pki::new(KeyType::P256);
    let last = || {
        Table::<ListRecord>::get(&pki.store, pki.issuing().to_string())
            .unwrap()
            .map(|last| last.record.number)
    };
    pki.publish(&Which::All);
    let first = last().unwrap();
    // The machine fails between the claim and the file: the number is gone for good.
    std::fs::create_dir(pki.path("chain.crl.aside")).unwrap();
    std::fs::remove_file(pki.path("chain.crl")).unwrap();
    std::fs::rename(pki.path("chain.crl.aside"), pki.path("chain.crl")).unwrap();
    assert!(!pki.publish(&Which::All).failures.is_empty());
    let lost = last().unwrap();
    assert!(lost > first);
    assert_eq!(read(&pki, "ca.crl").number(), Some(first), "the old list is still there, whole");
    std::fs::remove_dir(pki.path("chain.crl")).unwrap();
    pki.publish(&Which::Due);
    assert!(read(&pki, "ca.crl").number() > Some(lost));
}

#[test]
fn an_earlier_generation_stays_published_while_its_certificates_are_in_force() {
    let mut pki = Pki::new(KeyType::P256);
    let key = PrivateKey::generate(KeyType::P256).unwrap();
    let issued = pki.desk_issue("old", &key).unwrap();
    pki.publish(&Which::All);
    let old = pki.issuing();
    let random = aws_lc_rs::rand::SystemRandom::new();
    let policy = Policy::default();
    let rotation = rotate(&pki.store, &pki.keyring, None, &policy, "test", pki.now, &random).unwrap();
    let new = rotation.current.certificate().key_id();
    assert_eq!(pki.publish(&Which::Due).lists.iter().map(|list| list.issuer).collect::<Vec<_>>(), [new]);
    let issuers = chain_issuers(&pki);
    assert_eq!(issuers.len(), 3, "{issuers:?}");
    assert!(issuers[2].contains("Root CA") && !issuers[0].contains("Root CA"));
    assert_eq!(read(&pki, "ca.crl").der(), std::fs::read(pki.path(format!("cas/{new}.crl"))).unwrap());

    crl::revoke(&pki.store, &[(&issued.record).into()], &pki.request(Reason::Superseded), "test").unwrap();
    let published = pki.publish(&Which::Of([old].into()));
    assert_eq!(published.lists[0].entries, 1);
    // Past its end it stays until a list after that was confirmed, and then goes.
    let mut seen = BTreeSet::new();
    pki.now = issued.record.ends() + Duration::seconds(1);
    for _ in 0..6 {
        pki.publish(&Which::Due);
        seen.insert(chain_issuers(&pki).len());
        pki.now += Duration::hours(84);
    }
    assert_eq!(seen, [2, 3].into());
    assert_eq!(chain_issuers(&pki).len(), 2);
    assert!(pki.publisher.lists(pki.now).unwrap().iter().all(|list| list.issuer != old));
    // Revoked again, it is asked for its list once more, owes none, and says so by saying nothing.
    let again = pki.publish(&Which::Of([old].into()));
    assert!(again.failures.is_empty() && again.lists.is_empty(), "{:?}", again.failures);
}

#[test]
fn a_root_that_goes_elsewhere_signs_its_first_list_from_a_loan() {
    let outside = tempfile::TempDir::new().unwrap();
    let pki = Pki::with_root_key(KeyType::P256, RootKeyPlace::File(outside.path().join("root.key")));
    let alone = pki.publish(&Which::All);
    assert!(matches!(alone.failure(&pki.root()), Some(Error::MissingList { .. })), "{:?}", alone.failures);
    assert!(
        alone.failures.iter().all(|(issuer, _)| *issuer == Some(pki.root())),
        "the issuing CA's is in place"
    );
    pki.publisher.lend(pki.made.root.clone());
    let both = pki.publish(&Which::All);
    pki.publisher.take_back(&pki.root());
    assert!(both.failures.is_empty(), "{:?}", both.failures);
    let root = both.lists.iter().find(|list| list.issuer == pki.root()).unwrap();
    assert_eq!(root.next_update - root.this_update, Duration::days(365));
    let refused = pki.publish(&Which::Of([pki.root()].into()));
    assert!(matches!(refused.failure(&pki.root()), Some(Error::Keyring { .. })), "{:?}", refused.failures);
}

#[test]
fn openssl_verifies_the_root_list_too() {
    let pki = Pki::new(KeyType::P384);
    pki.publish(&Which::All);
    let (list, root) = (pki.path("root.crl"), pki.path("root.crt"));
    let command =
        ["crl", "-in", &list.to_string_lossy(), "-verify", "-CAfile", &root.to_string_lossy(), "-noout"];
    assert!(text(&openssl(&command)).contains("verify OK"));
}

#[test]
fn a_number_is_above_that_of_the_list_in_place_even_if_the_records_are_older() {
    let pki = Pki::new(KeyType::P256);
    pki.publish(&Which::All);
    // Many lists within one second: the number runs ahead of the clock.
    for number in 0..20 {
        pki.revoke([number], Reason::Superseded);
        pki.publish(&Which::Issuing);
    }
    let placed = read(&pki, "ca.crl").number();
    // The records are those of a backup that knew no list at all.
    let mut batch = store::Batch::new(store::Class::Ledger, 0, "test", "restore");
    batch.delete(Table::<ListRecord>::key(pki.issuing().to_string()));
    pki.store.commit(batch).unwrap();
    let revoked = crl::RevokedSet::open(pki.store.clone()).unwrap();
    let restored = crl::Publisher::new(pki.directory.path(), pki.store.clone(), pki.keyring.clone(), revoked);
    restored.publish(&Which::Due, Validity::default(), pki.now).unwrap();
    assert!(read(&pki, "ca.crl").number() > placed);
}

#[test]
fn a_copy_that_was_written_over_or_put_back_is_placed_anew() {
    let mut pki = Pki::new(KeyType::P256);
    pki.publish(&Which::All);
    let own = [format!("cas/{}.crl", pki.root()), format!("cas/{}.crl", pki.issuing())];
    let older: Vec<(&str, Vec<u8>)> = ["ca.crl", "ca.crl.der", "chain.crl", "root.crl"]
        .map(|name| (name, std::fs::read(pki.path(name)).unwrap()))
        .into();
    pki.now += Duration::minutes(1);
    pki.revoke([7], Reason::KeyCompromise);
    pki.publish(&Which::All);
    let read = |name: &str| std::fs::read(pki.path(name)).unwrap();
    let right: Vec<Vec<u8>> = older.iter().map(|(name, _)| read(name)).collect();
    assert!(pki.publisher.put_in_order(pki.now).unwrap().mended.is_empty());
    for junk in [None, Some(b"junk".to_vec()), Some(Vec::new())] {
        for ((name, old), right) in older.iter().zip(&right) {
            std::fs::write(pki.path(name), junk.as_ref().unwrap_or(old)).unwrap();
            assert!(pki.publisher.inspect(pki.now).unwrap().wrong.contains(std::path::Path::new(name)));
            assert_eq!(pki.publisher.put_in_order(pki.now).unwrap().mended, [std::path::Path::new(name)]);
            assert_eq!(read(name), *right, "{name}");
            std::fs::remove_file(pki.path(name)).unwrap();
            pki.publisher.put_in_order(pki.now).unwrap();
            assert_eq!(read(name), *right, "{name}");
        }
        for name in &own {
            let right = read(name);
            std::fs::write(pki.path(name), junk.as_deref().unwrap_or(b"other")).unwrap();
            let issuer = if *name == own[0] { pki.root() } else { pki.issuing() };
            assert!(pki.publisher.is_due(&issuer, pki.now).unwrap(), "a running service sees it");
            pki.publisher.put_in_order(pki.now).unwrap();
            assert_eq!(read(name), right, "from a copy");
        }
    }
    assert!(pki.publisher.inspect(pki.now).unwrap().wrong.is_empty());
}

#[test]
fn what_an_interrupted_publication_leaves_is_known_for_an_earlier_list_of_ours() {
    let pki = Pki::new(KeyType::P256);
    pki.publish(&Which::All);
    // The next lists are on record, and they never come here.
    let elsewhere = tempfile::tempdir().unwrap();
    let revoked = RevokedSet::open(pki.store.clone()).unwrap();
    let dead = Publisher::new(elsewhere.path(), pki.store.clone(), pki.keyring.clone(), revoked);
    dead.publish(&Which::All, Validity::default(), pki.now).unwrap();
    let copies = pki.publisher.put_in_order(pki.now).unwrap();
    assert_eq!(copies.wrong.len(), 6, "{copies:?}");
    assert_eq!(copies.earlier, copies.wrong);
    assert_eq!(copies.awaiting, copies.wrong, "nobody has touched what was placed here");
    let other = Pki::new(KeyType::P256);
    other.publish(&Which::All);
    let half = std::fs::read_to_string(pki.path("chain.crl")).unwrap();
    std::fs::copy(other.path("ca.crl"), pki.path("ca.crl")).unwrap();
    std::fs::copy(pki.path("root.crl"), pki.path("ca.crl.der")).unwrap();
    std::fs::write(pki.path("chain.crl"), &half[..half.len() - 100]).unwrap();
    std::fs::remove_file(pki.path("root.crl")).unwrap();
    let copies = pki.publisher.inspect(pki.now).unwrap();
    let own = [pki.root(), pki.issuing()].map(|issuer| std::path::PathBuf::from(format!("cas/{issuer}.crl")));
    let own = BTreeSet::from(own);
    assert_eq!(copies.earlier, own, "nothing of others, of the wrong authority, or in part");
    assert_eq!(copies.awaiting, own, "nothing that somebody else has put there");
}

#[test]
fn before_the_first_list_there_is_no_chain_to_place() {
    let pki = Pki::new(KeyType::P256);
    let copies = pki.publisher.put_in_order(pki.now).unwrap();
    assert!(copies.mended.is_empty(), "{copies:?}");
    assert!(!pki.path("chain.crl").exists());
    pki.publish(&Which::All);
    assert!(pki.path("chain.crl").exists());
}
