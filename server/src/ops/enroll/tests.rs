use ca::key::{KeyType, PrivateKey, make_csr};
use trust::token::WireToken;

use super::*;
use crate::ops::issue::{Issue, IssueTrusted, ProfileName};
use crate::ops::revoke::Revoke;
use crate::ops::trust::enroll::TokenEnroll;
use crate::ops::trust::list::{TrustList, TrustShow};
use crate::ops::trust::project::ProjectCreate;
use crate::ops::trust::remove::TrustRemove;
use crate::ops::trust::token::TokenList;
use crate::ops::trust::view::{RightsWanted, TrustView};
use crate::ops::view::Selector;
use crate::own::{self, Own};
use crate::settings::{self, Setting};
use crate::testing::{at, made, request};

const ROOT: Presented = Presented::InProcess;
const DAY: i64 = 24 * 60 * 60;
const NO_MATCH: &str = "No matching certificate add operation found";

fn listening(directory: &std::path::Path) -> Pki {
    let pki = made(&directory.join("pki"));
    own::keep(&pki, Own::Service, at(5)).unwrap();
    settings::set(pki.store(), Setting::CoreHttpsAddress, Some("127.0.0.1:8443"), "test", 6).unwrap();
    pki
}

fn wanted(name: &str, profile: ProfileName) -> TokenEnroll {
    TokenEnroll {
        name: name.to_owned(),
        profile,
        names: Vec::new(),
        days: None,
        project: None,
        trusted: None,
    }
}

fn token(pki: &Pki, wanted: TokenEnroll) -> String {
    let created = pki.run(wanted, &ROOT, at(20)).unwrap();
    WireToken::decode(&created.secret).unwrap().secret.expose().to_owned()
}

/// A request that asks for far more than it gets.
fn csr() -> String {
    let key = PrivateKey::generate(KeyType::P256).unwrap();
    let names = ["dns:evil.example".parse().unwrap(), "email:root@evil.example".parse().unwrap()];
    make_csr(&key, &"operator".parse().unwrap(), &names).unwrap()
}

fn ask(secret: &str, csr: &str) -> Enroll {
    Enroll { secret: Phrase::new(secret.to_owned()), csr: csr.to_owned() }
}

fn refused<T: std::fmt::Debug>(answer: Result<T, Error>) -> String {
    answer.unwrap_err().to_string()
}

fn holder(pem: &str) -> Presented {
    Presented::Certificate(Holder::new(Certificate::from_pem(pem.as_bytes()).unwrap(), Vec::new()))
}

fn successor(if_due: bool) -> RenewSelf {
    RenewSelf { csr: csr(), if_due }
}

fn renewed(answer: Result<SelfRenewed, Error>) -> Box<Enrolled> {
    match answer.unwrap() {
        SelfRenewed::Renewed(enrolled) => enrolled,
        SelfRenewed::NotDue(view) => panic!("{} is not due", view.serial),
    }
}

