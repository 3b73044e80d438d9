use rcgen::{CrlDistributionPoint, CrlIssuingDistributionPoint, KeyUsagePurpose};
use time::Duration;

use super::*;
use crate::error::Error;
use crate::testing::*;

fn error(outcome: Result<std::sync::Arc<LoadedList>, Error>) -> ListError {
    match outcome {
        Err(Error::List(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_same_name_proves_nothing() {
    let pki = Pki::new();
    let (ours, other) = (Foreign::root("Same"), Foreign::root("Same"));
    let client = ours.client("client");
    pki.import(&ours);
    // V3: another authority of that name lists our client's serial.
    let foreign = other.list(9, &[&client]);
    assert!(matches!(error(pki.load(&foreign)), ListError::Stranger { .. }));
    assert!(pki.gate.set().now().unwrap().memory(&KeyDigest::of(&ours.certificate)).is_none());
    // Imported too, each has its own list.
    pki.import(&other);
    pki.load(&foreign).unwrap();
    let (mine, its) = (KeyDigest::of(&ours.certificate), KeyDigest::of(&other.certificate));
    assert!(pki.gate.list(&mine).is_none() && pki.gate.list(&its).unwrap().names(&client.serial()));
    pki.load(&ours.list(1, &[])).unwrap();
    assert!(!pki.gate.list(&mine).unwrap().names(&client.serial()));
}

#[test]
fn a_list_below_the_highest_number_never_comes_back() {
    let pki = Pki::new();
    let foreign = Foreign::root("Foreign");
    let bad = foreign.client("bad");
    pki.import(&foreign);
    let (old, new) = (foreign.list(1, &[]), foreign.list(2, &[&bad]));
    pki.load(&new).unwrap();
    let rollback = error(pki.load(&old));
    assert!(
        matches!(rollback, ListError::Rollback { number, seen, .. }
        if (number, seen) == (CrlNumber::from(1), CrlNumber::from(2))),
        "V5, V6"
    );
    let key = KeyDigest::of(&foreign.certificate);
    assert_eq!(pki.gate.list(&key).unwrap().number(), CrlNumber::from(2));
    // After a restart, and after the authority went and came back.
    let fresh = crate::Gate::open(pki.store.clone(), pki.revoked.clone(), OWNER).unwrap();
    let again = |bytes: &[u8]| fresh.load_list(&ParsedList::read(bytes).unwrap(), "test", NOW);
    assert!(matches!(error(again(&old)), ListError::Rollback { .. }));
    let head = pki.store.head();
    again(&new).unwrap();
    assert_eq!(pki.store.head(), head, "the same list again is nothing new");
    let record = pki.gate.set().now().unwrap().authority(&key).cloned().unwrap();
    pki.store.commit(crate::authority::forget(&record, "test", NOW)).unwrap();
    assert!(matches!(error(pki.load(&new)), ListError::Stranger { .. }));
    pki.import(&foreign);
    assert!(matches!(error(pki.load(&old)), ListError::Rollback { .. }));
    // The same number with an earlier date is an earlier list.
    let mut older = foreign.list_params(2, &[]);
    older.this_update = NOW - Duration::days(3);
    assert!(matches!(error(pki.load(&foreign.list_of(older))), ListError::Older { .. }));
}

#[test]
fn scope_signature_and_dates_are_looked_at() {
    let pki = Pki::new();
    let foreign = Foreign::root("Foreign");
    pki.import(&foreign);
    let mut scoped = foreign.list_params(1, &[]);
    scoped.issuing_distribution_point = Some(CrlIssuingDistributionPoint {
        distribution_point: CrlDistributionPoint { uris: vec!["http://pki.example/other.crl".to_owned()] },
        scope: None,
    });
    let unfit = |bytes: &[u8]| match error(pki.load(bytes)) {
        ListError::Unfit { finding, .. } => finding,
        other => panic!("{other:?}"),
    };
    assert_eq!(unfit(&foreign.list_of(scoped)), ListFinding::Partial, "V4");
    let mut tampered = foreign.list(1, &[]);
    *tampered.last_mut().unwrap() ^= 1;
    assert!(matches!(error(pki.load(&tampered)), ListError::Stranger { .. }));
    let mut ahead = foreign.list_params(1, &[]);
    ahead.this_update = NOW + Duration::hours(1);
    let ahead = foreign.list_of(ahead);
    assert!(matches!(unfit(&ahead), ListFinding::NotYet { .. }));
    // What was in force once is, when the clock falls.
    let later = NOW + Duration::hours(2);
    pki.gate.load_list(&ParsedList::read(&ahead).unwrap(), "test", later).unwrap();
    pki.load(&ahead).unwrap();
}

#[test]
fn an_authority_that_may_not_sign_lists_signs_none() {
    let pki = Pki::new();
    let mut params = authority_params("Certificates only");
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let mut foreign = Foreign::root_of(params);
    pki.import(&foreign);
    foreign.params.key_usages.push(KeyUsagePurpose::CrlSign);
    assert!(matches!(error(pki.load(&foreign.list(1, &[]))), ListError::KeyUsage { .. }));
}

#[test]
fn the_alarm_comes_at_half_of_its_life() {
    let pki = Pki::new();
    let foreign = Foreign::root("Foreign");
    pki.import(&foreign);
    let list = pki.load(&foreign.list(1, &[])).unwrap();
    let half = list.this_update() + (list.next_update() - list.this_update()) / 2;
    for (now, health, counts) in [
        (NOW, ListHealth::Fresh, true),
        (half, ListHealth::Fresh, true),
        (half + Duration::SECOND, ListHealth::Ageing, true),
        (list.next_update(), ListHealth::Ageing, true),
        (list.next_update() + Duration::SECOND, ListHealth::Expired, false),
    ] {
        assert_eq!(list.health(now), health, "{now}");
        assert_eq!(list.counts(CrlExpired::Refuse, now), counts, "{now}");
        assert!(list.counts(CrlExpired::Warn, now));
    }
}

#[test]
fn a_file_of_several_lists_is_taken_apart() {
    use base64::Engine;
    let (one, two) = (Foreign::root("One"), Foreign::root("Two"));
    let pem = |der: &[u8]| {
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        let lines: Vec<&str> = text.as_bytes().chunks(64).map(|l| std::str::from_utf8(l).unwrap()).collect();
        format!("-----BEGIN X509 CRL-----\n{}\n-----END X509 CRL-----\n", lines.join("\n"))
    };
    let (one, two) = (one.list(1, &[]), two.list(2, &[]));
    let both = format!("comment\n{}\n{}", pem(&one), pem(&two));
    let lists = read_lists(both.as_bytes()).unwrap();
    assert_eq!(lists.iter().map(ParsedList::der).collect::<Vec<_>>(), [one.as_slice(), two.as_slice()]);
    assert_eq!(read_lists(&one).unwrap().len(), 1);
    let other = both.replace("X509 CRL", "CERTIFICATE");
    let half = format!("{}-----BEGIN X509 CRL-----\nMII", pem(&one));
    for bad in [b"".as_slice(), b"x", other.as_bytes(), half.as_bytes(), &one[..20]] {
        assert!(read_lists(bad).is_err());
    }
}
