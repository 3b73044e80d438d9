//! Finds the certificate that is meant, among those that whoever asks may see. It never guesses between
//! several.

use ca::authority;
use ca::cert::{Certificate, Fingerprint};
use ca::inventory::{self, Detail};
use ca::keyring::issuer_certificate;
use ca::records::IssuedRecord;
use crl::Target;
use store::Versioned;
use time::OffsetDateTime;
use trust::Permit;

use super::view::Selector;
use super::{Error, project};
use crate::Pki;

/// What a selector names.
pub(super) enum Found {
    /// Certificates of the inventory: one, or all of one name.
    Known(Vec<Versioned<IssuedRecord>>),
    /// One that our authority signed and the inventory does not know.
    Stranger(Box<(Certificate, Target)>),
}

/// Finds what `selector` names within the permit; nothing is an error.
pub(super) fn find(pki: &Pki, permit: &Permit, selector: &Selector) -> Result<Found, Error> {
    find_in(pki, permit, selector, Detail::Whole)
}

/// [`find`], with so much of each record of a name.
pub(super) fn find_in(
    pki: &Pki,
    permit: &Permit,
    selector: &Selector,
    detail: Detail,
) -> Result<Found, Error> {
    let absent = |word: String| Error::from(ca::Error::NotFound { word });
    match named(pki, selector, detail)? {
        Found::Known(mut found) => {
            let asked = word(selector, &found);
            found.retain(|found| project::reaches(permit, &found.record));
            if found.is_empty() { Err(absent(asked)) } else { Ok(Found::Known(found)) }
        }
        // It belongs to no project.
        Found::Stranger(stranger) if permit.scope().is_restricted() => {
            Err(absent(stranger.0.serial().to_string()))
        }
        stranger @ Found::Stranger(_) => Ok(stranger),
    }
}

fn named(pki: &Pki, selector: &Selector, detail: Detail) -> Result<Found, Error> {
    match selector {
        Selector::Word(word) => Ok(Found::Known(inventory::resolve_in(pki.store(), word, detail)?)),
        Selector::Pem(pem) => {
            let certificate = Certificate::from_pem(pem.as_bytes()).map_err(ca::Error::from)?;
            let fingerprint = Fingerprint::of(certificate.der());
            match inventory::by_fingerprint(pki.store(), &fingerprint)? {
                Some(found) => Ok(Found::Known(vec![found])),
                None => signed_by_ours(pki, certificate),
            }
        }
    }
}

fn signed_by_ours(pki: &Pki, certificate: Certificate) -> Result<Found, Error> {
    if certificate.is_ca() {
        return Err(Error::Authority { subject: certificate.subject_display() });
    }
    let mut last = None;
    for record in authority::list(pki.store())?.iter().filter(|record| record.certificate.is_some()) {
        let authority = issuer_certificate(record).map_err(ca::Error::from)?;
        match Target::signed_by(&certificate, authority.certificate()) {
            Ok(target) => return Ok(Found::Stranger(Box::new((certificate, target)))),
            Err(error) => last = Some(error),
        }
    }
    Err(last.map_or(Error::Ca(ca::Error::NotInitialised), Error::from))
}

/// The one certificate that is meant among those that are valid.
pub(super) fn one_valid(
    pki: &Pki,
    permit: &Permit,
    selector: &Selector,
    now: OffsetDateTime,
) -> Result<IssuedRecord, Error> {
    let found = match find(pki, permit, selector)? {
        Found::Known(found) => found,
        Found::Stranger(stranger) => {
            return Err(ca::Error::NotFound { word: stranger.0.serial().to_string() }.into());
        }
    };
    let word = word(selector, &found);
    if let [one] = found.as_slice() {
        // Whatever is wrong with the only one is for the operation itself to say.
        return Ok(one.record.clone());
    }
    let mut valid = Vec::new();
    for candidate in found {
        let record = &candidate.record;
        if !record.is_expired(now) && pki.revoked().find(&record.issuer, &record.serial)?.is_none() {
            valid.push(candidate);
        }
    }
    let records = valid.iter().map(|candidate| candidate.record.clone()).collect();
    let mut newest = inventory::without_successor(records);
    match (newest.pop(), newest.is_empty()) {
        (None, _) => Err(Error::NotValid { word }),
        (Some(one), true) => Ok(one),
        (Some(_), false) => Err(inventory::ambiguous(&word, &valid).into()),
    }
}

/// What was asked for, for messages.
pub(super) fn word(selector: &Selector, found: &[Versioned<IssuedRecord>]) -> String {
    match selector {
        Selector::Word(word) => ca::cert::printable(word),
        Selector::Pem(_) => found
            .first()
            .map(|found| found.record.serial.to_string())
            .unwrap_or_else(|| "the file".to_owned()),
    }
}
