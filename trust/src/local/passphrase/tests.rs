use aws_lc_rs::rand::SystemRandom;
use store::Sequence;

use super::*;
use crate::entry::Id;
use crate::settings::{PkiMode, Settings};
use crate::testing::*;
use crate::{Action, Admitted, Presented};

const GOOD: &str = "correct horse";

fn cause() -> Cause {
    Cause::from(&Admitted::in_process().permit(Action::Trust).unwrap())
}

fn loaded(pki: &Pki) -> Option<Versioned<LocalPassphrase>> {
    LocalPassphrase::load(&pki.store).unwrap()
}

fn set_now(pki: &Pki, passphrase: &str) -> Result<(), PassphraseError> {
    let read = loaded(pki);
    let batch = set(passphrase, MINIMUM, Cost::CHEAP, read.as_ref(), &cause(), NOW, &SystemRandom::new())?;
    pki.store.commit(batch).unwrap();
    Ok(())
}

fn tried(pki: &Pki, passphrase: &str) -> Result<Verified, PassphraseError> {
    verify(passphrase, loaded(pki).as_ref())
}

#[test]
fn the_right_one_and_no_other_is_right() {
    let pki = Pki::new();
    let error = |passphrase: &str| tried(&pki, passphrase).map(drop).unwrap_err();
    let not_set = "Passphrase is not set. Please `pki set local.passphrase` with a trusted client.";
    assert_eq!(error(GOOD).to_string(), not_set);
    set_now(&pki, GOOD).unwrap();
    assert!(tried(&pki, GOOD).is_ok());
    for wrong in ["", "correct hors", "correct horse ", "Correct horse", &"x".repeat(5000)] {
        assert_eq!(error(wrong).to_string(), "Passphrase is not correct. Please try again.");
    }
    set_now(&pki, "another one").unwrap();
    assert_eq!(error(GOOD), PassphraseError::Wrong);
    pki.store.commit(unset(&loaded(&pki).unwrap(), &cause(), NOW)).unwrap();
    assert_eq!(error("another one"), PassphraseError::NotSet);
}

#[test]
fn it_is_kept_as_a_salted_hash_of_argon2id() {
    let pki = Pki::new();
    set_now(&pki, GOOD).unwrap();
    let first = loaded(&pki).unwrap().record.phc;
    assert!(first.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{first}");
    set_now(&pki, GOOD).unwrap();
    assert_ne!(loaded(&pki).unwrap().record.phc, first, "the salt is another");
    for entry in pki.store.follow(Sequence::ZERO, 1000).unwrap() {
        assert!(!format!("{entry:?}").contains(GOOD));
        assert!(!entry.what.contains("argon2"), "{}", entry.what);
    }
    assert!(!format!("{:?}", loaded(&pki)).contains("argon2"));
    // What it costs by default is what is said of it.
    let read = loaded(&pki);
    let random = SystemRandom::new();
    let batch = set(GOOD, MINIMUM, Cost::DEFAULT, read.as_ref(), &cause(), NOW, &random).unwrap();
    pki.store.commit(batch).unwrap();
    assert!(loaded(&pki).unwrap().record.phc.contains("m=19456,t=2,p=1"));
    assert!(tried(&pki, GOOD).is_ok());
}

#[test]
fn it_has_a_length() {
    let pki = Pki::new();
    assert_eq!(set_now(&pki, "seven77"), Err(PassphraseError::TooShort { minimum: MINIMUM }));
    assert_eq!(set_now(&pki, &"x".repeat(1025)), Err(PassphraseError::TooLong));
    let random = SystemRandom::new();
    let empty = set("", 0, Cost::CHEAP, None, &cause(), NOW, &random);
    assert_eq!(empty, Err(PassphraseError::TooShort { minimum: 1 }));
}

#[test]
fn over_the_network_it_counts_from_this_machine_alone() {
    for here in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
        assert!(may_try(here.parse().unwrap(), PassphraseRemote::LoopbackOnly).is_ok(), "{here}");
    }
    for elsewhere in ["10.0.0.1", "::", "0.0.0.0", "fe80::1", "::ffff:10.0.0.1"] {
        let from = elsewhere.parse().unwrap();
        assert_eq!(may_try(from, PassphraseRemote::LoopbackOnly), Err(PassphraseError::Remote));
        assert!(may_try(from, PassphraseRemote::Anywhere).is_ok());
    }
}

#[test]
fn a_user_who_knows_it_is_trusted_unless_removed() {
    let pki = Pki::new();
    set_now(&pki, GOOD).unwrap();
    let anna = LocalUser { uid: 1000, name: Some("anna".to_owned()) };
    let verified = tried(&pki, GOOD).unwrap();
    let admit = || admit_user(&pki.gate.set().now().unwrap(), &anna, &verified, NOW);
    pki.store.commit(admit().unwrap().unwrap()).unwrap();
    assert!(pki.gate.admit(&Presented::Local(anna.clone()), &Settings::default(), NOW).is_ok());
    assert!(admit().unwrap().is_none(), "already");
    pki.deny(Id::User(1000));
    assert!(matches!(refusal(admit()), Refusal::UserRemoved { .. }));
}

#[test]
fn a_certificate_comes_in_by_it_but_not_around_a_denial_or_pki_mode() {
    let pki = Pki::new();
    set_now(&pki, GOOD).unwrap();
    let verified = tried(&pki, GOOD).unwrap();
    let holder = Holder::new(stranger("anna"), Vec::new());
    let on = Settings { pki_mode: PkiMode::On, ..Settings::default() };
    assert!(matches!(refusal(pki.gate.vet(&holder, &on, NOW)), Refusal::NotSigned { .. }));
    let vetted = pki.gate.vet(&holder, &Settings::default(), NOW).unwrap();
    let admit = |vetted: &Vetted| {
        admit_holder(&pki.gate.set().now().unwrap(), &holder, vetted, &verified, NOW).unwrap()
    };
    let batch = admit(&vetted);
    // A removal in between wins.
    pki.deny(Id::Certificate(*holder.fingerprint()));
    assert!(matches!(pki.store.commit(batch), Err(store::Error::Conflict { .. })));
    // And what was vetted to be added again lifts nothing here.
    let again = pki.gate.vet_again(&holder, &Settings::default(), NOW).unwrap();
    pki.store.commit(admit(&again)).unwrap();
    assert!(matches!(
        refusal(pki.admit(holder.certificate(), &Settings::default())),
        Refusal::Removed { .. }
    ));
}

#[test]
fn a_new_passphrase_undoes_what_was_verified_by_the_old_one() {
    let pki = Pki::new();
    set_now(&pki, GOOD).unwrap();
    let verified = tried(&pki, GOOD).unwrap();
    let anna = LocalUser { uid: 1000, name: None };
    let batch = admit_user(&pki.gate.set().now().unwrap(), &anna, &verified, NOW).unwrap().unwrap();
    set_now(&pki, "another one").unwrap();
    assert!(matches!(pki.store.commit(batch), Err(store::Error::Conflict { .. })));
}