#[test]
fn a_token_decides_everything_but_the_key_and_is_good_once() {
    let dir = tempfile::tempdir().unwrap();
    let pki = listening(dir.path());
    let names = vec!["dns:db".to_owned(), "ip:10.0.0.7".to_owned()];
    let wanted = TokenEnroll { names, days: Some(30), ..wanted("DB.internal", ProfileName::Server) };
    let secret = token(&pki, wanted);
    let listed = pki.run(TokenList {}, &ROOT, at(21)).unwrap();
    let enrolment = listed[0].enrolment.as_ref().unwrap();
    assert_eq!((enrolment.profile.as_str(), enrolment.trusted), ("server", false));

    // What is no request costs no token.
    for bad in ["", "nothing", &"A".repeat(60_000)] {
        assert!(enroll(&pki, &ask(&secret, bad), at(22)).is_err());
    }
    let mine = csr();
    let first = enroll(&pki, &ask(&secret, &mine), at(30)).unwrap();
    let view = &first.issued.certificate;
    assert_eq!((view.name.as_str(), view.profile.as_str()), ("db.internal", "server"));
    assert_eq!(view.names, ["dns:db.internal", "dns:db", "ip:10.0.0.7"]);
    assert!(view.not_after <= at(30) + time::Duration::days(30), "{view:?}");
    assert!(view.issued_by.starts_with("token:"), "{view:?}");
    assert_eq!(first.issued.chain.matches("BEGIN CERTIFICATE").count(), 2);
    assert!(Certificate::from_pem(first.root.as_bytes()).unwrap().is_self_issued());
    assert!(pki.run(TokenList {}, &ROOT, at(31)).unwrap().is_empty());
    assert!(pki.run(TrustList {}, &ROOT, at(31)).unwrap().is_empty());

    // Asked again with the same key, whose answer was lost, it is the same; and with any other, refused.
    let again = enroll(&pki, &ask(&secret, &mine), at(40)).unwrap();
    assert!(again.issued.repeated && !first.issued.repeated);
    assert_eq!(again.issued.pem, first.issued.pem);
    assert_eq!(refused(enroll(&pki, &ask(&secret, &csr()), at(41))), NO_MATCH);
    assert_eq!(refused(enroll(&pki, &ask(&"5e".repeat(32), &mine), at(41))), NO_MATCH);
    assert_eq!(refused(enroll(&pki, &ask(&secret, "nothing"), at(41))), NO_MATCH);
    let selectors = vec![Selector::Pem(first.issued.pem)];
    let revoke = Revoke { selectors, reason: None, all: false, dry_run: false };
    pki.run(revoke, &ROOT, at(42)).unwrap();
    assert_eq!(refused(enroll(&pki, &ask(&secret, &mine), at(43))), NO_MATCH);
}

#[test]
fn of_many_at_once_one_gets_a_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let pki = listening(dir.path());
    let secret = token(&pki, wanted("web-1", ProfileName::Client));
    let before = ca::inventory::count(pki.store()).unwrap();
    let requests: Vec<String> = (0..16).map(|_| csr()).collect();
    let answers: Vec<Result<Enrolled, Error>> = std::thread::scope(|scope| {
        let asking = |csr: &String| enroll(&pki, &ask(&secret, csr), at(30));
        let running: Vec<_> = requests.iter().map(|csr| scope.spawn(move || asking(csr))).collect();
        running.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let (issued, others): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(issued.len(), 1);
    assert!(others.into_iter().all(|other| refused(other) == NO_MATCH));
    assert_eq!(ca::inventory::count(pki.store()).unwrap(), before + 1);
}

#[test]
fn a_token_for_one_thing_is_worth_nothing_for_another_and_ends_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let pki = listening(dir.path());
    let trusting =
        crate::ops::trust::token::TokenCreate { name: "alice".to_owned(), rights: RightsWanted::full() };
    let trusting = pki.run(trusting, &ROOT, at(20)).unwrap().secret;
    let trusting = WireToken::decode(&trusting).unwrap().secret;
    assert_eq!(refused(enroll(&pki, &ask(trusting.expose(), &csr()), at(30))), NO_MATCH);
    let secret = token(&pki, wanted("web-1", ProfileName::Client));
    let Presented::Certificate(alice) = holder(&crate::testing::issue(&pki, "alice").pem) else {
        panic!("a certificate")
    };
    let presented = Secret::presented(&secret);
    assert_eq!(refused(crate::ops::redeem::redeem(&pki, &alice, &presented, at(30))), NO_MATCH);
    // Fifteen days, unless it is set otherwise. Whoever knows no token is told nothing of its end.
    assert_eq!(refused(enroll(&pki, &ask(&secret, &csr()), at(21 + 15 * DAY))), "Token has expired");
    assert_eq!(refused(enroll(&pki, &ask("5e", &csr()), at(21 + 15 * DAY))), NO_MATCH);
    assert!(enroll(&pki, &ask(&secret, &csr()), at(20 + 15 * DAY)).is_ok());
}

