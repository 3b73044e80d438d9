use aws_lc_rs::rand::SystemRandom;
use store::Sequence;
use time::Duration;

use super::*;
use crate::change::{ChangeError, Vetted};
use crate::entry::{Id, KeyDigest, Origin};
use crate::presented::Holder;
use crate::rights::{ClientType, Scope};
use crate::role::Held;
use crate::settings::{PkiMode, Settings};
use crate::testing::*;
use crate::{Admitted, Refusal};

fn web() -> Rights {
    Rights::client(Scope::project("web".parse().unwrap()))
}

fn reachable() -> Reachable {
    Reachable {
        fingerprint: Fingerprint::from_bytes([0xab; 32]),
        addresses: vec!["10.0.0.1:8443".to_owned()],
    }
}

fn admin() -> Cause {
    Cause::from(&Admitted::in_process().permit(crate::Action::Trust).unwrap())
}

fn make(pki: &Pki, name: &str, purpose: Purpose, expires: Option<OffsetDateTime>) -> WireToken {
    let made =
        create(name.parse().unwrap(), purpose, &reachable(), expires, &admin(), NOW, &SystemRandom::new())
            .unwrap();
    pki.store.commit(made.batch).unwrap();
    made.wire
}

fn trust(pki: &Pki, name: &str, expires: Option<OffsetDateTime>) -> WireToken {
    make(pki, name, Purpose::Trust { rights: web() }, expires)
}

fn enrol(pki: &Pki) -> WireToken {
    let purpose = Purpose::Enrol {
        profile: "client".to_owned(),
        names: vec![],
        project: "web".parse().unwrap(),
        rights: None,
        reach: ca::records::Reach::Project,
        days: None,
    };
    make(pki, "enrolled", purpose, None)
}

fn holder(certificate: &ca::cert::Certificate) -> Holder {
    Holder::new(certificate.clone(), Vec::new())
}

/// Vets, decides and commits, as a listener does.
fn redeem_now(pki: &Pki, secret: &Secret, holder: &Holder, now: OffsetDateTime) -> Result<Redeemed, Error> {
    let vetted: Vetted = pki.gate.vet(holder, &Settings::default(), now)?;
    let redeemed = {
        let state = pki.gate.set().now()?;
        redeem(&pki.store, &state, secret, holder, &vetted, now)?
    };
    let (Redeemed::Trusted { batch, .. } | Redeemed::AlreadyTrusted { batch }) = &redeemed;
    match pki.store.commit(batch.clone()) {
        Ok(_) => Ok(redeemed),
        // Somebody was faster: by now the token is gone.
        Err(store::Error::Conflict { .. }) => redeem_now(pki, secret, holder, now),
        Err(error) => Err(error.into()),
    }
}

