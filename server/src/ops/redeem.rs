//! The one thing that somebody who is not let in may ask for: to be let in by a token.
//!
//! It is no [`super::Operation`], because there is no permit that it could rest on: what it rests on is
//! the token, and that the certificate would be acceptable. A certificate that is not costs no token.

use store::again;
use time::OffsetDateTime;
use trust::Holder;
use trust::entry::EntryName;
use trust::token::{self, Redeemed, Secret};

use super::Error;
use crate::Pki;

/// What a redemption came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Redemption {
    /// The certificate is trusted now.
    Trusted {
        /// What its entry is called.
        name: EntryName,
    },
    /// It had an entry, and the token is used up all the same: nobody gains rights that way.
    AlreadyTrusted,
}

/// Redeems the token of a secret for the holder of a certificate. Blocks until it is durable.
///
/// Of any number of redemptions at once exactly one commits: whoever comes late finds no token.
pub(crate) fn redeem(
    pki: &Pki,
    holder: &Holder,
    secret: &Secret,
    now: OffsetDateTime,
) -> Result<Redemption, Error> {
    again(|| {
        let settings = pki.settings()?;
        // First of all: whoever shows a bad certificate learns nothing about any token.
        let vetted = pki.gate().vet(holder, &settings.trust(), now)?;
        let redeemed = {
            let state = pki.gate().set().now()?;
            token::redeem(pki.store(), &state, secret, holder, &vetted, now)?
        };
        let (mut batch, redemption) = match redeemed {
            Redeemed::Trusted { batch, name } => (batch, Redemption::Trusted { name }),
            Redeemed::AlreadyTrusted { batch } => (batch, Redemption::AlreadyTrusted),
        };
        settings.trust_rests_on().demand(&mut batch);
        pki.store().commit(batch)?;
        Ok(redemption)
    })
}
