use aws_lc_rs::rand::SystemRandom;
use ca::cert::Certificate;
use ca::plan::{Order, Policy, Requester};
use ca::records::{IssuedRecord, Reach, RestsOn};
use ca::renew::{SuccessorKey, order};
use ca::subject::LeafKind;
use proptest::prelude::*;
use time::Duration;

use super::*;
use crate::entry::{Denial, Entry, Id, KeyDigest};
use crate::error::Error;
use crate::peer::Peer;
use crate::presented::{Holder, LocalUser};
use crate::rights::{ClientType, Scope};
use crate::settings::{PkiMode, Settings, TrustCa};
use crate::testing::*;
use crate::{Action, Admitted, Presented, Refusal};

fn web() -> Rights {
    Rights::client(Scope::project("web".parse().unwrap()))
}

fn admin() -> Cause {
    Cause::from(&Admitted::in_process().permit(Action::Trust).unwrap())
}

fn restricted() -> Cause {
    Cause {
        who: "restricted".to_owned(),
        may_give: crate::role::Held::Rights(web()),
        rests_on: RestsOn::nothing(),
    }
}

fn wish(rights: Rights) -> Wish {
    Wish { name: None, rights, origin: Origin::Added }
}

fn holder(certificate: &Certificate) -> Holder {
    Holder::new(certificate.clone(), Vec::new())
}

/// `pki trust add FILE`.
fn add(pki: &Pki, certificate: &Certificate, rights: Rights, cause: &Cause) -> Result<(), Error> {
    let holder = holder(certificate);
    let vetted = pki.gate.vet_again(&holder, &Settings::default(), NOW)?;
    let batch = {
        let state = pki.gate.set().now()?;
        add_certificate(&state, &holder, &vetted, &wish(rights), cause, NOW)?
    };
    pki.store.commit(batch)?;
    Ok(())
}

fn remove_word(pki: &Pki, word: &str, revoke: Option<&crl::Request>) -> Result<Removal, Error> {
    let removal = {
        let state = pki.gate.set().now()?;
        let entry = select(&state, word)?;
        remove(&pki.store, &state, &entry, revoke, &admin(), NOW)?
    };
    pki.store.commit(removal.batch.clone())?;
    Ok(removal)
}

