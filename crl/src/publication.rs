//! What is asked of a publication, and what came of it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use ca::cert::KeyId;
use ca::records::{AuthorityRecord, KeyPlace};
use time::{Duration, OffsetDateTime};

use crate::build::seconds;
use crate::files::Files;
use crate::{CrlNumber, Error, ListRecord, Revoked};

/// How long lists are valid; each is due again after half of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// Of issuing CAs.
    pub issuing: Duration,
    /// Of the root, while its key is elsewhere and each list is a journey.
    pub root: Duration,
}

impl Validity {
    /// Of the root while its key is here.
    pub const ROOT_KEY_HERE: Duration = Duration::days(30);

    /// Of an authority's list, by its part and where its key is.
    pub fn of(&self, authority: &AuthorityRecord) -> Duration {
        match (authority.role.is_root(), &authority.key) {
            (false, _) => self.issuing,
            (true, KeyPlace::Elsewhere { .. }) => self.root,
            (true, KeyPlace::Here | KeyPlace::HereEncrypted) => self.root.min(Self::ROOT_KEY_HERE),
        }
    }
}

impl Default for Validity {
    fn default() -> Self {
        Validity { issuing: Duration::days(7), root: Duration::days(365) }
    }
}

/// Which lists are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those of every authority that still has live certificates and whose key is here.
    All,
    /// Those of [`Which::All`] but the root's.
    Issuing,
    /// Those of [`Which::All`] that are past half of their time, lack a change, or are not in place.
    Due,
    /// Those of these authorities.
    Of(BTreeSet<KeyId>),
    /// The root's, to last for a year: its key is about to leave.
    RootBeforeItLeaves,
}

impl Which {
    /// The lists that revocations are to be published on; more than one where a compromised key had
    /// certificates of several generations.
    pub fn after(revoked: &[Revoked]) -> Which {
        Which::Of(revoked.iter().map(|revoked| revoked.target.issuer).collect())
    }
}

/// A list that is in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The authority that signed it.
    pub issuer: KeyId,
    /// Its number.
    pub number: CrlNumber,
    /// When it was made.
    pub this_update: OffsetDateTime,
    /// When the next one is due at the latest.
    pub next_update: OffsetDateTime,
    /// How many certificates it names.
    pub entries: u64,
    /// Its size in octets, DER.
    pub size: u64,
    /// Where it lies, relative to the directory.
    pub path: PathBuf,
}

/// What came of a publication.
#[derive(Debug, Default)]
pub struct Publication {
    /// The lists that are in place.
    pub lists: Vec<Published>,
    /// What failed: the authority whose list is not in place, if it is one's alone, and why.
    pub failures: Vec<(Option<KeyId>, Error)>,
}

impl Publication {
    /// What stood in the way of this authority's list: its own failure, else one of the common files.
    pub fn failure(&self, issuer: &KeyId) -> Option<&Error> {
        let own = self.failures.iter().find(|(failed, _)| failed.as_ref() == Some(issuer));
        own.or_else(|| self.failures.iter().find(|(failed, _)| failed.is_none())).map(|(_, error)| error)
    }
}

impl Published {
    pub(crate) fn new(issuer: KeyId, record: &ListRecord, size: u64) -> Published {
        Published {
            issuer,
            number: record.number,
            this_update: seconds(record.this_update),
            next_update: seconds(record.next_update),
            entries: record.entries,
            size,
            path: Files::own_name(&issuer),
        }
    }
}
