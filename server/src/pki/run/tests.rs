use std::cell::RefCell;

use ca::cert::Certificate;
use serde::{Deserialize, Serialize};
use trust::change::{Cause, Edit, Wish, add_certificate, edit, remove};
use trust::entry::Origin;
use trust::project::Project;
use trust::rights::{ProjectName, Rights, Scope};
use trust::{Holder, Refusal, Way};
use utoipa::ToSchema;

use super::*;
use crate::http::problem;
use crate::ops::authority::CaRotate;
use crate::ops::config::ConfigSet;
use crate::ops::crl::CrlPublish;
use crate::ops::inventory::{List, Show};
use crate::ops::issue::{Issue, IssueMany, Issued, ProfileName, Renew, Renewed, RowReply};
use crate::ops::revoke::{Release, Revoke, RevokeMany};
use crate::ops::view::Selector;
use crate::problem::ProblemKind;
use crate::testing::{at, issue, made, request};

fn web() -> ProjectName {
    "web".parse().unwrap()
}

/// A PKI with the project `web`, in which a signature of ours suffices.
fn with_projects(directory: &std::path::Path) -> Pki {
    let pki = made(directory);
    let batch = Project::put(web(), vec!["*.web.internal".parse().unwrap()], None, "test", at(0));
    pki.store().commit(batch).unwrap();
    set(&pki, "core.trust_ca_certificates", "true");
    pki
}

fn set(pki: &Pki, key: &str, value: &str) {
    let set = ConfigSet { key: key.to_owned(), value: Some(value.to_owned()) };
    pki.run(set, &Presented::InProcess, at(1)).unwrap();
}

fn client(name: &str, project: Option<&str>) -> Issue {
    Issue { project: project.map(str::to_owned), ..request(ProfileName::Client, name) }
}

fn shown(pem: &str) -> Presented {
    Presented::Certificate(Holder::new(Certificate::from_pem(pem.as_bytes()).unwrap(), Vec::new()))
}

fn cause(pki: &Pki) -> Cause {
    Cause::from(&pki.permit(&Presented::InProcess, Action::Trust, at(1)).unwrap())
}

/// Gives a certificate an entry, and returns what its holder shows.
fn trusted(pki: &Pki, issued: &Issued, scope: Scope) -> Presented {
    let holder = Holder::new(Certificate::from_pem(issued.pem.as_bytes()).unwrap(), Vec::new());
    let vetted = pki.gate().vet(&holder, &pki.settings().unwrap().trust(), at(20)).unwrap();
    let wish = Wish { name: None, rights: Rights::client(scope), origin: Origin::Added };
    let batch = {
        let state = pki.gate().set().now().unwrap();
        add_certificate(&state, &holder, &vetted, &wish, &cause(pki), at(20)).unwrap()
    };
    pki.store().commit(batch).unwrap();
    Presented::Certificate(holder)
}

fn entry_of(pki: &Pki, presented: &Presented) -> std::sync::Arc<store::Versioned<trust::entry::Entry>> {
    let Presented::Certificate(holder) = presented else { panic!("no certificate") };
    pki.gate().set().now().unwrap().entry_of(holder.fingerprint()).unwrap().clone()
}

fn taken_away(pki: &Pki, presented: &Presented) {
    let entry = entry_of(pki, presented);
    let removal = {
        let state = pki.gate().set().now().unwrap();
        remove(pki.store(), &state, &entry, None, &cause(pki), at(30)).unwrap()
    };
    pki.store().commit(removal.batch).unwrap();
}

fn scope(pki: &Pki, presented: &Presented) -> Scope {
    pki.admit(presented, at(40)).unwrap().rights().unwrap().scope.clone()
}

