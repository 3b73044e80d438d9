//! How the authorities change: the records first, then what is published.

use std::collections::BTreeSet;

use ca::authority::{self, Current};
use ca::cert::{Certificate, Serial};
use ca::hierarchy::{self, Rotation};
use ca::issuer::Issuer;
use ca::key::KeyType;
use ca::records::AuthorityState;
use crl::{Outcome, ParsedList, Reason, Request, Target, Which};
use time::OffsetDateTime;
use trust::Permit;

use super::{CaInstall, CaRevoke, CaRevoked, CaRootOffline, CaRotate, Rotated};
use crate::Pki;
use crate::http::problem;
use crate::ops::revoke::run as revocation;
use crate::ops::view::{AuthorityView, Publication};
use crate::ops::{Error, shape};

/// How many octets the root's list may have: it names authorities alone.
const ROOT_LIST: usize = 1 << 20;

pub(super) fn rotate(
    request: &CaRotate,
    pki: &Pki,
    permit: &Permit,
    now: OffsetDateTime,
) -> Result<Rotated, Error> {
    let who = permit.peer().to_string();
    let key_type = request.key_type.as_deref().map(key_type).transpose()?;
    if request.csr_only {
        let awaiting = hierarchy::request(pki.store(), pki.keyring(), key_type, &who, now)?;
        let constraints = awaiting.name_constraints().map_err(ca::Error::from)?;
        let key_id = awaiting.key_id;
        return Ok(Rotated::Csr {
            pem: awaiting.csr.ok_or_else(|| ca::Error::NotFound { word: key_id.to_string() })?,
            name_constraints: constraints.permitted().iter().map(ToString::to_string).collect(),
            public_url: pki.policy()?.distribution.base.clone().map(|base| base.to_string()),
        });
    }
    let policy = pki.policy()?;
    let rotation = hierarchy::rotate(pki.store(), pki.keyring(), key_type, &policy, &who, now, pki.random())?;
    rotated(pki, &rotation, now)
}

fn key_type(word: &str) -> Result<KeyType, Error> {
    let wrong =
        || Error::Word { word: word.to_owned(), expected: "a type of key: p256, p384, ed25519 or rsa4096" };
    let found: KeyType = word.parse().map_err(|_unknown| wrong())?;
    if KeyType::OFFERED.contains(&found) { Ok(found) } else { Err(wrong()) }
}

pub(super) fn install(
    request: &CaInstall,
    pki: &Pki,
    permit: &Permit,
    now: OffsetDateTime,
) -> Result<Rotated, Error> {
    let certificate = Certificate::from_pem(request.pem.as_bytes()).map_err(ca::Error::from)?;
    let (policy, who) = (pki.policy()?, permit.peer().to_string());
    let installed = hierarchy::install(pki.store(), pki.keyring(), certificate, &policy, &who, now);
    if let Err(ca::Error::State { state: AuthorityState::Current, .. }) = &installed {
        // It is in force. If it was interrupted right behind its commit, its files are not in place yet.
        for cause in publish(pki, now) {
            tracing::warn!(cause, "it is in force, but not all of its files are in place");
        }
    }
    rotated(pki, &installed?, now)
}

fn rotated(pki: &Pki, rotation: &Rotation, now: OffsetDateTime) -> Result<Rotated, Error> {
    let unpublished = publish(pki, now);
    let current = find(pki, &rotation.current)?;
    Ok(Rotated::Rotated {
        current: shape::authority(pki, &current, now)?,
        previous: shape::authority(pki, &rotation.previous, now)?,
        unpublished,
        warnings: without_urls(pki, rotation)?,
    })
}

/// A certificate that was signed elsewhere may lack the URLs that the settings ask for, or have others.
fn without_urls(pki: &Pki, rotation: &Rotation) -> Result<Vec<String>, Error> {
    let wanted = pki.policy()?.distribution.clone();
    let Some(url) = wanted.base.as_ref().filter(|_| wanted != rotation.distribution) else {
        return Ok(Vec::new());
    };
    let instead = match &rotation.distribution.base {
        None => "its certificate does not say where the root's list and certificate are".to_owned(),
        Some(other) => format!("its certificate says that the root's list and certificate are at {other}"),
    };
    Ok(vec![format!("{instead}, though core.public_url is {url}")])
}

