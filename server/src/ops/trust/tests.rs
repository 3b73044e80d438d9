use ca::cert::Certificate;
use trust::token::WireToken;
use trust::{LocalUser, Presented, Refusal};

use super::add::{TrustAdd, TrustAddUser};
use super::authority::{AuthorityForget, AuthorityImport, AuthorityList};
use super::edit::TrustEdit;
use super::list::{TrustList, TrustShow};
use super::project::{ProjectCreate, ProjectList, ProjectRemove, ProjectShow};
use super::remove::TrustRemove;
use super::token::{TokenCreate, TokenList, TokenRevoke};
use super::view::RightsWanted;
use super::*;
use crate::ops::view::{Publication, Selector};
use crate::own::{self, Own};
use crate::settings::{self, Setting};
use crate::testing::{at, issue, made};

const ROOT: Presented = Presented::InProcess;

fn in_project(name: &str) -> RightsWanted {
    RightsWanted { kind: "client".to_owned(), restricted: true, projects: vec![name.to_owned()] }
}

fn add(pem: &str, name: &str) -> TrustAdd {
    TrustAdd { certificate: pem.to_owned(), name: Some(name.to_owned()), rights: RightsWanted::full() }
}

fn remove(word: &str, revoke: bool) -> TrustRemove {
    TrustRemove { which: Selector::Word(word.to_owned()), revoke, reason: None }
}

fn holder(pem: &str) -> Presented {
    let certificate = Certificate::from_pem(pem.as_bytes()).unwrap();
    Presented::Certificate(trust::Holder::new(certificate, Vec::new()))
}

fn refusal(pki: &Pki, who: &Presented) -> Option<Refusal> {
    match pki.admit(who, at(50)) {
        Ok(_) => None,
        Err(Error::Refused(refusal)) => Some(refusal),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn whoever_is_added_is_let_in_and_whoever_is_removed_is_not_until_added_again() {
    let dir = tempfile::tempdir().unwrap();
    let pki = made(&dir.path().join("pki"));
    let pem = issue(&pki, "web-1").pem;
    let client = holder(&pem);
    assert_eq!(refusal(&pki, &client), Some(Refusal::Stranger));
    let added = pki.run(add(&pem, "web"), &ROOT, at(20)).unwrap();
    assert_eq!(
        (added.name.as_str(), added.status.as_str(), added.origin.as_str()),
        ("web", "trusted", "added")
    );
    assert_eq!(refusal(&pki, &client), None);
    let again = pki.run(add(&pem, "web"), &ROOT, at(21)).unwrap_err();
    assert_eq!(again.to_string(), "Certificate already in trust store");
    let fingerprint = added.fingerprint.clone().unwrap();
    for word in ["web", &fingerprint[..12], &fingerprint.to_uppercase()] {
        assert_eq!(pki.run(TrustShow { word: word.to_owned() }, &ROOT, at(22)).unwrap(), added);
    }
    assert_eq!(pki.run(TrustList {}, &ROOT, at(22)).unwrap(), [added]);
    let removed = pki.run(remove("web", false), &ROOT, at(23)).unwrap();
    assert_eq!((removed.certificates, removed.revoked), (vec![fingerprint], Vec::new()));
    assert!(matches!(refusal(&pki, &client), Some(Refusal::Removed { .. })));
    let gone = pki.run(TrustShow { word: "web".to_owned() }, &ROOT, at(24)).unwrap_err();
    assert_eq!(gone.to_string(), "Certificate not found");
    pki.run(add(&pem, "web"), &ROOT, at(25)).unwrap();
    assert_eq!(refusal(&pki, &client), None);
}

#[test]
fn a_removal_that_revokes_puts_the_certificate_on_the_list_and_keeps_it_out_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let pki = made(&dir.path().join("pki"));
    let issued = issue(&pki, "web-1");
    pki.run(add(&issued.pem, "web"), &ROOT, at(20)).unwrap();
    let head = pki.store().head().0;
    let removed = pki.run(remove("web", true), &ROOT, at(23)).unwrap();
    assert_eq!(removed.revoked, [issued.certificate.serial]);
    let entries = pki.store().follow(store::Sequence(head), 10).unwrap();
    assert!(entries[0].what.starts_with("trust remove web"), "{}", entries[0].what);
    let revocations = store::Key::new("revoked").children();
    let mut written = entries[0].writes.iter().flatten().map(|(key, _)| key);
    assert!(written.any(|key| revocations.contains(key)), "it is in the batch of the removal");
    match removed.publication {
        Some(Publication::Published { lists }) => assert_eq!(lists[0].entries, 1),
        other => panic!("{other:?}"),
    }
    let refused = pki.run(add(&issued.pem, "web"), &ROOT, at(24)).unwrap_err();
    assert!(
        matches!(refused, Error::TrustChange(TrustError::Unacceptable(Refusal::Revoked { .. }))),
        "{refused}"
    );
}

#[test]
fn a_certificate_without_an_entry_is_denied_by_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let pki = made(&dir.path().join("pki"));
    let pem = issue(&pki, "web-1").pem;
    let removed = TrustRemove { which: Selector::Pem(pem.clone()), revoke: false, reason: None };
    let removed = pki.run(removed, &ROOT, at(20)).unwrap();
    assert_eq!((removed.name.as_str(), removed.entry), ("web-1", None));
    assert!(matches!(refusal(&pki, &holder(&pem)), Some(Refusal::Removed { .. })));
}