#[test]
fn a_project_limits_the_names_when_the_token_is_made_and_when_it_is_redeemed() {
    let dir = tempfile::tempdir().unwrap();
    let pki = listening(dir.path());
    let project =
        |pattern: &str| ProjectCreate { name: "web".to_owned(), allow_dns: vec![pattern.to_owned()] };
    pki.run(project("*.web.internal"), &ROOT, at(10)).unwrap();
    let in_web = |name: &str| TokenEnroll {
        project: Some("web".to_owned()),
        trusted: Some(RightsWanted {
            kind: "client".to_owned(),
            restricted: true,
            projects: vec!["web".to_owned()],
        }),
        ..wanted(name, ProfileName::Server)
    };
    let outside = refused(pki.run(in_web("www.example.org"), &ROOT, at(11)));
    assert!(outside.contains("does not allow"), "{outside}");
    let nowhere = TokenEnroll { project: Some("shop".to_owned()), ..in_web("a.web.internal") };
    assert!(refused(pki.run(nowhere, &ROOT, at(11))).contains("no project shop"));
    let secret = token(&pki, in_web("a.web.internal"));
    let enrolled = enroll(&pki, &ask(&secret, &csr()), at(30)).unwrap();
    assert_eq!(enrolled.issued.certificate.project, "web");
    let entry = pki.run(TrustShow { word: "a.web.internal".to_owned() }, &ROOT, at(31)).unwrap();
    assert_eq!(
        (entry.origin.as_str(), entry.rights.projects.as_slice()),
        ("enrolment", &["web".to_owned()][..])
    );
    // Whoever came in by it is held to the project: no tokens, no trusted certificates, none elsewhere.
    let peer = holder(&enrolled.issued.pem);
    assert!(pki.run(in_web("b.web.internal"), &peer, at(32)).is_err());
    let issue = request(ProfileName::Client, "carl");
    let trusted = IssueTrusted { issue: issue.clone(), rights: in_web("x").trusted.unwrap() };
    assert!(refused(pki.run(trusted, &peer, at(32))).contains("may not change who is trusted"));
    let elsewhere = Issue { project: Some("default".to_owned()), ..issue };
    assert!(pki.run(elsewhere, &peer, at(32)).is_err());
}

#[test]
fn whoever_was_removed_comes_back_by_no_token() {
    let dir = tempfile::tempdir().unwrap();
    let pki = listening(dir.path());
    let trusted =
        || TokenEnroll { trusted: Some(RightsWanted::full()), ..wanted("web-1", ProfileName::Client) };
    let mine = csr();
    enroll(&pki, &ask(&token(&pki, trusted()), &mine), at(30)).unwrap();
    let which = Selector::Word("web-1".to_owned());
    pki.run(TrustRemove { which, revoke: false, reason: None }, &ROOT, at(31)).unwrap();
    let second = token(&pki, trusted());
    let denied = refused(enroll(&pki, &ask(&second, &mine), at(32)));
    assert!(denied.contains("was removed, and this is the same key"), "{denied}");
    assert_eq!(pki.run(TokenList {}, &ROOT, at(33)).unwrap().len(), 1, "the token stays");
    assert!(enroll(&pki, &ask(&second, &csr()), at(34)).is_ok());
}

#[test]
fn a_certificate_renews_itself_when_it_is_due_and_takes_its_entry_along() {
    let dir = tempfile::tempdir().unwrap();
    let pki = listening(dir.path());
    let trusted = TokenEnroll { trusted: Some(RightsWanted::full()), ..wanted("web-1", ProfileName::Client) };
    let first = enroll(&pki, &ask(&token(&pki, trusted), &csr()), at(30)).unwrap();
    let old = holder(&first.issued.pem);
    assert!(matches!(renew_self(&pki, &old, &successor(true), at(40)), Ok(SelfRenewed::NotDue(_))));
    let asked = successor(true);
    let second = renewed(renew_self(&pki, &old, &asked, at(250 * DAY)));
    assert_eq!(second.issued.certificate.name, "web-1");
    assert_ne!(second.issued.certificate.serial, first.issued.certificate.serial);
    // The answer was lost: the same request gets the same successor.
    let again = renewed(renew_self(&pki, &old, &asked, at(250 * DAY + 9)));
    assert_eq!(again.issued.pem, second.issued.pem);
    let entries: Vec<TrustView> = pki.run(TrustList {}, &ROOT, at(251 * DAY)).unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].fingerprint.as_ref(), Some(&second.issued.certificate.fingerprint));
    assert_eq!(entries[0].former, [first.issued.certificate.fingerprint]);
    // Before it is due only if asked for.
    let new = holder(&second.issued.pem);
    assert!(matches!(renew_self(&pki, &new, &successor(true), at(252 * DAY)), Ok(SelfRenewed::NotDue(_))));
    renewed(renew_self(&pki, &new, &successor(false), at(252 * DAY)));
}