#[test]
fn a_restricted_peer_issues_itself_a_certificate_and_is_still_restricted() {
    let dir = tempfile::tempdir().unwrap();
    let pki = with_projects(&dir.path().join("pki"));
    let first = pki.run(client("first", Some("web")), &Presented::InProcess, at(10)).unwrap();
    let peer = trusted(&pki, &first, Scope::project(web()));
    let second = pki.run(client("second", None), &peer, at(30)).unwrap();
    assert_eq!(second.certificate.project, "web");
    let itself = shown(&second.pem);
    let admitted = pki.admit(&itself, at(40)).unwrap();
    assert_eq!((admitted.way(), &admitted.rights().unwrap().scope), (Way::Ours, &Scope::project(web())));
    let third = pki.run(client("third", Some("web")), &itself, at(41)).unwrap();
    let renew = Renew { selector: Selector::Word("third".into()), csr: None, if_due: false };
    let Renewed::Renewed(fourth) = pki.run(renew, &itself, at(42)).unwrap() else { panic!("not due") };
    for pem in [&third.pem, &fourth.pem] {
        assert_eq!(scope(&pki, &shown(pem)), Scope::project(web()));
        let configure = ConfigSet { key: "crl.validity".into(), value: None };
        assert!(matches!(pki.run(configure, &shown(pem), at(43)), Err(Error::Forbidden(_))));
    }
    // An administrator's certificate by comparison, and one of theirs for the project.
    assert_eq!(scope(&pki, &shown(&issue(&pki, "admin").pem)), Scope::Everything);
    assert_eq!(scope(&pki, &shown(&first.pem)), Scope::project(web()));
}

#[test]
fn a_restricted_peer_finds_its_own_projects_alone() {
    let dir = tempfile::tempdir().unwrap();
    let pki = with_projects(&dir.path().join("pki"));
    let other = issue(&pki, "other");
    let first = pki.run(client("first", Some("web")), &Presented::InProcess, at(10)).unwrap();
    let peer = trusted(&pki, &first, Scope::project(web()));
    for project in ["default", "db"] {
        let refused = pki.run(client("x", Some(project)), &peer, at(30)).unwrap_err();
        assert!(matches!(refused, Error::OtherProject(_)), "{refused:?}");
        let list = List { limit: 10, project: Some(project.into()), ..List::default() };
        assert!(matches!(pki.run(list, &peer, at(30)), Err(Error::OtherProject(_))));
    }
    let rows = IssueMany { requests: vec![client("x", Some("default")), client("y", None)] };
    let rows = pki.run(rows, &peer, at(30)).unwrap();
    assert!(matches!(&rows[..], [RowReply::Failed(_), RowReply::Issued(_)]), "{rows:?}");
    let listed = pki.run(List { limit: 10, ..List::default() }, &peer, at(30)).unwrap().certificates;
    let names: Vec<&str> = listed.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["first", "y"]);
    for selector in [Selector::Word("other".into()), Selector::Pem(other.pem.clone())] {
        let revoke = Revoke { selectors: vec![selector.clone()], reason: None, all: true, dry_run: false };
        let refusals = [
            pki.run(Show { selector: selector.clone() }, &peer, at(31)).map(drop),
            pki.run(Renew { selector: selector.clone(), csr: None, if_due: false }, &peer, at(31)).map(drop),
            pki.run(revoke, &peer, at(31)).map(drop),
            pki.run(Release { selector }, &peer, at(31)).map(drop),
        ];
        for refused in refusals {
            assert!(matches!(refused, Err(Error::Ca(ca::Error::NotFound { .. }))), "{refused:?}");
        }
    }
    let many = RevokeMany { words: vec!["other".into()], reason: None, all: true, dry_run: false };
    assert!(pki.run(many, &peer, at(31)).is_err());
    let one =
        Revoke { selectors: vec![Selector::Word("y".into())], reason: None, all: false, dry_run: false };
    assert_eq!(pki.run(one, &peer, at(32)).unwrap().certificates.len(), 1);
    assert!(matches!(pki.run(CrlPublish { root: false }, &peer, at(32)), Err(Error::Forbidden(_))));
}

#[test]
fn a_project_limits_names_and_has_to_be_there() {
    let dir = tempfile::tempdir().unwrap();
    let pki = with_projects(&dir.path().join("pki"));
    let server = |name: &str, project: &str| {
        let request = Issue { project: Some(project.into()), ..request(ProfileName::Server, name) };
        pki.run(request, &Presented::InProcess, at(10))
    };
    server("a.web.internal", "web").unwrap();
    assert!(matches!(server("a.db.internal", "web"), Err(Error::NameNotAllowed(_))));
    assert!(matches!(server("10.0.0.1", "web"), Err(Error::NameNotAllowed(_))));
    assert!(matches!(server("a.web.internal", "wbe"), Err(Error::NoProject { .. })));
    assert!(matches!(server("a.web.internal", "../web"), Err(Error::ProjectName(_))));
    // What is allowed no more is not renewed either.
    let read = pki.gate().set().now().unwrap().project(&web()).unwrap().clone();
    let batch = Project::put(web(), vec!["b.web.internal".parse().unwrap()], Some(&read), "test", at(11));
    pki.store().commit(batch).unwrap();
    let renew = Renew { selector: Selector::Word("a.web.internal".into()), csr: None, if_due: false };
    assert!(matches!(pki.run(renew, &Presented::InProcess, at(12)), Err(Error::NameNotAllowed(_))));
}