#[test]
fn a_local_user_is_added_by_name_or_uid_and_removed_by_either() {
    let dir = tempfile::tempdir().unwrap();
    let pki = made(&dir.path().join("pki"));
    let nobody = Presented::Local(crate::peer::user(65534));
    assert_eq!(refusal(&pki, &nobody), Some(Refusal::NotAuthenticated));
    let add = |user: &str| TrustAddUser { user: user.to_owned(), rights: RightsWanted::full() };
    let added = pki.run(add("nobody"), &ROOT, at(20)).unwrap();
    assert_eq!((added.name.as_str(), added.uid, added.fingerprint), ("nobody", Some(65534), None));
    assert_eq!(refusal(&pki, &nobody), None);
    // Whoever gets the id later is somebody else.
    let heir = Presented::Local(LocalUser { uid: 65534, name: Some("heir".to_owned()) });
    assert!(refusal(&pki, &heir).is_some());
    pki.run(remove("nobody", false), &ROOT, at(21)).unwrap();
    assert!(matches!(refusal(&pki, &nobody), Some(Refusal::UserRemoved { .. })));
    pki.run(add("65534"), &ROOT, at(22)).unwrap();
    assert_eq!(refusal(&pki, &nobody), None);
    let unknown = pki.run(add("no-such-user"), &ROOT, at(23)).unwrap_err();
    assert_eq!(unknown.to_string(), "this machine has no user no-such-user");
    let root = pki.run(add("root"), &ROOT, at(23)).unwrap_err();
    assert_eq!(root.to_string(), "root and the owner of the directory are always trusted");
}

#[test]
fn an_edit_changes_what_it_names_and_overrules_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let pki = made(&dir.path().join("pki"));
    let pem = issue(&pki, "web-1").pem;
    let added = pki.run(add(&pem, "web"), &ROOT, at(20)).unwrap();
    let edit = || TrustEdit {
        word: "web".to_owned(),
        name: None,
        kind: None,
        restricted: None,
        projects: None,
        version: None,
    };
    let missing = TrustEdit { restricted: Some(true), projects: Some(vec!["shop".to_owned()]), ..edit() };
    assert_eq!(pki.run(missing.clone(), &ROOT, at(21)).unwrap_err().to_string(), "there is no project shop");
    pki.run(ProjectCreate { name: "shop".to_owned(), allow_dns: Vec::new() }, &ROOT, at(21)).unwrap();
    let edited = pki.run(missing, &ROOT, at(22)).unwrap();
    assert_eq!((edited.name.as_str(), &edited.rights), ("web", &in_project("shop")));
    let late = TrustEdit { name: Some("late".to_owned()), version: Some(added.version), ..edit() };
    let late = pki.run(late, &ROOT, at(23)).unwrap_err();
    assert_eq!(late.to_string(), "the entry web was changed meanwhile");
    let named = TrustEdit { name: Some("shop-1".to_owned()), version: Some(edited.version), ..edit() };
    let named = pki.run(named, &ROOT, at(24)).unwrap();
    assert_eq!((named.name.as_str(), &named.rights), ("shop-1", &in_project("shop")));
    let projects_alone = TrustEdit {
        word: "shop-1".to_owned(),
        restricted: Some(false),
        projects: Some(vec!["shop".to_owned()]),
        ..edit()
    };
    assert!(matches!(
        pki.run(projects_alone, &ROOT, at(25)),
        Err(Error::TrustChange(TrustError::Unrestricted))
    ));
    let free = TrustEdit { word: "shop-1".to_owned(), restricted: Some(false), ..edit() };
    assert_eq!(pki.run(free, &ROOT, at(26)).unwrap().rights, RightsWanted::full());
}

