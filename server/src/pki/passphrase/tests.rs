use ca::cert::Certificate;
use trust::local::throttle::Slot;

use super::*;
use crate::ops::local::PassphraseSet;
use crate::ops::trust::remove::TrustRemove;
use crate::ops::view::Selector;
use crate::settings;
use crate::testing::{at, issue, made};

const RIGHT: &str = "correct horse";

fn phrase(text: &str) -> Phrase {
    Phrase::new(text.to_owned())
}

fn user(uid: u32) -> Presented {
    Presented::Local(LocalUser { uid, name: Some(format!("u{uid}")) })
}

fn set(pki: &Pki, presented: &Presented, text: Option<&str>) -> Result<(), Error> {
    pki.run(PassphraseSet { passphrase: text.map(phrase) }, presented, at(25)).map(drop)
}

fn holder(pki: &Pki, name: &str) -> Holder {
    Holder::new(Certificate::from_pem(issue(pki, name).pem.as_bytes()).unwrap(), Vec::new())
}

/// A connection from there; of none the other end can be looked up.
fn from(remote: &str) -> Ends {
    Ends { remote: format!("{remote}:1").parse().unwrap(), local: "127.0.0.1:8443".parse().unwrap() }
}

fn is_in(pki: &Pki, holder: &Holder) -> bool {
    let shown = Holder::new(holder.certificate().clone(), Vec::new());
    pki.admit(&Presented::Certificate(shown), at(50)).is_ok()
}

#[test]
fn whoever_knows_the_passphrase_is_trusted_and_guessing_is_slow() {
    let dir = tempfile::tempdir().unwrap();
    let pki = made(&dir.path().join("pki"));
    let clock = Instant::now();
    let ask = |uid, text: &str| pki.authenticate(&user(uid), &phrase(text), clock, at(30));
    let unset = ask(1001, RIGHT).unwrap_err();
    assert!(unset.to_string().starts_with("Passphrase is not set."), "{unset}");
    set(&pki, &Presented::InProcess, Some(RIGHT)).unwrap();
    for _ in 0..4 {
        let wrong = ask(1001, "wrong").unwrap_err();
        assert_eq!(wrong.to_string(), "Passphrase is not correct. Please try again.");
    }
    assert!(matches!(ask(1001, RIGHT), Err(Error::TooOften(_))), "it waits");
    assert!(!ask(1002, RIGHT).unwrap().already, "and nobody else does");
    assert!(ask(1002, "whatever").unwrap().already);
    let is_in = |uid| pki.admit(&user(uid), at(50)).is_ok();
    assert_eq!((is_in(1001), is_in(1002)), (false, true));
    assert!(set(&pki, &Presented::InProcess, Some("short")).is_err());
    assert!(set(&pki, &user(1001), None).is_err());
    set(&pki, &user(1002), None).unwrap();
    assert!(ask(1003, RIGHT).unwrap_err().to_string().starts_with("Passphrase is not set."));
}

#[test]
fn a_removed_user_is_not_told_whether_the_passphrase_was_right() {
    let dir = tempfile::tempdir().unwrap();
    let pki = made(&dir.path().join("pki"));
    set(&pki, &Presented::InProcess, Some(RIGHT)).unwrap();
    let ask = |text: &str| pki.authenticate(&user(1001), &phrase(text), Instant::now(), at(30));
    ask(RIGHT).unwrap();
    let which = Selector::Word("u1001".to_owned());
    pki.run(TrustRemove { which, revoke: false, reason: None }, &Presented::InProcess, at(31)).unwrap();
    for text in [RIGHT, "wrong"] {
        assert!(matches!(ask(text), Err(Error::Refused(Refusal::UserRemoved { .. }))), "{text}");
    }
}

