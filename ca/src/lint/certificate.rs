//! The rules for a certificate's own fields; its extensions are in `extensions`.

use std::borrow::Cow;

use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, TbsCertificate, X509Version};
use x509_parser::time::ASN1Time;

use super::{
    Findings, ForCertificate, LintError, Linted, Rule, extensions, form, signature_algorithm, unreadable,
};
use crate::cert::{Fields, KeyError, KeyId, PublicKey, date};
use crate::issuer::IssuerCertificate;
use crate::profile::ProfileKind;
use crate::template::{Tbs, Template};

/// Checks every rule on the bytes, against what was asked for in `asked`.
pub fn certificate(
    tbs: Tbs,
    asked: &Template<'_>,
    now: OffsetDateTime,
) -> Result<Linted<ForCertificate>, LintError> {
    let der = tbs.der();
    let mut findings = Findings::default();
    // A second reader, strict about the form.
    let algorithm = form::read(der, &mut findings)?;
    let (rest, parsed) = TbsCertificate::from_der(der).map_err(|e| unreadable(e.to_string()))?;
    findings.demand(Rule::Encoding, rest.is_empty(), || format!("{} octets too many", rest.len()));

    let signer = asked.issuer.map_or(asked.public_key, IssuerCertificate::public_key);
    version(&mut findings, &parsed);
    serial(&mut findings, &parsed, asked);
    let expected = signature_algorithm(signer.key_type());
    findings.demand(Rule::SignatureAlgorithm, algorithm == expected, || {
        format!("{} is not what a {} key signs with", hex::encode(algorithm), signer.key_type())
    });
    issuer(&mut findings, &parsed, asked);
    validity(&mut findings, &parsed, asked, now);
    subject(&mut findings, &parsed, asked);
    public_key(&mut findings, &parsed, asked);
    extensions::check(&mut findings, &parsed, asked);
    findings.into_result()?;
    let read =
        Fields::of_tbs(&parsed, Some(asked.public_key)).map_err(|error| unreadable(error.to_string()))?;
    Ok(Linted::new(tbs.into_der(), signer, ForCertificate(read)))
}

fn version(findings: &mut Findings, parsed: &TbsCertificate<'_>) {
    findings.demand(Rule::Version, parsed.version == X509Version::V3, || format!("{}", parsed.version));
    // RFC 5280 §4.1.2.8: conforming CAs do not generate unique identifiers.
    let unique = parsed.issuer_uid.is_some() || parsed.subject_uid.is_some();
    findings.demand(Rule::Version, !unique, || "it has a unique identifier".to_owned());
}

/// Positive, 20 octets, its first hex digit from 4 to 7, so that its length never varies and its sign never shows.
fn serial(findings: &mut Findings, parsed: &TbsCertificate<'_>, asked: &Template<'_>) {
    let raw = parsed.raw_serial();
    let first = raw.first().copied().unwrap_or_default();
    findings.demand(Rule::Serial, raw.len() == 20, || format!("{} octets instead of 20", raw.len()));
    findings.demand(Rule::Serial, (0x40..=0x7f).contains(&first), || format!("it begins with {first:02x}"));
    findings.demand(Rule::Serial, raw == asked.serial.as_bytes(), || {
        format!("{} instead of {}", hex::encode(raw), asked.serial)
    });
}

fn issuer(findings: &mut Findings, parsed: &TbsCertificate<'_>, asked: &Template<'_>) {
    let found = parsed.issuer.as_raw();
    let expected = match asked.issuer {
        Some(issuer) => issuer.certificate().subject_raw(),
        None => parsed.subject.as_raw(),
    };
    findings.demand(Rule::Issuer, found == expected, || "not the issuer's subject, byte for byte".to_owned());
    findings.demand(Rule::Issuer, found != [0x30, 0x00], || "it is empty".to_owned());
    let self_issued = found == parsed.subject.as_raw();
    findings.demand(Rule::Issuer, self_issued == asked.issuer.is_none(), || match asked.issuer {
        // RFC 5280 §6.1: a path builder could take it for a key change of the issuer itself.
        Some(_) => "the subject bears its issuer's name".to_owned(),
        None => "a self-signed certificate under another's name".to_owned(),
    });
}

