//! The passphrase by which a user of this machine, or a client on it, becomes trusted.
//!
//! Kept is an Argon2id hash with a salt of its own; the comparison takes the same time wherever the two
//! differ. It never helps whoever was removed, and over HTTPS it counts from this machine alone unless a
//! setting says otherwise. How often it may be tried is [`super::throttle`]'s business.

use std::fmt;
use std::net::IpAddr;

use argon2::PasswordHasher;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordVerifier, Version as Argon2Version};
use aws_lc_rs::rand::SecureRandom;
use ca::records::RestsOn;
use minicbor::{Decode, Encode};
use store::{Batch, Class, Format, Key, Record, Store, Table, Versioned};
use time::OffsetDateTime;

use super::{trust_user, user_id};
use crate::change::{Cause, ChangeError, Vetted, Wish, add_certificate};
use crate::decide::Refusal;
use crate::entry::{Denial, Origin};
use crate::error::Error;
use crate::presented::{Holder, LocalUser};
use crate::rights::Rights;
use crate::role::Held;
use crate::set::State;
use crate::settings::PassphraseRemote;

/// The fewest characters of a passphrase, unless the service is told otherwise.
pub const MINIMUM: usize = 8;
/// The most bytes that are hashed.
const LONGEST: usize = 1024;
/// The octets of a salt (RFC 9106 §4).
const SALT: usize = 16;

/// The record `local-passphrase/current`.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct LocalPassphrase {
    #[n(0)]
    phc: String,
    /// Who set it.
    #[n(1)]
    pub set_by: String,
    /// When, in seconds since 1970.
    #[n(2)]
    pub set_at: i64,
}

impl Record for LocalPassphrase {
    const TREE: &'static str = "local-passphrase";
    const FORMAT: Format = 1;
}

impl fmt::Debug for LocalPassphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalPassphrase").field("set_by", &self.set_by).finish_non_exhaustive()
    }
}

impl LocalPassphrase {
    /// The only record of its tree.
    pub const PART: &'static str = "current";

    /// Where it lies.
    pub fn key() -> Key {
        Table::<LocalPassphrase>::key(Self::PART)
    }

    /// Reads it; `None` while none is set.
    ///
    /// # Errors
    /// [`store::Error`].
    pub fn load(store: &Store) -> Result<Option<Versioned<LocalPassphrase>>, store::Error> {
        Table::get(store, Self::PART)
    }
}

/// What one try costs (RFC 9106 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// KiB of memory.
    pub memory: u32,
    /// Passes over it.
    pub passes: u32,
}

impl Cost {
    /// 19 MiB and two passes.
    pub const DEFAULT: Cost = Cost { memory: 19 * 1024, passes: 2 };
    /// Next to nothing: for tests.
    pub const CHEAP: Cost = Cost { memory: 8, passes: 1 };
}

/// Why a passphrase is not set, or does not let anybody in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PassphraseError {
    /// Argon2 failed, or what is recorded is none of its hashes.
    #[error("the passphrase can't be hashed: {reason}")]
    Hash {
        /// What it said.
        reason: String,
    },
    /// None is set.
    #[error("Passphrase is not set. Please `pki set local.passphrase` with a trusted client.")]
    NotSet,
    /// No randomness was to be had.
    #[error("the system gave no random octets")]
    Random,
    /// It came from another machine.
    #[error("the passphrase is taken from this machine alone; a token lets in a client from elsewhere")]
    Remote,
    /// It is longer than what is hashed.
    #[error("a passphrase has at most {LONGEST} bytes")]
    TooLong,
    /// It is too short.
    #[error("a passphrase has {minimum} characters at least")]
    TooShort {
        /// How many it must have.
        minimum: usize,
    },
    /// It is not the one that was set.
    #[error("Passphrase is not correct. Please try again.")]
    Wrong,
}

/// Sets the passphrase; `read` is the record as it is.
///
/// # Errors
/// [`PassphraseError::TooShort`], [`PassphraseError::TooLong`], [`PassphraseError::Random`].
pub fn set(
    passphrase: &str,
    minimum: usize,
    cost: Cost,
    read: Option<&Versioned<LocalPassphrase>>,
    cause: &Cause,
    now: OffsetDateTime,
    random: &dyn SecureRandom,
) -> Result<Batch, PassphraseError> {
    if passphrase.chars().count() < minimum.max(1) {
        return Err(PassphraseError::TooShort { minimum: minimum.max(1) });
    }
    if passphrase.len() > LONGEST {
        return Err(PassphraseError::TooLong);
    }
    let mut salt = [0; SALT];
    random.fill(&mut salt).map_err(|_| PassphraseError::Random)?;
    let failed = |error: &dyn fmt::Display| PassphraseError::Hash { reason: error.to_string() };
    let params = Params::new(cost.memory, cost.passes, 1, None).map_err(|error| failed(&error))?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Argon2Version::V0x13, params);
    let hash: PasswordHash =
        argon2.hash_password_with_salt(passphrase.as_bytes(), &salt).map_err(|error| failed(&error))?;
    let record =
        LocalPassphrase { phc: hash.to_string(), set_by: cause.who.clone(), set_at: now.unix_timestamp() };
    let mut batch = changed(read, "set local.passphrase", cause, now);
    batch.put(LocalPassphrase::key(), Table::encode(&record));
    Ok(batch)
}

