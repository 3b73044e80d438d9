//! One attempt to obtain or renew, and all that are due.

use std::time::Duration;

use ::acme::client::model::CertificateRecord;
use ::acme::client::{self, Client};
use store::Versioned;
use time::OffsetDateTime;

use super::drive::{self, Job};
use super::own;
use super::turn::{self, Brought, Meanwhile, Turn};
use crate::Pki;
use crate::http::problem::in_words;
use crate::ops::Error;

/// What became of one certificate that was due.
pub(crate) struct Renewal {
    pub(super) record: CertificateRecord,
    pub(super) notes: Vec<String>,
    /// Why it was not renewed.
    pub(crate) failure: Option<Error>,
}

/// Obtains what a job asks for. If an order for the same certificate is under way, what that brings is the answer
/// where it is what this one asks for; where it is not, this one is placed after it.
pub(super) fn issue(
    pki: &Pki,
    client: &Client,
    job: &Job,
) -> Result<(CertificateRecord, Vec<String>), Error> {
    let first = job.application.names.first();
    let mut turn = turn::wait(pki, &first)?;
    if turn.meanwhile == Brought::Certificate {
        let found = client::certificate(pki.store(), &first)?.record;
        if found.revoked.is_none() && drive::brings(&found, job) {
            return Ok((found, vec![turn::SOMEBODY_ELSE.to_owned()]));
        }
    }
    drive::obtain(pki, client, job, &mut turn)
}

/// Renews a certificate, due or not; not once more what an order has just brought that was under way.
pub(super) fn renew(pki: &Pki, who: &str, first: &str) -> Result<(CertificateRecord, Vec<String>), Error> {
    let mut turn = turn::wait(pki, first)?;
    let stored = client::certificate(pki.store(), first)?;
    match turn.meanwhile {
        Brought::Certificate => Ok((stored.record, vec![turn::SOMEBODY_ELSE.to_owned()])),
        Brought::Nothing => attempt(pki, who, &stored, &mut turn),
    }
}

/// Renews every certificate that is due, but for the service's own, which [`own::keep`] looks after; one that
/// fails does not stop the others.
pub(crate) fn renew_due(
    pki: &Pki,
    who: &str,
    now: OffsetDateTime,
    meanwhile: Meanwhile,
) -> Result<Vec<Renewal>, Error> {
    let all = client::certificates(pki.store())?;
    let own = pki.settings()?.acme().map(|wish| own::first_name(&wish));
    let due = |record: &CertificateRecord| {
        record.revoked.is_none()
            && record.next_attempt <= now.unix_timestamp()
            && record.names.first() != own.as_ref()
    };
    let mut renewals = Vec::new();
    for stored in all.into_iter().filter(|stored| due(&stored.record)) {
        let first = stored.record.names.first().cloned().unwrap_or_default();
        let Some(mut turn) = turn::take(pki, &first, meanwhile)? else { continue };
        // Somebody may have had their turn since the list was read.
        let stored = client::certificate(pki.store(), &first)?;
        renewals.push(match due(&stored.record) {
            true => renewal_of(pki, who, &stored, &mut turn)?,
            false => {
                let notes = vec![turn::SOMEBODY_ELSE.to_owned()];
                Renewal { record: stored.record, notes, failure: None }
            }
        });
    }
    Ok(renewals)
}

/// One attempt, and what came of it.
pub(super) fn renewal_of(
    pki: &Pki,
    who: &str,
    stored: &Versioned<CertificateRecord>,
    turn: &mut Turn,
) -> Result<Renewal, Error> {
    match attempt(pki, who, stored, turn) {
        Ok((record, notes)) => Ok(Renewal { record, notes, failure: None }),
        Err(failure) => {
            let first = stored.record.names.first().cloned().unwrap_or_default();
            let record = client::certificate(pki.store(), &first)?.record;
            Ok(Renewal { record, notes: Vec::new(), failure: Some(failure) })
        }
    }
}

/// One attempt; its failure is recorded with the certificate.
fn attempt(
    pki: &Pki,
    who: &str,
    stored: &Versioned<CertificateRecord>,
    turn: &mut Turn,
) -> Result<(CertificateRecord, Vec<String>), Error> {
    let client = drive::client(pki, who)?;
    let wish = pki.settings()?.acme();
    let job = match wish.filter(|wish| stored.record.names.first() == Some(&own::first_name(wish))) {
        Some(wish) => drive::own(pki, &client, &wish),
        None => drive::renewal(&client, &stored.record),
    };
    let outcome = job.and_then(|job| drive::obtain(pki, &client, &job, turn));
    match &outcome {
        // That we end is nobody's failure.
        Ok(_) | Err(Error::Stopping) => {}
        Err(failure) => {
            client.note_failure(stored, &in_words(failure), asked_to_wait(failure))?;
        }
    }
    outcome
}

/// How long the authority asked to wait, if it did.
pub(super) fn asked_to_wait(failure: &Error) -> Option<Duration> {
    match failure {
        Error::Acme(error) => error.asked_to_wait(),
        _ => None,
    }
}