fn validity(findings: &mut Findings, parsed: &TbsCertificate<'_>, asked: &Template<'_>, now: OffsetDateTime) {
    let (from, to) = (parsed.validity.not_before, parsed.validity.not_after);
    for (found, name, expected) in
        [(from, "notBefore", asked.validity.not_before), (to, "notAfter", asked.validity.not_after)]
    {
        form(findings, found, name);
        let found = found.to_datetime();
        findings.demand(Rule::Validity, found == expected, || {
            format!("{name} is {}, not {}", date(found), date(expected))
        });
    }
    let (from, to) = (from.to_datetime(), to.to_datetime());
    findings.demand(Rule::Validity, from < to, || "it ends before it begins".to_owned());
    findings.demand(Rule::Validity, from <= now && now <= to, || format!("not in force at {}", date(now)));
    let kind = asked.profile.kind();
    let (limit, why) = kind.limit();
    // Both ends count: BR 6.3.2's "extra second".
    let length = to - from + time::Duration::SECOND;
    findings.demand(Rule::Validity, length <= time::Duration::days(i64::from(limit)), || {
        format!("{} days are more than the {limit} of a {kind} certificate: {why}", length.whole_days())
    });
    if let Some(issuer) = asked.issuer.map(IssuerCertificate::validity) {
        findings.demand(Rule::ChildInParent, issuer.not_before <= from && to <= issuer.not_after, || {
            format!("its issuer is valid from {} to {} only", date(issuer.not_before), date(issuer.not_after))
        });
    }
}

/// UTCTime through 2049, GeneralizedTime from 2050 on; both in seconds and Zulu, as the parsers demand.
fn form(findings: &mut Findings, date: ASN1Time, name: &str) {
    let right = if date.to_datetime().year() < 2050 { date.is_utctime() } else { date.is_generalizedtime() };
    findings.demand(Rule::Validity, right, || format!("{name} has the wrong form for its year"));
}

fn subject(findings: &mut Findings, parsed: &TbsCertificate<'_>, asked: &Template<'_>) {
    use x509_parser::oid_registry::{OID_X509_COMMON_NAME, OID_X509_ORGANIZATION_NAME};
    let mut expected = Vec::new();
    if let Some(organization) = asked.subject.organization() {
        expected.push((OID_X509_ORGANIZATION_NAME, organization.as_str().to_owned()));
    }
    if let Some(common_name) = asked.subject.common_name() {
        expected.push((OID_X509_COMMON_NAME, common_name.as_str().to_owned()));
    }
    let mut found = Vec::new();
    for rdn in parsed.subject.iter() {
        let attributes: Vec<_> = rdn.iter().collect();
        findings.demand(Rule::Subject, attributes.len() == 1, || "a part has several values".to_owned());
        for attribute in attributes {
            let value = attribute.as_str().unwrap_or_default();
            // ub-common-name, ub-organization-name: RFC 5280 appendix A.1.
            let length = value.chars().count();
            findings.demand(Rule::Subject, (1..=64).contains(&length), || {
                format!("a value of {length} characters")
            });
            found.push((attribute.attr_type().to_owned(), value.to_owned()));
        }
    }
    findings
        .demand(Rule::Subject, found == expected, || format!("{} is not what was asked for", parsed.subject));
    let kind = asked.profile.kind();
    findings.demand(Rule::Subject, !(kind.is_authority() && found.is_empty()), || {
        "an authority without a name".to_owned()
    });
    match kind {
        ProfileKind::Root | ProfileKind::Issuing | ProfileKind::Server => {}
        ProfileKind::Client => findings.demand(Rule::Subject, asked.subject.common_name().is_some(), || {
            "a client without a common name".to_owned()
        }),
    }
}

fn public_key(findings: &mut Findings, parsed: &TbsCertificate<'_>, asked: &Template<'_>) {
    let raw = parsed.subject_pki.raw;
    findings
        .demand(Rule::PublicKey, raw == asked.public_key.spki_der(), || "not the key asked for".to_owned());
    match read_key(parsed, asked) {
        Err(error) => findings.add(Rule::PublicKey, error.to_string()),
        Ok(key) => {
            if let Err(weak) = key.check_strength() {
                findings.add(Rule::KeyStrength, weak.to_string());
            }
        }
    }
}

/// The key in the bytes. One that is, byte for byte, the key that was asked for was read when that was:
/// whether a point is on its curve is not asked again.
fn read_key<'a>(parsed: &TbsCertificate<'_>, asked: &Template<'a>) -> Result<Cow<'a, PublicKey>, KeyError> {
    let raw = parsed.subject_pki.raw;
    if raw == asked.public_key.spki_der() {
        return Ok(Cow::Borrowed(asked.public_key));
    }
    PublicKey::from_spki(raw).map(Cow::Owned)
}

/// The identifier that follows from the key in the bytes (RFC 7093 §2 method 1), if it is one.
pub(super) fn key_id(parsed: &TbsCertificate<'_>, asked: &Template<'_>) -> Option<KeyId> {
    read_key(parsed, asked).ok().map(|key| key.key_id())
}
