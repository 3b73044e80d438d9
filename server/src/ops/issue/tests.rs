use trust::Presented;

use super::*;
use crate::ops::inventory::{List, Show, Verify};
use crate::ops::revoke::Revoke;
use crate::ops::view::{Selector, Status};
use crate::problem::ProblemKind;
use crate::testing::{at, issue as issue_one, made, request};

const DAY: i64 = 24 * 60 * 60;

fn verify(pki: &Pki, pem: &str, purpose: Option<ProfileName>, seconds: i64) -> Vec<(String, bool)> {
    let verdict =
        pki.run(Verify { pem: pem.to_owned(), purpose }, &Presented::InProcess, at(seconds)).unwrap();
    assert_eq!(verdict.valid, verdict.checks.iter().all(|check| check.passed));
    verdict.checks.into_iter().map(|check| (check.name, check.passed)).collect()
}

fn failed(checks: &[(String, bool)]) -> Vec<&str> {
    checks.iter().filter(|(_, passed)| !passed).map(|(name, _)| name.as_str()).collect()
}

#[test]
fn what_was_issued_is_found_shown_and_verified() {
    let dir = tempfile::tempdir().unwrap();
    let pki = made(&dir.path().join("pki"));
    let asked = request(ProfileName::Client, "web-1");
    let first = pki.run(asked.clone(), &Presented::InProcess, at(10)).unwrap();
    let again = pki.run(asked, &Presented::InProcess, at(20)).unwrap();
    assert!(!first.repeated && again.repeated);
    assert_eq!(first.pem, again.pem);
    assert_eq!(first.chain.matches("BEGIN CERTIFICATE").count(), 2);

    let shown =
        pki.run(Show { selector: Selector::Word("web-1".into()) }, &Presented::InProcess, at(30)).unwrap();
    assert_eq!((shown.len(), &shown[0].pem), (1, &first.pem));
    let usage = shown[0].details.iter().find(|(name, _)| name == "extended key usage").unwrap();
    assert_eq!(usage.1, "clientAuth");

    assert!(failed(&verify(&pki, &first.pem, None, 30)).is_empty());
    assert_eq!(failed(&verify(&pki, &first.pem, Some(ProfileName::Server), 30)), ["purpose"]);
    assert_eq!(failed(&verify(&pki, &first.pem, None, 400 * DAY)), ["dates"]);
    let selectors = vec![Selector::Pem(first.pem.clone())];
    let revoke = Revoke { selectors, reason: None, all: false, dry_run: false };
    pki.run(revoke, &Presented::InProcess, at(40)).unwrap();
    assert_eq!(failed(&verify(&pki, &first.pem, None, 50)), ["revocation"]);
}

#[test]
fn a_dry_run_writes_nothing_and_a_bad_request_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let pki = made(&dir.path().join("pki"));
    let head = pki.store().head();
    let planned = Issue { dry_run: true, ..request(ProfileName::Server, "a.example") };
    let planned = pki.run(planned, &Presented::InProcess, at(10)).unwrap();
    assert!(planned.pem.is_empty());
    assert_eq!(planned.certificate.names, ["dns:a.example"]);
    let too_long = Issue { days: Some(36_000), ..request(ProfileName::Client, "a") };
    assert!(pki.run(too_long, &Presented::InProcess, at(10)).is_err());
    let no_csr = Issue { csr: "nothing".into(), ..request(ProfileName::Client, "a") };
    let refused = pki.run(no_csr, &Presented::InProcess, at(10)).unwrap_err();
    assert_eq!(problem(&refused).kind, ProblemKind::Invalid);
    let orphans = Issue { name: None, names: vec!["dns:a".into()], ..request(ProfileName::Client, "a") };
    assert!(matches!(pki.run(orphans, &Presented::InProcess, at(10)), Err(Error::Nameless)));
    assert_eq!(pki.store().head(), head);
}

#[test]
fn many_are_answered_in_order_each_for_itself() {
    let dir = tempfile::tempdir().unwrap();
    let pki = made(&dir.path().join("pki"));
    let mut requests: Vec<Issue> =
        (0..20).map(|n| request(ProfileName::Client, &format!("c-{n:02}"))).collect();
    requests[7].csr = "broken".into();
    requests[9].name = Some("two\nlines".into());
    requests[11] = requests[10].clone();
    let replies = pki.run(IssueMany { requests }, &Presented::InProcess, at(10)).unwrap();
    let names: Vec<Option<&str>> = replies
        .iter()
        .map(|reply| match reply {
            RowReply::Issued(issued) => Some(issued.certificate.name.as_str()),
            RowReply::Failed(_) => None,
        })
        .collect();
    for (n, name) in names.iter().enumerate() {
        match n {
            7 | 9 => assert_eq!(*name, None),
            11 => assert_eq!(*name, Some("c-10")),
            n => assert_eq!(name.unwrap(), format!("c-{n:02}")),
        }
    }
    let page = |after| {
        let list = List { limit: 7, after, name: Some("c-*".into()), ..List::default() };
        pki.run(list, &Presented::InProcess, at(20)).unwrap()
    };
    let mut listed = Vec::new();
    let mut next = None;
    loop {
        let page = page(next);
        listed.extend(page.certificates.into_iter().map(|certificate| certificate.name));
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    assert_eq!(listed.len(), 17, "one of the twenty was asked for twice, two were refused: {listed:?}");
    assert!(listed.is_sorted());
    let requests = vec![request(ProfileName::Client, "x"); IssueMany::LIMIT + 1];
    assert!(matches!(
        pki.run(IssueMany { requests }, &Presented::InProcess, at(1)),
        Err(Error::Limit { .. })
    ));
}

#[test]
fn a_renewal_follows_when_it_is_due() {
    let dir = tempfile::tempdir().unwrap();
    let pki = made(&dir.path().join("pki"));
    let first = issue_one(&pki, "web-1");
    let renew = |seconds, if_due| {
        let renew = Renew { selector: Selector::Word("web-1".into()), csr: None, if_due };
        pki.run(renew, &Presented::InProcess, at(seconds)).unwrap()
    };
    assert!(matches!(renew(100 * DAY, true), Renewed::NotDue(_)));
    let Renewed::Renewed(second) = renew(300 * DAY, true) else { panic!("it was due") };
    assert_ne!(second.certificate.serial, first.certificate.serial);
    // Of the two that are valid now the newer one is meant.
    assert!(
        matches!(renew(301 * DAY, true), Renewed::NotDue(view) if view.serial == second.certificate.serial)
    );
    let list = List { expiring_within: Some(100 * DAY as u64), limit: 10, ..List::default() };
    let expiring = pki.run(list, &Presented::InProcess, at(300 * DAY)).unwrap().certificates;
    assert_eq!(expiring.len(), 1);
    assert_eq!((expiring[0].status, &expiring[0].serial), (Status::Valid, &first.certificate.serial));
}
