//! What the lists of imported authorities say of a path that was found: pure, and asked for every request.

use std::collections::HashMap;
use std::sync::Arc;

use time::OffsetDateTime;

use super::{Link, LoadedList};
use crate::decide::{Refusal, Word};
use crate::entry::KeyDigest;
use crate::rights::Scope;
use crate::settings::CrlExpired;

/// Of which authorities of a path a list must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Demand {
    /// Of every one: without it nobody knows which of its clients are revoked.
    Every,
    /// Of none: there never was any.
    None,
}

/// What imported authorities say of a certificate with this path, each step by the list of whoever
/// signed it. A revocation anywhere counts, whatever else is in doubt.
pub fn word(
    path: &[Link],
    lists: &HashMap<KeyDigest, Arc<LoadedList>>,
    demand: Demand,
    policy: CrlExpired,
    now: OffsetDateTime,
) -> Word {
    let mut doubt = None;
    for Link { issuer, serial } in path {
        match (lists.get(issuer), demand) {
            (Some(list), _) if list.names(serial) => {
                return Word::Refused(Refusal::Revoked { serial: *serial });
            }
            (Some(list), _) if list.counts(policy, now) => {}
            (Some(_), _) => doubt = Some(Refusal::ListExpired { authority: *issuer }),
            (None, Demand::Every) => doubt = Some(Refusal::ListMissing { authority: *issuer }),
            (None, Demand::None) => {}
        }
    }
    match doubt {
        Some(doubt) => Word::Unknown(doubt),
        None => Word::Good(Some(Scope::Everything)),
    }
}
