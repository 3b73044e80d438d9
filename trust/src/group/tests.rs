use ca::records::RestsOn;

use super::*;
use crate::change::Cause;
use crate::person::{Address, PersonId};
use crate::role::{Held, Permission};
use crate::settings::{PkiMode, Settings};
use crate::testing::*;
use crate::{Action, Admitted, Error, Presented, Refusal};

fn cause(words: &[&str]) -> Cause {
    let held = Held::Permissions(words.iter().map(|word| word.parse().unwrap()).collect());
    Cause { who: "test".to_owned(), may_give: held, rests_on: RestsOn::nothing() }
}

fn person(address: Address, groups: &[&str]) -> Presented {
    let groups = groups.iter().map(|group| group.parse().unwrap()).collect();
    Presented::Person(Person { subject: "17".parse().unwrap(), address, groups })
}

fn email(text: &str) -> Address {
    Address::Verified(text.parse().unwrap())
}

fn make(pki: &Pki, name: &str) {
    let batch = create(&pki.gate.set().now().unwrap(), name.parse().unwrap(), &cause(&[]), NOW).unwrap();
    pki.store.commit(batch).unwrap();
}

fn change(pki: &Pki, name: &str, change: &Edit, cause: &Cause) -> Result<bool, GroupError> {
    let batch = {
        let state = pki.gate.set().now().unwrap();
        edit(state.group(&name.parse().unwrap()).unwrap(), change, cause, NOW)?
    };
    let changed = batch.is_some();
    batch.map(|batch| pki.store.commit(batch).unwrap());
    Ok(changed)
}

fn grant(words: &[&str]) -> Edit {
    Edit { grant: words.iter().map(|word| word.parse().unwrap()).collect(), ..Edit::default() }
}

fn map(email: &str) -> Edit {
    Edit { map: vec![email.parse().unwrap()], ..Edit::default() }
}

fn admit(pki: &Pki, person: &Presented) -> Result<Admitted, Error> {
    pki.gate.admit(person, &Settings::default(), NOW)
}

fn may(pki: &Pki, person: &Presented) -> Vec<Action> {
    let admitted = admit(pki, person).unwrap();
    Action::ALL.into_iter().filter(|action| admitted.permit(*action).is_ok()).collect()
}

const ALL: &[&str] = &["everything"];

#[test]
fn somebody_new_may_do_nothing_and_a_member_what_the_group_permits() {
    let pki = Pki::new();
    let anna = person(email("anna@example.com"), &["staff"]);
    assert_eq!(may(&pki, &anna), []);
    make(&pki, "ops");
    change(&pki, "ops", &grant(&["issue:web"]), &cause(ALL)).unwrap();
    assert_eq!(may(&pki, &anna), []);
    change(&pki, "ops", &map("Anna@Example.com"), &cause(ALL)).unwrap();
    assert_eq!(may(&pki, &anna), [Action::Issue, Action::Read, Action::Revoke]);
    // By a group of the provider's as well; what groups permit adds up.
    make(&pki, "auditors");
    change(&pki, "auditors", &grant(&["view"]), &cause(ALL)).unwrap();
    let staff = Edit { map_groups: vec!["staff".parse().unwrap()], ..Edit::default() };
    change(&pki, "auditors", &staff, &cause(ALL)).unwrap();
    assert!(may(&pki, &anna).contains(&Action::Inspect));
    // Out of the one, and nothing of it is left.
    let unmap = Edit { unmap: vec!["anna@example.com".parse().unwrap()], ..Edit::default() };
    change(&pki, "ops", &unmap, &cause(ALL)).unwrap();
    assert_eq!(may(&pki, &anna), [Action::Inspect, Action::Metrics, Action::Read]);
}

#[test]
fn an_address_that_the_provider_does_not_vouch_for_gives_nothing_and_can_be_denied() {
    let pki = Pki::new();
    make(&pki, "ops");
    change(&pki, "ops", &grant(ALL), &cause(ALL)).unwrap();
    change(&pki, "ops", &map("anna@example.com"), &cause(ALL)).unwrap();
    let claimed = || Address::Claimed("anna@example.com".parse().unwrap());
    assert_eq!(may(&pki, &person(claimed(), &[])), []);
    assert_eq!(may(&pki, &person(Address::None, &["ops"])), []);
    pki.store.commit(deny("ANNA@example.com", &cause(ALL), NOW).unwrap()).unwrap();
    for shown in [claimed(), email("anna@example.com")] {
        let refused = admit(&pki, &person(shown, &[]));
        assert!(matches!(refused, Err(Error::Refused(Refusal::PersonRemoved { .. }))), "{refused:?}");
    }
    let batch = allow(&pki.gate.set().now().unwrap(), "anna@example.com", &cause(ALL), NOW).unwrap();
    pki.store.commit(batch).unwrap();
    assert_eq!(may(&pki, &person(email("anna@example.com"), &[])), Action::ALL);
    let again = allow(&pki.gate.set().now().unwrap(), "anna@example.com", &cause(ALL), NOW);
    assert!(matches!(again, Err(GroupError::NotDenied { .. })), "{again:?}");
}

#[test]
fn a_subject_is_denied_whatever_address_it_has() {
    let pki = Pki::new();
    pki.store.commit(deny("17", &cause(ALL), NOW).unwrap()).unwrap();
    for shown in [Address::None, email("anna@example.com")] {
        assert!(admit(&pki, &person(shown, &[])).is_err());
    }
    assert!(pki.gate.set().now().unwrap().denial(&Id::Person(PersonId::of("17"))).is_some());
}

