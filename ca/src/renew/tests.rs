use store::{Batch, Class};
use time::Duration;
use time::macros::datetime;

use super::*;
use crate::inventory;
use crate::plan::{Delivery, Issued};
use crate::records::Reach;
use crate::testing::*;

fn renewed(
    pki: &Pki,
    old: &IssuedRecord,
    key: SuccessorKey<'_>,
    now: OffsetDateTime,
) -> Result<Issued, Error> {
    pki.desk().issue(&order(&pki.store, old, key, Requester::local("test"), now)?, now)
}

#[test]
fn a_successor_has_the_same_names_and_the_key_that_was_asked_for() {
    let pki = Pki::new();
    let old = pki.desk().issue(&server(&["dns:www.example.com", "ip:10.0.0.1"]), NOW).unwrap();
    let later = NOW + Duration::days(300);
    let kept = renewed(&pki, &old.record, SuccessorKey::Kept, later).unwrap();
    assert_eq!(kept.certificate.public_key(), old.certificate.public_key());
    assert_eq!(kept.certificate.names(), old.certificate.names());
    assert_eq!(kept.certificate.subject_raw(), old.certificate.subject_raw());
    let serial = old.record.serial;
    assert_eq!(kept.record.predecessor, Some(Predecessor { serial, lineage: Lineage::KeyKept }));
    assert_eq!(kept.certificate.not_after() - later, Duration::days(397) - Duration::seconds(61));
    let csr = csr();
    let rekeyed = renewed(&pki, &old.record, SuccessorKey::Of(&csr), later).unwrap();
    assert_eq!(rekeyed.certificate.public_key(), csr.public_key());
    assert_eq!(rekeyed.certificate.names(), old.certificate.names(), "not the CSR's");
    assert_eq!(rekeyed.record.predecessor, Some(Predecessor { serial, lineage: Lineage::Rekeyed }));
    let again = renewed(&pki, &old.record, SuccessorKey::Of(&csr), later).unwrap();
    assert_eq!((again.delivery, again.record.serial), (Delivery::Repeated, rekeyed.record.serial));
    let what = pki.store.follow(store::Sequence::ZERO, 100).unwrap().last().unwrap().what.clone();
    assert_eq!(
        what,
        format!("renew server www.example.com serial={} replaces={serial}", rekeyed.record.serial)
    );
}

#[test]
fn a_renewal_widens_no_lifetime() {
    let pki = Pki::new();
    let subject = Subject::client(name("anna"), vec![]).unwrap();
    let short = Order::new(&csr(), LeafKind::Client, subject, Some(30), Requester::local("test"));
    let mut record = pki.desk().issue(&short, NOW).unwrap().record;
    for turn in 1..4 {
        let now = NOW + Duration::days(20 * turn);
        let next = renewed(&pki, &record, SuccessorKey::Kept, now).unwrap();
        let length = next.certificate.not_after() - next.certificate.not_before();
        assert_eq!(length, Duration::days(30) - Duration::SECOND, "turn {turn}");
        record = next.record;
    }
    // Near the issuer's end even an explicit lifetime is shortened, not refused.
    let end = pki.made.issuing.certificate().validity().not_after;
    let late = pki.desk().issue(&client("bert"), end - Duration::days(20)).unwrap();
    let mut late = late.record;
    late.days = Some(30);
    let order =
        order(&pki.store, &late, SuccessorKey::Kept, Requester::local("test"), end - Duration::days(5));
    assert!(pki.desk().issue(&order.unwrap(), end - Duration::days(5)).unwrap().shortened.is_some());
}

#[test]
fn what_is_revoked_blocked_or_over_is_not_renewed() {
    let pki = Pki::new();
    let old = pki.desk().issue(&client("anna"), NOW).unwrap().record;
    let over = renewed(&pki, &old, SuccessorKey::Kept, NOW + Duration::days(366)).unwrap_err();
    assert!(matches!(over, Error::NotRenewable { .. }), "{over}");
    // A revocation between the order and its issue wins.
    let pending = order(&pki.store, &old, SuccessorKey::Kept, Requester::local("test"), NOW).unwrap();
    let mut batch = Batch::new(Class::Ledger, 0, "test", "revoke");
    batch.put(revocation_key(&old.issuer, &old.serial), vec![1]);
    pki.store.commit(batch).unwrap();
    let withdrawn = pki.desk().issue(&pending, NOW).unwrap_err();
    assert!(matches!(withdrawn, Error::Withdrawn { .. }), "{withdrawn}");
    let revoked = renewed(&pki, &old, SuccessorKey::Kept, NOW).unwrap_err();
    assert!(matches!(revoked, Error::Revoked { serial } if serial == old.serial), "{revoked}");
    assert_eq!(inventory::count(&pki.store).unwrap(), 1);
    let mut imported = old.clone();
    imported.serial = crate::cert::Serial::from_hex("4f").unwrap();
    imported.profile = IssuedProfile::Imported;
    let refused = renewed(&pki, &imported, SuccessorKey::Kept, NOW).unwrap_err();
    assert!(matches!(refused, Error::NotRenewable { .. }), "{refused}");
}

#[test]
fn due_after_two_thirds() {
    let validity = Validity {
        not_before: datetime!(2026-01-01 0:00 UTC),
        not_after: datetime!(2026-03-31 23:59:59 UTC),
    };
    assert_eq!(due_at(validity), datetime!(2026-03-02 0:00 UTC));
}

#[test]
fn a_renewal_reaches_no_further_than_both_who_caused_it() {
    let pki = Pki::new();
    let restricted = || Requester { reach: Reach::Project, ..Requester::local("test") };
    let narrow = Subject::client(name("anna"), vec![]).unwrap();
    let narrow = Order::new(&csr(), LeafKind::Client, narrow, None, restricted());
    let narrow = pki.desk().issue(&narrow, NOW).unwrap().record;
    let wide = pki.desk().issue(&client("bert"), NOW).unwrap().record;
    assert_eq!((narrow.reach, wide.reach), (Some(Reach::Project), Some(Reach::Everything)));
    let reach = |old: &IssuedRecord, by| {
        let order = order(&pki.store, old, SuccessorKey::Kept, by, NOW).unwrap();
        pki.desk().issue(&order, NOW).unwrap().record.reach
    };
    assert_eq!(reach(&narrow, Requester::local("admin")), Some(Reach::Project));
    assert_eq!(reach(&wide, restricted()), Some(Reach::Project));
    assert_eq!(reach(&wide, Requester::local("admin")), Some(Reach::Everything));
    let unknown = IssuedRecord { reach: None, ..wide };
    assert_eq!(reach(&unknown, Requester::local("root")), None);
}

#[test]
fn what_joins_an_issuance_is_written_with_it_or_not_at_all() {
    let pki = Pki::new();
    let key = |certificate: &Certificate| store::Key::new("joined").part(certificate.serial().to_string());
    let issued = pki.desk().issue_joined(&client("anna"), NOW, |certificate, batch| {
        batch.put(key(certificate), vec![1]);
        Ok::<(), Error>(())
    });
    let issued = issued.unwrap();
    assert!(pki.store.get(&key(&issued.certificate)).unwrap().is_some());
    let before = pki.store.head();
    let refused = pki.desk().issue_joined(&client("bert"), NOW, |_, batch| {
        batch.put(store::Key::new("joined").part("other"), vec![1]);
        Err(Error::NotFound { word: "bert".to_owned() })
    });
    assert!(matches!(refused, Err(Error::NotFound { .. })));
    assert_eq!(pki.store.head(), before);
}
