use ca::key::PrivateKey;
use ca::subject::LeafKind;
use proptest::prelude::*;
use rcgen::{ExtendedKeyUsagePurpose, IsCa};
use time::Duration;

use super::*;
use crate::authority::forget;
use crate::entry::Origin;
use crate::rights::Rights;
use crate::settings::{CrlExpired, PkiMode, TrustCa};
use crate::testing::*;

fn settings(pki_mode: PkiMode, trust_ca: TrustCa) -> Settings {
    Settings { pki_mode, trust_ca, ..Settings::default() }
}

const AUTO: Settings =
    Settings { pki_mode: PkiMode::Auto, trust_ca: TrustCa::EntryNeeded, crl_expired: CrlExpired::Refuse };
const ON: Settings = Settings { pki_mode: PkiMode::On, ..AUTO };
const AUTO_CA: Settings = Settings { trust_ca: TrustCa::SignatureSuffices, ..AUTO };
const ON_CA: Settings = Settings { pki_mode: PkiMode::On, ..AUTO_CA };

fn web() -> Scope {
    Scope::project("web".parse().unwrap())
}

#[test]
fn strangers_are_refused_and_entries_let_in() {
    let pki = Pki::new();
    let anna = stranger("anna");
    assert_eq!(refusal(pki.admit(&anna, &AUTO)), Refusal::Stranger);
    assert_eq!(refusal(pki.gate.admit(&Presented::Nobody, &AUTO, NOW)), Refusal::Nobody);
    pki.trust(&anna, Rights::client(web()));
    let admitted = pki.admit(&anna, &AUTO).unwrap();
    assert_eq!(
        (admitted.rights().unwrap(), admitted.way()),
        (&Rights::client(web()), Way::Entry(Origin::Added))
    );
    assert_eq!(admitted.peer().to_string(), format!("tls:{}(anna)", anna.fingerprint()));
    // The same key in another certificate is another certificate.
    assert_eq!(refusal(pki.admit(&stranger("anna"), &AUTO)), Refusal::Stranger);
}

#[test]
fn a_change_is_seen_by_a_connection_that_is_open() {
    let pki = Pki::new();
    let anna = pki.client("anna");
    let open = Presented::Certificate(Holder::new(anna.clone(), Vec::new()));
    assert_eq!(refusal(pki.gate.admit(&open, &AUTO, NOW)), Refusal::Stranger);
    pki.trust(&anna, Rights::FULL);
    assert!(pki.gate.admit(&open, &AUTO, NOW).is_ok());
    pki.revoke(&anna);
    let revoked = Refusal::Revoked { serial: anna.serial() };
    assert_eq!(refusal(pki.gate.admit(&open, &AUTO, NOW)), revoked, "V1, V11");
    let bert = stranger("bert");
    let open = Presented::Certificate(Holder::new(bert.clone(), Vec::new()));
    pki.trust(&bert, Rights::FULL);
    assert!(pki.gate.admit(&open, &AUTO, NOW).is_ok());
    pki.deny(Id::Certificate(bert.fingerprint()));
    assert_eq!(refusal(pki.gate.admit(&open, &AUTO, NOW)), Refusal::Removed { name: "anna".into() });
    // An authority that is imported meanwhile turns PKI mode on for connections that are open.
    let carl = stranger("carl");
    let open = Presented::Certificate(Holder::new(carl.clone(), Vec::new()));
    pki.trust(&carl, Rights::FULL);
    assert!(pki.gate.admit(&open, &AUTO, NOW).is_ok());
    pki.import(&Foreign::root("Foreign"));
    assert!(matches!(refusal(pki.gate.admit(&open, &AUTO, NOW)), Refusal::NotSigned { why: Some(_) }));
}

