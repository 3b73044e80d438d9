use std::time::Duration as StdDuration;

use time::Duration;

use super::*;
use crate::cert::KeyId;
use crate::records::{IssuedProfile, Lineage, Predecessor};
use crate::testing::NOW;

fn serial(hex: &str) -> Serial {
    Serial::from_hex(hex).unwrap()
}

fn record(hex: &str, name: &str, issued: i64, ends: i64) -> IssuedRecord {
    IssuedRecord {
        serial: serial(hex),
        der: Some(hex.as_bytes().to_vec()),
        name: name.to_owned(),
        profile: IssuedProfile::Client,
        names: Vec::new(),
        project: "default".to_owned(),
        requester: "test".to_owned(),
        issued_at: NOW.unix_timestamp() + issued,
        not_before: Some(NOW.unix_timestamp()),
        not_after: NOW.unix_timestamp() + ends,
        issuer: KeyId::from_bytes([hex.len() as u8; 20]),
        key: Some([name.len() as u8; 32]),
        request: None,
        days: None,
        predecessor: None,
        reach: None,
    }
}

fn filled(records: &[IssuedRecord]) -> Store {
    let store = Store::in_memory();
    for record in records {
        let mut batch = store::Batch::new(store::Class::Ledger, 0, "test", "put");
        record.put(&mut batch);
        store.commit(batch).unwrap();
    }
    store
}

fn serials<'a>(found: impl IntoIterator<Item = &'a IssuedRecord>) -> Vec<String> {
    found.into_iter().map(|record| record.serial.to_string()).collect()
}

fn versioned(found: &[Versioned<IssuedRecord>]) -> Vec<String> {
    serials(found.iter().map(|versioned| &versioned.record))
}

#[test]
fn names_are_listed_in_their_order_and_each_by_issue() {
    let store = filled(&[
        record("4000000002", "b", 20, 9),
        record("4000000003", "b", 10, 9),
        record("4000000001", "a/x", 30, 9),
        record("4000000004", "ba", 0, 9),
        record("4000000005", "ä", 0, 9),
        // Issued before 1970, as a clock without a battery has it.
        record("4000000006", "b", -3_000_000_000, 9),
    ]);
    let expected = ["4000000001", "4000000006", "4000000003", "4000000002", "4000000004", "4000000005"];
    let whole = list(&store, None, None, 100).unwrap();
    assert_eq!(serials(&whole.records), expected);
    assert_eq!(whole.next, None);
    for limit in 1..=6 {
        let (mut paged, mut after) = (Vec::new(), None);
        loop {
            let page = list(&store, None, after.as_ref(), limit).unwrap();
            assert!(page.records.len() <= limit);
            paged.extend(serials(&page.records));
            // Through text and back, as the API hands it out.
            match page.next {
                Some(next) => after = Some(Cursor::from_text(&next.to_string())),
                None => break,
            }
        }
        assert_eq!(paged, expected, "limit {limit}");
    }
    assert_eq!(versioned(&by_name(&store, "b").unwrap()), ["4000000006", "4000000003", "4000000002"]);
    assert_eq!(versioned(&by_name(&store, "a/x").unwrap()), ["4000000001"]);
    assert!(by_name(&store, "a").unwrap().is_empty(), "a name is no prefix");
}

#[test]
fn patterns() {
    let store = filled(&[
        record("4000000001", "web-1", 0, 9),
        record("4000000002", "web-2", 0, 9),
        record("4000000003", "db", 0, 9),
        record("4000000004", "a*b", 0, 9),
    ]);
    let table: [(&str, &[&str]); 8] = [
        ("web-*", &["4000000001", "4000000002"]),
        ("web-?", &["4000000001", "4000000002"]),
        ("*", &["4000000004", "4000000003", "4000000001", "4000000002"]),
        ("*b*", &["4000000004", "4000000003", "4000000001", "4000000002"]),
        ("?b", &["4000000003"]),
        ("db", &["4000000003"]),
        ("d", &[]),
        ("", &[]),
    ];
    for (pattern, expected) in table {
        let glob = Glob::new(pattern);
        assert_eq!(serials(&list(&store, Some(&glob), None, 10).unwrap().records), expected, "{pattern}");
    }
    // Time linear in the number of stars, whatever the pattern.
    let begun = std::time::Instant::now();
    assert!(!Glob::new("a*".repeat(30) + "b").matches(&"a".repeat(200)));
    assert!(begun.elapsed() < StdDuration::from_secs(1));
}

