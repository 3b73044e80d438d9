//! How things are looked up.

use ca::cert::Certificate;
use ca::inventory::{self, Cursor, Glob};
use ca::records::IssuedRecord;
use crl::Target;
use time::OffsetDateTime;
use trust::Permit;

use super::{List, Page, Show, Shown};
use crate::Pki;
use crate::ops::{Error, project, select, shape};

/// How many records one request reads at most: a page that holds few of those that are wanted says
/// where to go on.
const READ: usize = 10_000;

pub(super) fn list(request: &List, pki: &Pki, permit: &Permit, now: OffsetDateTime) -> Result<Page, Error> {
    let of = request.project.as_deref().map(|named| project::meant(permit, Some(named))).transpose()?;
    let limit = request.limit.clamp(1, List::LIMIT) as usize;
    let glob = request.name.as_deref().map(Glob::new);
    let ends = request.expiring_within.map(|within| {
        let within = i64::try_from(within).map_or(time::Duration::MAX, time::Duration::seconds);
        now.checked_add(within).unwrap_or(time::macros::datetime!(9999-12-31 23:59:59 UTC))
    });
    let mut after = request.after.as_deref().map(Cursor::from_text);
    let mut certificates = Vec::new();
    let mut read = 0;
    loop {
        let wanted = limit - certificates.len();
        let page = match ends {
            Some(to) => inventory::ending(pki.store(), now, to, after.as_ref(), wanted)?,
            None => inventory::list(pki.store(), glob.as_ref(), after.as_ref(), wanted)?,
        };
        read += page.records.len();
        for record in &page.records {
            if !project::reaches(permit, record)
                || of.as_ref().is_some_and(|of| of.as_str() != record.project)
            {
                continue;
            }
            if glob.as_ref().is_some_and(|glob| !glob.matches(&record.name)) {
                continue;
            }
            let revocation = pki.revoked().find(&record.issuer, &record.serial)?;
            if request.revoked && revocation.is_none() {
                continue;
            }
            certificates.push(shape::planned(record, revocation, now)?);
        }
        match page.next {
            None => return Ok(Page { certificates, next: None }),
            Some(next) if certificates.len() >= limit || read >= READ => {
                return Ok(Page { certificates, next: Some(next.to_string()) });
            }
            next @ Some(_) => after = next,
        }
    }
}

pub(super) fn show(
    request: &Show,
    pki: &Pki,
    permit: &Permit,
    now: OffsetDateTime,
) -> Result<Vec<Shown>, Error> {
    match select::find(pki, permit, &request.selector)? {
        select::Found::Known(found) => found.iter().map(|found| known(pki, &found.record, now)).collect(),
        select::Found::Stranger(stranger) => {
            let (certificate, target) = *stranger;
            Ok(vec![given(pki, &certificate, &target, now)?])
        }
    }
}

fn known(pki: &Pki, record: &IssuedRecord, now: OffsetDateTime) -> Result<Shown, Error> {
    let view = shape::certificate(pki, record, now)?;
    let Some(der) = &record.der else {
        return Ok(Shown {
            certificate: view,
            pem: String::new(),
            chain: String::new(),
            details: Vec::new(),
        });
    };
    let certificate = Certificate::from_der(der).map_err(ca::Error::from)?;
    let chain = shape::chain(&certificate, &shape::issuer(pki, &record.issuer)?);
    let mut details = details(&certificate);
    if let Some(predecessor) = &record.predecessor {
        details.push(("renews".to_owned(), predecessor.serial.to_string()));
    }
    Ok(Shown { certificate: view, pem: certificate.to_pem(), chain, details })
}

fn given(pki: &Pki, certificate: &Certificate, target: &Target, now: OffsetDateTime) -> Result<Shown, Error> {
    let revocation = pki.revoked().find(&target.issuer, &target.serial)?;
    Ok(Shown {
        certificate: shape::planned(&IssuedRecord::from_file(certificate, target.issuer), revocation, now)?,
        pem: certificate.to_pem(),
        chain: shape::chain(certificate, &shape::issuer(pki, &target.issuer)?),
        details: details(certificate),
    })
}

/// What a certificate says beside the columns of a list.
fn details(certificate: &Certificate) -> Vec<(String, String)> {
    let mut rows = vec![
        ("subject".to_owned(), certificate.subject_display()),
        ("issuer".to_owned(), certificate.issuer_display()),
        ("subject key id".to_owned(), certificate.key_id().to_string()),
    ];
    if let Some(authority) = certificate.authority_key_id() {
        rows.push(("authority key id".to_owned(), hex::encode(authority)));
    }
    if let Some(usage) = certificate.key_usage() {
        let named = [
            (usage.digital_signature(), "digitalSignature"),
            (usage.key_encipherment(), "keyEncipherment"),
            (usage.key_cert_sign(), "keyCertSign"),
            (usage.crl_sign(), "cRLSign"),
        ];
        rows.push(("key usage".to_owned(), present(&named).join(", ")));
    }
    if let Some(usage) = certificate.extended_key_usage() {
        let named = [
            (usage.any(), "anyExtendedKeyUsage"),
            (usage.client_auth(), "clientAuth"),
            (usage.server_auth(), "serverAuth"),
        ];
        let mut names = present(&named);
        names.extend(usage.others().iter().map(|other| ca::cert::printable(other)));
        rows.push(("extended key usage".to_owned(), names.join(", ")));
    }
    rows.push(("public key sha256".to_owned(), hex::encode(certificate.public_key().digest())));
    rows
}

fn present(named: &[(bool, &str)]) -> Vec<String> {
    named.iter().filter(|(there, _)| *there).map(|(_, name)| (*name).to_owned()).collect()
}