#[test]
fn over_https_it_counts_from_this_machine_unless_it_is_told_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    let pki = made(&dir.path().join("pki"));
    let (near, far) = (holder(&pki, "near"), holder(&pki, "far"));
    let clock = Instant::now();
    let ask = |holder: &Holder, origin: &str, text: &str| {
        pki.authenticate_holder(holder, &from(origin), &phrase(text), clock, at(30))
    };
    assert!(ask(&near, "127.0.0.1", RIGHT).unwrap_err().to_string().starts_with("Passphrase is not set."));
    set(&pki, &Presented::InProcess, Some(RIGHT)).unwrap();
    let elsewhere = ask(&far, "192.0.2.1", RIGHT).unwrap_err();
    assert!(elsewhere.to_string().contains("from this machine alone"), "{elsewhere}");
    assert!(!ask(&near, "127.0.0.1", RIGHT).unwrap().already);
    assert!(ask(&near, "127.0.0.1", "whatever").unwrap().already);
    assert_eq!((is_in(&pki, &near), is_in(&pki, &far)), (true, false));
    let remote = |value| settings::set(pki.store(), Setting::LocalPassphraseRemote, Some(value), "t", 1);
    remote("true").unwrap();
    assert!(!ask(&far, "192.0.2.1", RIGHT).unwrap().already);
    assert!(is_in(&pki, &far));
    remote("false").unwrap();
    assert!(is_in(&pki, &far), "who is in stays in");
    assert!(ask(&holder(&pki, "late"), "192.0.2.1", RIGHT).is_err());
}

#[test]
fn it_gets_around_neither_a_removal_nor_pki_mode() {
    let dir = tempfile::tempdir().unwrap();
    let pki = made(&dir.path().join("pki"));
    let foreign = made(&dir.path().join("foreign"));
    set(&pki, &Presented::InProcess, Some(RIGHT)).unwrap();
    let ask = |holder: &Holder| {
        pki.authenticate_holder(holder, &from("127.0.0.1"), &phrase(RIGHT), Instant::now(), at(30))
    };
    let anna = holder(&pki, "anna");
    ask(&anna).unwrap();
    let which = Selector::Pem(anna.certificate().to_pem());
    pki.run(TrustRemove { which, revoke: false, reason: None }, &Presented::InProcess, at(31)).unwrap();
    assert!(matches!(ask(&anna), Err(Error::Refused(Refusal::Removed { .. }))));
    assert!(!is_in(&pki, &anna));
    let stranger = holder(&foreign, "stranger");
    settings::set(pki.store(), Setting::CorePkiMode, Some("on"), "t", 1).unwrap();
    assert!(matches!(ask(&stranger), Err(Error::Refused(Refusal::NotSigned { .. }))));
    settings::set(pki.store(), Setting::CorePkiMode, Some("off"), "t", 2).unwrap();
    ask(&stranger).unwrap();
}

#[test]
fn guessers_are_told_apart_by_user_or_network_and_not_by_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let pki = made(&dir.path().join("pki"));
    set(&pki, &Presented::InProcess, Some(RIGHT)).unwrap();
    settings::set(pki.store(), Setting::LocalPassphraseRemote, Some("true"), "t", 1).unwrap();
    let clock = Instant::now();
    let ask = |origin: &str, text: &str| {
        let holder = holder(&pki, "client");
        pki.authenticate_holder(&holder, &from(origin), &phrase(text), clock, at(30))
    };
    for _ in 0..4 {
        assert!(matches!(ask("192.0.2.1", "wrong"), Err(Error::Trust(_))));
    }
    assert!(
        matches!(ask("192.0.2.1", RIGHT), Err(Error::TooOften(_))),
        "a new certificate is no new guesser"
    );
    assert!(ask("192.0.2.2", RIGHT).is_ok(), "and nobody else waits");
}

#[test]
fn over_loopback_it_is_the_user_who_guesses() {
    let listener = std::net::TcpListener::bind("[::]:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let _client = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let (served, remote) = listener.accept().unwrap();
    let ends = Ends { remote, local: served.local_addr().unwrap() };
    assert_eq!(ends.guesser(), Guesser::User(rustix::process::geteuid().as_raw()));
    assert_eq!(ends.asked(), Asked::Here);
    assert_eq!(from("[2001:db8::2]").guesser(), from("[2001:db8::1]").guesser());
    assert_eq!(from("[2001:db8::1]").asked(), Asked::Elsewhere);
}

#[test]
fn whoever_finds_no_room_has_not_guessed() {
    let dir = tempfile::tempdir().unwrap();
    let pki = made(&dir.path().join("pki"));
    set(&pki, &Presented::InProcess, Some(RIGHT)).unwrap();
    let ask = |text: &str| pki.authenticate(&user(1001), &phrase(text), Instant::now(), at(30));
    let slots: Vec<Slot<'_>> = std::iter::from_fn(|| pki.shared.slots.take(Asked::Here)).collect();
    for _ in 0..9 {
        assert!(matches!(ask("wrong"), Err(Error::Crowded)));
    }
    drop(slots);
    ask(RIGHT).unwrap();
}