#[test]
fn dates_and_authorities_are_looked_at_whatever_the_entry_says() {
    let pki = Pki::new();
    let anna = stranger("anna");
    pki.trust(&anna, Rights::FULL);
    let at = |now| pki.admit_with(&anna, &[], &AUTO, now);
    assert!(at(anna.not_before()).is_ok());
    assert!(at(anna.not_after()).is_ok());
    assert!(matches!(refusal(at(anna.not_after() + Duration::SECOND)), Refusal::Expired { .. }), "V8");
    assert!(matches!(refusal(at(anna.not_before() - Duration::SECOND)), Refusal::NotYetValid { .. }), "V8");
    let authority = Foreign::root("Foreign").certificate;
    pki.trust(&authority, Rights::FULL);
    assert_eq!(refusal(pki.admit(&authority, &AUTO)), Refusal::AuthorityCertificate);
}

#[test]
fn pki_mode_wants_a_signature_by_an_authority_that_counts() {
    let pki = Pki::new();
    let foreign = Foreign::root("Foreign");
    let issuing = foreign.below("Foreign Issuing");
    let (direct, below) = (foreign.client("direct"), issuing.client("below"));
    let (own, alone) = (pki.client("own"), stranger("alone"));
    for certificate in [&direct, &below, &own, &alone] {
        pki.trust(certificate, Rights::FULL);
    }
    let off = settings(PkiMode::Off, TrustCa::EntryNeeded);
    let admitted = |settings: &Settings| {
        [&direct, &below, &own, &alone]
            .map(|certificate| pki.admit_with(certificate, &[&issuing], settings, NOW).is_ok())
    };
    assert_eq!(admitted(&AUTO), [true; 4], "nothing is imported");
    assert_eq!(admitted(&ON), [false, false, true, false], "ours counts alone");
    pki.import(&foreign);
    assert_eq!(admitted(&AUTO), [true, true, false, false], "the imported one counts alone");
    assert_eq!(admitted(&ON), [true, true, true, false], "both count");
    assert_eq!(admitted(&off), [true; 4]);
    // Without the authority in between there is no path.
    assert!(matches!(refusal(pki.admit(&below, &AUTO)), Refusal::NotSigned { .. }));
}

#[test]
fn a_certificate_that_is_not_for_clients_has_no_path() {
    let pki = Pki::new();
    let foreign = Foreign::root("Foreign");
    pki.import(&foreign);
    let mut for_servers = client_params("server");
    for_servers.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let mut for_anything = client_params("anything");
    for_anything.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any];
    let mut for_nothing = client_params("nothing");
    for_nothing.extended_key_usages = Vec::new();
    let mut both = client_params("both");
    both.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    for (params, good) in [(for_servers, false), (for_anything, false), (for_nothing, false), (both, true)] {
        let certificate = foreign.sign(&params, &new_key());
        pki.trust(&certificate, Rights::FULL);
        assert_eq!(pki.admit(&certificate, &AUTO_CA).is_ok(), good, "V7 {:?}", params.extended_key_usages);
    }
    let server = pki.issue_kind("www.example.com", "default", Reach::Everything, LeafKind::Server).1;
    assert!(matches!(refusal(pki.admit(&server, &ON_CA)), Refusal::NotSigned { .. }));
}

#[test]
fn a_signature_alone_is_worth_what_its_authority_may_give() {
    let pki = Pki::new();
    let wide = pki.issue("wide", "default", Reach::Everything).1;
    let narrow = pki.issue("narrow", "default", Reach::Project).1;
    let other = pki.issue("other", "web", Reach::Everything).1;
    let scope = |certificate: &_, settings: &_| {
        pki.admit(certificate, settings).map(|a| a.rights().unwrap().scope.clone())
    };
    assert_eq!(refusal(scope(&wide, &AUTO)), Refusal::Stranger);
    assert_eq!(scope(&wide, &AUTO_CA).unwrap(), Scope::Everything);
    assert_eq!(scope(&narrow, &AUTO_CA).unwrap(), Scope::project(ProjectName::default_project()));
    assert_eq!(scope(&other, &AUTO_CA).unwrap(), web());
    assert_eq!(refusal(scope(&wide, &settings(PkiMode::Off, TrustCa::SignatureSuffices))), Refusal::Stranger);
    // An entry keeps its restriction, and its type.
    pki.trust(&wide, Rights::client(web()));
    assert_eq!(scope(&wide, &AUTO_CA).unwrap(), web());
    let foreign = Foreign::root("Foreign");
    let client = foreign.client("client");
    assert_eq!(
        refusal(scope(&client, &ON_CA)),
        Refusal::NotSigned { why: Some(ca::cert::PathError::NoAnchors) }
    );
    pki.import(&foreign);
    assert_eq!(scope(&client, &ON_CA).unwrap(), Scope::Everything);
    assert_eq!(pki.admit(&client, &AUTO_CA).unwrap().way(), Way::Imported);
    pki.trust(&client, Rights::client(web()));
    assert_eq!(scope(&client, &AUTO_CA).unwrap(), web());
}

