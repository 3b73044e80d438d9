//! What people may do by the operations, as far as their groups go.

use trust::Person;
use trust::person::Address;

use super::*;
use crate::ops::config::ConfigSet;
use crate::ops::issue::{Issue, ProfileName};
use crate::ops::local::PassphraseSet;
use crate::ops::trust::group::{GroupCreate, GroupEdit, GroupList, GroupRemove, PersonDeny};
use crate::testing::request;

fn asked(name: &str, project: Option<&str>) -> Issue {
    Issue { project: project.map(str::to_owned), ..request(ProfileName::Client, name) }
}

fn anna() -> Presented {
    let address = Address::Verified("anna@example.com".parse().unwrap());
    Presented::Person(Person { subject: "17".parse().unwrap(), address, groups: Vec::new() })
}

/// A group that has Anna and permits this.
fn group(pki: &Pki, name: &str, permissions: &[&str]) {
    pki.run(GroupCreate { name: name.to_owned() }, &ROOT, at(20)).unwrap();
    let edit = GroupEdit {
        name: name.to_owned(),
        grant: permissions.iter().map(|word| (*word).to_owned()).collect(),
        map: vec!["anna@example.com".to_owned()],
        ..GroupEdit::default()
    };
    pki.run(edit, &ROOT, at(21)).unwrap();
}

fn denied<T: std::fmt::Debug>(outcome: Result<T, Error>) -> bool {
    match outcome {
        Err(Error::Forbidden(_)) => true,
        Err(other) => crate::http::problem::problem(&other).kind == crate::problem::ProblemKind::Denied,
        Ok(_) => false,
    }
}

#[test]
fn whoever_may_change_trust_alone_gets_no_further_by_it() {
    let dir = tempfile::tempdir().unwrap();
    let pki = made(&dir.path().join("pki"));
    pki.run(ProjectCreate { name: "web".to_owned(), allow_dns: Vec::new() }, &ROOT, at(19)).unwrap();
    group(&pki, "keepers", &["trust", "issue:web"]);
    let (anna, pem) = (anna(), issue(&pki, "web-1").pem);
    assert!(denied(pki.run(add(&pem, "mine"), &anna, at(30))), "a certificate that may do everything");
    let limited = TrustAdd { rights: in_project("web"), ..add(&pem, "mine") };
    pki.run(limited, &anna, at(31)).unwrap();
    let other = RightsWanted { restricted: true, projects: vec!["default".to_owned()], ..in_project("web") };
    assert!(denied(pki.run(TrustAdd { rights: other, ..add(&pem, "x") }, &anna, at(32))));
    let user = TrustAddUser { user: "nobody".to_owned(), rights: RightsWanted::full() };
    assert!(denied(pki.run(user, &anna, at(33))));
    let phrase = serde_json::from_str::<PassphraseSet>("{\"passphrase\":\"long enough by far\"}").unwrap();
    assert!(denied(pki.run(phrase, &anna, at(34))), "the passphrase");
    let import = AuthorityImport { certificates: pem.clone(), lists: String::new() };
    assert!(denied(pki.run(import, &anna, at(35))), "a foreign authority");
    let set = ConfigSet { key: "core.trust_ca_certificates".to_owned(), value: Some("true".to_owned()) };
    assert!(denied(pki.run(set, &anna, at(36))));
    let edit =
        GroupEdit { name: "keepers".to_owned(), grant: vec!["view".to_owned()], ..GroupEdit::default() };
    assert!(denied(pki.run(edit, &anna, at(37))));
    assert_eq!(pki.run(GroupList {}, &anna, at(38)).unwrap().groups.len(), 1);
}

#[test]
fn a_project_that_a_group_names_is_there_and_stays() {
    let dir = tempfile::tempdir().unwrap();
    let pki = made(&dir.path().join("pki"));
    let grant = |project: &str| GroupEdit {
        name: "ops".to_owned(),
        grant: vec![format!("issue:{project}")],
        ..GroupEdit::default()
    };
    group(&pki, "ops", &[]);
    let nowhere = pki.run(grant("web"), &ROOT, at(30)).unwrap_err();
    assert!(matches!(nowhere, Error::NoProject { .. }), "{nowhere}");
    pki.run(ProjectCreate { name: "web".to_owned(), allow_dns: Vec::new() }, &ROOT, at(31)).unwrap();
    pki.run(grant("web"), &ROOT, at(32)).unwrap();
    pki.run(grant("default"), &ROOT, at(32)).unwrap();
    let used = pki.run(ProjectRemove { name: "web".to_owned() }, &ROOT, at(33)).unwrap_err();
    assert!(used.to_string().contains("the group ops"), "{used}");
    pki.run(GroupRemove { name: "ops".to_owned() }, &ROOT, at(34)).unwrap();
    pki.run(ProjectRemove { name: "web".to_owned() }, &ROOT, at(35)).unwrap();
}

#[test]
fn people_issue_in_their_projects_until_they_are_denied() {
    let dir = tempfile::tempdir().unwrap();
    let pki = made(&dir.path().join("pki"));
    let anna = anna();
    assert!(denied(pki.run(asked("web-1", None), &anna, at(30))));
    pki.run(ProjectCreate { name: "web".to_owned(), allow_dns: Vec::new() }, &ROOT, at(31)).unwrap();
    group(&pki, "web-team", &["issue:web"]);
    let issued = pki.run(asked("web-1", Some("web")), &anna, at(32)).unwrap();
    assert_eq!(issued.certificate.issued_by, "oidc:anna@example.com");
    assert!(pki.run(asked("web-2", Some("default")), &anna, at(33)).is_err());
    pki.run(PersonDeny { person: "Anna@Example.com".to_owned() }, &ROOT, at(34)).unwrap();
    assert!(matches!(refusal(&pki, &anna), Some(Refusal::PersonRemoved { .. })));
    let late = pki.run(asked("web-3", Some("web")), &anna, at(35)).unwrap_err();
    assert!(matches!(late, Error::Refused(_)), "{late}");
    assert_eq!(pki.run(GroupList {}, &ROOT, at(36)).unwrap().denied[0].person, "anna@example.com");
}
