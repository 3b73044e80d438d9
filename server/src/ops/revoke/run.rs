//! How revocation runs: everything is found before anything is written, and what is written is durable
//! and in force before a list is signed.

use std::collections::{BTreeMap, BTreeSet};

use ca::cert::{KeyId, Serial};
use ca::inventory::{self, Detail};
use ca::records::IssuedRecord;
use crl::{Outcome, Reason, Request, Target, Which};
use store::Versioned;
use time::OffsetDateTime;
use trust::Permit;

use super::{LISTED, Release, Released, Revoke, RevokeMany, Revoked, RevokedMany, SELECTORS};
use crate::Pki;
use crate::ops::issue::in_parallel;
use crate::ops::view::{Publication, Selector};
use crate::ops::{Error, project, select, shape};

/// What is to be revoked.
#[derive(Default)]
struct Targets {
    targets: Vec<Target>,
    /// Certificates that only their file tells of.
    given: BTreeMap<Serial, IssuedRecord>,
}

pub(super) fn revoke(
    request: &Revoke,
    pki: &Pki,
    permit: &Permit,
    now: OffsetDateTime,
) -> Result<Revoked, Error> {
    let count = request.selectors.len();
    if count > SELECTORS {
        return Err(Error::Limit { what: "certificates", count, limit: SELECTORS });
    }
    let reason = reason(request.reason.as_deref())?;
    let names = if request.all { Names::All } else { Names::One };
    let mut targets = Targets::default();
    for selector in &request.selectors {
        find(names, selector, pki, permit, now, &mut targets)?;
    }
    let asked = Request { reason, invalidity: None, now };
    let revoked = decide(&targets, &asked, request.dry_run, pki, permit)?;
    let mut certificates = Vec::new();
    let mut already = Vec::new();
    for one in revoked.iter().take(LISTED) {
        let serial = &one.target.serial;
        let shown = shape::by_serial(pki, serial, one.revocation, &targets.given, now)?;
        // A compromised key takes certificates of other projects with it, which are not theirs to see.
        certificates.extend(shown.filter(|shown| project::includes(permit, &shown.project)));
        if one.outcome == Outcome::Already {
            already.push(serial.to_string());
        }
    }
    let more = revoked.len().saturating_sub(LISTED) as u64;
    // What was revoked before is published again as well: the list may have been what failed.
    let issuers: BTreeSet<KeyId> = revoked.iter().map(|one| one.target.issuer).collect();
    let publication = match request.dry_run {
        true => Publication::Published { lists: Vec::new() },
        false => pki.publish_after(issuers, now),
    };
    Ok(Revoked { certificates, already, more, publication })
}

/// Revokes what was found, or says what that would come to.
fn decide(
    targets: &Targets,
    asked: &Request,
    dry_run: bool,
    pki: &Pki,
    permit: &Permit,
) -> Result<Vec<crl::Revoked>, Error> {
    if dry_run {
        return Ok(crl::plan(pki.store(), &targets.targets, asked)?);
    }
    let who = permit.peer().to_string();
    Ok(crl::revoke_found(pki.store(), &targets.targets, &targets.given, asked, &who)?)
}

pub(super) fn revoke_many(
    request: RevokeMany,
    pki: &Pki,
    permit: &Permit,
    now: OffsetDateTime,
) -> Result<RevokedMany, Error> {
    let count = request.words.len();
    if count > RevokeMany::LIMIT {
        return Err(Error::Limit { what: "certificates", count, limit: RevokeMany::LIMIT });
    }
    let reason = reason(request.reason.as_deref())?;
    let names = if request.all { Names::All } else { Names::One };
    let selectors: Vec<Selector> = request.words.into_iter().map(Selector::Word).collect();
    // Each is looked up in several indices: on every core.
    let found = in_parallel(&selectors, |selector| {
        let mut targets = Targets::default();
        find(names, selector, pki, permit, now, &mut targets)?;
        Ok::<_, Error>(targets.targets)
    });
    let mut targets = Targets::default();
    for found in found {
        targets.targets.extend(found?);
    }
    let asked = Request { reason, invalidity: None, now };
    let revoked = decide(&targets, &asked, request.dry_run, pki, permit)?;
    let already = revoked.iter().filter(|one| one.outcome == Outcome::Already).count() as u64;
    let issuers: BTreeSet<KeyId> = revoked.iter().map(|one| one.target.issuer).collect();
    let publication = match request.dry_run {
        true => Publication::Published { lists: Vec::new() },
        false => pki.publish_after(issuers, now),
    };
    Ok(RevokedMany { revoked: revoked.len() as u64 - already, already, publication })
}