#[test]
fn pki_mode_is_about_certificates() {
    let pki = Pki::new();
    let settings = Settings { pki_mode: PkiMode::On, ..Settings::default() };
    let anna = person(email("anna@example.com"), &[]);
    assert!(pki.gate.admit(&anna, &settings, NOW).is_ok());
}

#[test]
fn nobody_gives_or_takes_by_a_group_what_they_do_not_have() {
    let pki = Pki::new();
    make(&pki, "ops");
    let trust = cause(&["trust", "issue:web"]);
    let widens = |outcome| matches!(outcome, Err(GroupError::Widens { .. }));
    assert!(widens(change(&pki, "ops", &grant(&["everything"]), &trust)));
    assert!(widens(change(&pki, "ops", &grant(&["issue:web", "issue:db"]), &trust)));
    assert_eq!(change(&pki, "ops", &grant(&["issue:web"]), &trust), Ok(true));
    assert_eq!(change(&pki, "ops", &map("bob@example.com"), &trust), Ok(true));
    change(&pki, "ops", &grant(&["everything"]), &cause(ALL)).unwrap();
    // Who comes gets all of it, who goes loses all of it.
    assert!(widens(change(&pki, "ops", &map("test@example.com"), &trust)));
    let unmap = Edit { unmap: vec!["bob@example.com".parse().unwrap()], ..Edit::default() };
    assert!(widens(change(&pki, "ops", &unmap, &trust)));
    // Not even together with taking it away.
    let both = Edit { withdraw: vec![Permission::Everything], ..map("test@example.com") };
    assert!(widens(change(&pki, "ops", &both, &trust)));
    let state = pki.gate.set().now().unwrap();
    let ops = state.group(&"ops".parse().unwrap()).unwrap();
    assert!(matches!(remove(ops, &trust, NOW), Err(GroupError::Widens { .. })));
    assert!(matches!(deny("bob@example.com", &trust, NOW), Err(GroupError::Widens { .. })));
    assert!(matches!(allow(&state, "bob@example.com", &trust, NOW), Err(GroupError::Widens { .. })));
}

#[test]
fn a_permit_ends_with_the_membership_it_rests_on() {
    let pki = Pki::new();
    make(&pki, "ops");
    change(&pki, "ops", &grant(&["trust"]), &cause(ALL)).unwrap();
    change(&pki, "ops", &map("anna@example.com"), &cause(ALL)).unwrap();
    let anna = person(email("anna@example.com"), &[]);
    let takes: [&dyn Fn(); 3] = [
        &|| {
            let unmap = Edit { unmap: vec!["anna@example.com".parse().unwrap()], ..Edit::default() };
            change(&pki, "ops", &unmap, &cause(ALL)).unwrap();
            change(&pki, "ops", &map("anna@example.com"), &cause(ALL)).unwrap();
        },
        &|| pki.store.commit(deny("17", &cause(ALL), NOW).unwrap()).map(drop).unwrap(),
        &|| {
            let state = pki.gate.set().now().unwrap();
            let batch = remove(state.group(&"ops".parse().unwrap()).unwrap(), &cause(ALL), NOW).unwrap();
            drop(state);
            pki.store.commit(batch).unwrap();
        },
    ];
    for (number, take) in takes.into_iter().enumerate() {
        let permit = admit(&pki, &anna).unwrap().permit(Action::Trust).unwrap();
        take();
        let name = format!("made-{number}");
        let by = Cause::from(&permit);
        let batch = create(&pki.gate.set().now().unwrap(), name.parse().unwrap(), &by, NOW).unwrap();
        assert!(pki.store.commit(batch).is_err(), "{number}");
        if number == 1 {
            let batch = allow(&pki.gate.set().now().unwrap(), "17", &cause(ALL), NOW).unwrap();
            pki.store.commit(batch).unwrap();
        }
    }
}

#[test]
fn groups_are_read_again_from_the_store() {
    let pki = Pki::new();
    make(&pki, "ops");
    change(&pki, "ops", &grant(&["view"]), &cause(ALL)).unwrap();
    change(&pki, "ops", &map("anna@example.com"), &cause(ALL)).unwrap();
    assert_eq!(change(&pki, "ops", &map("anna@example.com"), &cause(ALL)), Ok(false));
    let again = crate::TrustSet::open(pki.store.clone()).unwrap();
    let (now, then) = (again.now().unwrap(), pki.gate.set().now().unwrap());
    let name = "ops".parse().unwrap();
    assert_eq!(now.group(&name).unwrap().record, then.group(&name).unwrap().record);
    assert!(matches!(create(&now, name, &cause(&[]), NOW), Err(GroupError::Exists { .. })));
}

#[test]
fn a_group_has_so_many_members_and_no_more() {
    let pki = Pki::new();
    make(&pki, "ops");
    let many = |count: usize| Edit {
        map: (0..count).map(|number| format!("p{number}@example.com").parse().unwrap()).collect(),
        ..Edit::default()
    };
    assert_eq!(change(&pki, "ops", &many(1000), &cause(ALL)), Ok(true));
    let refused = change(&pki, "ops", &many(1001), &cause(ALL));
    assert!(matches!(refused, Err(GroupError::TooMany { .. })), "{refused:?}");
}
