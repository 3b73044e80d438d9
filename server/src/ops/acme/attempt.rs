//! One attempt to renew, and all that are due.

use std::time::Duration;

use ::acme::client;
use ::acme::client::model::CertificateRecord;
use store::Versioned;
use time::OffsetDateTime;

use super::{drive, own};
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

/// Renews every certificate that is due, but for the service's own, which [`own::keep`] looks after; one that
/// fails does not stop the others.
pub(crate) fn renew_due(pki: &Pki, who: &str, now: OffsetDateTime) -> Result<Vec<Renewal>, Error> {
    let all = client::certificates(pki.store())?;
    let own = pki.settings()?.acme().map(|wish| own::first_name(&wish));
    let due = |record: &CertificateRecord| {
        record.revoked.is_none()
            && record.next_attempt <= now.unix_timestamp()
            && record.names.first() != own.as_ref()
    };
    let due = all.into_iter().filter(|stored| due(&stored.record));
    due.map(|stored| renewal_of(pki, who, &stored)).collect()
}

/// One attempt, and what came of it.
pub(super) fn renewal_of(
    pki: &Pki,
    who: &str,
    stored: &Versioned<CertificateRecord>,
) -> Result<Renewal, Error> {
    match attempt(pki, who, stored) {
        Ok((record, notes)) => Ok(Renewal { record, notes, failure: None }),
        Err(failure) => {
            let first = stored.record.names.first().cloned().unwrap_or_default();
            let record = client::certificate(pki.store(), &first)?.record;
            Ok(Renewal { record, notes: Vec::new(), failure: Some(failure) })
        }
    }
}

/// One attempt; its failure is recorded with the certificate.
pub(super) fn attempt(
    pki: &Pki,
    who: &str,
    stored: &Versioned<CertificateRecord>,
) -> Result<(CertificateRecord, Vec<String>), Error> {
    let client = drive::client(pki, who)?;
    let wish = pki.settings()?.acme();
    let job = match wish.filter(|wish| stored.record.names.first() == Some(&own::first_name(wish))) {
        Some(wish) => drive::own(pki, &client, &wish),
        None => drive::renewal(&client, &stored.record),
    };
    let outcome = job.and_then(|job| drive::obtain(pki, &client, &job));
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
