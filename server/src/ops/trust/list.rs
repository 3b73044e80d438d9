//! Who is trusted by name: `pki trust list`, `pki trust show`.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use trust::change::{ChangeError, select};
use trust::{Action, Permit};
use utoipa::ToSchema;

use super::view::{self, TrustView};
use crate::Pki;
use crate::ops::{Error, Operation};

/// Everybody who is trusted by name, as far as whoever asks may see them, by name.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TrustList {}

impl Operation for TrustList {
    const NAME: &'static str = "trust-list";
    const ACTION: Action = Action::Read;
    type Reply = Vec<TrustView>;

    fn run(self, pki: &Pki, permit: &Permit, now: OffsetDateTime) -> Result<Vec<TrustView>, Error> {
        let entries = pki.gate().set().now()?.entries();
        entries
            .iter()
            .filter(|entry| view::is_within(permit.scope(), &entry.record.rights))
            .map(|entry| view::entry(pki, entry, now))
            .collect()
    }
}

/// The newest fingerprint of every certificate that is trusted by name, as far as whoever asks may see it, by
/// name. It looks into memory alone, and waits for nobody.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Fingerprints {}

impl Operation for Fingerprints {
    const NAME: &'static str = TrustList::NAME;
    const ACTION: Action = TrustList::ACTION;
    type Reply = Vec<String>;

    fn run(self, pki: &Pki, permit: &Permit, _: OffsetDateTime) -> Result<Vec<String>, Error> {
        let entries = pki.gate().set().now()?.entries();
        let seen = entries.iter().filter(|entry| view::is_within(permit.scope(), &entry.record.rights));
        Ok(seen.filter_map(|entry| Some(entry.record.fingerprints().first()?.to_string())).collect())
    }
}

/// The one entry that a word means.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TrustShow {
    /// Its name, or the beginning of a fingerprint of one of its certificates.
    pub word: String,
}

impl Operation for TrustShow {
    const NAME: &'static str = "trust-show";
    const ACTION: Action = Action::Read;
    type Reply = TrustView;

    fn run(self, pki: &Pki, permit: &Permit, now: OffsetDateTime) -> Result<TrustView, Error> {
        let unseen = || ChangeError::NotFound { word: ca::cert::printable(&self.word) };
        let found = select(&*pki.gate().set().now()?, &self.word);
        let entry = match found {
            // Whoever is restricted is not told of others by the list of those who fit.
            Err(ChangeError::Ambiguous { .. }) if permit.scope().is_restricted() => Err(unseen()),
            Ok(entry) if !view::is_within(permit.scope(), &entry.record.rights) => Err(unseen()),
            found => found,
        };
        view::entry(pki, &*entry?, now)
    }
}