#[test]
fn what_our_key_signed_and_the_inventory_lacks_is_refused() {
    let pki = Pki::new();
    let issuer = pki.made.issuing.certificate().certificate().clone();
    // The keys of a stolen issuing CA sign what they like.
    let (policy, random) = (ca::plan::Policy::default(), aws_lc_rs::rand::SystemRandom::new());
    let stolen = store::Store::in_memory();
    for entry in pki.store.follow(store::Sequence::ZERO, 100).unwrap() {
        let mut batch = store::Batch::new(entry.class, entry.time, &*entry.who, &*entry.what);
        batch.writes = entry.writes.clone().unwrap();
        stolen.commit(batch).unwrap();
    }
    let current = ca::authority::Current::followed(&stolen);
    let (store, current) = (&stolen, &current);
    let desk = ca::issue::Desk { store, current, keyring: &pki.keyring, policy: &policy, random: &random };
    let csr = ca::key::make_csr(&new_key(), &"asked".parse().unwrap(), &[]).unwrap();
    let csr = ca::cert::Csr::from_pem_or_der(csr.as_bytes()).unwrap();
    let subject = ca::subject::Subject::client("forged".parse().unwrap(), vec![]).unwrap();
    let order =
        ca::plan::Order::new(&csr, LeafKind::Client, subject, None, ca::plan::Requester::local("thief"));
    let forged = desk.issue(&order, NOW).unwrap().certificate;
    assert!(forged.verify_signed_by(&issuer).is_ok());
    let unknown = Refusal::UnknownSerial { serial: forged.serial() };
    assert_eq!(refusal(pki.admit(&forged, &AUTO_CA)), unknown);
    assert_eq!(refusal(pki.admit(&forged, &ON_CA)), unknown);
    pki.trust(&forged, Rights::FULL);
    assert_eq!(refusal(pki.admit(&forged, &AUTO)), unknown);
}

#[test]
fn an_authority_that_is_revoked_takes_its_certificates_with_it() {
    let pki = Pki::new();
    let anna = pki.client("anna");
    pki.trust(&anna, Rights::FULL);
    assert!(pki.admit(&anna, &ON).is_ok());
    let issuing = pki.made.issuing.certificate().certificate().clone();
    pki.revoke_by(pki.made.root.certificate().key_id(), &issuing);
    assert_eq!(refusal(pki.admit(&anna, &AUTO)), Refusal::Revoked { serial: issuing.serial() });
}

