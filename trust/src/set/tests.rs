use store::{Batch, Class};

use super::*;
use crate::entry::Former;
use crate::rights::Rights;
use crate::testing::*;

#[test]
fn what_is_read_at_the_start_is_what_was_followed() {
    let pki = Pki::new();
    let (anna, bert) = (stranger("anna"), stranger("bert"));
    let foreign = Foreign::root("Foreign");
    pki.trust(&anna, Rights::FULL);
    pki.trust(&bert, Rights::FULL);
    pki.deny(Id::User(7));
    pki.import(&foreign);
    pki.load(&foreign.list(3, &[])).unwrap();
    let project = Project::put("web".parse().unwrap(), vec![], None, "test", NOW);
    pki.store.commit(project).unwrap();
    let mut batch = Batch::new(Class::Ledger, 0, "test", "forget");
    batch.delete(Entry::key(&Id::Certificate(bert.fingerprint())));
    pki.store.commit(batch).unwrap();
    let opened = TrustSet::open(pki.store.clone()).unwrap();
    for set in [&opened, pki.gate.set()] {
        let state = set.now().unwrap();
        assert_eq!(state.entries().len(), 1);
        assert!(state.entry_of(&anna.fingerprint()).is_some());
        assert!(state.entry_of(&bert.fingerprint()).is_none());
        assert_eq!(state.denials().count(), 1);
        let key = KeyDigest::of(&foreign.certificate);
        assert!(state.authority(&key).is_some());
        assert_eq!(state.memory(&key).unwrap().record.number, crl::CrlNumber::from(3));
        assert_eq!(state.projects().count(), 1);
        assert_eq!((state.signers().own.len(), state.signers().imported.len()), (2, 1));
        assert_eq!(state.seen(), pki.store.head());
    }
}

#[test]
fn a_lineage_is_found_by_each_of_its_certificates_and_moves_whole() {
    let pki = Pki::new();
    let (old, new) = (stranger("old"), stranger("new"));
    pki.trust(&old, Rights::FULL);
    let entry = |state: &State, of: &Certificate| state.entry_of(&of.fingerprint()).cloned();
    let before = entry(&pki.gate.set().now().unwrap(), &old).unwrap();
    let former = Former {
        fingerprint: old.fingerprint(),
        key: KeyDigest::of(&old),
        not_after: old.not_after().unix_timestamp(),
    };
    let moved = Entry {
        subject: crate::entry::Subject::Certificate {
            der: new.der().to_vec(),
            former: vec![former],
            key: KeyDigest::of(&new),
        },
        ..before.record.clone()
    };
    for put_first in [true, false] {
        let pki = Pki::new();
        pki.trust(&old, Rights::FULL);
        let mut batch = Batch::new(Class::Ledger, 0, "test", "move");
        if put_first {
            batch.put(Entry::key(&moved.id()), Table::encode(&moved));
        }
        batch.delete(before.key.clone());
        if !put_first {
            batch.put(Entry::key(&moved.id()), Table::encode(&moved));
        }
        pki.store.commit(batch).unwrap();
        let state = pki.gate.set().now().unwrap();
        for certificate in [&old, &new] {
            assert_eq!(entry(&state, certificate).unwrap().record, moved);
        }
        assert_eq!(state.entries().len(), 1);
    }
}

#[test]
fn a_record_under_another_key_is_not_believed() {
    let pki = Pki::new();
    let anna = stranger("anna");
    pki.trust(&anna, Rights::FULL);
    let record = pki.gate.set().now().unwrap().entries()[0].record.clone();
    let mut batch = Batch::new(Class::Ledger, 0, "test", "stray");
    batch.put(Entry::key(&Id::Certificate(stranger("bert").fingerprint())), Table::encode(&record));
    pki.store.commit(batch).unwrap();
    assert!(matches!(pki.gate.set().now(), Err(Error::StrayRecord { .. })));
    assert!(matches!(TrustSet::open(pki.store.clone()), Err(Error::StrayRecord { .. })));
}
