use std::cell::Cell;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use ca::cert::Certificate;
use crl::ParsedList;

use super::*;
use crate::decide::Refusal;
use crate::gate::Gate;
use crate::presented::{Holder, Presented};
use crate::settings::{Settings, TrustCa};
use crate::testing::*;
use crate::{Action, Admitted, Error};

/// Has another thread decide about somebody.
fn judging(gate: &Gate, certificate: &Certificate) -> Receiver<Result<Admitted, Error>> {
    let settings = Settings { trust_ca: TrustCa::SignatureSuffices, ..Settings::default() };
    let (gate, shown) = (gate.clone(), Holder::new(certificate.clone(), Vec::new()));
    let (sender, decided) = channel();
    std::thread::spawn(move || drop(sender.send(gate.admit(&Presented::Certificate(shown), &settings, NOW))));
    decided
}

/// What it decided. What waits for ever is found out.
#[track_caller]
fn judged(decided: &Receiver<Result<Admitted, Error>>) -> Result<Admitted, Error> {
    decided.recv_timeout(Duration::from_secs(60)).expect("whoever is judged waits for the disk")
}

/// Commits something by what somebody was let in by.
fn commit(pki: &Pki, admitted: &Admitted) -> Result<(), store::Error> {
    let mut batch = store::Batch::new(store::Class::Ledger, 0, "test", "work");
    admitted.permit(Action::Read).unwrap().rests_on().demand(&mut batch);
    batch.put(store::Key::new("work"), vec![1]);
    pki.store.commit(batch).map(drop)
}

/// Loads a list as [`Gate::load_list`] does, and looks before and after its number is committed.
fn load(pki: &Pki, foreign: &Foreign, list: &[u8], before: impl Fn(), after: impl Fn()) {
    let key = KeyDigest::of(&foreign.certificate);
    let (authority, memory) = {
        let state = pki.gate.set().now().unwrap();
        (state.authority(&key).cloned().unwrap(), state.memory(&key).cloned())
    };
    let list = ParsedList::read(list).unwrap();
    let known = memory.as_ref().map(|memory| memory.record.clone());
    let loaded = LoadedList::verify(&list, [(&key, &foreign.certificate)], |_| known.clone(), NOW).unwrap();
    let number = loaded.remember(&authority, memory.as_deref(), "test", NOW).unwrap();
    let version = memory.map(|memory| memory.version);
    let commit = || {
        before();
        pki.store.commit(number)?;
        after();
        Ok::<(), store::Error>(())
    };
    pki.gate.lists.turn().enforce(Arc::new(loaded), version, commit).unwrap();
}

#[test]
fn nobody_waits_for_the_disk_and_nobody_goes_by_the_old_list_once_the_new_number_is_durable() {
    let pki = Pki::new();
    let foreign = Foreign::root("Foreign");
    let (good, bad) = (foreign.client("good"), foreign.client("bad"));
    pki.import(&foreign);
    // The first there is, too: nobody is asked for it before it is there.
    for number in [1, 2] {
        let named: &[&Certificate] = if number == 1 { &[] } else { &[&bad] };
        let list = foreign.list(number, named);
        let (early, late) = (Cell::new(None), Cell::new(None));
        let before = || {
            let admitted = [&bad, &good].map(|who| judged(&judging(&pki.gate, who)).unwrap());
            admitted.iter().for_each(|admitted| commit(&pki, admitted).unwrap());
            early.set(Some(admitted));
        };
        let after = || {
            let [bad, good] = [&bad, &good].map(|who| judging(&pki.gate, who));
            // Whoever were judged now would be judged by the list before: it takes much less than that.
            for decided in [&bad, &good] {
                let decided = decided.recv_timeout(Duration::from_millis(200));
                assert!(decided.is_err(), "{number}: by the list before: {decided:?}");
            }
            late.set(Some([bad, good]));
        };
        load(&pki, &foreign, &list, before, after);
        for admitted in early.take().unwrap() {
            assert!(matches!(commit(&pki, &admitted), Err(store::Error::Conflict { .. })));
        }
        let [bad_now, good_now] = late.take().unwrap().map(|decided| judged(&decided));
        commit(&pki, &good_now.unwrap()).unwrap();
        match number {
            1 => commit(&pki, &bad_now.unwrap()).unwrap(),
            _ => assert_eq!(refusal(bad_now), Refusal::Revoked { serial: bad.serial() }),
        }
    }
}

#[test]
fn a_number_that_is_not_committed_changes_nothing() {
    let pki = Pki::new();
    let foreign = Foreign::root("Foreign");
    let bad = foreign.client("bad");
    pki.import(&foreign);
    pki.load(&foreign.list(1, &[])).unwrap();
    let key = KeyDigest::of(&foreign.certificate);
    let list = ParsedList::read(&foreign.list(2, &[&bad])).unwrap();
    let loaded = LoadedList::verify(&list, [(&key, &foreign.certificate)], |_| None, NOW).unwrap();
    assert_eq!(pki.gate.lists.turn().enforce(Arc::new(loaded), None, || Err("no room")), Err("no room"));
    commit(&pki, &judged(&judging(&pki.gate, &bad)).unwrap()).unwrap();
    let state = pki.gate.set().now().unwrap();
    assert_eq!(state.memory(&key).unwrap().record.number, 1.into());
}
