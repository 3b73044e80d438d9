//! Lists written by hand, right but for one thing each.

use time::OffsetDateTime;

use super::list;
use crate::lint::{LintError, Rule};
use crate::signer;
use crate::testing::{NOW, Pki};

/// What a list is made of; every part may be replaced.
struct Parts {
    version: Vec<u8>,
    algorithm: Vec<u8>,
    issuer: Vec<u8>,
    dates: Vec<u8>,
    entries: Option<Vec<u8>>,
    extensions: Vec<u8>,
}

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match content.len() {
        length @ 0..=0x7f => out.push(length as u8),
        length => out.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    // 0x82 for 128 to 255 is not the shortest form; the lists here never have that length.
    assert!(content.len() < 0x80 || content.len() > 0xff, "{}", content.len());
    out.extend_from_slice(content);
    out
}

fn padded_sequence(content: Vec<u8>) -> Vec<u8> {
    if (0x80..=0xff).contains(&content.len()) {
        let mut out = vec![0x30, 0x81, content.len() as u8];
        out.extend(content);
        return out;
    }
    tlv(0x30, &content)
}

fn extension(oid: &[u8], value: &[u8]) -> Vec<u8> {
    tlv(0x30, &[tlv(0x06, oid), tlv(0x04, value)].concat())
}

const AKI: &[u8] = &[0x55, 0x1d, 0x23];
const NUMBER: &[u8] = &[0x55, 0x1d, 0x14];
const REASON: &[u8] = &[0x55, 0x1d, 0x15];

fn entry(serial: &[u8], extensions: Option<Vec<u8>>) -> Vec<u8> {
    let date = tlv(0x17, b"261120120000Z");
    let extensions = extensions.map(|each| tlv(0x30, &each)).unwrap_or_default();
    tlv(0x30, &[tlv(0x02, serial), date, extensions].concat())
}

fn aki(key: &[u8]) -> Vec<u8> {
    extension(AKI, &tlv(0x30, &tlv(0x80, key)))
}

fn number(content: &[u8]) -> Vec<u8> {
    extension(NUMBER, &tlv(0x02, content))
}

fn outcome(
    previous: Option<&[u8]>,
    now: OffsetDateTime,
    bend: impl FnOnce(&mut Parts, &[u8]),
) -> Result<(), LintError> {
    let pki = Pki::new();
    let issuer = &pki.made.issuing;
    let key_id = issuer.certificate().key_identifier().to_vec();
    let mut parts = Parts {
        version: tlv(0x02, &[1]),
        algorithm: tlv(0x30, &tlv(0x06, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02])),
        issuer: issuer.certificate().certificate().subject_raw().to_vec(),
        dates: [tlv(0x17, b"261121120000Z"), tlv(0x17, b"261128120000Z")].concat(),
        entries: Some(
            [entry(&[0x11], None), entry(&[0x12], Some(extension(REASON, &[0x0a, 1, 1])))].concat(),
        ),
        extensions: [aki(&key_id), number(&[0x10])].concat(),
    };
    bend(&mut parts, &key_id);
    let entries = parts.entries.map(|entries| tlv(0x30, &entries)).unwrap_or_default();
    let extensions = tlv(0xa0, &tlv(0x30, &parts.extensions));
    let tbs = padded_sequence(
        [parts.version, parts.algorithm, parts.issuer, parts.dates, entries, extensions].concat(),
    );
    let linted = list(tbs, issuer.certificate(), previous, now)?;
    // What was linted is signed, and OpenSSL reads it.
    let der = signer::list(&linted, issuer).unwrap();
    let path = pki.path("list.crl");
    std::fs::write(&path, der).unwrap();
    crate::testing::openssl(&["crl", "-inform", "DER", "-noout", "-text", "-in", path.to_str().unwrap()])
        .unwrap();
    Ok(())
}

fn broken(bend: impl FnOnce(&mut Parts, &[u8])) -> Vec<Rule> {
    let mut rules: Vec<Rule> = match outcome(None, NOW, bend) {
        Ok(()) => Vec::new(),
        Err(error) => error.findings.into_iter().map(|finding| finding.rule).collect(),
    };
    rules.dedup();
    rules
}

#[test]
fn what_is_right_is_accepted() {
    outcome(None, NOW, |_, _| {}).unwrap();
    outcome(Some(&[0x0f]), NOW, |parts, _| parts.entries = None).unwrap();
}

#[test]
fn head() {
    assert_eq!(broken(|parts, _| parts.version = tlv(0x02, &[0])), [Rule::Version]);
    assert_eq!(
        broken(|parts, _| parts.algorithm = tlv(0x30, &tlv(0x06, &[0x2a, 0x03]))),
        [Rule::SignatureAlgorithm]
    );
    assert_eq!(broken(|parts, _| *parts.issuer.last_mut().unwrap() ^= 1), [Rule::Issuer]);
}

