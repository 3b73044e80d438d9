//! Redeeming a token: everything is looked at before it is taken, and it is taken by one commit.

use ca::cert::Certificate;
use ca::records::RestsOn;
use store::{Batch, Class, Store, Versioned};
use time::OffsetDateTime;

use super::{Purpose, Secret, Token, TokenError, find};
use crate::change::{Cause, ChangeError, Vetted, Wish, put_entry, trust_issued};
use crate::entry::{Denial, EntryName, Id, KeyDigest, Origin};
use crate::error::Error;
use crate::presented::Holder;
use crate::role::Held;
use crate::set::State;

/// What a redemption comes to.
#[derive(Clone, Debug)]
pub enum Redeemed {
    /// The batch takes the token and adds the entry.
    Trusted {
        /// What is to be committed; a conflict on the token means that somebody else was faster.
        batch: Batch,
        /// What the entry is called.
        name: EntryName,
    },
    /// The certificate had an entry before. The batch takes the token all the same, as LXD does, and
    /// changes nothing else: nobody gains rights that way.
    AlreadyTrusted {
        /// What is to be committed.
        batch: Batch,
    },
}

/// Decides the redemption of a token for trust by the holder of a certificate, which was vetted.
///
/// # Errors
/// [`TokenError::NoMatch`], the same for a wrong, a used and a revoked one and for one with another
/// purpose; [`TokenError::Expired`], the token being right; [`ChangeError::Weak`], and the token stays.
pub fn redeem(
    store: &Store,
    state: &State,
    secret: &Secret,
    holder: &Holder,
    vetted: &Vetted,
    now: OffsetDateTime,
) -> Result<Redeemed, Error> {
    let found = usable(find(store, secret)?, now)?;
    let rights = match &found.record.purpose {
        Purpose::Trust { rights } => rights.clone(),
        Purpose::Enrol { .. } => return Err(TokenError::NoMatch.into()),
    };
    let strength = holder.certificate().public_key().check_strength();
    strength.map_err(|source| ChangeError::Weak { source })?;
    let name = found.record.name.clone();
    let what = format!("token redeem {name} fingerprint={} rights={rights}", holder.fingerprint());
    let mut batch = Batch::new(Class::Ledger, now.unix_timestamp(), found.record.id().redeemer(), what);
    take(&mut batch, &found);
    if state.entry_of(holder.fingerprint()).is_some() {
        return Ok(Redeemed::AlreadyTrusted { batch });
    }
    vetted.rests_on.demand(&mut batch);
    let wish = Wish { name: Some(name.clone()), rights, origin: Origin::Token };
    put_entry(&mut batch, holder, name.clone(), &wish, &found.record.created_by, now);
    Ok(Redeemed::Trusted { batch, name })
}

/// A token for enrolment that was found good. It is taken by the batch that records the certificate:
/// there is no certificate without it, and it is not lost for one that was never made.
#[derive(Clone, Debug)]
pub struct Claim {
    token: Versioned<Token>,
}

/// Decides the claim of a token for enrolment. Who orders the certificate must be
/// [`super::TokenId::redeemer`], so that the same request again, whose answer was lost, finds the
/// certificate that answered it ([`Secret::id`] tells the id even when the token is gone).
///
/// # Errors
/// As [`redeem`].
pub fn claim(store: &Store, secret: &Secret, now: OffsetDateTime) -> Result<Claim, Error> {
    let found = usable(find(store, secret)?, now)?;
    match &found.record.purpose {
        Purpose::Enrol { .. } => {}
        Purpose::Trust { .. } => return Err(TokenError::NoMatch.into()),
    }
    Ok(Claim { token: found })
}

impl Claim {
    /// What it was made for.
    pub fn token(&self) -> &Token {
        &self.token.record
    }

    /// The record that the order must rest on: if somebody else is faster, nothing is issued.
    pub fn rests_on(&self) -> RestsOn {
        RestsOn::nothing().and(self.token.key.clone(), Some(self.token.version))
    }

    /// Adds the taking of the token to the batch that records the certificate
    /// ([`ca::issue::Desk::issue_joined`]), and the certificate's entry if the token was made for one.
    ///
    /// # Errors
    /// [`ChangeError::Denied`] if a certificate of this key was removed: no token lifts that, whatever
    /// it gives. The token stays.
    pub fn join(
        &self,
        batch: &mut Batch,
        state: &State,
        certificate: &Certificate,
        now: OffsetDateTime,
    ) -> Result<(), ChangeError> {
        let key = Id::Key(KeyDigest::of(certificate));
        if let Some(denial) = state.denial(&key) {
            return Err(ChangeError::Denied { name: denial.record.name.clone() });
        }
        take(batch, &self.token);
        let token = &self.token.record;
        match &token.purpose {
            Purpose::Enrol { rights: Some(rights), .. } => {
                let wish = Wish {
                    name: Some(token.name.clone()),
                    rights: rights.clone(),
                    origin: Origin::Enrolment,
                };
                // Whoever made the token had these rights to give when they made it.
                let cause = Cause {
                    who: token.created_by.clone(),
                    may_give: Held::Rights(rights.clone()),
                    rests_on: RestsOn::nothing(),
                };
                trust_issued(batch, state, certificate, &wish, &cause, now)
            }
            Purpose::Enrol { rights: None, .. } | Purpose::Trust { .. } => {
                batch.expect_absent(Denial::key(&key));
                Ok(())
            }
        }
    }
}

fn take(batch: &mut Batch, token: &Versioned<Token>) {
    batch.expect_unchanged(token.key.clone(), token.version);
    batch.delete(token.key.clone());
}

fn usable(found: Versioned<Token>, now: OffsetDateTime) -> Result<Versioned<Token>, TokenError> {
    match found.record.ends() {
        Some(at) if found.record.is_expired(now) => Err(TokenError::Expired { at }),
        Some(_) | None => Ok(found),
    }
}
