use super::*;
use crate::testing::*;
use crate::{Presented, Settings, Way};

fn user(uid: u32, name: &str) -> LocalUser {
    LocalUser { uid, name: Some(name.to_owned()) }
}

fn first_batch(pki: &Pki, user: &LocalUser, rule: TrustFirst) -> Option<Batch> {
    trust_first(user, OWNER, rule, &pki.gate.set().now().unwrap(), NOW)
}

fn is_trusted(pki: &Pki, user: &LocalUser) -> bool {
    pki.gate.admit(&Presented::Local(user.clone()), &Settings::default(), NOW).is_ok()
}

#[test]
fn users_are_found_by_their_id_and_by_their_name() {
    let passwd =
        "root:x:0:0:root:/root:/bin/bash\nbroken\n:x:7:7::/:\nanna:x:1000:1000::/home/anna:/bin/sh\n";
    assert_eq!(user_name(passwd, 1000).as_deref(), Some("anna"));
    assert_eq!(user_name(passwd, 0).as_deref(), Some("root"));
    assert_eq!(user_name(passwd, 7), None);
    assert_eq!(user_name(passwd, 8), None);
    assert_eq!(user_id_of(passwd, "anna"), Some(1000));
    assert_eq!(user_id_of(passwd, "nobody"), None);
}

#[test]
fn the_first_other_user_is_trusted_and_nobody_after() {
    let pki = Pki::new();
    let (anna, bert) = (user(1000, "anna"), user(1001, "bert"));
    let access = |rule| socket_access(&pki.gate.set().now().unwrap(), rule);
    assert_eq!(access(TrustFirst::On), SocketAccess::Group);
    assert_eq!(access(TrustFirst::Off), SocketAccess::Everyone);
    for owner in [user(0, "root"), user(OWNER, "pki")] {
        assert_eq!(first_batch(&pki, &owner, TrustFirst::On), None, "the owner uses nothing up");
    }
    assert_eq!(first_batch(&pki, &anna, TrustFirst::Off), None);
    // Both come at once, and both are told that they would be the first.
    let (one, other) = (first_batch(&pki, &anna, TrustFirst::On), first_batch(&pki, &bert, TrustFirst::On));
    pki.store.commit(one.unwrap()).unwrap();
    assert!(matches!(pki.store.commit(other.unwrap()), Err(store::Error::Conflict { .. })));
    assert!(is_trusted(&pki, &anna) && !is_trusted(&pki, &bert));
    assert_eq!(first_batch(&pki, &bert, TrustFirst::On), None);
    assert_eq!(access(TrustFirst::On), SocketAccess::Everyone);
    let admitted = pki.gate.admit(&Presented::Local(anna.clone()), &Settings::default(), NOW).unwrap();
    assert_eq!(admitted.way(), Way::Entry(Origin::TrustFirst));
    let entry = pki.store.follow(store::Sequence::ZERO, 1000).unwrap().last().cloned().unwrap();
    assert_eq!(entry.what, "trust add local-user=1000(anna) rights=client in everything origin=trust-first");
    // Removed, the first stays the only first.
    pki.deny(Id::User(1000));
    assert!(!is_trusted(&pki, &anna));
    for late in [&anna, &bert] {
        assert_eq!(first_batch(&pki, late, TrustFirst::On), None);
    }
}

#[test]
fn whoever_was_removed_is_not_the_first() {
    let pki = Pki::new();
    pki.deny(Id::User(1000));
    assert_eq!(first_batch(&pki, &user(1000, "anna"), TrustFirst::On), None);
    assert!(first_batch(&pki, &user(1001, "bert"), TrustFirst::On).is_some());
}
