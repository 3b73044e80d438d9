use std::fs;
use std::os::unix::fs::MetadataExt;

use ca::hierarchy::RootKeyPlace;
use ca::key::{Passphrase, ScryptCost};

use trust::Presented;

use super::*;
use crate::http::problem::problem;
use crate::ops::crl::CrlShow;
use crate::problem::ProblemKind;
use crate::testing::{at, keys, made, plain_init, reopened};

#[test]
fn a_pki_is_made_whole_and_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("pki");
    let pki = made(&place);
    for name in ["root.crt", "ca.crt", "chain.crt", "ca.crl", "ca.crl.der", "root.crl", "chain.crl"] {
        assert_eq!(fs::metadata(place.join(name)).unwrap().mode() & 0o7777, 0o644, "{name}");
    }
    assert_eq!(fs::metadata(place.join("keys")).unwrap().mode() & 0o7777, 0o700);
    assert_eq!(fs::metadata(place.join("keys/root.key")).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(pki.run(CrlShow {}, &Presented::InProcess, at(0)).unwrap().len(), 2);
    let again = Pki::init(&place, keys(), &plain_init(), &Peer::InProcess, at(0)).err().unwrap();
    let told = problem(&again);
    assert_eq!(told.kind, ProblemKind::Unavailable, "one process at a time: {told:?}");
    assert!(told.message.contains(&std::process::id().to_string()), "{told:?}");
    drop(pki);
    drop(reopened(&place));
    let again = Pki::init(&place, keys(), &plain_init(), &Peer::InProcess, at(0)).err().unwrap();
    assert!(matches!(again, Error::Directory(DirectoryError::Exists { .. })), "{again:?}");
}

#[test]
fn what_is_missing_or_broken_is_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("pki");
    let open = || Pki::open(&place, keys(), OpenMode::Command, at(1)).err().unwrap();
    assert!(matches!(open(), Error::Directory(DirectoryError::Missing { .. })));
    drop(made(&place));
    fs::rename(place.join("store"), dir.path().join("stolen")).unwrap();
    assert!(matches!(open(), Error::Directory(DirectoryError::Broken { .. })));
    let init = Pki::init(&place, keys(), &plain_init(), &Peer::InProcess, at(0)).err().unwrap();
    assert!(matches!(init, Error::Directory(DirectoryError::Broken { .. })));
}

#[test]
fn an_encrypted_key_asks_for_its_passphrase() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("pki");
    let locked = Keys { passphrase: Some(Passphrase::from_line(b"right").unwrap()), cost: ScryptCost::CHEAP };
    drop(Pki::init(&place, locked.clone(), &plain_init(), &Peer::InProcess, at(0)).unwrap());
    let service = Pki::open(&place, keys(), OpenMode::Service, at(1)).err().unwrap();
    let told = problem(&service);
    assert_eq!(told.kind, ProblemKind::Denied);
    assert!(told.hint.unwrap().contains("--passphrase-file"));
    let command = Pki::open(&place, keys(), OpenMode::Command, at(1)).unwrap();
    assert!(command.needs_passphrase().unwrap());
    drop(command);
    let open = Pki::open(&place, locked, OpenMode::Service, at(1)).unwrap();
    assert!(!open.needs_passphrase().unwrap());
    assert!(fs::read_to_string(place.join("keys/root.key")).unwrap().contains("ENCRYPTED"));
}

#[test]
fn a_root_key_that_goes_elsewhere_has_signed_its_first_list() {
    let dir = tempfile::tempdir().unwrap();
    let (place, key) = (dir.path().join("pki"), dir.path().join("root.key"));
    let init = Init { root_key: RootKeyPlace::File(key.clone()), ..plain_init() };
    let pki = Pki::init(&place, keys(), &init, &Peer::InProcess, at(0)).unwrap();
    assert!(key.exists() && !place.join("keys/root.key").exists());
    let lists = pki.run(CrlShow {}, &Presented::InProcess, at(0)).unwrap();
    let root = lists.iter().find(|list| list.role == "root").unwrap();
    assert_eq!(root.next_update - root.this_update, time::Duration::days(365));
}

#[test]
fn a_stranger_may_not_make_one() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("pki");
    let stranger = Peer::Local { uid: rustix::process::geteuid().as_raw() + 70_000, name: None };
    let denied = Pki::init(&place, keys(), &plain_init(), &stranger, at(0)).err().unwrap();
    assert!(matches!(denied, Error::Denied(_)), "{denied:?}");
}

#[test]
fn a_damaged_store_says_what_can_be_done() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("pki");
    drop(made(&place));
    let journal = fs::read_dir(place.join("store/journal")).unwrap().next().unwrap().unwrap().path();
    let bytes = fs::read(&journal).unwrap();
    fs::write(&journal, &bytes[..bytes.len() / 2]).unwrap();
    let refused = Pki::open(&place, keys(), OpenMode::Command, at(1)).err().unwrap();
    let told = problem(&refused);
    assert!(told.message.contains(journal.to_str().unwrap()), "{told:?}");
    let hint = told.hint.unwrap();
    assert!(hint.contains("pki restore FILE --dir NEW") && !hint.contains("doctor"), "{hint}");
}
