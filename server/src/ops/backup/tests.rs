use trust::Peer;

use super::*;
use crate::archive;
use crate::ops::crl::{CrlPublish, CrlShow};
use crate::ops::doctor::Doctor;
use crate::ops::revoke::Revoke;
use crate::ops::view::Selector;
use crate::pki::OpenMode;
use crate::testing::{at, issue, keys, made};

fn request(keys: PrivateKeys) -> BackupRequest {
    BackupRequest { passphrase: Phrase::new("right".to_owned()), keys }
}

fn backed_up(pki: &Pki, keys: PrivateKeys) -> Vec<u8> {
    let mut out = Vec::new();
    pki.backup(&request(keys), &mut out, &Presented::InProcess, at(30)).unwrap();
    out
}

#[test]
fn what_was_backed_up_goes_on_elsewhere_with_higher_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let pki = made(&dir.path().join("old"));
    let issued = issue(&pki, "web-1");
    let before = pki.run(CrlShow {}, &Presented::InProcess, at(20)).unwrap();
    let sealed = backed_up(&pki, PrivateKeys::Included);
    let epoch = pki.store().tip().epoch;
    drop(pki);

    let new = dir.path().join("new");
    let wrong = restore(sealed.as_slice(), &Phrase::new("wrong".to_owned()), &new, &Peer::InProcess, at(90));
    assert!(matches!(wrong, Err(Error::Archive(archive::Error::Decrypt(_)))));
    assert!(!new.exists());
    let phrase = Phrase::new("right".to_owned());
    let manifest = restore(sealed.as_slice(), &phrase, &new, &Peer::InProcess, at(90)).unwrap().manifest;
    assert_eq!((manifest.made_at, manifest.keys), (at(30), PrivateKeys::Included));

    let pki = Pki::open(&new, keys(), OpenMode::Service, at(100)).unwrap();
    assert!(pki.store().tip().epoch > epoch);
    let doctor = pki.run(Doctor {}, &Presented::InProcess, at(100)).unwrap();
    assert!(doctor.iter().any(|finding| finding.check == "restored"), "{doctor:?}");
    let selectors = vec![Selector::Word(issued.certificate.serial)];
    let revoke = Revoke { selectors, reason: None, all: false, dry_run: false };
    pki.run(revoke, &Presented::InProcess, at(100)).unwrap();
    let after = pki.run(CrlPublish { root: true }, &Presented::InProcess, at(101)).unwrap();
    for list in &after {
        let old = before.iter().find(|old| old.issuer == list.issuer).unwrap();
        assert!(list.number.parse::<u64>().unwrap() > old.number.parse::<u64>().unwrap());
    }
    pki.store().verify().unwrap();
}

#[test]
fn without_keys_nothing_can_be_signed() {
    let dir = tempfile::tempdir().unwrap();
    let pki = made(&dir.path().join("old"));
    issue(&pki, "web-1");
    let sealed = backed_up(&pki, PrivateKeys::LeftOut);
    drop(pki);
    let new = dir.path().join("new");
    restore(sealed.as_slice(), &Phrase::new("right".to_owned()), &new, &Peer::InProcess, at(90)).unwrap();
    assert_eq!(std::fs::read_dir(new.join("keys")).unwrap().count(), 0);
    let pki = Pki::open(&new, keys(), OpenMode::Command, at(100)).unwrap();
    assert_eq!(ca::inventory::count(pki.store()).unwrap(), 1);
    assert!(pki.run(CrlPublish { root: false }, &Presented::InProcess, at(101)).is_err());
}

#[test]
fn an_empty_passphrase_and_a_stranger_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let pki = made(&dir.path().join("old"));
    let empty = BackupRequest { passphrase: Phrase::new(String::new()), keys: PrivateKeys::LeftOut };
    assert!(pki.backup(&empty, Vec::new(), &Presented::InProcess, at(1)).is_err());
    let stranger = Presented::Local(trust::LocalUser { uid: pki.owner() + 70_000, name: None });
    let denied = pki.backup(&request(PrivateKeys::LeftOut), Vec::new(), &stranger, at(1));
    assert!(matches!(denied, Err(Error::Refused(trust::Refusal::NotAuthenticated))));
    assert!(!format!("{:?}", request(PrivateKeys::Included)).contains("right"));
}