#[test]
fn a_word_is_a_serial_a_fingerprint_or_a_name() {
    let first = record("4000000001aaaaaa", "web", 0, 9);
    let store = filled(&[
        first.clone(),
        record("4000000001bbbbbb", "web", 1, 9),
        record("4123456789abcdef", "4000000001", 0, 9),
        record("01", "old", 0, 9),
        record("0100000000", "older", 0, 9),
    ]);
    let found = |word: &str| resolve(&store, word).map(|found| versioned(&found));
    assert_eq!(found("4000000001aaaaaa").unwrap(), ["4000000001aaaaaa"]);
    assert_eq!(found("4000000001AA").unwrap(), ["4000000001aaaaaa"]);
    assert_eq!(found("40:00:00:00:01:bb").unwrap(), ["4000000001bbbbbb"]);
    assert_eq!(found("web").unwrap(), ["4000000001aaaaaa", "4000000001bbbbbb"]);
    let fingerprint = first.fingerprint().unwrap().to_string();
    assert_eq!(found(&fingerprint).unwrap(), ["4000000001aaaaaa"]);
    assert_eq!(found(&fingerprint[..8]).unwrap(), ["4000000001aaaaaa"]);
    for word in ["0000000001", "01", "1"] {
        assert_eq!(found(word).unwrap(), ["01"], "in full, leading zeros or not: {word}");
    }
    match found("40000000").unwrap_err() {
        Error::Ambiguous { candidates, .. } => assert_eq!(candidates.len(), 2),
        other => panic!("{other}"),
    }
    match found("4000000001").unwrap_err() {
        Error::Ambiguous { candidates, .. } => assert_eq!(candidates.len(), 3, "prefix of two, name of one"),
        other => panic!("{other}"),
    }
    for word in ["4000000", "nobody", "", "ffffffffff"] {
        assert!(matches!(found(word), Err(Error::NotFound { .. })), "{word}");
    }
}

#[test]
fn ends_come_the_soonest_first() {
    let store = filled(&[
        record("4000000001", "late", 0, 300),
        record("4000000002", "soon", 0, 100),
        record("4000000003", "over", 0, -100),
        record("4000000004", "soon too", 0, 100),
    ]);
    let page = ending(&store, NOW, NOW + Duration::seconds(300), None, 10).unwrap();
    assert_eq!(serials(&page.records), ["4000000002", "4000000004"]);
    let page = ending(&store, NOW, NOW + Duration::seconds(301), None, 2).unwrap();
    assert_eq!(page.records.len(), 2);
    let page = ending(&store, NOW, NOW + Duration::seconds(301), page.next.as_ref(), 2).unwrap();
    assert_eq!(serials(&page.records), ["4000000001"]);
}

#[test]
fn counts() {
    let store = filled(&[
        record("4000000001", "a", 0, 300),
        record("40000000010000", "b", 0, 100),
        record("4000000003", "c", 0, -100),
        record("4000000004", "d", 0, 0),
    ]);
    assert_eq!(count(&store).unwrap(), 4);
    let live = Tally::new(store).live(NOW).unwrap();
    assert_eq!(live.get(&KeyId::from_bytes([10; 20])), Some(&2), "the last second still counts");
    assert_eq!(live.get(&KeyId::from_bytes([14; 20])), Some(&1));
}

#[test]
fn a_fingerprint_and_a_key_lead_to_their_certificates() {
    let first = record("4000000001", "a", 0, 1);
    let store = filled(&[first.clone(), record("4000000002", "b", 0, 1), record("4000000003", "cc", 0, 1)]);
    let found = by_fingerprint(&store, &first.fingerprint().unwrap()).unwrap().unwrap();
    assert_eq!(found.record, first);
    assert_eq!(by_fingerprint(&store, &Fingerprint::of(b"x")).unwrap(), None);
    assert_eq!(versioned(&by_key(&store, &[1; 32]).unwrap()), ["4000000001", "4000000002"]);
}

#[test]
fn the_end_of_a_line_is_what_nothing_renews() {
    let mut second = record("4000000002", "a", 1, 9);
    second.predecessor = Some(Predecessor { serial: serial("4000000001"), lineage: Lineage::KeyKept });
    let ends = without_successor(vec![record("4000000001", "a", 0, 9), second]);
    assert_eq!(serials(&ends), ["4000000002"]);
}

#[test]
fn an_index_that_leads_nowhere_is_an_error() {
    let store = filled(&[record("4000000001", "a", 0, 9)]);
    let mut batch = store::Batch::new(store::Class::Ledger, 0, "test", "damage");
    batch.delete(crate::plan::issued_key(&serial("4000000001")));
    store.commit(batch).unwrap();
    assert!(matches!(by_name(&store, "a"), Err(Error::Store(_))));
}