fn change_error<T: std::fmt::Debug>(outcome: Result<T, Error>) -> ChangeError {
    match outcome {
        Err(Error::Change(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// `pki renew` by `peer`: a successor with its own key, and the trust that goes with it.
fn renew(pki: &Pki, old: &IssuedRecord, peer: &Peer, cause: &Cause) -> Result<Certificate, Error> {
    let csr = ca::key::make_csr(&new_key(), &"asked".parse().unwrap(), &[]).unwrap();
    let csr = ca::cert::Csr::from_pem_or_der(csr.as_bytes()).unwrap();
    renew_key(pki, old, SuccessorKey::Of(&csr), peer, cause)
}

fn renew_key(
    pki: &Pki,
    old: &IssuedRecord,
    key: SuccessorKey<'_>,
    peer: &Peer,
    cause: &Cause,
) -> Result<Certificate, Error> {
    let reach = if !cause.may_give.cover(&Rights::FULL) { Reach::Project } else { Reach::Everything };
    let by = Requester { reach, rests_on: cause.rests_on.clone(), ..Requester::local(&*cause.who) };
    let order: Order = order(&pki.store, old, key, by, NOW)?;
    let (policy, random) = (Policy::default(), SystemRandom::new());
    let predecessor = Certificate::from_der(old.der.as_deref().unwrap()).unwrap();
    let issued = pki.desk(&policy, &random).issue_joined(&order, NOW, |successor, batch| {
        let state = pki.gate.set().now()?;
        renewal::carry(batch, &state, &predecessor, successor, peer, cause, NOW)?;
        Ok::<(), Error>(())
    })?;
    Ok(issued.certificate)
}

#[test]
fn a_certificate_is_added_once_and_by_whoever_may() {
    let pki = Pki::new();
    let anna = stranger("anna");
    let widened = change_error(add(&pki, &anna, Rights::FULL, &restricted()));
    assert!(matches!(widened, ChangeError::Widens { .. }));
    add(&pki, &anna, web(), &restricted()).unwrap();
    assert_eq!(pki.admit(&anna, &Settings::default()).unwrap().rights().unwrap(), &web());
    let again = change_error(add(&pki, &anna, Rights::FULL, &admin()));
    assert_eq!(again.to_string(), "Certificate already in trust store");
    let line = pki.store.follow(store::Sequence::ZERO, 100).unwrap().last().unwrap().what.clone();
    let fingerprint = anna.fingerprint();
    assert_eq!(line, format!("trust add anna fingerprint={fingerprint} rights=client in web origin=added"));
    let authority = Foreign::root("CA").certificate;
    assert_eq!(refusal(add(&pki, &authority, web(), &admin())), Refusal::AuthorityCertificate);
    let revoked = pki.client("revoked");
    pki.revoke(&revoked);
    assert!(matches!(refusal(add(&pki, &revoked, web(), &admin())), Refusal::Revoked { .. }), "T8");
}

#[test]
fn a_removal_denies_until_it_is_added_again() {
    let pki = Pki::new();
    let anna = pki.client("anna");
    let trusting = Settings { trust_ca: TrustCa::SignatureSuffices, ..Settings::default() };
    add(&pki, &anna, web(), &admin()).unwrap();
    let removal = remove_word(&pki, "anna", None).unwrap();
    assert_eq!((removal.certificates, removal.revoked.len()), (vec![anna.fingerprint()], 0));
    let removed = Refusal::Removed { name: "anna".to_owned() };
    assert_eq!(refusal(pki.admit(&anna, &trusting)), removed, "its signature alone would do");
    assert_eq!(refusal(pki.gate.vet(&holder(&anna), &trusting, NOW)), removed);
    add(&pki, &anna, web(), &admin()).unwrap();
    assert_eq!(pki.admit(&anna, &trusting).unwrap().rights().unwrap(), &web());
    // Without an entry, by its signature alone.
    let bert = pki.client("bert");
    assert!(pki.admit(&bert, &trusting).is_ok());
    let denied = deny(&pki.gate.set().now().unwrap(), &bert, &admin(), NOW).unwrap();
    pki.store.commit(denied.batch).unwrap();
    assert!(matches!(refusal(pki.admit(&bert, &trusting)), Refusal::Removed { .. }));
    let refused = deny(&pki.gate.set().now().unwrap(), &anna, &admin(), NOW);
    assert!(matches!(refused, Err(ChangeError::Already { .. })));
}

#[test]
fn a_removal_that_revokes_does_both_or_neither() {
    let pki = Pki::new();
    let (anna, alone) = (pki.client("anna"), stranger("alone"));
    add(&pki, &anna, web(), &admin()).unwrap();
    add(&pki, &alone, web(), &admin()).unwrap();
    let request = crl::Request { reason: crl::Reason::CessationOfOperation, invalidity: None, now: NOW };
    let removal = remove_word(&pki, "anna", Some(&request)).unwrap();
    assert_eq!(removal.revoked.len(), 1);
    let issuer = pki.made.issuing.certificate().key_id();
    assert!(pki.revoked.find(&issuer, &anna.serial()).unwrap().is_some());
    assert!(matches!(refusal(add(&pki, &anna, web(), &admin())), Refusal::Revoked { .. }));
    assert!(remove_word(&pki, "alone", Some(&request)).unwrap().revoked.is_empty());
}

#[test]
fn a_key_that_another_entry_has_is_not_denied_with_a_removal() {
    let pki = Pki::new();
    let key = new_key();
    let (old, new) = (self_signed(&client_params("old"), &key), self_signed(&client_params("new"), &key));
    add(&pki, &old, web(), &admin()).unwrap();
    add(&pki, &new, web(), &admin()).unwrap();
    remove_word(&pki, "old", None).unwrap();
    assert!(pki.admit(&old, &Settings::default()).is_err());
    assert!(pki.admit(&new, &Settings::default()).is_ok());
    remove_word(&pki, "new", None).unwrap();
    let third = self_signed(&client_params("third"), &key);
    assert!(matches!(
        refusal(pki.gate.vet(&holder(&third), &Settings::default(), NOW)),
        Refusal::Removed { .. }
    ));
}

#[test]
fn an_entry_is_picked_by_its_name_or_the_beginning_of_a_fingerprint() {
    let pki = Pki::new();
    let clients: Vec<_> = (0..3).map(|at| stranger(["anna", "bert", "bert"][at])).collect();
    for client in &clients {
        add(&pki, client, web(), &admin()).unwrap();
    }
    let state = pki.gate.set().now().unwrap();
    let picked = |word: &str| select(&state, word).map(|entry| entry.record.fingerprints()[0]);
    assert_eq!(picked("anna").unwrap(), clients[0].fingerprint());
    let full = clients[1].fingerprint().to_string();
    let colons: Vec<_> = full.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap()).collect();
    for word in [&full, &full[..12], &full.to_uppercase(), &colons.join(":")] {
        assert_eq!(picked(word).unwrap(), clients[1].fingerprint());
    }
    let ambiguous = picked("bert").unwrap_err();
    assert!(ambiguous.to_string().starts_with("More than one certificate matches"), "{ambiguous}");
    for nothing in ["", "carl", "zz", "ann", &format!("{full}00")] {
        assert_eq!(picked(nothing).unwrap_err().to_string(), "Certificate not found", "{nothing}");
    }
}

#[test]
fn an_edit_gives_no_more_than_the_editor_has() {
    let pki = Pki::new();
    let anna = stranger("anna");
    add(&pki, &anna, web(), &admin()).unwrap();
    let entry = || pki.gate.set().now().unwrap().entry_of(&anna.fingerprint()).cloned().unwrap();
    let full = Edit { rights: Some(Rights::FULL), ..Edit::default() };
    assert!(matches!(edit(&entry(), &full, &restricted(), NOW), Err(ChangeError::Widens { .. })));
    assert_eq!(edit(&entry(), &Edit::default(), &admin(), NOW).unwrap(), None);
    let batch = edit(&entry(), &full, &admin(), NOW).unwrap().unwrap();
    let stale = edit(&entry(), &full, &admin(), NOW).unwrap().unwrap();
    pki.store.commit(batch).unwrap();
    assert!(matches!(pki.store.commit(stale), Err(store::Error::Conflict { .. })));
    assert_eq!(entry().record.rights, Rights::FULL);
    // What is wider than the editor is not theirs to change, not even to narrow.
    let name = Edit { name: Some("mine".parse().unwrap()), ..Edit::default() };
    assert!(matches!(edit(&entry(), &name, &restricted(), NOW), Err(ChangeError::Widens { .. })));
}

#[test]
fn users_are_added_and_removed_and_added_again() {
    let pki = Pki::new();
    let anna = LocalUser { uid: 1000, name: Some("anna".to_owned()) };
    let add_user = |user: &LocalUser| {
        let state = pki.gate.set().now().unwrap();
        super::add_user(&state, user, &wish(Rights::FULL), OWNER, &admin(), NOW)
    };
    let admit = |user: &LocalUser| pki.gate.admit(&Presented::Local(user.clone()), &Settings::default(), NOW);
    for uid in [0, OWNER] {
        let refused = add_user(&LocalUser { uid, name: None });
        assert_eq!(refused, Err(ChangeError::AlwaysTrusted));
    }
    pki.store.commit(add_user(&anna).unwrap()).unwrap();
    assert!(admit(&anna).is_ok());
    assert!(matches!(add_user(&anna), Err(ChangeError::Already { .. })));
    assert!(pki.gate.set().now().unwrap().first_user().is_some(), "nobody is the first after that");
    remove_word(&pki, "anna", None).unwrap();
    assert!(matches!(refusal(admit(&anna)), Refusal::UserRemoved { .. }));
    pki.store.commit(add_user(&anna).unwrap()).unwrap();
    assert!(admit(&anna).is_ok());
    // The id goes to somebody else: the old entry gives way.
    let bert = LocalUser { uid: 1000, name: Some("bert".to_owned()) };
    assert!(admit(&bert).is_err());
    pki.store.commit(add_user(&bert).unwrap()).unwrap();
    assert!(admit(&bert).is_ok() && admit(&anna).is_err());
}

#[test]
fn a_renewal_takes_its_entry_along_in_one_batch() {
    let pki = Pki::new();
    let (old, certificate) = pki.issue("anna", "default", Reach::Everything);
    add(&pki, &certificate, web(), &admin()).unwrap();
    let new = renew(&pki, &old, &Peer::InProcess, &admin()).unwrap();
    for certificate in [&certificate, &new] {
        assert_eq!(pki.admit(certificate, &Settings::default()).unwrap().rights().unwrap(), &web());
    }
    let entries = pki.gate.set().now().unwrap().entries();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].record.fingerprints(), [new.fingerprint(), certificate.fingerprint()]);
    assert_eq!(entries[0].record.origin, Origin::Added);
    // The removal of a lineage is the removal of all of it.
    remove_word(&pki, &certificate.fingerprint().to_string()[..12], None).unwrap();
    for certificate in [&certificate, &new] {
        assert!(matches!(refusal(pki.admit(certificate, &Settings::default())), Refusal::Removed { .. }));
    }
}

#[test]
fn a_lineage_keeps_what_is_in_date_and_no_more_than_it_must() {
    let pki = Pki::new();
    let (mut record, first) = pki.issue("anna", "default", Reach::Everything);
    add(&pki, &first, web(), &admin()).unwrap();
    for _ in 0..12 {
        let new = renew(&pki, &record, &Peer::InProcess, &admin()).unwrap();
        record = ca::inventory::by_fingerprint(&pki.store, &new.fingerprint()).unwrap().unwrap().record;
    }
    let entry = pki.gate.set().now().unwrap().entries().remove(0);
    assert_eq!(entry.record.fingerprints().len(), 9);
    let newest = entry.record.certificate().unwrap().unwrap();
    let late = newest.not_after() + Duration::days(1);
    let mut batch = store::Batch::new(store::Class::Ledger, 0, "test", "renew");
    let successor = stranger("successor");
    let state = pki.gate.set().now().unwrap();
    renewal::carry(&mut batch, &state, &newest, &successor, &Peer::InProcess, &admin(), late).unwrap();
    let Some((_, store::Write::Put(put))) = batch.writes.last() else { panic!("{batch:?}") };
    let moved: Entry = minicbor::decode(&put[1..]).unwrap();
    assert_eq!(moved.fingerprints(), [successor.fingerprint()]);
}

#[test]
fn nobody_renews_another_ones_rights_into_their_own_hands() {
    let pki = Pki::new();
    let (old, certificate) = pki.issue("boss", "web", Reach::Everything);
    add(&pki, &certificate, Rights::FULL, &admin()).unwrap();
    let head = pki.store.head();
    let thief = Peer::Certificate { fingerprint: stranger("thief").fingerprint(), name: None, from: None };
    let widened = change_error(renew(&pki, &old, &thief, &restricted()));
    assert!(matches!(widened, ChangeError::Widens { .. }), "{widened}");
    assert_eq!(pki.store.head(), head, "nothing was issued either");
    // Its own holder renews it, restricted or not.
    let itself = Peer::Certificate { fingerprint: certificate.fingerprint(), name: None, from: None };
    let new = renew(&pki, &old, &itself, &restricted()).unwrap();
    assert_eq!(pki.admit(&new, &Settings::default()).unwrap().rights().unwrap(), &Rights::FULL);
}

#[test]
fn the_renewal_of_one_who_was_removed_stays_out() {
    let pki = Pki::new();
    let trusting = Settings { trust_ca: TrustCa::SignatureSuffices, ..Settings::default() };
    let (old, certificate) = pki.issue("anna", "default", Reach::Everything);
    add(&pki, &certificate, web(), &admin()).unwrap();
    remove_word(&pki, "anna", None).unwrap();
    let rekeyed = renew(&pki, &old, &Peer::InProcess, &admin()).unwrap();
    let kept = renew_key(&pki, &old, SuccessorKey::Kept, &Peer::InProcess, &admin()).unwrap();
    for successor in [&rekeyed, &kept] {
        assert_eq!(refusal(pki.admit(successor, &trusting)), Refusal::Removed { name: "anna".to_owned() });
    }
    // And what follows the successor.
    let next = ca::inventory::by_fingerprint(&pki.store, &rekeyed.fingerprint()).unwrap().unwrap().record;
    let next = renew(&pki, &next, &Peer::InProcess, &admin()).unwrap();
    assert!(matches!(refusal(pki.admit(&next, &trusting)), Refusal::Removed { .. }));
}

#[test]
fn a_removal_between_the_decision_and_the_renewal_wins() {
    let pki = Pki::new();
    let (_, certificate) = pki.issue("anna", "default", Reach::Everything);
    add(&pki, &certificate, web(), &admin()).unwrap();
    let successor = stranger("successor");
    let mut batch = store::Batch::new(store::Class::Ledger, 0, "test", "renew");
    {
        let state = pki.gate.set().now().unwrap();
        renewal::carry(&mut batch, &state, &certificate, &successor, &Peer::InProcess, &admin(), NOW)
            .unwrap();
    }
    remove_word(&pki, "anna", None).unwrap();
    assert!(matches!(pki.store.commit(batch), Err(store::Error::Conflict { .. })));
    let key = Denial::key(&Id::Key(KeyDigest::of(&certificate)));
    assert!(pki.store.get(&key).unwrap().is_some());
}

/// What a restricted peer and an administrator may do in a history.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The peer has a certificate issued for itself, with an entry or without.
    Issue { entry: bool },
    /// The peer renews one of all certificates with a key of its own.
    Renew(usize),
    /// The administrator renews one.
    AdminRenew(usize),
    /// The administrator removes the entry of one.
    Remove(usize),
    /// The administrator trusts one again, restricted.
    Add(usize),
    /// The administrator turns a setting.
    Turn(PkiMode, TrustCa),
}