#[test]
fn whoever_is_restricted_sees_their_own_projects_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let pki = made(&dir.path().join("pki"));
    for name in ["shop", "bank"] {
        let create = ProjectCreate { name: name.to_owned(), allow_dns: vec![format!("*.{name}.internal")] };
        pki.run(create, &ROOT, at(15)).unwrap();
    }
    let (shop, bank) = (issue(&pki, "shop-1").pem, issue(&pki, "bank-1").pem);
    for (pem, project) in [(&shop, "shop"), (&bank, "bank")] {
        let add = TrustAdd { rights: in_project(project), ..add(pem, project) };
        pki.run(add, &ROOT, at(20)).unwrap();
    }
    let peer = holder(&shop);
    let seen = pki.run(TrustList {}, &peer, at(30)).unwrap();
    assert_eq!(seen.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["shop"]);
    assert!(pki.run(TrustShow { word: "bank".to_owned() }, &peer, at(30)).is_err());
    let projects = pki.run(ProjectList {}, &peer, at(30)).unwrap();
    assert_eq!(projects.iter().map(|project| project.name.as_str()).collect::<Vec<_>>(), ["shop"]);
    assert!(pki.run(ProjectShow { name: "bank".to_owned() }, &peer, at(30)).is_err());
    let forbidden = |error: Error| assert!(matches!(error, Error::Forbidden(_)), "{error}");
    forbidden(pki.run(add(&issue(&pki, "x").pem, "x"), &peer, at(31)).unwrap_err());
    forbidden(pki.run(remove("bank", false), &peer, at(31)).unwrap_err());
    forbidden(pki.run(TokenList {}, &peer, at(31)).unwrap_err());
    forbidden(
        pki.run(ProjectCreate { name: "own".to_owned(), allow_dns: Vec::new() }, &peer, at(31)).unwrap_err(),
    );
}

#[test]
fn a_project_in_use_stays_and_default_always_does() {
    let dir = tempfile::tempdir().unwrap();
    let pki = made(&dir.path().join("pki"));
    let create = ProjectCreate { name: "shop".to_owned(), allow_dns: vec!["*.Shop.internal".to_owned()] };
    let made = pki.run(create.clone(), &ROOT, at(15)).unwrap();
    assert_eq!(made.allow_dns, ["*.shop.internal"]);
    assert!(matches!(
        pki.run(create, &ROOT, at(15)),
        Err(Error::TrustChange(TrustError::ProjectExists { .. }))
    ));
    let names: Vec<String> =
        pki.run(ProjectList {}, &ROOT, at(16)).unwrap().into_iter().map(|project| project.name).collect();
    assert_eq!(names, ["default", "shop"]);
    let add = TrustAdd { rights: in_project("shop"), ..add(&issue(&pki, "web").pem, "web") };
    pki.run(add, &ROOT, at(20)).unwrap();
    let remove_project = |name: &str| pki.run(ProjectRemove { name: name.to_owned() }, &ROOT, at(21));
    assert_eq!(remove_project("shop").unwrap_err().to_string(), "the project shop is in use by web");
    assert!(matches!(remove_project("default"), Err(Error::TrustChange(TrustError::DefaultProject))));
    pki.run(remove("web", false), &ROOT, at(22)).unwrap();
    assert_eq!(remove_project("shop").unwrap().name, "shop");
    assert!(matches!(remove_project("shop"), Err(Error::NoProject { .. })));
}

/// A PKI whose service could be reached.
fn listening(directory: &std::path::Path) -> Pki {
    let pki = made(directory);
    own::keep(&pki, Own::Service, at(5)).unwrap();
    let set = |setting, value| settings::set(pki.store(), setting, Some(value), "test", 6).unwrap();
    set(Setting::CoreHttpsAddress, "127.0.0.1:8443");
    set(Setting::CoreExternalAddress, "pki.example:443");
    pki
}

