//! Authorities made, rotated, installed, retired; interrupted at every step.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use store::Store;
use time::Duration;

use super::*;
use crate::authority::{self, Current};
use crate::cert::Csr;
use crate::hierarchy::files::chain;
use crate::key::{KeyType, Passphrase, ScryptCost};
use crate::keyring::{Keyring, KeyringError};
use crate::testing::*;

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

fn init_again(pki: &Pki, init: &Init) -> Result<Initialised, Error> {
    super::init(&pki.store, &pki.keyring, init, &pki.policy, "test", NOW, &pki.random)
}

fn rotate_now(pki: &Pki) -> Rotation {
    rotate(&pki.store, &pki.keyring, None, &pki.policy, "test", NOW, &pki.random).unwrap()
}

fn subject_of(issuer: &crate::issuer::Issuer) -> String {
    issuer.certificate().certificate().subject_display()
}

#[test]
fn every_authority_has_a_name_and_a_key_of_its_own() {
    let pki = Pki::new();
    let root = pki.made.root.certificate().key_id().to_string();
    let issuing = pki.made.issuing.certificate().key_id().to_string();
    assert_ne!(root, issuing);
    assert!(subject_of(&pki.made.root).contains(&format!("CN=Example Root CA {}", &root[..8])));
    assert!(subject_of(&pki.made.issuing).contains(&format!("CN=Example Issuing CA {}", &issuing[..8])));
    let rotated = rotate_now(&pki);
    assert_ne!(subject_of(&rotated.current), subject_of(&pki.made.issuing));
    let keys = pki.keyring.directory();
    assert_eq!(keys.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    for name in ["root.key".to_owned(), format!("{issuing}.key")] {
        assert_eq!(keys.join(name).metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn a_long_organization_stays_in_its_own_attribute() {
    let long = "Gesellschaft zur Förderung außerordentlich langer Firmennamen mbH";
    let wish = Init { organization: name(&long[..62]), ..wish(KeyType::P256, NameConstraints::default()) };
    let directory = tempfile::tempdir().unwrap();
    let (store, keyring) = (Store::in_memory(), keyring(directory.path()));
    let made = init(&store, &keyring, &wish, &policy(), "test", NOW, &SystemRandom::new()).unwrap();
    let subject = subject_of(&made.issuing);
    assert!(subject.contains("CN=Issuing CA ") && subject.contains("Gesellschaft"), "{subject}");
}

#[test]
fn an_existing_pki_is_refused_and_untouched() {
    let pki = Pki::new();
    let head = pki.store.head();
    let key = read(&pki.keyring.root_path());
    let refused = init_again(&pki, &wish(KeyType::P256, NameConstraints::default())).unwrap_err();
    let root = pki.made.root.certificate().key_id();
    assert!(matches!(refused, Error::AlreadyInitialised { root: found } if found == root), "{refused}");
    assert_eq!((pki.store.head(), read(&pki.keyring.root_path())), (head, key));
}

#[test]
fn a_pki_whose_records_are_gone_is_not_taken_for_a_new_one() {
    let pki = Pki::new();
    publish_certificates(&pki.store, pki.directory.path(), NOW).unwrap();
    let lost = Pki { store: Store::in_memory(), ..pki };
    let refused = init_again(&lost, &wish(KeyType::P256, NameConstraints::default())).unwrap_err();
    assert!(matches!(refused, Error::RecordsMissing { .. }), "{refused}");
}

#[test]
fn an_interrupted_init_is_finished_with_the_keys_that_it_left() {
    // Without records: as if it had stopped just before the commit.
    let pki = Pki { store: Store::in_memory(), ..Pki::new() };
    let again = init_again(&pki, &wish(KeyType::P256, NameConstraints::default())).unwrap();
    assert_eq!(again.root.certificate().key_id(), pki.made.root.certificate().key_id());
    assert_eq!(again.issuing.certificate().key_id(), pki.made.issuing.certificate().key_id());
    assert_eq!(std::fs::read_dir(pki.keyring.directory()).unwrap().count(), 2, "no third key");
    // One key alone, as if it had stopped between the two.
    std::fs::remove_file(pki.keyring.issuing_path(&pki.made.issuing.certificate().key_id())).unwrap();
    let pki = Pki { store: Store::in_memory(), ..pki };
    let again = init_again(&pki, &wish(KeyType::P256, NameConstraints::default())).unwrap();
    assert_eq!(again.root.certificate().key_id(), pki.made.root.certificate().key_id());
    assert_ne!(again.issuing.certificate().key_id(), pki.made.issuing.certificate().key_id());
    // Of another type they are not what is asked for, and stay.
    let pki = Pki { store: Store::in_memory(), ..pki };
    let before = read(&pki.keyring.root_path());
    let refused = init_again(&pki, &wish(KeyType::Ed25519, NameConstraints::default())).unwrap_err();
    assert!(matches!(refused, Error::LeftoverKey { .. }), "{refused}");
    assert_eq!(read(&pki.keyring.root_path()), before);
}

#[test]
fn keys_lie_under_a_passphrase_when_one_is_given() {
    let directory = tempfile::tempdir().unwrap();
    let passphrase = || Passphrase::from_line(b"correct horse").unwrap();
    let ring = |passphrase| Keyring::new(directory.path().join("keys"), passphrase, ScryptCost::CHEAP);
    let (store, keyring) = (Store::in_memory(), ring(Some(passphrase())));
    let wish = wish(KeyType::P256, NameConstraints::default());
    init(&store, &keyring, &wish, &policy(), "test", NOW, &SystemRandom::new()).unwrap();
    let current = Current::load(&store).unwrap();
    assert_eq!(current.issuing.record.key, KeyPlace::HereEncrypted);
    assert!(read(&keyring.root_path()).starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    let locked = ring(None).issuer(&current.issuing.record).unwrap_err();
    assert!(matches!(locked, KeyringError::Locked { .. }), "{locked}");
    let wrong = ring(Some(Passphrase::from_line(b"wrong").unwrap()));
    let refused = wrong.issuer(&current.issuing.record).unwrap_err();
    assert!(matches!(refused, KeyringError::Key { .. }), "{refused}");
    ring(Some(passphrase())).issuer(&current.issuing.record).unwrap();

    // passwd: in the clear, then under another one; half done it is finished.
    let new = || ring(Some(Passphrase::from_line(b"battery staple").unwrap()));
    let changed = change_passphrase(&store, &wrong, &new(), "test", NOW);
    assert!(matches!(changed, Err(Error::Keyring(_))), "a wrong passphrase changes nothing");
    ring(Some(passphrase())).issuer(&current.issuing.record).unwrap();
    let half = new();
    let root = keyring.read(&keyring.root_path()).unwrap();
    half.write(&half.root_path(), &root, store::file::OnExisting::Replace).unwrap();
    assert_eq!(change_passphrase(&store, &ring(Some(passphrase())), &new(), "test", NOW).unwrap(), 2);
    new().issuer(&current.issuing.record).unwrap();
    new().issuer(&current.root.record).unwrap();
    assert_eq!(change_passphrase(&store, &new(), &ring(None), "test", NOW).unwrap(), 2);
    assert_eq!(Current::load(&store).unwrap().root.record.key, KeyPlace::Here);
    ring(None).issuer(&current.root.record).unwrap();
}

#[test]
fn the_root_s_key_can_go_elsewhere_from_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let medium = tempfile::tempdir().unwrap();
    let file = medium.path().join("usb.key");
    let (store, keyring) = (Store::in_memory(), keyring(directory.path()));
    let place = RootKeyPlace::File(file.clone());
    let wish = Init { root_key: place, ..wish(KeyType::P256, NameConstraints::default()) };
    // Not into the directory itself, and not by a detour either.
    std::os::unix::fs::symlink(directory.path(), medium.path().join("link")).unwrap();
    for inside in [directory.path().join("usb.key"), medium.path().join("link/usb.key")] {
        let wish = Init { root_key: RootKeyPlace::File(inside.clone()), ..wish.clone() };
        let refused =
            init(&store, &keyring, &wish, &policy(), "test", NOW, &SystemRandom::new()).unwrap_err();
        assert!(matches!(refused, Error::InsideDirectory { .. }) && !inside.exists(), "{refused}");
    }
    let made = init(&store, &keyring, &wish, &policy(), "test", NOW, &SystemRandom::new()).unwrap();
    assert!(!keyring.root_path().exists());
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let root = Current::load(&store).unwrap().root.record;
    assert_eq!(root.key, KeyPlace::Elsewhere { note: Some(file.display().to_string()) });
    assert!(matches!(keyring.issuer(&root), Err(KeyringError::Elsewhere { .. })));
    assert_eq!(keyring.read(&file).unwrap().public_key(), made.root.certificate().public_key());
    // A file that exists is never overwritten.
    let refused =
        init(&Store::in_memory(), &keyring, &wish, &policy(), "test", NOW, &SystemRandom::new()).unwrap_err();
    assert!(matches!(refused, Error::Keyring(KeyringError::File(_))), "{refused}");
}

#[test]
fn rotation_with_the_root_s_key_here() {
    let held = NameConstraints::parse(["example.com"]).unwrap();
    let pki = Pki::of(KeyType::P256, held.clone());
    let before = pki.desk().issue(&client("anna"), NOW).unwrap();
    let rotated = rotate_now(&pki);
    assert_eq!(rotated.previous.state, AuthorityState::Retired);
    assert_eq!(*rotated.current.certificate().constraints(), held, "its successor is held to the same names");
    let after = pki.desk().issue(&client("bert"), NOW).unwrap();
    assert_eq!(after.record.issuer, rotated.current.certificate().key_id());
    // Leaves of both generations verify with chain.crt.
    publish_certificates(&pki.store, pki.directory.path(), NOW).unwrap();
    let now = NOW.unix_timestamp().to_string();
    for issued in [before, after] {
        std::fs::write(pki.path("leaf.crt"), issued.certificate.to_pem()).unwrap();
        let path = |name: &str| pki.path(name).to_str().unwrap().to_owned();
        let (root, chain, leaf) = (path("root.crt"), path("chain.crt"), path("leaf.crt"));
        openssl(&["verify", "-x509_strict", "-attime", &now, "-CAfile", &root, "-untrusted", &chain, &leaf])
            .unwrap();
    }
}

#[test]
fn rotation_with_the_root_s_key_elsewhere() {
    let held = NameConstraints::parse(["example.com", "10.0.0.0/8"]).unwrap();
    let pki = Pki::of(KeyType::P256, held.clone());
    let root = pki.made.root.certificate().certificate().clone();
    let root_key = || pki.keyring.read(&pki.path("away.key")).unwrap();
    std::fs::rename(pki.keyring.root_path(), pki.path("away.key")).unwrap();
    pki.keyring.forget(&root.key_id());

    let awaiting = request(&pki.store, &pki.keyring, Some(KeyType::Ed25519), "test", NOW).unwrap();
    let again = request(&pki.store, &pki.keyring, Some(KeyType::Ed25519), "test", NOW).unwrap();
    assert_eq!(awaiting, again, "asked again it is the same request");
    assert_eq!(awaiting.state, AuthorityState::AwaitingCertificate);
    let csr = Csr::from_pem_or_der(awaiting.csr.as_deref().unwrap().as_bytes()).unwrap();
    let sign = |held: &NameConstraints, policy: &Policy| {
        sign_issuing(&root, root_key(), &csr, held, policy, NOW, &pki.random).unwrap()
    };
    let install = |certificate| install(&pki.store, &pki.keyring, certificate, &pki.policy, "test", NOW);

    let head = pki.store.head();
    let wider = sign(&NameConstraints::default(), &pki.policy);
    let refused = install(wider).unwrap_err();
    assert!(matches!(refused, Error::OtherConstraints { .. }), "without its constraints: {refused}");
    let other = Pki::new().made.issuing.certificate().certificate().clone();
    assert!(matches!(install(other), Err(Error::Unasked { .. })), "another key");
    let foreign = Pki::new();
    let foreign_root = foreign.made.root.certificate().certificate().clone();
    let foreign_key = foreign.keyring.read(&foreign.keyring.root_path()).unwrap();
    let foreign =
        sign_issuing(&foreign_root, foreign_key, &csr, &held, &pki.policy, NOW, &pki.random).unwrap();
    assert!(matches!(install(foreign), Err(Error::Certificate(_))), "another root");
    assert_eq!(pki.store.head(), head, "nothing was written");

    // The root's machine does not know our public URL.
    let signed = sign(&held, &Policy::default());
    let rotated = install(signed.clone()).unwrap();
    assert_eq!(rotated.current.certificate().certificate(), &signed);
    let refused = install(signed).unwrap_err();
    assert!(matches!(refused, Error::State { .. }), "twice: {refused}");
    let issued = pki.desk().issue(&client("anna"), NOW).unwrap();
    assert_eq!(issued.record.issuer, awaiting.key_id);
}

#[test]
fn retirement_is_for_authorities_that_no_longer_sign() {
    let pki = Pki::new();
    let first = pki.made.issuing.certificate().key_id();
    let current = retire(&pki.store, &first, "test", NOW).unwrap_err();
    assert!(matches!(current, Error::CurrentAuthority { .. }), "{current}");
    rotate_now(&pki);
    let root = retire(&pki.store, &pki.made.root.certificate().key_id(), "test", NOW).unwrap_err();
    assert!(matches!(root, Error::State { .. }), "{root}");
    let retirement = retire(&pki.store, &first, "test", NOW).unwrap();
    assert_eq!(retirement.certificate.key_id(), first);
    pki.store.commit(retirement.batch).unwrap();
    assert_eq!(authority::find(&pki.store, &first).unwrap().unwrap().record.state, AuthorityState::Revoked);
}

#[test]
fn the_root_goes_offline_only_when_its_copy_is_the_same() {
    let pki = Pki::new();
    let path = pki.keyring.root_path();
    let copy = std::fs::read(&path).unwrap();
    let digest_of = |bytes: &[u8]| <[u8; 32]>::try_from(digest(&SHA256, bytes).as_ref()).unwrap();
    let offline =
        |copy: &[u8; 32]| root_offline(&pki.store, &pki.keyring, copy, Some("safe".to_owned()), "test", NOW);
    let refused = offline(&[0; 32]).unwrap_err();
    assert!(matches!(refused, Error::KeyCopyDiffers { .. }) && path.exists(), "{refused}");
    let root = offline(&digest_of(&copy)).unwrap();
    assert_eq!(root.key, KeyPlace::Elsewhere { note: Some("safe".to_owned()) });
    assert!(!path.exists());
    // Interrupted after the record: the file is still there, and goes now.
    store::file::place(&path, &copy, store::file::Visibility::Secret, store::file::OnExisting::Refuse)
        .unwrap();
    offline(&digest_of(&copy)).unwrap();
    assert!(!path.exists());
    offline(&digest_of(&copy)).unwrap();
    let refused = rotate(&pki.store, &pki.keyring, None, &pki.policy, "test", NOW, &pki.random).unwrap_err();
    assert!(matches!(refused, Error::Keyring(KeyringError::Elsewhere { .. })), "{refused}");
}

#[test]
fn the_chain_keeps_every_generation_that_has_certificates_in_force() {
    let pki = Pki::new();
    pki.desk().issue(&client("anna"), NOW).unwrap();
    rotate_now(&pki); // the second one signs nothing
    let third = rotate_now(&pki);
    let at = |now| {
        let current = Current::load(&pki.store).unwrap();
        let chain = chain(&pki.store, &current, now).unwrap();
        chain.iter().map(|certificate| certificate.key_id()).collect::<Vec<_>>()
    };
    let (root, first) = (pki.made.root.certificate().key_id(), pki.made.issuing.certificate().key_id());
    let third = third.current.certificate().key_id();
    assert_eq!(at(NOW), [third, first, root]);
    assert_eq!(at(NOW + Duration::days(366)), [third, root], "after the last certificate of the first ended");
}

#[test]
fn files_follow_from_records_and_are_left_alone_when_right() {
    let pki = Pki::new();
    let first = publish_certificates(&pki.store, pki.directory.path(), NOW).unwrap();
    assert_eq!(first.changed.len(), 5);
    assert_eq!(publish_certificates(&pki.store, pki.directory.path(), NOW).unwrap(), Published::default());
    std::fs::write(pki.path("ca.crt"), "damaged").unwrap();
    let mended = publish_certificates(&pki.store, pki.directory.path(), NOW).unwrap();
    assert_eq!(mended.changed, [pki.path("ca.crt")]);
    let issuing = pki.made.issuing.certificate().certificate();
    assert_eq!(read(&pki.path("ca.crt")), issuing.to_pem());
    assert_eq!(read(&pki.path("chain.crt")), issuing.to_pem() + &read(&pki.path("root.crt")));
    let generation = pki.path("cas").join(format!("{}.crt", issuing.key_id()));
    assert_eq!(read(&generation), issuing.to_pem());
    assert_eq!(generation.metadata().unwrap().permissions().mode() & 0o777, 0o644);
}

#[test]
fn an_authority_is_found_by_the_beginning_of_its_identifier() {
    let pki = Pki::new();
    let key_id = pki.made.root.certificate().key_id();
    let text = key_id.to_string();
    for word in [&text[..8], &text[..], &text.to_uppercase()] {
        assert_eq!(authority::resolve(&pki.store, word).unwrap().record.key_id, key_id, "{word}");
    }
    for word in [&text[..7], "", "zzzzzzzz", "00000000"] {
        let refused = authority::resolve(&pki.store, word).unwrap_err();
        assert!(matches!(refused, Error::NotFound { .. }), "{word}: {refused}");
    }
}

#[test]
fn an_open_key_does_not_vouch_for_another_certificate() {
    let pki = Pki::new();
    let mut record = Current::load(&pki.store).unwrap().issuing.record;
    pki.keyring.issuer(&record).unwrap();
    let other = Pki::new();
    record.certificate = Some(other.made.issuing.certificate().certificate().der().to_vec());
    let refused = pki.keyring.issuer(&record).unwrap_err();
    assert!(matches!(refused, KeyringError::Issuer { .. }), "{refused}");
}