#[test]
fn a_server_renews_itself_though_it_is_let_in_nowhere_and_gains_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let pki = listening(dir.path());
    let secret = token(&pki, wanted("db.internal", ProfileName::Server));
    let first = enroll(&pki, &ask(&secret, &csr()), at(30)).unwrap();
    let peer = holder(&first.issued.pem);
    assert!(matches!(pki.admit(&peer, at(31)), Err(Error::Refused(Refusal::Stranger))));
    let second = renewed(renew_self(&pki, &peer, &successor(false), at(32)));
    assert_eq!(second.issued.certificate.names, ["dns:db.internal"]);
    assert_eq!(second.issued.certificate.profile, "server");
    assert!(pki.run(TrustList {}, &ROOT, at(33)).unwrap().is_empty());
    assert!(matches!(pki.admit(&holder(&second.issued.pem), at(34)), Err(Error::Refused(_))));
}

#[test]
fn what_is_revoked_expired_removed_or_not_ours_does_not_renew_itself() {
    let dir = tempfile::tempdir().unwrap();
    let pki = listening(dir.path());
    let new = |name: &str| {
        let secret = token(
            &pki,
            TokenEnroll { trusted: Some(RightsWanted::full()), ..wanted(name, ProfileName::Client) },
        );
        enroll(&pki, &ask(&secret, &csr()), at(30)).unwrap().issued.pem
    };
    let told = |pem: &str, seconds| refused(renew_self(&pki, &holder(pem), &successor(false), at(seconds)));
    let (revoked, removed, expired) = (new("revoked"), new("removed"), new("expired"));
    let selectors = vec![Selector::Pem(revoked.clone())];
    pki.run(Revoke { selectors, reason: None, all: false, dry_run: false }, &ROOT, at(40)).unwrap();
    let which = Selector::Word("removed".to_owned());
    pki.run(TrustRemove { which, revoke: false, reason: None }, &ROOT, at(41)).unwrap();
    assert!(told(&revoked, 50).contains("is revoked"), "{}", told(&revoked, 50));
    assert!(told(&removed, 50).contains("was removed"), "{}", told(&removed, 50));
    assert!(told(&expired, 400 * DAY).contains("expired on"), "{}", told(&expired, 400 * DAY));
    let (other, elsewhere) = (tempfile::tempdir().unwrap(), "alice");
    let foreign = crate::testing::issue(&made(&other.path().join("pki")), elsewhere).pem;
    assert_eq!(told(&foreign, 50), "not authorized");
    let nobody = renew_self(&pki, &Presented::Nobody, &successor(false), at(50));
    assert_eq!(refused(nobody), "not authorized");
}

#[test]
fn a_certificate_that_is_issued_trusted_is_let_in_from_the_first_moment() {
    let dir = tempfile::tempdir().unwrap();
    let pki = listening(dir.path());
    let head = pki.store().head();
    let trusted = IssueTrusted { issue: request(ProfileName::Client, "alice"), rights: RightsWanted::full() };
    let issued = pki.run(trusted.clone(), &ROOT, at(30)).unwrap();
    assert_eq!(pki.store().head().0, head.0 + 1, "one batch");
    assert!(pki.admit(&holder(&issued.pem), at(31)).is_ok());
    let again = pki.run(trusted.clone(), &ROOT, at(32)).unwrap();
    assert!(again.repeated && again.warnings.is_empty(), "{again:?}");
    let which = Selector::Word("alice".to_owned());
    pki.run(TrustRemove { which, revoke: false, reason: None }, &ROOT, at(33)).unwrap();
    let after = pki.run(trusted, &ROOT, at(34)).unwrap();
    assert!(after.warnings.iter().any(|warning| warning.contains("not trusted")), "{after:?}");
    assert!(pki.admit(&holder(&issued.pem), at(35)).is_err());
}
