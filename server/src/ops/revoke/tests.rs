use trust::Presented;

use super::*;
use crate::ops::inventory::Show;
use crate::ops::view::Status;
use crate::testing::{at, issue, made, reopened};

fn by_name(name: &str) -> Revoke {
    Revoke { selectors: vec![Selector::Word(name.to_owned())], reason: None, all: false, dry_run: false }
}

fn lists(publication: &Publication) -> u64 {
    match publication {
        Publication::Published { lists } => lists.iter().map(|list| list.entries).sum(),
        Publication::Pending { causes } => panic!("{causes:?}"),
    }
}

#[test]
fn what_is_answered_is_listed() {
    let dir = tempfile::tempdir().unwrap();
    let pki = made(&dir.path().join("pki"));
    pki.shelf().open();
    let issued = issue(&pki, "web-1");
    let revoked = pki.run(by_name("web-1"), &Presented::InProcess, at(20)).unwrap();
    assert_eq!(revoked.certificates[0].serial, issued.certificate.serial);
    assert_eq!(revoked.certificates[0].status, Status::Revoked);
    assert_eq!(lists(&revoked.publication), 1);
    let note = std::fs::read_to_string(pki.layout().store().join("checkpoint")).unwrap();
    let checkpoint = store::checkpoint::Checkpoint::parse_unverified(&note).unwrap();
    assert_eq!(checkpoint.sequence, pki.store().head(), "a checkpoint goes with each list");
    let served = pki.shelf().find("/ca.crl").unwrap();
    assert_eq!(served.text(), std::fs::read_to_string(pki.directory().join("ca.crl")).unwrap());
    // Again: nothing changes, and that is no error.
    let again = pki.run(by_name("web-1"), &Presented::InProcess, at(30)).unwrap();
    assert_eq!(again.already, [issued.certificate.serial]);
}

#[test]
fn many_are_revoked_by_one_call_and_named_by_one_list() {
    let dir = tempfile::tempdir().unwrap();
    let pki = made(&dir.path().join("pki"));
    let serials: Vec<String> =
        (0..5).map(|number| issue(&pki, &format!("web-{number}")).certificate.serial).collect();
    pki.run(by_name("web-0"), &Presented::InProcess, at(20)).unwrap();
    let number = || pki.publisher().lists(at(20)).unwrap()[0].number;
    let before = number();
    let words =
        |more: &[&str]| serials.iter().cloned().chain(more.iter().map(|&word| word.to_owned())).collect();
    let many = |words: Vec<String>| RevokeMany { words, reason: None, all: false, dry_run: false };
    let refused = pki.run(many(words(&["nobody"])), &Presented::InProcess, at(30)).unwrap_err();
    assert!(matches!(refused, Error::Ca(ca::Error::NotFound { .. })), "{refused}");
    assert_eq!(number(), before, "one refusal leaves everything as it was");
    let planned = RevokeMany { dry_run: true, ..many(words(&[])) };
    let planned = pki.run(planned, &Presented::InProcess, at(30)).unwrap();
    assert_eq!((planned.revoked, planned.already, number()), (4, 1, before));
    let revoked = pki.run(many(words(&["web-1"])), &Presented::InProcess, at(30)).unwrap();
    assert_eq!((revoked.revoked, revoked.already, lists(&revoked.publication)), (4, 1, 5));
    assert_eq!(number(), before.max(crl::CrlNumber::next(Some(before), at(30)).unwrap()));
    let words = vec![String::new(); RevokeMany::LIMIT + 1];
    assert!(matches!(pki.run(many(words), &Presented::InProcess, at(40)), Err(Error::Limit { .. })));
}

#[test]
fn a_list_that_fails_is_pending_and_the_revocation_stands() {
    let dir = tempfile::tempdir().unwrap();
    let pki = made(&dir.path().join("pki"));
    issue(&pki, "web-1");
    std::fs::rename(pki.directory().join("cas"), dir.path().join("away")).unwrap();
    std::fs::write(pki.directory().join("cas"), "in the way").unwrap();
    let revoked = pki.run(by_name("web-1"), &Presented::InProcess, at(20)).unwrap();
    assert!(matches!(&revoked.publication, Publication::Pending { causes } if !causes.is_empty()));
    assert_eq!(revoked.certificates[0].status, Status::Revoked);
}