#[test]
fn the_lists_of_imported_authorities_are_enforced() {
    let pki = Pki::new();
    let foreign = Foreign::root("Foreign");
    let (good, bad) = (foreign.client("good"), foreign.client("bad"));
    pki.import(&foreign);
    for certificate in [&good, &bad] {
        pki.trust(certificate, Rights::FULL);
        assert!(pki.admit(certificate, &AUTO).is_ok(), "no list was ever loaded");
    }
    let open = Presented::Certificate(Holder::new(bad.clone(), Vec::new()));
    assert!(pki.gate.admit(&open, &AUTO, NOW).is_ok());
    pki.load(&foreign.list(5, &[&bad])).unwrap();
    let revoked = Refusal::Revoked { serial: bad.serial() };
    for settings in [AUTO, AUTO_CA, ON, settings(PkiMode::Off, TrustCa::EntryNeeded)] {
        assert!(pki.admit(&good, &settings).is_ok());
        assert_eq!(refusal(pki.admit(&bad, &settings)), revoked, "V1 {settings:?}");
        assert_eq!(refusal(pki.gate.admit(&open, &settings, NOW)), revoked, "V11");
    }
    // It runs out (V2).
    let over = NOW + Duration::days(7);
    let expired = Refusal::ListExpired { authority: KeyDigest::of(&foreign.certificate) };
    assert_eq!(refusal(pki.admit_with(&good, &[], &AUTO, over)), expired);
    let warn = Settings { crl_expired: CrlExpired::Warn, ..AUTO };
    assert!(pki.admit_with(&good, &[], &warn, over).is_ok());
    assert_eq!(refusal(pki.admit_with(&bad, &[], &warn, over)), revoked);
    // A gate that is opened anew has no list yet, knows that there was one, and waits for it.
    let fresh = Gate::open(pki.store.clone(), pki.revoked.clone(), OWNER).unwrap();
    let shown = Presented::Certificate(Holder::new(good.clone(), Vec::new()));
    let missing = Refusal::ListMissing { authority: KeyDigest::of(&foreign.certificate) };
    assert_eq!(refusal(fresh.admit(&shown, &AUTO, NOW)), missing);
    let head = pki.store.head();
    fresh.load_list(&ParsedList::read(&foreign.list(6, &[])).unwrap(), "test", NOW).unwrap();
    assert!(pki.store.head() > head, "its number is remembered");
    assert!(fresh.admit(&shown, &AUTO, NOW).is_ok());
}

#[test]
fn a_list_is_demanded_of_every_authority_of_the_path_once_one_has_one() {
    let pki = Pki::new();
    let root = Foreign::root("Root");
    let issuing = root.below("Issuing");
    let leaf = issuing.client("leaf");
    pki.import(&root);
    let admit = || pki.admit_with(&leaf, &[&issuing], &AUTO_CA, NOW);
    assert!(admit().is_ok(), "V10: no list, none demanded");
    pki.load(&root.list(1, &[])).unwrap();
    let missing = Refusal::ListMissing { authority: KeyDigest::of(&issuing.certificate) };
    assert_eq!(refusal(admit()), missing);
    pki.import(&issuing);
    assert_eq!(refusal(admit()), missing, "the root above it still has one");
    pki.load(&issuing.list(1, &[])).unwrap();
    assert!(admit().is_ok());
    // Trusted by itself, and revoked by the root above it.
    pki.load(&root.list(2, &[&issuing.certificate])).unwrap();
    assert_eq!(refusal(admit()), Refusal::Revoked { serial: issuing.certificate.serial() });
}

#[test]
fn an_authority_that_is_let_go_of_vouches_for_nobody() {
    let pki = Pki::new();
    let (foreign, other) = (Foreign::root("Foreign"), Foreign::root("Foreign"));
    pki.import(&foreign);
    pki.import(&other);
    let client = foreign.client("client");
    let open = Presented::Certificate(Holder::new(client, Vec::new()));
    assert!(pki.gate.admit(&open, &AUTO_CA, NOW).is_ok());
    let record =
        pki.gate.set().now().unwrap().authority(&KeyDigest::of(&foreign.certificate)).cloned().unwrap();
    pki.store.commit(forget(&record, "test", NOW)).unwrap();
    assert!(matches!(refusal(pki.gate.admit(&open, &AUTO_CA, NOW)), Refusal::NotSigned { .. }));
}