fn find(pki: &Pki, issuer: &Issuer) -> Result<ca::records::AuthorityRecord, Error> {
    let key_id = issuer.certificate().key_id();
    let found = authority::find(pki.store(), &key_id)?;
    Ok(found.ok_or_else(|| ca::Error::NotFound { word: key_id.to_string() })?.record)
}

/// Publishes after a rotation, which stands whatever becomes of the files: they are derived from the
/// records, the service's periodic work places them again, and doctor looks at them. Returns why not
/// all are in place.
fn publish(pki: &Pki, now: OffsetDateTime) -> Vec<String> {
    let done = pki
        .place_certificates(now)
        .and_then(|()| pki.publish(&Which::Due, now))
        .and_then(|publication| crate::ops::crl::first_failure(&publication));
    let Err(error) = done else { return Vec::new() };
    let mut causes = vec![error.to_string()];
    causes.extend(problem::all_causes(&error));
    causes
}

pub(super) fn revoke(
    request: &CaRevoke,
    pki: &Pki,
    permit: &Permit,
    now: OffsetDateTime,
) -> Result<CaRevoked, Error> {
    let reason = revocation::reason(request.reason.as_deref())?;
    if reason == Reason::CertificateHold {
        let expected = "a reason for an authority: a hold would stop every certificate below it for a while";
        return Err(Error::Word { word: reason.to_string(), expected });
    }
    let authority = authority::resolve(pki.store(), &request.key_id)?.record;
    let who = permit.peer().to_string();
    let retirement = hierarchy::retire(pki.store(), &authority.key_id, &who, now)?;
    let (parent, serial) = (retirement.authority.parent, retirement.certificate.serial());
    let asked = Request { reason, invalidity: None, now };
    let (not_after, key) = (retirement.certificate.not_after(), retirement.certificate.public_key().digest());
    let target = Target { issuer: parent, serial, not_after, key: Some(key) };
    let mut batch = retirement.batch;
    batch.urgent();
    let revoked = crl::revoke_into(pki.store(), &mut batch, &target, &asked)?;
    if revoked.outcome != Outcome::Already || authority.state != AuthorityState::Revoked {
        pki.store().commit(batch)?;
    }
    let mut publication = match revoked.outcome {
        // Again, after the root's list was published with it: nothing waits for the root's key.
        Outcome::Already if is_listed(pki, &serial) => Publication::Published { lists: Vec::new() },
        Outcome::Already | Outcome::Changed | Outcome::New => {
            pki.publish_after(BTreeSet::from([parent]), now)
        }
    };
    if let Err(error) = pki.place_certificates(now) {
        let mut causes = vec![error.to_string()];
        causes.extend(problem::causes(&error));
        publication = Publication::Pending { causes };
    }
    Ok(CaRevoked {
        authority: shape::authority(pki, &retirement.authority, now)?,
        already: revoked.outcome == Outcome::Already,
        publication,
    })
}

/// Whether the root's list in the directory has a serial. A list that can't be read has none.
fn is_listed(pki: &Pki, serial: &Serial) -> bool {
    let list = store::file::read_limited(&pki.directory().join("root.crl"), ROOT_LIST);
    let list = list.ok().and_then(|list| ParsedList::read(&list).ok());
    list.is_some_and(|list| list.serials().contains(serial))
}

pub(super) fn root_offline(
    request: &CaRootOffline,
    pki: &Pki,
    permit: &Permit,
    now: OffsetDateTime,
) -> Result<AuthorityView, Error> {
    let expected = "the SHA-256 of a file in 64 hex digits";
    let wrong = || Error::Word { word: request.key_file_digest.clone(), expected };
    let mut copy = [0; 32];
    hex::decode_to_slice(&request.key_file_digest, &mut copy).map_err(|_odd| wrong())?;
    let root = Current::load(pki.store())?.root.record;
    // Without its key the root can't sign for a year: its list has to last until it is back.
    if !matches!(root.key, ca::records::KeyPlace::Elsewhere { .. }) {
        let publication = pki.publish(&Which::RootBeforeItLeaves, now)?;
        crate::ops::crl::first_failure(&publication)?;
    }
    let who = permit.peer().to_string();
    let offline = hierarchy::root_offline(pki.store(), pki.keyring(), &copy, None, &who, now)?;
    shape::authority(pki, &offline, now)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
