//! The rules for a certificate's extensions: each known, each once, each exactly what the profile says.

use x509_parser::extensions::{
    AuthorityInfoAccess, AuthorityKeyIdentifier, BasicConstraints, CRLDistributionPoints,
    DistributionPointName, ExtendedKeyUsage, GeneralName, KeyUsage, ParsedExtension, X509Extension,
};
use x509_parser::oid_registry::OID_PKIX_ACCESS_DESCRIPTOR_CA_ISSUERS;
use x509_parser::prelude::TbsCertificate;

use super::{Findings, Rule, certificate, names};
use crate::constraints::NameConstraints;
use crate::profile::ProfileKind;
use crate::template::Template;

/// The extensions we know, as they were found.
#[derive(Default)]
struct Found<'a> {
    authority_key: Option<&'a AuthorityKeyIdentifier<'a>>,
    subject_key: Option<&'a [u8]>,
    key_usage: Option<&'a KeyUsage>,
    extended_key_usage: Option<&'a ExtendedKeyUsage<'a>>,
    basic_constraints: Option<&'a BasicConstraints>,
    alternative_names: Option<&'a [GeneralName<'a>]>,
    name_constraints: Option<&'a x509_parser::extensions::NameConstraints<'a>>,
    distribution_points: Option<&'a CRLDistributionPoints<'a>>,
    issuer_access: Option<&'a AuthorityInfoAccess<'a>>,
}

/// Checks all extensions.
pub(super) fn check(findings: &mut Findings, parsed: &TbsCertificate<'_>, asked: &Template<'_>) {
    let found = collect(findings, parsed, asked);
    key_usage(findings, found.key_usage, asked);
    extended_key_usage(findings, found.extended_key_usage, asked);
    basic_constraints(findings, found.basic_constraints, asked);
    identifiers(findings, &found, parsed, asked);
    distribution(findings, &found, asked);
    name_constraints(findings, found.name_constraints, asked);
    names::check(findings, found.alternative_names, asked);
}

fn collect<'a>(findings: &mut Findings, parsed: &'a TbsCertificate<'a>, asked: &Template<'_>) -> Found<'a> {
    let mut found = Found::default();
    let subject_is_empty = parsed.subject.iter().next().is_none();
    for extension in parsed.extensions() {
        let critical = match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(value) => {
                once(findings, &mut found.authority_key, value, extension);
                false
            }
            ParsedExtension::SubjectKeyIdentifier(value) => {
                once(findings, &mut found.subject_key, value.0, extension);
                false
            }
            ParsedExtension::KeyUsage(value) => {
                once(findings, &mut found.key_usage, value, extension);
                true
            }
            ParsedExtension::ExtendedKeyUsage(value) => {
                once(findings, &mut found.extended_key_usage, value, extension);
                false
            }
            ParsedExtension::BasicConstraints(value) => {
                once(findings, &mut found.basic_constraints, value, extension);
                true
            }
            ParsedExtension::SubjectAlternativeName(value) => {
                once(findings, &mut found.alternative_names, value.general_names.as_slice(), extension);
                subject_is_empty
            }
            ParsedExtension::NameConstraints(value) => {
                once(findings, &mut found.name_constraints, value, extension);
                true
            }
            ParsedExtension::CRLDistributionPoints(value) => {
                once(findings, &mut found.distribution_points, value, extension);
                false
            }
            ParsedExtension::AuthorityInfoAccess(value) => {
                once(findings, &mut found.issuer_access, value, extension);
                false
            }
            // Whatever else the parser may know: a profile of ours has no use for it.
            _ => {
                let kind = asked.profile.kind();
                findings
                    .add(Rule::Extensions, format!("{} has no place in a {kind} certificate", extension.oid));
                continue;
            }
        };
        findings.demand(Rule::Extensions, extension.critical == critical, || {
            let must = if critical { "must" } else { "must not" };
            format!("{} {must} be critical", extension.oid)
        });
    }
    found
}