#[test]
fn a_request_under_way_fails_when_what_it_rests_on_changes() {
    let pki = Pki::new();
    let foreign = Foreign::root("Foreign");
    let commit = |admitted: &Admitted| {
        let permit = admitted.permit(crate::Action::Read).unwrap();
        let mut batch = store::Batch::new(store::Class::Ledger, 0, "test", "work");
        permit.rests_on().demand(&mut batch);
        batch.put(store::Key::new("work"), vec![1]);
        pki.store.commit(batch)
    };
    let conflict = |outcome| assert!(matches!(outcome, Err(store::Error::Conflict { .. })));
    let own = pki.client("own");
    pki.trust(&own, Rights::FULL);
    let admitted = pki.admit(&own, &AUTO).unwrap();
    commit(&admitted).unwrap();
    pki.revoke(&own);
    conflict(commit(&admitted));
    let removed = stranger("removed");
    pki.trust(&removed, Rights::FULL);
    let admitted = pki.admit(&removed, &AUTO).unwrap();
    commit(&admitted).unwrap();
    pki.deny(Id::Key(KeyDigest::of(&removed)));
    conflict(commit(&admitted));
    pki.import(&foreign);
    let admitted = pki.admit(&foreign.client("client"), &AUTO_CA).unwrap();
    commit(&admitted).unwrap();
    pki.load(&foreign.list(1, &[])).unwrap();
    conflict(commit(&admitted));
    let admitted = pki.admit(&foreign.client("client"), &AUTO_CA).unwrap();
    let record =
        pki.gate.set().now().unwrap().authority(&KeyDigest::of(&foreign.certificate)).cloned().unwrap();
    pki.store.commit(forget(&record, "test", NOW)).unwrap();
    conflict(commit(&admitted));
}

#[test]
fn an_unknown_state_lets_nobody_in() {
    let pki = Pki::new();
    let anna = stranger("anna");
    pki.trust(&anna, Rights::FULL);
    let mut batch = store::Batch::new(store::Class::Ledger, 0, "test", "damage");
    batch.put(Denial::key(&Id::User(7)), vec![9]);
    pki.store.commit(batch).unwrap();
    assert!(matches!(pki.admit(&anna, &AUTO), Err(Error::Store(store::Error::Record { .. }))));
}

#[test]
fn users_of_this_machine_are_root_the_owner_or_trusted() {
    let pki = Pki::new();
    let admit = |uid, name: Option<&str>| {
        let user = LocalUser { uid, name: name.map(str::to_owned) };
        pki.gate.admit(&Presented::Local(user), &AUTO, NOW)
    };
    for uid in [0, OWNER] {
        assert_eq!(admit(uid, None).unwrap().way(), Way::Owner);
    }
    let refused = refusal(admit(1000, Some("root")));
    assert_eq!(refused, Refusal::NotAuthenticated);
    assert!(
        refused.answer().starts_with("The client is not authenticated with the pki service.\nPlease use")
    );
    let anna = LocalUser { uid: 1000, name: Some("anna".into()) };
    let batch = {
        let state = pki.gate.set().now().unwrap();
        crate::local::trust_user(&anna, None, Origin::Added, RestsOn::nothing(), &state, "test", NOW)
    };
    pki.store.commit(batch).unwrap();
    assert_eq!(admit(1000, Some("anna")).unwrap().rights().unwrap(), &Rights::FULL);
    assert!(admit(1000, None).is_ok());
    assert_eq!(refusal(admit(1000, Some("bert"))), Refusal::NotAuthenticated, "the id went to another");
    pki.deny(Id::User(1000));
    pki.deny(Id::User(0));
    assert_eq!(refusal(admit(1000, Some("anna"))), Refusal::UserRemoved { name: "anna".into() });
    assert!(admit(0, None).is_ok(), "root is never locked out");
    assert!(pki.admit_with(&stranger("x"), &[], &AUTO, NOW).is_err());
    assert_eq!(pki.gate.admit(&Presented::InProcess, &AUTO, NOW).unwrap(), Admitted::in_process());
}