/// Parses a reason, in RFC 5280's spelling or with hyphens.
pub(in crate::ops) fn reason(word: Option<&str>) -> Result<Reason, Error> {
    match word {
        Some(word) => Ok(word.parse::<Reason>().map_err(crl::Error::from)?),
        None => Ok(Reason::Unspecified),
    }
}

/// How many certificates a name may mean.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    /// Every live one that bears it.
    All,
    /// One, or it is asked which.
    One,
}

fn find(
    names: Names,
    selector: &Selector,
    pki: &Pki,
    permit: &Permit,
    now: OffsetDateTime,
    targets: &mut Targets,
) -> Result<(), Error> {
    let found = match select::find_in(pki, permit, selector, Detail::WithoutCertificate)? {
        select::Found::Stranger(stranger) => {
            let (certificate, target) = *stranger;
            targets.given.insert(target.serial, IssuedRecord::from_file(&certificate, target.issuer));
            targets.targets.push(target);
            return Ok(());
        }
        select::Found::Known(found) => found,
    };
    let meant = match found.as_slice() {
        [_] => found,
        _ => meant_by_name(pki, found, now)?,
    };
    match meant.len() {
        0 => return Err(Error::NotValid { word: select::word(selector, &meant) }),
        1 => {}
        _ if names == Names::All => {}
        _ => return Err(inventory::ambiguous(&select::word(selector, &meant), &meant).into()),
    }
    targets.targets.extend(meant.iter().map(|meant| Target::from(&meant.record)));
    Ok(())
}

/// Of all that bear a name, those in date that are not revoked for good; if there are none, those that
/// are, so that asking twice is no error.
fn meant_by_name(
    pki: &Pki,
    found: Vec<Versioned<IssuedRecord>>,
    now: OffsetDateTime,
) -> Result<Vec<Versioned<IssuedRecord>>, Error> {
    let (mut live, mut revoked) = (Vec::new(), Vec::new());
    for one in found.into_iter().filter(|one| !one.record.is_expired(now)) {
        match pki.revoked().find(&one.record.issuer, &one.record.serial)? {
            Some(revocation) if revocation.reason != Reason::CertificateHold => revoked.push(one),
            Some(_) | None => live.push(one),
        }
    }
    match (live.is_empty(), revoked.last()) {
        (false, _) => Ok(live),
        (true, Some(last)) => Ok(vec![last.clone()]),
        (true, None) => Ok(Vec::new()),
    }
}

pub(super) fn release(
    request: &Release,
    pki: &Pki,
    permit: &Permit,
    now: OffsetDateTime,
) -> Result<Released, Error> {
    let (target, stranger) = match select::find(pki, permit, &request.selector)? {
        select::Found::Stranger(stranger) => {
            let (certificate, target) = *stranger;
            (target, Some(certificate))
        }
        select::Found::Known(found) => (held(pki, &request.selector, found)?, None),
    };
    if let Err(error) = crl::release(pki.store(), &target, now, &permit.peer().to_string()) {
        // It may have been released by a command that was interrupted before the list was placed.
        pki.publish(&Which::Due, now)?;
        return Err(error.into());
    }
    let certificate = match (inventory::by_serial(pki.store(), &target.serial)?, stranger) {
        (Some(found), _) => shape::certificate(pki, &found.record, now)?,
        (None, Some(certificate)) => {
            shape::planned(&IssuedRecord::from_file(&certificate, target.issuer), None, now)?
        }
        (None, None) => return Err(ca::Error::NotFound { word: target.serial.to_string() }.into()),
    };
    let publication = pki.publish_after(BTreeSet::from([target.issuer]), now);
    Ok(Released { certificate, publication })
}

/// The only one, whatever its state; of several the one that is on hold.
fn held(pki: &Pki, selector: &Selector, found: Vec<Versioned<IssuedRecord>>) -> Result<Target, Error> {
    if let [one] = found.as_slice() {
        return Ok(Target::from(&one.record));
    }
    let word = select::word(selector, &found);
    let mut held = Vec::new();
    for one in found {
        let revocation = pki.revoked().find(&one.record.issuer, &one.record.serial)?;
        if revocation.is_some_and(|revocation| revocation.reason == Reason::CertificateHold) {
            held.push(one);
        }
    }
    match held.as_slice() {
        [] => Err(Error::NotHeld { word }),
        [one] => Ok(Target::from(&one.record)),
        _ => Err(inventory::ambiguous(&word, &held).into()),
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