fn once<T>(findings: &mut Findings, place: &mut Option<T>, value: T, extension: &X509Extension<'_>) {
    findings.demand(Rule::Extensions, place.is_none(), || format!("{} stands there twice", extension.oid));
    *place = Some(value);
}

/// Bits as RFC 5280 §4.2.1.3 counts them, digitalSignature being 0.
fn key_usage(findings: &mut Findings, found: Option<&KeyUsage>, asked: &Template<'_>) {
    const DIGITAL_SIGNATURE: u16 = 1 << 0;
    const KEY_ENCIPHERMENT: u16 = 1 << 2;
    const KEY_CERT_SIGN: u16 = 1 << 5;
    const CRL_SIGN: u16 = 1 << 6;
    let rsa = asked.public_key.key_type().is_rsa();
    let expected = match asked.profile.kind() {
        ProfileKind::Root | ProfileKind::Issuing => KEY_CERT_SIGN | CRL_SIGN,
        ProfileKind::Server if rsa => DIGITAL_SIGNATURE | KEY_ENCIPHERMENT,
        ProfileKind::Client | ProfileKind::Server => DIGITAL_SIGNATURE,
    };
    let found = found.map(|usage| usage.flags);
    findings.demand(Rule::KeyUsage, found == Some(expected), || match found {
        Some(found) => format!("bits {found:#011b} instead of {expected:#011b}"),
        None => "absent".to_owned(),
    });
}

fn extended_key_usage(findings: &mut Findings, found: Option<&ExtendedKeyUsage<'_>>, asked: &Template<'_>) {
    let (client, server) = match asked.profile.kind() {
        ProfileKind::Client => (true, false),
        ProfileKind::Server => (false, true),
        ProfileKind::Root | ProfileKind::Issuing => {
            return findings
                .demand(Rule::ExtendedKeyUsage, found.is_none(), || "an authority has one".to_owned());
        }
    };
    let Some(usage) = found else {
        return findings.add(Rule::ExtendedKeyUsage, "absent");
    };
    let right = usage.client_auth == client && usage.server_auth == server;
    findings.demand(Rule::ExtendedKeyUsage, right, || "not the purpose of the profile".to_owned());
    findings.demand(Rule::ExtendedKeyUsage, !usage.any, || "anyExtendedKeyUsage".to_owned());
    let more = usage.code_signing
        || usage.email_protection
        || usage.time_stamping
        || usage.ocsp_signing
        || !usage.other.is_empty();
    findings.demand(Rule::ExtendedKeyUsage, !more, || "more purposes than the profile's".to_owned());
}

fn basic_constraints(findings: &mut Findings, found: Option<&BasicConstraints>, asked: &Template<'_>) {
    let found = found.map(|constraints| (constraints.ca, constraints.path_len_constraint));
    let right = match asked.profile.kind() {
        ProfileKind::Root => found == Some((true, None)),
        ProfileKind::Issuing => found == Some((true, Some(0))),
        ProfileKind::Client | ProfileKind::Server => found == Some((false, None)),
    };
    findings.demand(Rule::BasicConstraints, right, || match found {
        Some((ca, path)) => format!("cA {ca}, pathLenConstraint {path:?} in a {}", asked.profile.kind()),
        None => "absent".to_owned(),
    });
    let authority_below = asked.profile.kind() == ProfileKind::Issuing;
    let exhausted = asked.issuer.is_some_and(|issuer| issuer.path_length() == Some(0));
    findings.demand(Rule::BasicConstraints, !(authority_below && exhausted), || {
        "its issuer may not have authorities below it".to_owned()
    });
}