#[test]
fn several_of_a_name_are_an_error_that_lists_them() {
    let dir = tempfile::tempdir().unwrap();
    let pki = made(&dir.path().join("pki"));
    let serials = [issue(&pki, "web-1"), issue(&pki, "web-1")].map(|issued| issued.certificate.serial);
    let refused = pki.run(by_name("web-1"), &Presented::InProcess, at(20)).unwrap_err();
    assert!(serials.iter().all(|serial| refused.to_string().contains(serial)), "{refused}");
    let all = Revoke { all: true, ..by_name("web-1") };
    let planned = pki.run(Revoke { dry_run: true, ..all.clone() }, &Presented::InProcess, at(20)).unwrap();
    assert_eq!(planned.certificates.len(), 2);
    let head = pki.store().head();
    let revoked = pki.run(all, &Presented::InProcess, at(20)).unwrap();
    assert!(pki.store().head() > head, "the dry run wrote nothing, this did");
    assert_eq!(lists(&revoked.publication), 2);
}

#[test]
fn of_very_many_the_first_are_listed_and_all_are_revoked() {
    let dir = tempfile::tempdir().unwrap();
    let pki = made(&dir.path().join("pki"));
    let first = issue(&pki, "fleet").certificate.serial.parse().unwrap();
    let first = ca::inventory::by_serial(pki.store(), &first).unwrap().unwrap().record;
    let (issuer, count) = (first.issuer, LISTED + 3);
    let mut batch = store::Batch::new(store::Class::Ledger, 1, "test", "issue");
    for number in 1..count {
        let serial = ca::cert::Serial::from_bytes(&(0x5000_0000 + number as u32).to_be_bytes()).unwrap();
        IssuedRecord { serial, ..first.clone() }.put(&mut batch);
    }
    pki.store().commit(batch).unwrap();
    let all = Revoke { all: true, ..by_name("fleet") };
    let planned = pki.run(Revoke { dry_run: true, ..all.clone() }, &Presented::InProcess, at(20)).unwrap();
    assert_eq!((planned.certificates.len(), planned.already.len(), planned.more), (LISTED, 0, 3));
    let revoked = pki.run(all.clone(), &Presented::InProcess, at(20)).unwrap();
    assert_eq!((revoked.certificates.len(), revoked.already.len(), revoked.more), (LISTED, 0, 3));
    assert!(revoked.certificates.iter().all(|shown| shown.status == Status::Revoked));
    assert_eq!((pki.revoked().count(&issuer).unwrap(), lists(&revoked.publication)), (count, count as u64));
}

#[test]
fn a_hold_is_released() {
    let dir = tempfile::tempdir().unwrap();
    let pki = made(&dir.path().join("pki"));
    issue(&pki, "web-1");
    let hold = Revoke { reason: Some("certificate-hold".to_owned()), ..by_name("web-1") };
    assert_eq!(pki.run(hold, &Presented::InProcess, at(20)).unwrap().certificates[0].status, Status::Held);
    let release = Release { selector: Selector::Word("web-1".to_owned()) };
    let released = pki.run(release.clone(), &Presented::InProcess, at(30)).unwrap();
    assert_eq!(released.certificate.status, Status::Valid);
    assert_eq!(lists(&released.publication), 0);
    assert!(pki.run(release, &Presented::InProcess, at(40)).is_err());
}

#[test]
fn a_certificate_known_from_its_file_alone_is_recorded_with_its_revocation() {
    let dir = tempfile::tempdir().unwrap();
    let pki = made(&dir.path().join("pki"));
    let mut copy = std::process::Command::new("cp");
    assert!(copy.arg("-r").args([pki.directory(), &dir.path().join("copy")]).status().unwrap().success());
    // As after a restore from a backup that is older than the certificate.
    let lost = issue(&reopened(&dir.path().join("copy")), "lost");
    let serial = lost.certificate.serial.clone();
    let word = Selector::Word(serial.clone());
    assert!(pki.run(Show { selector: word.clone() }, &Presented::InProcess, at(15)).is_err());
    let request = Revoke {
        selectors: vec![Selector::Pem(lost.pem)],
        reason: Some("certificateHold".to_owned()),
        all: false,
        dry_run: true,
    };
    pki.run(request.clone(), &Presented::InProcess, at(20)).unwrap();
    assert!(pki.run(Show { selector: word.clone() }, &Presented::InProcess, at(20)).is_err(), "a dry run");
    let revoked = pki.run(Revoke { dry_run: false, ..request }, &Presented::InProcess, at(20)).unwrap();
    let found = &revoked.certificates[0];
    assert_eq!(
        (found.name.as_str(), found.profile.as_str(), found.issued_by.as_str()),
        ("lost", "client", "unknown")
    );
    let shown = pki.run(Show { selector: word.clone() }, &Presented::InProcess, at(30)).unwrap();
    assert_eq!((shown[0].certificate.status, &shown[0].certificate.serial), (Status::Held, &serial));
    assert_eq!(ca::inventory::count(pki.store()).unwrap(), 1, "it is in the list");
    let released = pki.run(Release { selector: word }, &Presented::InProcess, at(40)).unwrap();
    assert_eq!(released.certificate.status, Status::Valid);
}