fn step() -> impl Strategy<Value = Step> {
    let mode = prop_oneof![Just(PkiMode::Auto), Just(PkiMode::On), Just(PkiMode::Off)];
    let trust_ca = prop_oneof![Just(TrustCa::EntryNeeded), Just(TrustCa::SignatureSuffices)];
    prop_oneof![
        any::<bool>().prop_map(|entry| Step::Issue { entry }),
        (0..8usize).prop_map(Step::Renew),
        (0..8usize).prop_map(Step::AdminRenew),
        (0..8usize).prop_map(Step::Remove),
        (0..8usize).prop_map(Step::Add),
        (mode, trust_ca).prop_map(|(mode, trust_ca)| Step::Turn(mode, trust_ca)),
    ]
}

/// A certificate of a history: who holds its key, and whether it is out since a removal.
struct Held {
    record: IssuedRecord,
    certificate: Certificate,
    by_the_peer: bool,
    removed: bool,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// I11: whatever a restricted peer does, and whatever is removed and renewed, no key in its hands ever
    /// reaches beyond its project, and nobody who was removed is back before they are added again.
    #[test]
    fn over_any_history_nobodys_access_grows(steps in prop::collection::vec(step(), 1..20)) {
        let pki = Pki::new();
        let held = |(record, certificate): (IssuedRecord, Certificate), by_the_peer| {
            Held { record, certificate, by_the_peer, removed: false }
        };
        let mut all = vec![
            held(pki.issue("boss", "default", Reach::Everything), false),
            held(pki.issue("wide", "web", Reach::Everything), false),
            held(pki.issue("peer", "web", Reach::Project), true),
        ];
        add(&pki, &all[0].certificate, Rights::FULL, &admin()).unwrap();
        add(&pki, &all[2].certificate, web(), &admin()).unwrap();
        let mut settings = Settings::default();
        for step in steps {
            match step {
                Step::Issue { entry } => {
                    let issued = pki.issue("more", "web", Reach::Project);
                    if entry {
                        add(&pki, &issued.1, web(), &restricted()).unwrap();
                        let wider = Rights { kind: ClientType::Client, scope: Scope::Everything };
                        prop_assert!(add(&pki, &pki.client("x"), wider, &restricted()).is_err());
                    }
                    all.push(held(issued, true));
                }
                Step::Renew(at) | Step::AdminRenew(at) => {
                    let at = at % all.len();
                    let by_the_peer = matches!(step, Step::Renew(_));
                    let fingerprint = all[2].certificate.fingerprint();
                    let (peer, cause) = match by_the_peer {
                        true => (Peer::Certificate { fingerprint, name: None, from: None }, restricted()),
                        false => (Peer::InProcess, admin()),
                    };
                    if let Ok(certificate) = renew(&pki, &all[at].record, &peer, &cause) {
                        let record = ca::inventory::by_fingerprint(&pki.store, &certificate.fingerprint());
                        let record = record.unwrap().unwrap().record;
                        let by_the_peer = by_the_peer || all[at].by_the_peer;
                        all.push(Held { record, certificate, by_the_peer, removed: all[at].removed });
                    }
                }
                Step::Remove(at) => {
                    let at = at % all.len();
                    let fingerprint = all[at].certificate.fingerprint();
                    let entry = pki.gate.set().now().unwrap().entry_of(&fingerprint).cloned();
                    let Some(entry) = entry else { continue };
                    remove_word(&pki, &fingerprint.to_string(), None).unwrap();
                    let lineage = entry.record.fingerprints();
                    for held in &mut all {
                        held.removed |= lineage.contains(&held.certificate.fingerprint());
                    }
                }
                Step::Add(at) => {
                    let at = at % all.len();
                    if add(&pki, &all[at].certificate, web(), &admin()).is_ok() {
                        all[at].removed = false;
                    }
                }
                Step::Turn(mode, trust_ca) => {
                    (settings.pki_mode, settings.trust_ca) = (mode, trust_ca);
                }
            }
            for held in &all {
                let outcome = pki.admit(&held.certificate, &settings);
                if held.removed {
                    prop_assert!(outcome.is_err(), "{} is back", held.record.name);
                }
                if let Ok(admitted) = outcome {
                    let within = web().cover(admitted.rights().unwrap());
                    prop_assert!(within || !held.by_the_peer, "{admitted}");
                }
            }
        }
    }
}