fn identifiers(
    findings: &mut Findings,
    found: &Found<'_>,
    parsed: &TbsCertificate<'_>,
    asked: &Template<'_>,
) {
    let computed = certificate::key_id(parsed, asked);
    let subject_key = found.subject_key.unwrap_or_default();
    let right = computed.is_some_and(|computed| subject_key == computed.as_bytes());
    findings.demand(Rule::SubjectKeyIdentifier, right, || {
        format!("{:?} does not follow from the key", hex::encode(subject_key))
    });
    match (asked.issuer, found.authority_key) {
        (Some(issuer), Some(authority)) => {
            let key = authority.key_identifier.as_ref().map(|id| id.0).unwrap_or_default();
            findings.demand(Rule::AuthorityKeyIdentifier, key == issuer.key_identifier(), || {
                format!(
                    "{:?} is not the issuer's {:?}",
                    hex::encode(key),
                    hex::encode(issuer.key_identifier())
                )
            });
            let more = authority.authority_cert_issuer.is_some() || authority.authority_cert_serial.is_some();
            findings.demand(Rule::AuthorityKeyIdentifier, !more, || {
                "it names the issuer's certificate, which may be replaced".to_owned()
            });
        }
        (Some(_), None) => findings.add(Rule::AuthorityKeyIdentifier, "absent"),
        (None, Some(_)) => findings.add(Rule::AuthorityKeyIdentifier, "a self-signed certificate has one"),
        (None, None) => {}
    }
}

fn distribution(findings: &mut Findings, found: &Found<'_>, asked: &Template<'_>) {
    let issuer = asked.issuer.map(|issuer| issuer.key_id());
    let crl_url = issuer.as_ref().and_then(|issuer| asked.distribution.crl_url(issuer));
    let points = found.distribution_points.map(|points| points.points.as_slice());
    let point = match points {
        None => Ok(None),
        Some([point]) if point.reasons.is_none() && point.crl_issuer.is_none() => {
            match &point.distribution_point {
                Some(DistributionPointName::FullName(names)) => match names.as_slice() {
                    [GeneralName::URI(uri)] => Ok(Some(*uri)),
                    _ => Err("not exactly one URI"),
                },
                Some(DistributionPointName::NameRelativeToCRLIssuer(_)) | None => Err("no full name"),
            }
        }
        // webpki before 0.103.10 looked at the first alone (RUSTSEC-2026-0049).
        Some(_) => Err("not exactly one plain distribution point"),
    };
    match point {
        Err(detail) => findings.add(Rule::DistributionPoint, detail),
        Ok(found) => findings.demand(Rule::DistributionPoint, found == crl_url.as_deref(), || {
            format!("{found:?} instead of {crl_url:?}")
        }),
    }
    let issuer_url = issuer.as_ref().and_then(|issuer| asked.distribution.issuer_url(issuer));
    let access = found.issuer_access.map(|access| access.accessdescs.as_slice());
    let location = match access {
        None => Ok(None),
        Some([one]) if one.access_method == OID_PKIX_ACCESS_DESCRIPTOR_CA_ISSUERS => {
            match &one.access_location {
                GeneralName::URI(uri) => Ok(Some(*uri)),
                _ => Err("not a URI"),
            }
        }
        Some(_) => Err("not exactly one caIssuers"),
    };
    match location {
        Err(detail) => findings.add(Rule::AuthorityInfoAccess, detail),
        Ok(found) => findings.demand(Rule::AuthorityInfoAccess, found == issuer_url.as_deref(), || {
            format!("{found:?} instead of {issuer_url:?}")
        }),
    }
}

fn name_constraints(
    findings: &mut Findings,
    found: Option<&x509_parser::extensions::NameConstraints<'_>>,
    asked: &Template<'_>,
) {
    let leaf = !asked.profile.kind().is_authority();
    findings.demand(Rule::NameConstraints, !(leaf && found.is_some()), || {
        "in an end-entity certificate".to_owned()
    });
    match NameConstraints::from_extension(found) {
        Err(error) => findings.add(Rule::NameConstraints, error.to_string()),
        Ok(found) => findings.demand(Rule::NameConstraints, found == *asked.constraints, || {
            format!("{found} instead of {}", asked.constraints)
        }),
    }
}
