use ca::cert::Serial;
use store::Sequence;
use time::Duration;
use time::macros::datetime;

use super::*;
use crate::{Revocation, Scope, to_be_signed};

/// ecdsa-with-SHA256
const ALGORITHM: &[u8] = &[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
/// CN=A
const ISSUER: &[u8] = &[0x30, 0x0c, 0x31, 0x0a, 0x30, 0x08, 0x06, 0x03, 0x55, 0x04, 0x03, 0x0c, 0x01, 0x41];
const KEY_ID: &[u8] = &[0xaa; 20];
const NOW: OffsetDateTime = datetime!(2026-11-21 12:00 UTC);

fn head() -> ListHead<'static> {
    ListHead {
        algorithm: ALGORITHM,
        issuer: ISSUER,
        key_id: KEY_ID,
        number: CrlNumber::from(1_000),
        this_update: NOW,
        next_update: NOW + Duration::days(7),
        scope: Scope::Whole,
    }
}

fn entry(number: u8, reason: Reason) -> Entry {
    let at = NOW.unix_timestamp() - 60;
    let invalidity = number.is_multiple_of(2).then_some(at - 3_600);
    let revocation = Revocation { at, reason, not_after: at + 1_000_000, invalidity };
    Entry::new(Serial::from_bytes(&[number, 0x80]).unwrap(), &revocation, Sequence(1))
}

fn entries() -> Vec<Entry> {
    let reasons = [Reason::Unspecified, Reason::KeyCompromise, Reason::Unspecified, Reason::Superseded];
    reasons.into_iter().zip([0x00, 0x01, 0x02, 0x80]).map(|(reason, number)| entry(number, reason)).collect()
}

fn checked(tbs: &[u8], head: &ListHead<'_>, entries: &[Entry]) -> Result<(), CheckError> {
    check(tbs, head, Some(CrlNumber::from(999)), entries.iter())
}

#[test]
fn what_was_written_passes_with_and_without_entries() {
    let entries = entries();
    assert_eq!(checked(&to_be_signed(&head(), entries.iter()), &head(), &entries), Ok(()));
    assert_eq!(checked(&to_be_signed(&head(), [].iter()), &head(), &[]), Ok(()));
}

#[test]
fn an_entry_that_is_missing_surplus_doubled_or_out_of_order_is_found() {
    let all = entries();
    let wrong = |number: usize| Err(CheckError::Entry { serial: *all[number].serial() });
    let tbs = |some: &[Entry]| to_be_signed(&head(), some.iter());
    assert_eq!(checked(&tbs(&all[1..]), &head(), &all), wrong(0));
    assert_eq!(checked(&tbs(&all[..3]), &head(), &all), wrong(3));
    assert_eq!(checked(&tbs(&[]), &head(), &all), wrong(0));
    assert_eq!(checked(&tbs(&all), &head(), &all[..3]), Err(CheckError::SurplusEntry));
    let doubled = [all[0], all[1], all[1]];
    assert_eq!(checked(&tbs(&doubled), &head(), &doubled), wrong(1));
    let swapped = [all[1], all[0]];
    assert_eq!(checked(&tbs(&swapped), &head(), &swapped), wrong(0));
}

#[test]
fn a_head_that_differs_is_found() {
    let all = entries();
    let tbs = to_be_signed(&head(), all.iter());
    let with = |change: &dyn Fn(&mut ListHead<'static>)| {
        let mut other = head();
        change(&mut other);
        checked(&tbs, &other, &all)
    };
    assert_eq!(with(&|head| head.algorithm = &[0x30, 0x00]), Err(CheckError::Algorithm));
    assert_eq!(with(&|head| head.issuer = &[0x30, 0x00]), Err(CheckError::Issuer));
    assert_eq!(with(&|head| head.key_id = &[0xbb; 20]), Err(CheckError::KeyId));
    assert_eq!(with(&|head| head.next_update += Duration::SECOND), Err(CheckError::Dates));
    let number = CrlNumber::from(1_000);
    assert_eq!(with(&|head| head.number = CrlNumber::from(1_001)), Err(CheckError::Number { number }));
    let not_above = check(&tbs, &head(), Some(number), all.iter());
    assert_eq!(not_above, Err(CheckError::Number { number }));
    let backwards = ListHead { next_update: NOW, ..head() };
    assert_eq!(checked(&to_be_signed(&backwards, all.iter()), &backwards, &all), Err(CheckError::Dates));
}

