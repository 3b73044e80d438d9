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
            checks.push(chain(&path));
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
            let own: Vec<Certificate> = own_authorities(pki)?;
            let signer = own.iter().find(|authority| leaf.verify_signed_by(authority).is_ok());
            let kept = match name {
                "chain" => None,
                _ => path_at_any_time(leaf, &intermediates, &anchors, now),
            };
            match (kept, signer) {
                (Some(path), _) => {
                    checks.push(chain(&path));
                    checks.push(failed(name, error.to_string()));
                    checks.push(revocation(pki, &path)?);
                }
                (None, Some(signer)) => {
                    if name != "chain" {
                        checks.push(chain(&[leaf.clone(), signer.clone()]));
                    }
                    checks.push(failed(name, error.to_string()));
                    checks.push(revocation_alone(pki, leaf)?);
                }
                (None, None) => {
                    let issuer = leaf.issuer_display();
                    let detail = format!("no authority of ours signed it (its issuer is {issuer})");
                    checks.push(failed("chain", detail));
                    checks.push(failed("revocation", "not ours: no list of ours could tell".to_owned()));
                    checks.push(failed("inventory", "not ours".to_owned()));
                    return Ok(Verdict { valid: false, checks });
                }
            }
        }
    }
    checks.push(match inventory::by_fingerprint(pki.store(), &Fingerprint::of(leaf.der()))? {
        Some(found) => passed("inventory", format!("issued as {}", ca::cert::printable(&found.record.name))),
        // Our signature is what counts; a certificate that was issued before an adoption is not listed.
        None => passed("inventory", "not in the inventory".to_owned()),
    });
    Ok(Verdict { valid: checks.iter().all(|check| check.passed), checks })
}

/// Every authority that has a certificate, whatever its state.
fn own_authorities(pki: &Pki) -> Result<Vec<Certificate>, Error> {
    let mut found = Vec::new();
    for record in authority::list(pki.store())?.iter().filter(|record| record.certificate.is_some()) {
        found.push(issuer_certificate(record).map_err(ca::Error::from)?.certificate().clone());
    }
    Ok(found)
}

/// The path as it is, or was, or will be: who signed it is worth telling even if it may not be used now.
fn path_at_any_time(
    leaf: &Certificate,
    intermediates: &[Certificate],
    anchors: &[Certificate],
    now: OffsetDateTime,
) -> Option<Vec<Certificate>> {
    let (first, last) = (leaf.not_before(), leaf.not_after());
    let nearest = now.max(first).min(last);
    [nearest, first]
        .into_iter()
        .find_map(|moment| verify_path(leaf, intermediates, anchors, Purpose::Any, moment).ok())
}

fn chain(path: &[Certificate]) -> Check {
    let names: Vec<String> = path.iter().map(Certificate::subject_display).collect();
    passed("chain", names.join(" < "))
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
            return Ok(failed("revocation", detail));
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
            return Ok(failed("revocation", detail));
        }
    }
    Ok(passed("revocation", "not revoked by any of our authorities".to_owned()))
}

fn passed(name: &str, detail: String) -> Check {
    Check { name: name.to_owned(), passed: true, detail }
}

fn failed(name: &str, detail: String) -> Check {
    Check { name: name.to_owned(), passed: false, detail }
}

#[cfg(test)]
mod tests {
    use trust::Presented;

    use super::*;
    use crate::testing::{at, issue, made};

    fn rows(pki: &Pki, pem: &str, purpose: Option<ProfileName>, moment: i64) -> Vec<(String, bool, String)> {
        let request = Verify { pem: pem.to_owned(), purpose };
        let verdict = pki.run(request, &Presented::InProcess, at(moment)).unwrap();
        assert_eq!(verdict.valid, verdict.checks.iter().all(|check| check.passed));
        verdict.checks.into_iter().map(|check| (check.name, check.passed, check.detail)).collect()
    }

    #[test]
    fn the_chain_is_told_even_if_the_certificate_may_not_be_used() {
        let dir = tempfile::tempdir().unwrap();
        let pki = made(&dir.path().join("pki"));
        let pem = issue(&pki, "web-1").pem;
        let year = 400 * 86_400;
        for (purpose, moment, name) in [(Some(ProfileName::Server), 20, "purpose"), (None, year, "dates")] {
            let rows = rows(&pki, &pem, purpose, moment);
            assert_eq!((rows[0].0.as_str(), rows[0].1), ("chain", true), "{rows:?}");
            assert_eq!(rows[0].2.matches(" < ").count(), 2, "{rows:?}");
            assert_eq!((rows[1].0.as_str(), rows[1].1), (name, false), "{rows:?}");
        }
    }

    #[test]
    fn nothing_about_a_foreign_certificate_sounds_like_a_pass() {
        let dir = tempfile::tempdir().unwrap();
        let pki = made(&dir.path().join("pki"));
        let foreign = issue(&made(&dir.path().join("other")), "web-1").pem;
        let rows = rows(&pki, &foreign, None, 20);
        assert_eq!(rows.len(), 3);
        assert!(rows.iter().all(|(_, passed, _)| !passed), "{rows:?}");
        assert!(rows[0].2.starts_with("no authority of ours signed it"), "{rows:?}");
    }
}