#[test]
fn a_restricted_entry_that_is_renewed_or_removed_widens_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let pki = with_projects(&dir.path().join("pki"));
    // By its signature alone it would be worth everything.
    let first = issue(&pki, "first");
    let peer = trusted(&pki, &first, Scope::project(web()));
    assert_eq!(scope(&pki, &peer), Scope::project(web()));
    let mut lineage = vec![first.pem.clone()];
    // More often than a lineage remembers.
    for round in 0..10 {
        let newest = Selector::Pem(lineage.last().unwrap().clone());
        let renew = Renew { selector: newest, csr: None, if_due: false };
        let Renewed::Renewed(next) = pki.run(renew, &Presented::InProcess, at(21 + round)).unwrap() else {
            panic!("not due")
        };
        lineage.push(next.pem.clone());
    }
    for pem in &lineage {
        match pki.admit(&shown(pem), at(40)) {
            Ok(admitted) => assert_eq!(admitted.rights().unwrap().scope, Scope::project(web())),
            Err(refused) => {
                assert!(matches!(refused, Error::Refused(Refusal::Removed { .. })), "{refused:?}")
            }
        }
    }
    let newest = shown(lineage.last().unwrap());
    assert!(pki.admit(&newest, at(40)).is_ok());
    taken_away(&pki, &newest);
    let renew = Renew { selector: Selector::Pem(lineage.pop().unwrap()), csr: None, if_due: false };
    let Renewed::Renewed(after) = pki.run(renew, &Presented::InProcess, at(41)).unwrap() else {
        panic!("not due")
    };
    for pem in lineage.iter().chain([&after.pem]) {
        let refused = pki.admit(&shown(pem), at(42)).unwrap_err();
        assert!(matches!(refused, Error::Refused(Refusal::Removed { .. })), "{refused:?}");
    }
}

#[test]
fn whoever_renews_needs_the_rights_of_the_entry_that_moves() {
    let dir = tempfile::tempdir().unwrap();
    let pki = with_projects(&dir.path().join("pki"));
    let strong = pki.run(client("strong", Some("web")), &Presented::InProcess, at(10)).unwrap();
    trusted(&pki, &strong, Scope::Everything);
    let weak = pki.run(client("weak", Some("web")), &Presented::InProcess, at(10)).unwrap();
    let peer = trusted(&pki, &weak, Scope::project(web()));
    let csr = request(ProfileName::Client, "strong").csr;
    let renew = Renew { selector: Selector::Word("strong".into()), csr: Some(csr), if_due: false };
    let refused = pki.run(renew.clone(), &peer, at(30)).unwrap_err();
    assert!(matches!(refused, Error::Trust(_)), "{refused:?}");
    assert_eq!(problem::status(problem::problem(&refused).kind), http::StatusCode::FORBIDDEN);
    // Its holder may, and keeps what it had.
    let Renewed::Renewed(next) = pki.run(renew, &shown(&strong.pem), at(31)).unwrap() else {
        panic!("not due")
    };
    assert_eq!(entry_of(&pki, &shown(&next.pem)).record.rights, Rights::FULL);
}

thread_local! {
    /// What comes between the permit and the commit.
    static MEANWHILE: RefCell<Option<Box<dyn Fn()>>> = const { RefCell::new(None) };
}

/// An issue that is overtaken by something.
#[derive(Serialize, Deserialize, ToSchema)]
struct Overtaken(Issue);

impl Operation for Overtaken {
    const NAME: &'static str = "overtaken";
    const ACTION: Action = Action::Issue;
    type Reply = Issued;

