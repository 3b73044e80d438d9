//! Replacing the certificate of an entry: `PUT /1.0/certificates/{fingerprint}` as LXD has it.
//!
//! It is no [`crate::ops::Operation`], for it takes no fixed right: whoever may change who is trusted replaces any,
//! and whoever is limited to projects, or only looks, their own alone, by a connection made with the old one.

use ca::cert::{Certificate, Fingerprint};
use store::again;
use time::OffsetDateTime;
use trust::change::{Cause, Replacer, replace_certificate, select};
use trust::{Action, Holder, Presented};

use super::TrustError;
use crate::Pki;
use crate::ops::Error;

/// Replaces the certificate of the entry that `word` names. `version` is the one that was read, if another
/// must not be overruled.
pub(crate) fn replace(
    pki: &Pki,
    presented: &Presented,
    word: &str,
    certificate: &Certificate,
    version: Option<u64>,
    now: OffsetDateTime,
) -> Result<Fingerprint, Error> {
    let holder = Holder::new(certificate.clone(), Vec::new());
    let shown = match presented {
        Presented::Certificate(shown) => Some(*shown.fingerprint()),
        Presented::InProcess | Presented::Local(_) | Presented::Nobody | Presented::Person(_) => None,
    };
    again(|| {
        let settings = pki.settings()?;
        let admitted = pki.admit(presented, now)?;
        let vetted = match pki.gate().vet(&holder, &settings.trust(), now) {
            Err(trust::Error::Refused(refusal)) => return Err(TrustError::Unacceptable(refusal).into()),
            vetted => vetted?,
        };
        let state = pki.gate().set().now()?;
        let entry = select(&state, word)?;
        let itself = shown.is_some_and(|shown| entry.record.fingerprints().contains(&shown));
        let (action, replacer) = match itself {
            true => (Action::Read, Replacer::Itself),
            false => (Action::Trust, Replacer::Other),
        };
        let cause = Cause::from(&admitted.permit(action)?);
        if version.is_some_and(|version| version != entry.version.0.0) {
            return Err(TrustError::Changed { name: entry.record.name.to_string() }.into());
        }
        let mut batch = replace_certificate(&state, &entry, &holder, &vetted, replacer, &cause, now)?;
        drop(state);
        settings.trust_rests_on().demand(&mut batch);
        pki.store().commit(batch)?;
        Ok(*holder.fingerprint())
    })
}