/// What may happen in a history.
#[derive(Clone, Copy, Debug)]
enum Step {
    Trust(usize),
    Deny(usize),
    DenyKey(usize),
    Revoke(usize),
    Mode(PkiMode),
    TrustCa(TrustCa),
    Import,
    List,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..4usize).prop_map(Step::Trust),
        (0..4usize).prop_map(Step::Deny),
        (0..4usize).prop_map(Step::DenyKey),
        (0..4usize).prop_map(Step::Revoke),
        prop_oneof![Just(PkiMode::Auto), Just(PkiMode::On), Just(PkiMode::Off)].prop_map(Step::Mode),
        prop_oneof![Just(TrustCa::EntryNeeded), Just(TrustCa::SignatureSuffices)].prop_map(Step::TrustCa),
        Just(Step::Import),
        Just(Step::List),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever happens: who is denied or revoked is out, who was never let in by anybody is out, and
    /// whoever comes in without an entry has what their authority may give and no more.
    #[test]
    fn over_any_history_denials_and_revocations_win(steps in prop::collection::vec(step(), 1..24)) {
        let pki = Pki::new();
        let foreign = Foreign::root("Foreign");
        let clients = [
            pki.issue("wide", "default", Reach::Everything).1,
            pki.issue("narrow", "web", Reach::Project).1,
            foreign.client("foreign"),
            stranger("alone"),
        ];
        let (mut entries, mut denied, mut revoked) = ([false; 4], [false; 4], [false; 4]);
        let (mut settings, mut imported, mut number) = (AUTO, false, 1);
        let given = [Scope::Everything, web(), Scope::Everything, Scope::Projects(Default::default())];
        for step in steps {
            match step {
                Step::Trust(at) => {
                    pki.trust(&clients[at], Rights::client(web()));
                    entries[at] = true;
                }
                Step::Deny(at) => {
                    pki.deny(Id::Certificate(clients[at].fingerprint()));
                    denied[at] = true;
                }
                Step::DenyKey(at) => {
                    pki.deny(Id::Key(KeyDigest::of(&clients[at])));
                    denied[at] = true;
                }
                Step::Revoke(at) if at < 2 => {
                    pki.revoke(&clients[at]);
                    revoked[at] = true;
                }
                Step::Revoke(_) | Step::List if imported => {
                    number += 1;
                    pki.load(&foreign.list(number, &[&clients[2]])).unwrap();
                    revoked[2] = true;
                }
                Step::Revoke(_) | Step::List => {}
                Step::Mode(mode) => settings.pki_mode = mode,
                Step::TrustCa(trust_ca) => settings.trust_ca = trust_ca,
                Step::Import => {
                    pki.import(&foreign);
                    imported = true;
                }
            }
            for (at, client) in clients.iter().enumerate() {
                let outcome = pki.admit(client, &settings);
                if denied[at] || revoked[at] {
                    prop_assert!(outcome.is_err(), "{at} {settings:?}");
                }
                if let Ok(admitted) = outcome {
                    let by_signature = settings.trust_ca == TrustCa::SignatureSuffices
                        && settings.pki_mode != PkiMode::Off
                        && (at < 2 || (at == 2 && imported));
                    prop_assert!(entries[at] || by_signature, "{at} {settings:?}");
                    let scope = &admitted.rights().unwrap().scope;
                    let most = if entries[at] { &web() } else { &given[at] };
                    prop_assert!(most.covers(scope), "{at} {scope}");
                    let required = settings.pki_mode == PkiMode::On
                        || (settings.pki_mode == PkiMode::Auto && imported);
                    prop_assert!(!required || at != 3, "an unsigned certificate came in under PKI mode");
                }
            }
        }
    }
}

#[test]
fn an_authority_among_the_strangers_is_no_intermediate_for_us() {
    let pki = Pki::new();
    let anna = pki.client("anna");
    // A client's certificate that signs another one is no authority, whoever signed it.
    let mut params = client_params("child");
    params.is_ca = IsCa::NoCa;
    let key: PrivateKey = new_key();
    let fake = Foreign { params: authority_params("anna"), key, certificate: anna };
    let child = fake.client("child");
    let outcome = pki.admit_with(&child, &[&fake], &ON_CA, NOW);
    assert!(matches!(refusal(outcome), Refusal::NotSigned { .. }));
}
