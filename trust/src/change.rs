//! Changing who is trusted: adding, editing, removing, and carrying an entry over to a renewal.
//!
//! Each function decides from what was read and returns the batch to commit. Nobody gives away more than
//! they have, and nothing here widens: a renewal keeps the rights of what it renews and stays denied
//! if that was denied, and a removal leaves a denial behind.

mod entries;
mod removal;
mod replacement;
mod select;

use ca::records::RestsOn;

use crate::entry::{EntryName, Origin};
use crate::permit::Permit;
use crate::rights::Rights;
use crate::role::Held;

pub use entries::{Edit, Vetted, add_certificate, add_user, edit, trust_issued};
pub use removal::{Removal, deny, remove};
pub use replacement::{Replacer, replace_certificate};
pub use select::select;

pub(crate) use entries::{Lifting, put_entry};
pub(crate) use removal::put_denials;

pub mod renewal;

/// Who causes a change, and what they may give away.
#[derive(Clone, Debug)]
pub struct Cause {
    /// As the audit trail says it.
    pub who: String,
    /// The most that they can give to others.
    pub may_give: Held,
    /// The records by which they may.
    pub rests_on: RestsOn,
}

impl From<&Permit> for Cause {
    fn from(permit: &Permit) -> Cause {
        Cause {
            who: permit.peer().to_string(),
            may_give: permit.held().clone(),
            rests_on: permit.rests_on().clone(),
        }
    }
}

/// What an entry is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// What to call it; without one it gets the certificate's common name.
    pub name: Option<EntryName>,
    /// What it may do, and where.
    pub rights: Rights,
    /// How it comes to be.
    pub origin: Origin,
}

/// Why a change is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// It has an entry.
    #[error("Certificate already in trust store")]
    Already {
        /// What the entry is called.
        name: EntryName,
    },
    /// A user who needs no entry.
    #[error("root and the owner of the directory are always trusted")]
    AlwaysTrusted,
    /// Several entries fit.
    #[error("More than one certificate matches {word:?}: {}", candidates.join(", "))]
    Ambiguous {
        /// What was asked for.
        word: String,
        /// The entries that fit, each by its name and the beginning of its fingerprint.
        candidates: Vec<String>,
    },
    /// A certificate of the same key was removed.
    #[error("{name} was removed, and this is the same key; an administrator has to add it again")]
    Denied {
        /// What the removed entry was called.
        name: String,
    },
    /// No entry fits.
    #[error("Certificate not found")]
    NotFound {
        /// What was asked for, escaped.
        word: String,
    },
    /// More would be given away than whoever gives it has.
    #[error("{who} can't give or take {wanted}: they reach no further than {has}")]
    Widens {
        /// Who gives.
        who: String,
        /// What would be given.
        wanted: Rights,
        /// What they have.
        has: Box<Held>,
    },
    /// The certificate's key is not one to rely on.
    #[error("the client's key is too weak")]
    Weak {
        /// Why.
        #[source]
        source: ca::cert::WeakKey,
    },
}

impl Cause {
    /// Whether they have what they would give away or take.
    pub(crate) fn covers(&self, wanted: &Rights) -> Result<(), ChangeError> {
        match self.may_give.cover(wanted) {
            true => Ok(()),
            false => Err(ChangeError::Widens {
                who: self.who.clone(),
                wanted: wanted.clone(),
                has: Box::new(self.may_give.clone()),
            }),
        }
    }
}

#[cfg(test)]
mod tests;
