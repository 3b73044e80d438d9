//! The authorities, their keys and lists, and the certificates the PKI issues to itself.

use ca::authority::Current;
use ca::cert::Certificate;
use ca::keyring::issuer_certificate;
use ca::profile::Validity;
use ca::records::{AuthorityRecord, AuthorityState, KeyPlace};
use ca::renew;
use time::{Duration, OffsetDateTime};

use super::{Finding, Severity, finding, ok};
use crate::Pki;
use crate::ops::{Error, shape};
use crate::own::{self, Own};

/// How long before the end of an authority it is an error not to have another.
const LAST_CALL: Duration = Duration::days(30);
/// How long before the end of a list that is signed by hand a warning is due.
const ROOT_LIST_AHEAD: Duration = Duration::days(60);

/// Whether the root's key is where it should be; `None` where it is lost, which [`super::keys`] tells.
pub(super) fn root_key(pki: &Pki) -> Result<Option<Finding>, Error> {
    let current = Current::load(pki.store())?;
    let root = &current.root.record;
    if !matches!(root.key, KeyPlace::Elsewhere { .. }) && !pki.keyring().path(root).exists() {
        return Ok(None);
    }
    Ok(Some(match (&root.key, current.pair.record.issuing == root.key_id) {
        (_, true) => finding(
            Severity::Note,
            "root-key",
            "the root signs end-entity certificates itself: it can't be taken offline",
            "pki ca rotate puts an issuing CA below it",
        ),
        (KeyPlace::Elsewhere { .. }, false) => ok("root-key", "the root's key is not here"),
        (KeyPlace::Here | KeyPlace::HereEncrypted, false) => finding(
            Severity::Note,
            "root-key",
            "the root's key lies beside the issuing CA's: whoever takes one takes both, so two tiers protect little",
            "pki ca root-offline --out /mnt/usb/root.key moves it away",
        ),
    }))
}

/// Whether an authority's end comes near.
pub(super) fn expiries(pki: &Pki, now: OffsetDateTime) -> Result<Vec<Finding>, Error> {
    let mut findings = Vec::new();
    for record in shape::records(pki)? {
        match record.state {
            AuthorityState::Current => {}
            AuthorityState::AwaitingCertificate => findings.push(finding(
                Severity::Note,
                "authorities",
                format!("authority {} waits for its certificate", record.key_id),
                "pki ca install FILE, once the root has signed it",
            )),
            AuthorityState::Retired | AuthorityState::Revoked => continue,
        }
        if record.certificate.is_some() {
            let issuer = issuer_certificate(&record).map_err(ca::Error::from)?;
            findings.push(expiry(&record, issuer.certificate(), now));
        }
    }
    Ok(findings)
}

fn expiry(record: &AuthorityRecord, certificate: &Certificate, now: OffsetDateTime) -> Finding {
    let role = record.role.as_str();
    let ends = certificate.not_after();
    let hint = match record.role.is_root() {
        true => "a new root has to reach every client: begin in time, with `pki init` in another directory",
        false => "pki ca rotate",
    };
    let validity = Validity { not_before: certificate.not_before(), not_after: ends };
    let message = format!("the {role} CA {} ends on {}", certificate.subject_display(), ends.date());
    let severity = match () {
        () if now > ends - LAST_CALL => Severity::Error,
        () if now > renew::due_at(validity) => Severity::Warning,
        () => return ok("authorities", message),
    };
    finding(severity, "authorities", message, hint)
}

/// How old the lists are, and whether each is there.
pub(super) fn lists(pki: &Pki, now: OffsetDateTime) -> Result<Vec<Finding>, Error> {
    let lists = pki.publisher().lists(now)?;
    let mut findings = Vec::new();
    for record in shape::records(pki)? {
        let list = lists.iter().find(|list| list.issuer == record.key_id);
        let elsewhere = matches!(record.key, KeyPlace::Elsewhere { .. });
        let hint = match (record.role.is_root(), elsewhere) {
            (true, true) => "pki crl publish --root --root-key FILE",
            (true, false) => "pki crl publish --root",
            (false, _) => "pki crl publish",
        };
        let name = format!("the {} CA's list ({})", record.role.as_str(), record.key_id);
        findings.push(match list {
            None if record.state == AuthorityState::Current => {
                finding(Severity::Error, "lists", format!("{name} is missing"), hint)
            }
            None => continue,
            Some(list) if now >= list.next_update => {
                let message = format!("{name} has expired on {}", list.next_update.date());
                finding(Severity::Error, "lists", message, hint)
            }
            Some(list) if now < list.this_update => {
                let message =
                    format!("{name} begins only on {}: verifiers refuse it until then", list.this_update);
                finding(Severity::Warning, "lists", message, "look at the clock; then publish again")
            }
            Some(_) if elsewhere && pki.publisher().lacks_change(&record.key_id)? => {
                let message = format!("{name} lacks a revocation, and its key is elsewhere");
                finding(Severity::Error, "lists", message, hint)
            }
            Some(list) if elsewhere && now > list.next_update - ROOT_LIST_AHEAD => {
                let message =
                    format!("{name} expires on {}, and its key is elsewhere", list.next_update.date());
                finding(Severity::Warning, "lists", message, hint)
            }
            Some(_) if !elsewhere && pki.publisher().is_due(&record.key_id, now)? => finding(
                Severity::Warning,
                "lists",
                format!("{name} is due: it is old or lacks a revocation"),
                hint,
            ),
            Some(list) => ok("lists", format!("{name} is valid until {}", list.next_update.date())),
        });
    }
    Ok(findings)
}