#[test]
fn renewal_needs_a_kind_of_certificate_that_we_issue() {
    let pki = Pki::new();
    let (server, _) = pki.issue_kind("www.example.com", "web", Reach::Project, LeafKind::Server);
    assert!(renew(&pki, &server, &Peer::InProcess, &admin()).is_ok());
}

#[test]
fn an_issued_certificate_is_trusted_in_the_batch_that_records_it() {
    let pki = Pki::new();
    let key = new_key();
    let issue = |name: &str, rights: Rights, cause: &Cause| {
        let csr = ca::key::make_csr(&key, &"asked".parse().unwrap(), &[]).unwrap();
        let csr = ca::cert::Csr::from_pem_or_der(csr.as_bytes()).unwrap();
        let subject = ca::subject::Subject::client(name.parse().unwrap(), vec![]).unwrap();
        let order = Order::new(&csr, LeafKind::Client, subject, None, Requester::local(&*cause.who));
        let (policy, random) = (Policy::default(), SystemRandom::new());
        let issued = pki.desk(&policy, &random).issue_joined(&order, NOW, |certificate, batch| {
            let state = pki.gate.set().now()?;
            let wish = Wish { name: None, rights: rights.clone(), origin: Origin::Issued };
            trust_issued(batch, &state, certificate, &wish, cause, NOW)?;
            Ok::<(), Error>(())
        });
        issued.map(|issued| issued.certificate)
    };
    let widened = change_error(issue("wide", Rights::FULL, &restricted()));
    assert!(matches!(widened, ChangeError::Widens { .. }));
    assert_eq!(ca::inventory::count(&pki.store).unwrap(), 0, "and it was not issued");
    let anna = issue("anna", web(), &restricted()).unwrap();
    assert_eq!(pki.admit(&anna, &Settings::default()).unwrap().rights().unwrap(), &web());
    // Once removed, the key is back by an administrator's word alone.
    remove_word(&pki, "anna", None).unwrap();
    let denied = change_error(issue("again", web(), &restricted()));
    assert_eq!(denied, ChangeError::Denied { name: "anna".to_owned() });
    let again = issue("again", web(), &admin()).unwrap();
    assert!(pki.admit(&again, &Settings::default()).is_ok());
    assert!(pki.admit(&anna, &Settings::default()).is_err());
}
