//! The published files: whether each holds what the records name.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use ca::authority::Current;
use ca::cert::Certificate;
use ca::keyring::issuer_certificate;
use time::OffsetDateTime;

use super::{Finding, Severity, finding, ok};
use crate::Pki;
use crate::ops::{Error, shape};

/// The lists and certificates that are put together from records.
pub(super) fn copies(pki: &Pki, now: OffsetDateTime) -> Result<Finding, Error> {
    let mut wrong = pki.publisher().inspect(now)?.wrong;
    wrong.extend(certificates(pki)?);
    if wrong.is_empty() {
        return Ok(ok("published", "the published files are those on record"));
    }
    let names: Vec<String> = wrong.iter().map(|name| name.display().to_string()).collect();
    Ok(finding(
        Severity::Error,
        "published",
        format!("missing, or not what is on record: {}", names.join(", ")),
        "the service places them anew when it starts; `pki crl publish` (with --root for the root's) makes new lists",
    ))
}

/// Whether the published lists know more than the records: then these were put back from a copy.
pub(super) fn overtaken(pki: &Pki, now: OffsetDateTime) -> Result<Vec<Finding>, Error> {
    let overtaken = pki.publisher().overtaken(now)?;
    Ok(overtaken
        .iter()
        .map(|overtaken| finding(Severity::Error, "put-back", in_words(overtaken), HINT))
        .collect())
}

const HINT: &str =
    "keep a copy of ca.crl before another list is published, and revoke from their files what it names";

/// What it means that a list in place is newer than the records.
pub(crate) fn in_words(overtaken: &crl::Overtaken) -> String {
    let known = overtaken.on_record.map_or_else(|| "none".to_owned(), |number| number.to_string());
    format!(
        "the records were put back from an older copy: the list of {} in place has the number {}, the records know {known}; what was issued and revoked since is not in them",
        overtaken.issuer, overtaken.in_place
    )
}

/// The certificate files that differ. `chain.crt` has the current CA first and the root last; which earlier
/// ones are between them changes with time, so there any on record will do.
fn certificates(pki: &Pki) -> Result<BTreeSet<PathBuf>, Error> {
    let current = Current::load(pki.store())?;
    let (issuing, root) = (current.pair.record.issuing, current.pair.record.root);
    let mut wrong = BTreeSet::new();
    let mut known = Vec::new();
    let mut check = |name: PathBuf, pem: &str| {
        if fs::read(pki.directory().join(&name)).ok().as_deref() != Some(pem.as_bytes()) {
            wrong.insert(name);
        }
    };
    let (mut first, mut last) = (String::new(), String::new());
    for record in shape::records(pki)?.iter().filter(|record| record.certificate.is_some()) {
        let pem = issuer_certificate(record).map_err(ca::Error::from)?.certificate().to_pem();
        check(Path::new("cas").join(format!("{}.crt", record.key_id)), &pem);
        if record.key_id == issuing {
            check("ca.crt".into(), &pem);
            first.clone_from(&pem);
        }
        if record.key_id == root {
            check("root.crt".into(), &pem);
            last.clone_from(&pem);
        }
        known.push(pem);
    }
    let chain = fs::read(pki.directory().join("chain.crt")).unwrap_or_default();
    let parts: Vec<String> =
        Certificate::pem_bundle(&chain).unwrap_or_default().iter().map(Certificate::to_pem).collect();
    let is_right = parts.first() == Some(&first)
        && parts.last() == Some(&last)
        && parts.iter().all(|part| known.contains(part))
        && parts.concat().as_bytes() == chain;
    if !is_right {
        wrong.insert("chain.crt".into());
    }
    Ok(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, made};

    #[test]
    fn a_published_file_that_is_not_on_record_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let pki = made(&dir.path().join("pki"));
        let found = || copies(&pki, at(1)).unwrap();
        assert_eq!(found().severity, Severity::Ok, "{:?}", found());
        for name in ["root.crt", "ca.crt", "chain.crt", "ca.crl", "ca.crl.der", "chain.crl", "root.crl"] {
            let path = pki.directory().join(name);
            let right = fs::read(&path).unwrap();
            fs::write(&path, "junk").unwrap();
            assert_eq!(found().severity, Severity::Error);
            assert!(found().message.ends_with(&format!(": {name}")), "{:?}", found());
            fs::remove_file(&path).unwrap();
            assert!(found().message.ends_with(&format!(": {name}")), "{:?}", found());
            fs::write(&path, right).unwrap();
        }
        assert_eq!(found().severity, Severity::Ok);
    }

    #[test]
    fn what_is_served_is_what_is_on_record() {
        let dir = tempfile::tempdir().unwrap();
        let pki = made(&dir.path().join("pki"));
        pki.shelf().open();
        pki.fill_shelf(at(1)).unwrap();
        for name in ["ca.crl", "chain.crl", "root.crl"] {
            let right = pki.shelf().find(&format!("/{name}")).unwrap().text();
            fs::write(pki.directory().join(name), "junk").unwrap();
            pki.fill_shelf(at(2)).unwrap();
            assert_eq!(pki.shelf().find(&format!("/{name}")).unwrap().text(), right);
            assert_eq!(fs::read_to_string(pki.directory().join(name)).unwrap(), right, "placed anew");
        }
    }
}
