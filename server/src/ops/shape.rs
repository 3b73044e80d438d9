//! Turns records into what is shown: the one place where a view is filled in.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use ca::authority;
use ca::cert::{Certificate, Fingerprint, KeyId, Serial};
use ca::inventory;
use ca::keyring::issuer_certificate;
use ca::records::{AuthorityRecord, IssuedRecord};
use crl::{Reason, Revocation};
use time::OffsetDateTime;

use super::Error;
use super::view::{AuthorityView, CertificateView, RevocationView, Status};
use crate::Pki;

/// A certificate of the inventory.
pub(super) fn certificate(
    pki: &Pki,
    record: &IssuedRecord,
    now: OffsetDateTime,
) -> Result<CertificateView, Error> {
    let revocation = pki.revoked().find(&record.issuer, &record.serial)?;
    planned(record, revocation, now)
}

/// A certificate from its record and what is known of its revocation.
pub(super) fn planned(
    record: &IssuedRecord,
    revocation: Option<Revocation>,
    now: OffsetDateTime,
) -> Result<CertificateView, Error> {
    let certificate =
        record.der.as_deref().map(Certificate::from_der).transpose().map_err(ca::Error::from)?;
    Ok(read(record, certificate.as_ref(), revocation, now))
}

/// The same for a certificate that was read already.
pub(super) fn read(
    record: &IssuedRecord,
    certificate: Option<&Certificate>,
    revocation: Option<Revocation>,
    now: OffsetDateTime,
) -> CertificateView {
    let not_before = record.not_before.unwrap_or(record.issued_at);
    CertificateView {
        serial: record.serial.to_string(),
        name: record.name.clone(),
        profile: record.profile.as_str().to_owned(),
        names: record.names.clone(),
        fingerprint: record.fingerprint().map(|fingerprint| fingerprint.to_string()).unwrap_or_default(),
        issuer: record.issuer.to_string(),
        key_type: certificate
            .map(|certificate| certificate.public_key().key_type().to_string())
            .unwrap_or_default(),
        not_before: moment(not_before),
        not_after: record.ends(),
        issued_at: moment(record.issued_at),
        issued_by: record.requester.clone(),
        project: record.project.clone(),
        status: status(revocation.as_ref(), record.ends(), now),
        revocation: revocation.as_ref().map(revoked),
    }
}

/// A certificate that was just revoked, whether the inventory knows it or not.
pub(super) fn by_serial(
    pki: &Pki,
    serial: &Serial,
    revocation: Revocation,
    given: &BTreeMap<Serial, IssuedRecord>,
    now: OffsetDateTime,
) -> Result<Option<CertificateView>, Error> {
    let known = inventory::by_serial(pki.store(), serial)?.map(|found| found.record);
    let record = known.as_ref().or_else(|| given.get(serial));
    record.map(|record| planned(record, Some(revocation), now)).transpose()
}

fn status(revocation: Option<&Revocation>, ends: OffsetDateTime, now: OffsetDateTime) -> Status {
    match revocation.map(|revocation| revocation.reason) {
        Some(Reason::CertificateHold) => Status::Held,
        Some(_) => Status::Revoked,
        None if now > ends => Status::Expired,
        None => Status::Valid,
    }
}

fn revoked(revocation: &Revocation) -> RevocationView {
    RevocationView { at: moment(revocation.at), reason: revocation.reason.to_string() }
}

/// A stored time. One that no calendar has (nothing here writes one) shows as 1970.
pub(super) fn moment(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// Every authority, in the order of [`records`].
pub(super) fn authorities(pki: &Pki, now: OffsetDateTime) -> Result<Vec<AuthorityView>, Error> {
    let live = pki.tally().live(now)?;
    records(pki)?.iter().map(|record| view(record, &live)).collect()
}

/// Every authority as it is shown: the root first, then the newest.
pub(super) fn records(pki: &Pki) -> Result<Vec<AuthorityRecord>, Error> {
    let mut records = authority::list(pki.store())?;
    records.sort_by_key(|record| (!record.role.is_root(), Reverse(record.created_at), record.state));
    Ok(records)
}

/// One authority.
pub(super) fn authority(
    pki: &Pki,
    record: &AuthorityRecord,
    now: OffsetDateTime,
) -> Result<AuthorityView, Error> {
    view(record, &pki.tally().live(now)?)
}

fn view(record: &AuthorityRecord, live: &BTreeMap<KeyId, u64>) -> Result<AuthorityView, Error> {
    let certificate = match &record.certificate {
        Some(_) => Some(issuer_certificate(record).map_err(ca::Error::from)?),
        None => None,
    };
    let certificate = certificate.as_ref().map(|issuer| issuer.certificate());
    let created = moment(record.created_at);
    Ok(AuthorityView {
        key_id: record.key_id.to_string(),
        role: record.role.as_str().to_owned(),
        subject: certificate.map(Certificate::subject_display).unwrap_or_default(),
        fingerprint: certificate.map(|found| Fingerprint::of(found.der()).to_string()).unwrap_or_default(),
        serial: certificate.map(|found| found.serial().to_string()).unwrap_or_default(),
        key_type: certificate.map(|found| found.public_key().key_type().to_string()).unwrap_or_default(),
        not_before: certificate.map_or(created, Certificate::not_before),
        not_after: certificate.map_or(created, Certificate::not_after),
        state: record.state.as_str().to_owned(),
        key: record.key.as_str().to_owned(),
        live_certificates: live.get(&record.key_id).copied().unwrap_or(0),
    })
}

/// The certificate of one of our authorities.
pub(super) fn issuer(pki: &Pki, key_id: &KeyId) -> Result<Certificate, Error> {
    let found = authority::find(pki.store(), key_id)?;
    let record = found.ok_or_else(|| ca::Error::NotFound { word: key_id.to_string() })?.record;
    Ok(issuer_certificate(&record).map_err(ca::Error::from)?.certificate().clone())
}

/// A leaf and the authorities between it and the root, PEM.
pub(super) fn chain(leaf: &Certificate, issuer: &Certificate) -> String {
    let mut chain = leaf.to_pem();
    if !issuer.is_self_issued() {
        chain.push_str(&issuer.to_pem());
    }
    chain
}
