//! Judges a certificate as our own service would: path, dates, purpose, revocation, inventory.

use ca::authority;
use ca::cert::{Certificate, Fingerprint, PathError, Purpose, verify_path};
use ca::inventory;
use ca::keyring::issuer_certificate;
use ca::records::AuthorityState;
use time::OffsetDateTime;

use super::{Check, Verdict, Verify};
use crate::Pki;
use crate::ops::Error;
use crate::ops::issue::ProfileName;

pub(super) fn verify(request: &Verify, pki: &Pki, now: OffsetDateTime) -> Result<Verdict, Error> {
    let bundle = Certificate::pem_bundle(request.pem.as_bytes()).map_err(ca::Error::from)?;
    let (leaf, given) = bundle
        .split_first()
        .ok_or_else(|| Error::Word { word: String::new(), expected: "a certificate in PEM" })?;
    let mut anchors = Vec::new();
    let mut intermediates = given.to_vec();
    for record in authority::list(pki.store())?.iter().filter(|record| record.certificate.is_some()) {
        let authority = issuer_certificate(record).map_err(ca::Error::from)?.certificate().clone();
        match record.role.is_root() {
            true => anchors.push(authority),
            false if record.state == AuthorityState::AwaitingCertificate => {}
            false => intermediates.push(authority),
        }
    }
    let purpose = match request.purpose {
        None => Purpose::Any,
        Some(ProfileName::Client) => Purpose::Client,
        Some(ProfileName::Server) => Purpose::Server,
    };
    let mut checks = Vec::new();
    match verify_path(leaf, &intermediates, &anchors, purpose, now) {
        Ok(path) => {
            let names: Vec<String> = path.iter().map(Certificate::subject_display).collect();
            checks.push(passed("chain", names.join(" < ")));
            let first_end = path.iter().map(Certificate::not_after).min().unwrap_or(now);
            checks.push(passed(
                "dates",
                format!("in date, the first of the path ends on {}", first_end.date()),
            ));
            checks.push(passed("purpose", describe(request.purpose).to_owned()));
            checks.push(revocation(pki, &path)?);
        }
        Err(error) => {
            let name = match &error {
                PathError::Expired { .. } | PathError::NotYetValid { .. } => "dates",
                PathError::IsAuthority { .. }
                | PathError::KeyUsage { .. }
                | PathError::WrongPurpose { .. } => "purpose",
                _ => "chain",
            };
            checks.push(Check { name: name.to_owned(), passed: false, detail: error.to_string() });
            checks.push(revocation_alone(pki, leaf)?);
        }
    }
    checks.push(match inventory::by_fingerprint(pki.store(), &Fingerprint::of(leaf.der()))? {
        Some(found) => passed("inventory", format!("issued as {}", ca::cert::printable(&found.record.name))),
        // Our signature is what counts; a certificate that was issued before an adoption is not listed.
        None => passed("inventory", "not in the inventory".to_owned()),
    });
    Ok(Verdict { valid: checks.iter().all(|check| check.passed), checks })
}

fn describe(purpose: Option<ProfileName>) -> &'static str {
    match purpose {
        None => "a client's or a server's certificate",
        Some(ProfileName::Client) => "a client's certificate",
        Some(ProfileName::Server) => "a server's certificate",
    }
}

/// Whether anything in a path is revoked; each certificate by the one above it.
fn revocation(pki: &Pki, path: &[Certificate]) -> Result<Check, Error> {
    for pair in path.windows(2) {
        let [certificate, issuer] = pair else { continue };
        if let Some(revocation) = pki.revoked().find(&issuer.key_id(), &certificate.serial())? {
            let detail = format!("{} is revoked ({})", certificate.subject_display(), revocation.reason);
            return Ok(Check { name: "revocation".to_owned(), passed: false, detail });
        }
    }
    Ok(passed("revocation", "nothing in the path is revoked".to_owned()))
}

/// The same for a certificate without a path: it may still be one of ours.
fn revocation_alone(pki: &Pki, leaf: &Certificate) -> Result<Check, Error> {
    for record in authority::list(pki.store())? {
        let found = pki.revoked().find(&record.key_id, &leaf.serial())?;
        if let Some(revocation) = found.filter(|_| leaf.authority_key_id() == Some(record.key_id.as_bytes()))
        {
            let detail = format!("{} is revoked ({})", leaf.subject_display(), revocation.reason);
            return Ok(Check { name: "revocation".to_owned(), passed: false, detail });
        }
    }
    Ok(passed("revocation", "not revoked by any of our authorities".to_owned()))
}

fn passed(name: &str, detail: String) -> Check {
    Check { name: name.to_owned(), passed: true, detail }
}