/// The service's and the operator's certificates.
pub(super) fn own(pki: &Pki, now: OffsetDateTime) -> Result<Vec<Finding>, Error> {
    let mut findings = Vec::new();
    for own in Own::ALL {
        let path = own.certificate_path(pki);
        let name = path.display().to_string();
        let remove = format!("remove {name} and its key; `pki up` makes new ones");
        findings.push(match own::in_place(pki, own) {
            Err(error) => finding(Severity::Error, "own", format!("{name} can't be used: {error}"), &remove),
            // Only `up` makes them.
            Ok(None) => continue,
            Ok(Some(found)) if own::is_revoked(pki, &found)? => {
                finding(Severity::Warning, "own", format!("{name} is revoked"), &remove)
            }
            Ok(Some(found)) if now > found.not_after() => {
                finding(Severity::Error, "own", format!("{name} has expired"), "`pki up` renews it")
            }
            Ok(Some(found)) => ok("own", format!("{name} is valid until {}", found.not_after().date())),
        });
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use ca::hierarchy::{Init, RootKeyPlace};
    use trust::Peer;

    use super::*;
    use crate::testing::{at, keys, made, plain_init};

    const DAY: i64 = 24 * 60 * 60;

    fn worst(findings: &[Finding]) -> Severity {
        findings.iter().map(|finding| finding.severity).max().unwrap()
    }

    #[test]
    fn what_comes_to_an_end_is_told_in_time() {
        let dir = tempfile::tempdir().unwrap();
        let pki = made(&dir.path().join("pki"));
        assert_eq!(root_key(&pki).unwrap().unwrap().severity, Severity::Note);
        let authorities = |day| worst(&expiries(&pki, at(day * DAY)).unwrap());
        assert_eq!(authorities(0), Severity::Ok);
        assert_eq!(authorities(3650 * 3 / 4), Severity::Warning);
        assert_eq!(authorities(3650 - 10), Severity::Error);
        let lists = |day| worst(&lists(&pki, at(day * DAY)).unwrap());
        assert_eq!(lists(1), Severity::Ok);
        assert_eq!(lists(4), Severity::Warning, "half of its validity is over");
        assert_eq!(lists(8), Severity::Error);
        assert_eq!(lists(-1), Severity::Warning, "the clock went back");
        std::fs::remove_dir_all(pki.layout().authorities()).unwrap();
        assert_eq!(lists(1), Severity::Error);
    }

    #[test]
    fn a_revocation_that_an_offline_root_has_to_sign_is_not_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let root_key = RootKeyPlace::File(dir.path().join("root.key"));
        let init = Init { root_key, ..plain_init() };
        let place = dir.path().join("pki");
        let pki = Pki::init(&place, keys(), &init, &Peer::InProcess, at(0)).unwrap();
        let told = |day| {
            let found = lists(&pki, at(day * DAY)).unwrap();
            found.into_iter().find(|finding| finding.message.contains("root")).unwrap()
        };
        assert_eq!(told(200).severity, Severity::Ok, "half of its time is no reason to fetch the key");
        let current = Current::load(pki.store()).unwrap();
        let issuing = ca::cert::Certificate::from_der(&current.issuing.record.certificate.unwrap()).unwrap();
        let target = crl::Target {
            issuer: current.pair.record.root,
            serial: issuing.serial(),
            not_after: issuing.not_after(),
            key: None,
        };
        let request =
            crl::Request { reason: crl::Reason::CessationOfOperation, invalidity: None, now: at(DAY) };
        crl::revoke(pki.store(), &[target], &request, "test").unwrap();
        let found = told(1);
        assert_eq!(found.severity, Severity::Error);
        assert!(found.message.contains("lacks a revocation"), "{found:?}");
        assert_eq!(found.hint.as_deref(), Some("pki crl publish --root --root-key FILE"));
    }
}