    fn run(self, pki: &Pki, permit: &Permit, now: OffsetDateTime) -> Result<Issued, Error> {
        MEANWHILE.with_borrow(|meanwhile| meanwhile.iter().for_each(|act| act()));
        self.0.run(pki, permit, now)
    }
}

#[test]
fn what_was_allowed_and_not_committed_fails_when_the_peer_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let pki = with_projects(&dir.path().join("pki"));
    let first = issue(&pki, "first");
    let peer = trusted(&pki, &first, Scope::Everything);
    let overtaken_by = |act: Box<dyn Fn()>| {
        MEANWHILE.set(Some(act));
        let done = pki.run(Overtaken(client("late", None)), &peer, at(30));
        MEANWHILE.set(None);
        done.unwrap_err()
    };
    // It is still let in: what changed was its name, or a setting; it may ask again.
    let rename = {
        let (pki, entry) = (pki.clone(), entry_of(&pki, &peer));
        move || {
            let new = Edit { name: Some("renamed".parse().unwrap()), rights: None };
            pki.store().commit(edit(&entry, &new, &cause(&pki), at(30)).unwrap().unwrap()).unwrap();
        }
    };
    let setting = {
        let pki = pki.clone();
        move || set(&pki, "core.pki_mode", "on")
    };
    for act in [Box::new(rename) as Box<dyn Fn()>, Box::new(setting)] {
        let error = overtaken_by(act);
        assert!(error.is_withdrawn() && problem::is_busy(&error), "{error:?}");
        assert_eq!(problem::problem(&error).kind, ProblemKind::Unavailable);
    }
    let removal = {
        let (pki, gone) = (pki.clone(), shown(&first.pem));
        move || taken_away(&pki, &gone)
    };
    let error = overtaken_by(Box::new(removal));
    assert!(matches!(error, Error::Refused(Refusal::Removed { .. })), "{error:?}");
    assert!(
        pki.run(Show { selector: Selector::Word("late".into()) }, &Presented::InProcess, at(31)).is_err()
    );
}

#[test]
fn no_operation_commits_by_a_permit_that_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let pki = with_projects(&dir.path().join("pki"));
    let peer = trusted(&pki, &issue(&pki, "peer"), Scope::Everything);
    let (victim, held) = (issue(&pki, "victim"), issue(&pki, "held"));
    let word = |issued: &Issued| Selector::Word(issued.certificate.serial.clone());
    let revoke = |one: &Issued, reason: Option<&str>| Revoke {
        selectors: vec![word(one)],
        reason: reason.map(str::to_owned),
        all: false,
        dry_run: false,
    };
    pki.run(revoke(&held, Some("certificateHold")), &Presented::InProcess, at(21)).unwrap();
    let permits: Vec<Permit> =
        Action::ALL.into_iter().map(|action| pki.permit(&peer, action, at(22)).unwrap()).collect();
    taken_away(&pki, &peer);
    let before = pki.store().head();
    fn gone<O: Operation>(pki: &Pki, permits: &[Permit], operation: O) {
        let permit = permits.iter().find(|permit| permit.action() == O::ACTION).unwrap();
        let done = operation.run(&pki.held_by(permit.rests_on()), permit, at(31));
        assert!(done.as_ref().is_err_and(Error::is_withdrawn), "{}: {:?}", O::NAME, done.err());
    }
    gone(&pki, &permits, client("late", None));
    gone(&pki, &permits, Renew { selector: word(&victim), csr: None, if_due: false });
    gone(&pki, &permits, revoke(&victim, None));
    let words = vec![victim.certificate.serial.clone()];
    gone(&pki, &permits, RevokeMany { words, reason: None, all: false, dry_run: false });
    gone(&pki, &permits, Release { selector: word(&held) });
    gone(&pki, &permits, ConfigSet { key: "crl.validity".into(), value: Some("2d".into()) });
    gone(&pki, &permits, CaRotate { key_type: None, csr_only: false });
    gone(&pki, &permits, CaRotate { key_type: None, csr_only: true });
    let issue = permits.iter().find(|permit| permit.action() == Action::Issue).unwrap();
    let many = IssueMany { requests: vec![client("late", None)] };
    let rows = many.run(&pki.held_by(issue.rests_on()), issue, at(31)).unwrap();
    assert!(matches!(&rows[..], [RowReply::Failed(_)]), "{rows:?}");
    assert_eq!(pki.store().head(), before);
}