#[test]
fn dates() {
    let dates = |first: &[u8], second: &[u8]| broken(|parts, _| parts.dates = [first, second].concat());
    let utc = |text: &[u8]| tlv(0x17, text);
    let this = utc(b"261121120000Z");
    assert_eq!(dates(&this, &[]), [Rule::Validity], "no nextUpdate");
    assert_eq!(dates(&this, &this), [Rule::Validity], "in force for no time");
    assert_eq!(dates(&utc(b"261121120200Z"), &utc(b"261128120000Z")), [Rule::Validity], "ahead of the clock");
    assert_eq!(dates(&this, &utc(b"280601120000Z")), [Rule::Validity], "in force too long");
    assert_eq!(
        dates(&tlv(0x18, b"20261121120000Z"), &utc(b"261128120000Z")),
        [Rule::Validity],
        "GeneralizedTime"
    );
    let late = outcome(None, NOW + time::Duration::days(8), |_, _| {}).unwrap_err();
    assert_eq!(late.findings[0].rule, Rule::Validity, "over already");
}

#[test]
fn entries() {
    let entries = |each: Vec<Vec<u8>>| broken(|parts, _| parts.entries = Some(each.concat()));
    assert_eq!(entries(vec![]), [Rule::Entries], "an empty list");
    assert_eq!(entries(vec![entry(&[0x12], None), entry(&[0x11], None)]), [Rule::Entries], "not sorted");
    assert_eq!(entries(vec![entry(&[0x11], None), entry(&[0x11], None)]), [Rule::Entries], "twice");
    assert_eq!(entries(vec![entry(&[0x81], None)]), [Rule::Entries], "negative");
    assert_eq!(entries(vec![entry(&[0x11; 21], None)]), [Rule::Entries], "21 octets");
    assert_eq!(entries(vec![entry(&[0x00, 0x11], None)]), [Rule::Encoding], "a leading zero");
    for code in [0, 7, 8, 11] {
        let reason = extension(REASON, &[0x0a, 1, code]);
        assert_eq!(entries(vec![entry(&[0x11], Some(reason))]), [Rule::Entries], "reason {code}");
    }
    assert_eq!(
        entries(vec![entry(&[0x11], Some(vec![]))]),
        [Rule::Entries],
        "no extensions in a list of them"
    );
    let unknown = extension(&[0x2a, 0x03], &[0x05, 0x00]);
    assert_eq!(entries(vec![entry(&[0x11], Some(unknown))]), [Rule::Entries], "unknown extension");
    let after = tlv(0x30, &[tlv(0x02, &[0x11]), tlv(0x17, b"261121120001Z")].concat());
    assert_eq!(entries(vec![after]), [Rule::Entries], "revoked after thisUpdate");
    // 0x0100 comes after 0xff although its first octet is smaller.
    outcome(None, NOW, |parts, _| {
        parts.entries = Some([entry(&[0x7f], None), entry(&[0x01, 0x00], None)].concat());
    })
    .unwrap();
}

#[test]
fn extensions() {
    assert_eq!(broken(|parts, _| parts.extensions = number(&[1])), [Rule::AuthorityKeyIdentifier]);
    assert_eq!(broken(|parts, key| parts.extensions = aki(key)), [Rule::CrlNumber]);
    assert_eq!(
        broken(|parts, _| parts.extensions = [aki(&[7; 20]), number(&[1])].concat()),
        [Rule::AuthorityKeyIdentifier]
    );
    assert_eq!(
        broken(|parts, key| parts.extensions = [aki(key), number(&[0x80])].concat()),
        [Rule::CrlNumber]
    );
    assert_eq!(
        broken(|parts, key| parts.extensions = [aki(key), number(&[1; 21])].concat()),
        [Rule::CrlNumber]
    );
    let freshest = extension(&[0x55, 0x1d, 0x2e], &[0x30, 0x00]);
    assert_eq!(broken(|parts, _| parts.extensions.extend(freshest)), [Rule::Extensions]);
    let critical = tlv(0x30, &[tlv(0x06, NUMBER), vec![1, 1, 0xff], tlv(0x04, &tlv(0x02, &[1]))].concat());
    assert_eq!(broken(|parts, key| parts.extensions = [aki(key), critical].concat()), [Rule::Extensions]);
    let explicit_false = tlv(0x30, &[tlv(0x06, NUMBER), vec![1, 1, 0], tlv(0x04, &tlv(0x02, &[1]))].concat());
    assert_eq!(broken(|parts, key| parts.extensions = [aki(key), explicit_false].concat()), [Rule::Encoding]);
}

#[test]
fn the_number_rises() {
    for (previous, rises) in
        [(&[0x0f][..], true), (&[0x10], false), (&[0x11], false), (&[0x01, 0x00], false), (&[0, 0x0f], true)]
    {
        let found = outcome(Some(previous), NOW, |_, _| {});
        assert_eq!(found.is_ok(), rises, "{previous:?}");
    }
}