fn token_error<T: std::fmt::Debug>(outcome: Result<T, Error>) -> TokenError {
    match outcome {
        Err(Error::Token(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_token_lets_one_certificate_in_with_what_travels_with_it() {
    let pki = Pki::new();
    let wire = trust(&pki, "alice", None);
    assert_eq!((wire.client_name.as_str(), wire.addresses.len()), ("alice", 1));
    assert_eq!(wire.secret.expose().len(), 64);
    let certificate = stranger("whoever");
    redeem_now(&pki, &wire.secret, &holder(&certificate), NOW).unwrap();
    let admitted = pki.admit(&certificate, &Settings::default()).unwrap();
    assert_eq!(admitted.rights().unwrap(), &web());
    let entry = pki.gate.set().now().unwrap().entry_of(&certificate.fingerprint()).cloned().unwrap();
    assert_eq!((entry.record.name.as_str(), entry.record.origin), ("alice", Origin::Token));
    // Used is unknown (T2), for the same certificate and for another.
    for certificate in [&certificate, &stranger("other")] {
        let again = token_error(redeem_now(&pki, &wire.secret, &holder(certificate), NOW));
        assert_eq!(again, TokenError::NoMatch);
    }
    assert_eq!(again_after_restart(&pki, &wire), TokenError::NoMatch);
}

fn again_after_restart(pki: &Pki, wire: &WireToken) -> TokenError {
    let gate = crate::Gate::open(pki.store.clone(), pki.revoked.clone(), OWNER).unwrap();
    let holder = holder(&stranger("late"));
    let vetted = gate.vet(&holder, &Settings::default(), NOW - Duration::days(1)).unwrap();
    let state = gate.set().now().unwrap();
    // The clock fell as well (R12).
    token_error(redeem(&pki.store, &state, &wire.secret, &holder, &vetted, NOW - Duration::days(1)))
}

#[test]
fn wrong_unknown_and_revoked_look_alike() {
    let pki = Pki::new();
    let wire = trust(&pki, "alice", None);
    let certificate = holder(&stranger("anna"));
    let fail = |secret: &Secret| token_error(redeem_now(&pki, secret, &certificate, NOW)).to_string();
    let wrong: String = wire.secret.expose().chars().rev().collect();
    let others = ["", "x", &wrong, &wire.secret.expose()[..63], &wire.secret.expose().to_uppercase()];
    let expected = "No matching certificate add operation found";
    for secret in others.into_iter().filter(|other| *other != wire.secret.expose()) {
        assert_eq!(fail(&Secret::presented(secret)), expected);
    }
    assert_eq!(fail(&enrol(&pki).secret), expected, "another purpose (T4)");
    let token = by_name(&pki.store, "alice").unwrap().remove(0);
    pki.store.commit(revoke(&token, &admin(), NOW)).unwrap();
    assert_eq!(fail(&wire.secret), expected);
    assert_eq!(token_error(claim(&pki.store, &wire.secret, NOW)), TokenError::NoMatch);
}

#[test]
fn only_the_right_secret_hears_of_the_expiry() {
    let pki = Pki::new();
    let end = NOW + Duration::days(15);
    let wire = trust(&pki, "alice", Some(end));
    let certificate = holder(&stranger("anna"));
    let late = end + Duration::seconds(1);
    let expired = token_error(redeem_now(&pki, &wire.secret, &certificate, late));
    assert_eq!(
        (expired.to_string().as_str(), expired),
        ("Token has expired", TokenError::Expired { at: end })
    );
    let wrong = Secret::presented(&"0".repeat(64));
    assert_eq!(token_error(redeem_now(&pki, &wrong, &certificate, late)), TokenError::NoMatch);
    assert!(redeem_now(&pki, &wire.secret, &certificate, end).is_ok(), "its last second");
}

#[test]
fn a_bad_certificate_burns_nothing() {
    let pki = Pki::new();
    let wire = trust(&pki, "alice", None);
    let refused = |certificate: &ca::cert::Certificate| {
        refusal(redeem_now(&pki, &wire.secret, &holder(certificate), NOW))
    };
    let mut params = client_params("old");
    params.not_after = NOW - Duration::days(1);
    assert!(matches!(refused(&self_signed(&params, &new_key())), Refusal::Expired { .. }));
    assert_eq!(refused(&Foreign::root("CA").certificate), Refusal::AuthorityCertificate);
    let revoked = pki.client("revoked");
    pki.revoke(&revoked);
    assert!(matches!(refused(&revoked), Refusal::Revoked { .. }), "T8");
    let removed = stranger("removed");
    pki.deny(Id::Certificate(removed.fingerprint()));
    assert!(matches!(refused(&removed), Refusal::Removed { .. }), "a denial beats a token");
    let rekeyed = stranger("rekeyed");
    pki.deny(Id::Key(KeyDigest::of(&rekeyed)));
    assert!(matches!(refused(&rekeyed), Refusal::Removed { .. }));
    // In PKI mode a stranger's is bad as well.
    let on = Settings { pki_mode: PkiMode::On, ..Settings::default() };
    let unsigned = holder(&stranger("unsigned"));
    assert!(matches!(refusal(pki.gate.vet(&unsigned, &on, NOW)), Refusal::NotSigned { .. }));
    let good = stranger("good");
    assert!(redeem_now(&pki, &wire.secret, &holder(&good), NOW).is_ok(), "the token is still there");
}

#[test]
fn one_who_is_trusted_already_takes_the_token_and_gains_nothing() {
    let pki = Pki::new();
    let anna = stranger("anna");
    let narrow = Rights { kind: ClientType::Metrics, scope: Scope::Everything };
    pki.trust(&anna, narrow.clone());
    let wire = trust(&pki, "alice", None);
    let redeemed = redeem_now(&pki, &wire.secret, &holder(&anna), NOW).unwrap();
    assert!(matches!(redeemed, Redeemed::AlreadyTrusted { .. }));
    assert_eq!(pki.admit(&anna, &Settings::default()).unwrap().rights().unwrap(), &narrow);
    let other = holder(&stranger("other"));
    assert_eq!(token_error(redeem_now(&pki, &wire.secret, &other, NOW)), TokenError::NoMatch);
}

/// T3: of any number at once exactly one gets in.
fn race(rounds: usize, redeemers: usize) {
    let pki = Pki::new();
    let holders: Vec<_> = (0..redeemers).map(|at| stranger(&format!("client {at}"))).collect();
    for round in 0..rounds {
        let wire = trust(&pki, &format!("round {round}"), None);
        let before = pki.gate.set().now().unwrap().entries().len();
        let start = std::sync::Barrier::new(redeemers);
        let outcomes: Vec<_> = std::thread::scope(|scope| {
            let (pki, start, wire) = (&pki, &start, &wire);
            let threads: Vec<_> = holders
                .iter()
                .map(|certificate| {
                    scope.spawn(move || {
                        let holder = holder(certificate);
                        start.wait();
                        redeem_now(pki, &wire.secret, &holder, NOW)
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let trusted = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(trusted, 1, "round {round}");
        for outcome in outcomes.into_iter().filter(Result::is_err) {
            assert_eq!(token_error(outcome), TokenError::NoMatch, "round {round}");
        }
        let entries = pki.gate.set().now().unwrap().entries();
        // A winner of an earlier round takes the token without a second entry.
        assert!(entries.len() - before <= 1, "round {round}");
    }
}

#[test]
fn of_many_redemptions_at_once_one_succeeds() {
    race(20, 16);
}

#[test]
#[ignore = "tests/full: 1,000 rounds of 100 threads"]
fn of_a_hundred_redemptions_at_once_one_succeeds_a_thousand_times() {
    race(1_000, 100);
}

#[test]
fn the_store_holds_no_secret_and_a_listing_shows_none() {
    let pki = Pki::new();
    let wire = trust(&pki, "alice", Some(NOW + Duration::days(1)));
    let secret = wire.secret.expose();
    let raw = hex::decode(secret).unwrap();
    for entry in pki.store.follow(Sequence::ZERO, 1000).unwrap() {
        let holds = |bytes: &[u8]| {
            bytes.windows(secret.len()).any(|window| window == secret.as_bytes())
                || bytes.windows(raw.len()).any(|window| window == raw)
        };
        assert!(!holds(entry.what.as_bytes()) && !holds(entry.who.as_bytes()));
        for (key, write) in entry.writes.iter().flatten() {
            let value: &[u8] = match write {
                store::Write::Put(value) => value,
                store::Write::Delete => &[],
            };
            assert!(!holds(key.as_bytes()) && !holds(value));
        }
    }
    let listed = list(&pki.store).unwrap();
    assert_eq!(listed.len(), 1);
    assert!(!format!("{listed:?} {wire:?}").contains(&secret[..16]));
    let id = listed[0].record.id();
    assert_eq!(by_id(&pki.store, &id).unwrap().record.name.as_str(), "alice");
    assert_eq!(id.to_string().parse::<TokenId>().unwrap(), id);
    assert_eq!(id, wire.secret.id());
    for bad in ["", "x", "../..", &id.to_string().to_uppercase(), &id.to_string().replace('-', "")] {
        assert!(bad.parse::<TokenId>().is_err() || bad == id.to_string(), "{bad}");
    }
}

#[test]
fn secrets_are_of_256_bits_that_all_vary() {
    let random = SystemRandom::new();
    let secrets: Vec<Vec<u8>> =
        (0..200).map(|_| hex::decode(Secret::random(&random).unwrap().expose()).unwrap()).collect();
    for bit in 0..256 {
        let set = secrets.iter().filter(|secret| secret[bit / 8] >> (bit % 8) & 1 == 1).count();
        // The chance that a fair bit leaves these bounds is below 2^-40.
        assert!((50..=150).contains(&set), "bit {bit}: {set} of 200");
    }
}

#[test]
fn nobody_makes_a_token_for_more_than_they_have() {
    let pki = Pki::new();
    let cause = Cause { who: "test".to_owned(), may_give: Held::Rights(web()), ..admin() };
    let random = SystemRandom::new();
    let make = |purpose, reachable: &Reachable| {
        create("x".parse().unwrap(), purpose, reachable, None, &cause, NOW, &random).map(|made| made.id)
    };
    let enrol = |reach, rights| Purpose::Enrol {
        profile: "client".to_owned(),
        names: vec![],
        project: "web".parse().unwrap(),
        rights,
        reach,
        days: None,
    };
    use ca::records::Reach::{Everything, Project};
    for purpose in
        [Purpose::Trust { rights: Rights::FULL }, enrol(Everything, None), enrol(Project, Some(Rights::FULL))]
    {
        let refused = make(purpose, &reachable());
        assert!(matches!(refused, Err(Error::Change(ChangeError::Widens { .. }))), "{refused:?}");
    }
    assert!(make(enrol(Project, Some(web())), &reachable()).is_ok());
    let nowhere = Reachable { addresses: vec![], ..reachable() };
    let refused = token_error(make(Purpose::Trust { rights: web() }, &nowhere));
    assert_eq!(refused, TokenError::NotListening);
    assert!(pki.store.head() > Sequence::ZERO);
}

#[test]
fn tokens_are_forgotten_a_week_after_their_end() {
    let pki = Pki::new();
    trust(&pki, "never", None);
    trust(&pki, "soon", Some(NOW + Duration::days(1)));
    let after = |days| prune(&list(&pki.store).unwrap(), NOW + Duration::days(days));
    assert!(after(7).is_none());
    pki.store.commit(after(9).unwrap()).unwrap();
    let left = list(&pki.store).unwrap();
    assert_eq!(left.iter().map(|token| token.record.name.as_str()).collect::<Vec<_>>(), ["never"]);
    assert_eq!(token_error(by_name(&pki.store, "soon")), TokenError::NotFound);
}

#[test]
fn an_enrolment_takes_its_token_with_the_certificate_or_not_at_all() {
    let pki = Pki::new();
    let wire = enrol(&pki);
    let claimed = claim(&pki.store, &wire.secret, NOW).unwrap();
    let issue = |claim: &Claim| {
        let csr = ca::key::make_csr(&new_key(), &"asked".parse().unwrap(), &[]).unwrap();
        let csr = ca::cert::Csr::from_pem_or_der(csr.as_bytes()).unwrap();
        let name = claim.token().name.to_string().parse().unwrap();
        let subject = ca::subject::Subject::client(name, vec![]).unwrap();
        let by = ca::plan::Requester {
            who: claim.token().id().redeemer(),
            project: "web".to_owned(),
            rests_on: claim.rests_on(),
            reach: ca::records::Reach::Project,
        };
        let order = ca::plan::Order::new(&csr, ca::subject::LeafKind::Client, subject, None, by);
        let (policy, random) = (ca::plan::Policy::default(), SystemRandom::new());
        pki.desk(&policy, &random).issue_joined(&order, NOW, |certificate, batch| {
            let state = pki.gate.set().now()?;
            claim.join(batch, &state, certificate, NOW).map_err(Error::from)
        })
    };
    assert!(issue(&claimed).is_ok());
    let second = issue(&claimed);
    assert!(matches!(second, Err(Error::Authorities(ca::Error::Withdrawn { .. }))), "{second:?}");
    assert_eq!(token_error(claim(&pki.store, &wire.secret, NOW)), TokenError::NoMatch);
    assert_eq!(ca::inventory::count(&pki.store).unwrap(), 1);
}