#[test]
fn a_revocation_is_never_dated_after_the_list() {
    let revocation = Revocation {
        at: NOW.unix_timestamp() + 86_400, // a clock that was ahead
        reason: Reason::Unspecified,
        not_after: i64::MAX,
        invalidity: None,
    };
    let ahead = [Entry::new(Serial::from_bytes(&[1]).unwrap(), &revocation, Sequence(1))];
    let tbs = to_be_signed(&head(), ahead.iter());
    assert_eq!(checked(&tbs, &head(), &ahead), Ok(()));
    let mut fields = TbsFields::read(&tbs).unwrap();
    let entry = ReadEntry::read(fields.entries.as_mut().unwrap(), &mut None).unwrap();
    assert_eq!(entry.at, NOW);
}

/// Whatever single bit flips in the finished bytes, the list is not signed.
#[test]
fn no_flipped_bit_passes() {
    let all = entries();
    let tbs = to_be_signed(&head(), all.iter());
    for position in 0..tbs.len() {
        for bit in 0..8 {
            let mut damaged = tbs.clone();
            damaged[position] ^= 1 << bit;
            assert!(checked(&damaged, &head(), &all).is_err(), "bit {bit} of octet {position}");
        }
    }
}

#[test]
fn no_cut_and_nothing_appended_passes() {
    let all = entries();
    let tbs = to_be_signed(&head(), all.iter());
    for length in 0..tbs.len() {
        assert!(checked(&tbs[..length], &head(), &all).is_err(), "cut at {length}");
    }
    assert!(checked(&[tbs.as_slice(), &[0]].concat(), &head(), &all).is_err());
}

#[test]
fn forms_that_der_or_the_rfc_forbid_are_refused() {
    let all = entries();
    let tbs = to_be_signed(&head(), [].iter());
    // An empty SEQUENCE of entries before the extensions.
    let at = tbs
        .windows(2)
        .position(|pair| pair[0] == der::CONTEXT_0 && pair[1] as usize + 2 <= tbs.len())
        .unwrap();
    let mut empty = [&tbs[..at], &[der::SEQUENCE, 0], &tbs[at..]].concat();
    empty[1] += 2;
    assert_eq!(checked(&empty, &head(), &[]), Err(CheckError::EmptyEntries));
    // A length in the long form although the short one would do.
    let short = Reader::new(&[der::SEQUENCE, 0x81, 0x01, 0x00]).whole(der::SEQUENCE, "x").unwrap_err();
    assert_eq!(short.what, "a length that is not the shortest form");
    assert!(Reader::new(&[der::SEQUENCE, 0x80, 0x00, 0x00]).whole(der::SEQUENCE, "x").is_err());
    assert!(Reader::new(&[der::INTEGER, 2, 0, 1]).unsigned("x").is_err());
    assert!(Reader::new(&[der::INTEGER, 1, 0x80]).unsigned("x").is_err());
    assert!(Reader::new(&[der::INTEGER, 0]).unsigned("x").is_err());
    // 2049 as GeneralizedTime.
    assert!(Reader::new(b"\x18\x0f20491231235959Z").time().is_err());
    assert!(Reader::new(b"\x18\x0f20501231235959Z").time().is_ok());
    assert!(Reader::new(b"\x17\x0d491331235959Z").time().is_err());
    assert!(!all.is_empty());
}

proptest::proptest! {
    /// Hostile bytes are refused, never a panic.
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let _ = checked(&bytes, &head(), &entries());
        let _ = crate::ParsedList::read(&bytes);
        let mut list = vec![0x30, 0x81, bytes.len() as u8];
        list.extend(&bytes);
        let _ = crate::ParsedList::read(&list);
    }
}