#[test]
fn a_token_is_handed_out_once_and_listed_without_its_secret() {
    let dir = tempfile::tempdir().unwrap();
    let pki = listening(&dir.path().join("pki"));
    let create = TokenCreate { name: "alice".to_owned(), rights: RightsWanted::full() };
    let created = pki.run(create.clone(), &ROOT, at(20)).unwrap();
    let wire = WireToken::decode(&created.secret).unwrap();
    let service = own::in_place(&pki, Own::Service).unwrap().unwrap();
    assert_eq!((wire.client_name.as_str(), wire.fingerprint), ("alice", service.fingerprint()));
    assert_eq!(wire.addresses, ["pki.example:443", "127.0.0.1:8443"]);
    assert_eq!(wire.expires_at, Some(at(20) + time::Duration::days(15)));
    let listed = pki.run(TokenList {}, &ROOT, at(21)).unwrap();
    assert_eq!(listed, std::slice::from_ref(&created.token));
    let shown = format!("{created:?}{}", serde_json::to_string(&listed).unwrap());
    assert!(!shown.contains(wire.secret.expose()) && !shown.contains(&created.secret), "{shown}");
    // Two for one name have to be told apart.
    let second = pki.run(create, &ROOT, at(22)).unwrap();
    let revoke = |word: &str| pki.run(TokenRevoke { word: word.to_owned() }, &ROOT, at(23));
    assert!(matches!(revoke("alice"), Err(Error::TrustChange(TrustError::Ambiguous { .. }))));
    assert_eq!(revoke(&second.token.id[..8]).unwrap(), second.token);
    assert_eq!(revoke("alice").unwrap(), created.token);
    assert_eq!(revoke("alice").unwrap_err().to_string(), "there is no token for alice");
    assert!(trust::token::list(pki.store()).unwrap().is_empty());
}

#[test]
fn no_token_is_made_where_nobody_could_redeem_it() {
    let dir = tempfile::tempdir().unwrap();
    let pki = made(&dir.path().join("pki"));
    let create = || TokenCreate { name: "alice".to_owned(), rights: RightsWanted::full() };
    let refused = pki.run(create(), &ROOT, at(20)).unwrap_err();
    assert_eq!(refused.to_string(), "Can't issue token when server isn't listening on network");
    settings::set(pki.store(), Setting::CoreHttpsAddress, Some("127.0.0.1"), "test", 6).unwrap();
    let refused = pki.run(create(), &ROOT, at(20)).unwrap_err();
    assert!(matches!(refused, Error::TrustChange(TrustError::NoServerCertificate)), "{refused}");
}

#[test]
fn an_authority_comes_in_with_its_list_and_goes() {
    let dir = tempfile::tempdir().unwrap();
    let pki = made(&dir.path().join("pki"));
    let foreign = made(&dir.path().join("foreign"));
    let client = issue(&foreign, "theirs").pem;
    let read = |name: &str| std::fs::read_to_string(foreign.directory().join(name)).unwrap();
    let (authority, old) = (read("ca.crt"), read("ca.crl"));
    let import = |lists: &str| AuthorityImport { certificates: authority.clone(), lists: lists.to_owned() };
    let refused = pki.run(import(&read("root.crl")), &ROOT, at(30)).unwrap_err();
    assert!(matches!(&refused, Error::Trust(error) if matches!(**error, trust::Error::List(_))), "{refused}");
    assert!(pki.run(AuthorityList {}, &ROOT, at(30)).unwrap().is_empty(), "a bad list lets nobody in");
    let imported = pki.run(import(&old), &ROOT, at(30)).unwrap();
    assert_eq!(imported.new.len(), 1);
    assert_eq!(imported.authorities[0].list.as_ref().unwrap().state, "fresh");
    assert!(pki.run(import(&old), &ROOT, at(31)).unwrap().new.is_empty(), "twice is no error");
    settings::set(pki.store(), Setting::CoreTrustCaCertificates, Some("true"), "test", 6).unwrap();
    assert_eq!(refusal(&pki, &holder(&client)), None);
    let revoke = crate::ops::revoke::Revoke {
        selectors: vec![Selector::Word("theirs".to_owned())],
        reason: None,
        all: false,
        dry_run: false,
    };
    foreign.run(revoke, &ROOT, at(35)).unwrap();
    pki.run(import(&read("ca.crl")), &ROOT, at(40)).unwrap();
    assert!(matches!(refusal(&pki, &holder(&client)), Some(Refusal::Revoked { .. })));
    let back = pki.run(import(&old), &ROOT, at(41)).unwrap_err();
    assert!(back.to_string().contains("was seen already"), "{back}");
    let key = imported.new[0].clone();
    let list = pki.layout().trusted_list(&key);
    assert!(list.is_file());
    let forgotten = pki.run(AuthorityForget { word: key[..12].to_owned() }, &ROOT, at(42)).unwrap();
    assert_eq!(forgotten.key, key);
    assert!(!list.exists());
    assert_eq!(refusal(&pki, &holder(&client)), Some(Refusal::Stranger));
    let gone = pki.run(AuthorityForget { word: key }, &ROOT, at(43)).unwrap_err();
    assert!(matches!(gone, Error::TrustChange(TrustError::NoAuthority { .. })));
}

mod people;