/// The batch after which nobody comes in by the passphrase any more.
pub fn unset(read: &Versioned<LocalPassphrase>, cause: &Cause, now: OffsetDateTime) -> Batch {
    let mut batch = changed(Some(read), "unset local.passphrase", cause, now);
    batch.delete(LocalPassphrase::key());
    batch
}

fn changed(
    read: Option<&Versioned<LocalPassphrase>>,
    what: &str,
    cause: &Cause,
    now: OffsetDateTime,
) -> Batch {
    let mut batch = Batch::new(Class::Ledger, now.unix_timestamp(), &cause.who, what);
    cause.rests_on.demand(&mut batch);
    batch.expect(LocalPassphrase::key(), read.map(|read| read.version));
    batch
}

/// Proof that somebody knew the passphrase. Only [`verify`] makes one; it holds while the passphrase is
/// not changed.
#[derive(Clone, Debug)]
pub struct Verified {
    rests_on: RestsOn,
}

/// Compares a passphrase with the one that is set. It takes as long and as much memory as it cost to
/// set it: call it where that may be, one or few at a time ([`super::throttle::Slots`]).
///
/// # Errors
/// [`PassphraseError::NotSet`], [`PassphraseError::Wrong`].
pub fn verify(
    passphrase: &str,
    set: Option<&Versioned<LocalPassphrase>>,
) -> Result<Verified, PassphraseError> {
    let set = set.ok_or(PassphraseError::NotSet)?;
    if passphrase.len() > LONGEST {
        return Err(PassphraseError::Wrong);
    }
    // The parameters are those of the hash, so that raising the cost locks nobody out.
    match Argon2::default().verify_password(passphrase.as_bytes(), set.record.phc.as_str()) {
        Ok(()) => {
            Ok(Verified { rests_on: RestsOn::nothing().and(LocalPassphrase::key(), Some(set.version)) })
        }
        Err(argon2::password_hash::Error::PasswordInvalid) => Err(PassphraseError::Wrong),
        Err(error) => Err(PassphraseError::Hash { reason: error.to_string() }),
    }
}

/// Whether the passphrase may be tried from an address. An IPv4 address written as an IPv6 one is what
/// it stands for.
///
/// # Errors
/// [`PassphraseError::Remote`].
pub fn may_try(from: IpAddr, remote: PassphraseRemote) -> Result<(), PassphraseError> {
    match remote {
        PassphraseRemote::Anywhere => Ok(()),
        PassphraseRemote::LoopbackOnly if from.to_canonical().is_loopback() => Ok(()),
        PassphraseRemote::LoopbackOnly => Err(PassphraseError::Remote),
    }
}

/// The batch that trusts a user who knew the passphrase; `None` if they are trusted already.
///
/// # Errors
/// [`Error::Refused`] if they were removed: the passphrase does not bring back anybody.
pub fn admit_user(
    state: &State,
    user: &LocalUser,
    verified: &Verified,
    now: OffsetDateTime,
) -> Result<Option<Batch>, Error> {
    let id = user_id(user);
    if let Some(denial) = state.denial(&id) {
        return Err(Refusal::UserRemoved { name: denial.record.name.clone() }.into());
    }
    let same = |entry: &crate::entry::Entry| matches!(&entry.subject, crate::entry::Subject::User { name, .. } if *name == user.name);
    if state.entry(&id).is_some_and(|entry| same(&entry.record)) {
        return Ok(None);
    }
    let rests_on = verified.rests_on.clone().and(Denial::key(&id), None);
    let who = crate::peer::Peer::Local { uid: user.uid, name: user.name.clone() }.to_string();
    Ok(Some(trust_user(user, None, Origin::Passphrase, rests_on, state, &who, now)))
}

/// The batch that trusts a certificate whose holder knew the passphrase. It was vetted, so that neither
/// PKI mode nor a denial is got around.
///
/// # Errors
/// [`ChangeError::Already`], [`ChangeError::Weak`].
pub fn admit_holder(
    state: &State,
    holder: &Holder,
    vetted: &Vetted,
    verified: &Verified,
    now: OffsetDateTime,
) -> Result<Batch, ChangeError> {
    let (fingerprint, from) = (*holder.fingerprint(), holder.from());
    let who = crate::peer::Peer::Certificate { fingerprint, name: None, from };
    let cause = Cause { who: who.to_string(), may_give: Held::FULL, rests_on: verified.rests_on.clone() };
    let wish = Wish { name: None, rights: Rights::FULL, origin: Origin::Passphrase };
    add_certificate(state, holder, &vetted.without_lifting(), &wish, &cause, now)
}

#[cfg(test)]
mod tests;
