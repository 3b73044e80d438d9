//! The rules for alternative names: those asked for and no others, each of a kind the profile has a use
//! for, each within what the issuer is held to.

use std::net::IpAddr;

use x509_parser::extensions::GeneralName;

use super::{Findings, Rule};
use crate::cert::{DnsName, SubjectAltName};
use crate::issuer::IssuerCertificate;
use crate::profile::ProfileKind;
use crate::subject::fits;
use crate::template::Template;

pub(super) fn check(findings: &mut Findings, found: Option<&[GeneralName<'_>]>, asked: &Template<'_>) {
    let kind = asked.profile.kind();
    findings.demand(Rule::SubjectAltName, found != Some(&[]), || "an empty list".to_owned());
    let mut names = Vec::new();
    for name in found.unwrap_or_default() {
        match read(name) {
            Ok(name) => names.push(name),
            Err(detail) => findings.add(Rule::SubjectAltName, detail),
        }
    }
    findings.demand(Rule::SubjectAltName, names == asked.subject.names(), || {
        let list: Vec<String> = names.iter().map(SubjectAltName::to_string).collect();
        format!("{list:?} are not the names asked for")
    });
    for (at, name) in names.iter().enumerate() {
        findings.demand(Rule::SubjectAltName, fits(kind, name), || format!("{name} in a {kind} certificate"));
        let twice = names.iter().take(at).any(|earlier| earlier == name);
        findings.demand(Rule::SubjectAltName, !twice, || format!("{name} stands there twice"));
    }
    match kind {
        ProfileKind::Root | ProfileKind::Issuing | ProfileKind::Client => {}
        ProfileKind::Server => server(findings, &names, asked),
    }
    if let Some(issuer) = asked.issuer {
        within(findings, &names, issuer, asked);
    }
}

/// A verifier looks here alone (RFC 9525 §2); a common name that is not here would mislead a reader.
fn server(findings: &mut Findings, names: &[SubjectAltName], asked: &Template<'_>) {
    findings.demand(Rule::SubjectAltName, !names.is_empty(), || "a server without a name".to_owned());
    if let Some(common_name) = asked.subject.common_name() {
        let repeats = names.iter().any(|name| match name {
            SubjectAltName::Dns(dns) => dns.as_str() == common_name.as_str(),
            SubjectAltName::Ip(ip) => ip.to_string() == common_name.as_str(),
            SubjectAltName::Email(_) | SubjectAltName::Uri(_) => false,
        });
        findings
            .demand(Rule::Subject, repeats, || format!("{common_name} is not among the alternative names"));
    }
}

fn within(
    findings: &mut Findings,
    names: &[SubjectAltName],
    issuer: &IssuerCertificate,
    asked: &Template<'_>,
) {
    let constraints = issuer.constraints();
    for name in names {
        findings.demand(Rule::NameConstraints, constraints.permits(name), || {
            format!("{name} is outside what the issuer may sign: {constraints}")
        });
    }
    // OpenSSL holds a common name that looks like a host to the constraints where no DNS name stands
    // beside it (NAME_CONSTRAINTS_check_CN); so must we, or it would refuse what we issued.
    let has_dns = names.iter().any(|name| matches!(name, SubjectAltName::Dns(_)));
    if let Some(common_name) = asked.subject.common_name().filter(|_| !has_dns) {
        let host = common_name.as_str().parse::<DnsName>().ok().filter(|name| name.as_str().contains('.'));
        let permitted = host.is_none_or(|host| constraints.permits_dns(host.as_str()));
        findings.demand(Rule::NameConstraints, permitted, || {
            format!("the common name {common_name} is outside what the issuer may sign: {constraints}")
        });
    }
}

/// Reads a name back, and refuses one that our own names would not have written so.
fn read(name: &GeneralName<'_>) -> Result<SubjectAltName, String> {
    let text = match name {
        GeneralName::DNSName(text) => format!("dns:{text}"),
        GeneralName::RFC822Name(text) => format!("email:{text}"),
        GeneralName::URI(text) => format!("uri:{text}"),
        GeneralName::IPAddress(octets) => {
            let ip = match (<[u8; 4]>::try_from(*octets), <[u8; 16]>::try_from(*octets)) {
                (Ok(four), _) => IpAddr::from(four),
                (_, Ok(sixteen)) => IpAddr::from(sixteen),
                (Err(_), Err(_)) => return Err(format!("an address of {} octets", octets.len())),
            };
            return Ok(SubjectAltName::Ip(ip));
        }
        GeneralName::OtherName(..)
        | GeneralName::X400Address(_)
        | GeneralName::DirectoryName(_)
        | GeneralName::EDIPartyName(_)
        | GeneralName::RegisteredID(_)
        | GeneralName::Invalid(..) => return Err(format!("{name} is of a kind that we never certify")),
    };
    let read = text.parse::<SubjectAltName>().map_err(|error| format!("{text:?}: {error}"))?;
    if read.to_string() == text { Ok(read) } else { Err(format!("{text:?} is not in its normal form")) }
}
