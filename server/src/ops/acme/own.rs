//! The service's own certificate for the names of `acme.domain`: obtained when it is not there, renewed when
//! it is due, tried again with growing pauses when it fails.
//!
//! What the settings say is all that counts: another authority or other names mean another certificate, and
//! the one before stays in place until that has come. Nothing of this touches whose clients may come, nor
//! the certificate that the service shows to everybody else.

use ::acme::client::model::CertificateRecord;
use ::acme::client::{self, Client};
use time::OffsetDateTime;

use super::turn::{self, Meanwhile, Turn};
use super::{Renewal, attempt, drive};
use crate::Pki;
use crate::http::problem::in_words;
use crate::ops::Error;
use crate::settings::acme::Wish;

/// The first name of what the settings want.
pub(super) fn first_name(wish: &Wish) -> String {
    wish.domains.first().cloned().unwrap_or_default()
}

/// Obtains or renews it, if one is wanted and it is time.
pub(crate) fn keep(
    pki: &Pki,
    who: &str,
    now: OffsetDateTime,
    meanwhile: Meanwhile,
) -> Result<Option<Renewal>, Error> {
    pki.follow_acme_certificate();
    let first = pki.settings()?.acme().as_ref().map(first_name);
    if first.is_none() && client::wanted(pki.store())?.is_empty() {
        return Ok(None);
    }
    let taken = turn::take(pki, first.as_deref().unwrap_or_default(), meanwhile)?;
    let Some(mut turn) = taken else { return Ok(None) };
    // What is wanted may have changed while somebody else had their turn: then the job is woken anyway.
    let wish = pki.settings()?.acme();
    if wish.as_ref().map(first_name) != first {
        return Ok(None);
    }
    let waiting = client::wanted(pki.store())?;
    let client = drive::client(pki, who)?;
    for stale in waiting.iter().filter(|waiting| waiting.record.names.first() != first.as_ref()) {
        client.forget_wanted(stale)?;
    }
    let (Some(wish), Some(first)) = (wish, first) else { return Ok(None) };
    let stored = client::certificates(pki.store())?;
    let stored = stored.into_iter().find(|stored| stored.record.names.first() == Some(&first));
    if let Some(stored) = stored.filter(|stored| answers(&stored.record, &wish)) {
        return match stored.record.next_attempt <= now.unix_timestamp() {
            true => Ok(Some(super::renewal_of(pki, who, &stored, &mut turn)?)),
            false => follow_contact(pki, &client, &wish).map(|()| None),
        };
    }
    let before = waiting.into_iter().find(|waiting| waiting.record.names.first() == Some(&first));
    if before.is_some_and(|before| {
        before.record.asked == wish.asked && before.record.next_attempt > now.unix_timestamp()
    }) {
        return Ok(None);
    }
    obtain(pki, &client, &wish, &mut turn).map(Some)
}

/// Has the authority write to where the settings say, without waiting for the next order.
fn follow_contact(pki: &Pki, client: &Client, wish: &Wish) -> Result<(), Error> {
    let job = drive::own(pki, client, wish)?;
    let Some(contact) = &job.application.contact else { return Ok(()) };
    Ok(drive::block_on(pki, client.follow_contact(&job.application.authority, contact))??)
}

/// Whether a certificate is the one that is wanted.
fn answers(record: &CertificateRecord, wish: &Wish) -> bool {
    let sorted = |names: &[String]| {
        let mut names = names.to_vec();
        names.sort();
        names
    };
    record.revoked.is_none()
        && record.directory == wish.ca_url
        && sorted(&record.names) == sorted(&wish.domains)
}

fn obtain(pki: &Pki, client: &Client, wish: &Wish, turn: &mut Turn) -> Result<Renewal, Error> {
    let job = drive::own(pki, client, wish)?;
    match drive::obtain(pki, client, &job, turn) {
        Ok((record, notes)) => Ok(Renewal { record, notes, failure: None }),
        // That we end is nobody's failure.
        Err(Error::Stopping) => Err(Error::Stopping),
        Err(failure) => {
            let asked = attempt::asked_to_wait(&failure);
            client.note_wanted(&job.application, &wish.asked, &in_words(&failure), asked)?;
            Err(failure)
        }
    }
}
