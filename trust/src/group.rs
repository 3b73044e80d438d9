//! Groups: what people may do. A person is in a group by their e-mail address, or because the identity
//! provider says that they are in one of its own.
//!
//! Groups are all that gives a person anything: who is in none may do nothing. They are kept in the
//! ledger; who has signed in is not.

mod change;

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use ca::records::RestsOn;
use minicbor::{Decode, Encode};
use store::{Format, Key, Record, Table};

use crate::entry::{Denial, Id};
use crate::person::{Email, Person, ProviderGroup};
use crate::rights::ProjectName;
use crate::role::Permissions;
use crate::set::State;

pub use change::{Edit, GroupError, allow, create, deny, edit, remove};

/// The name of a group: as a project's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupName(ProjectName);

/// Why a text is no group's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name:?} can't be a group's name: up to 63 letters, digits, '.', '_' and '-', the first a letter or digit"
)]
pub struct GroupNameError {
    /// The text, escaped.
    pub name: String,
}

impl GroupName {
    /// The name itself.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for GroupName {
    type Err = GroupNameError;

    fn from_str(text: &str) -> Result<GroupName, GroupNameError> {
        text.parse().map(GroupName).map_err(|_| GroupNameError { name: ca::cert::printable(text) })
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

ca::text_cbor!(GroupName);

/// A group, under `group/NAME`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Group {
    /// Its name.
    #[n(0)]
    pub name: GroupName,
    /// What its members may do.
    #[n(1)]
    pub permissions: Permissions,
    /// Whoever has one of these addresses is a member.
    #[n(2)]
    pub emails: BTreeSet<Email>,
    /// Whoever the provider has in one of these groups is a member.
    #[n(3)]
    pub provider_groups: BTreeSet<ProviderGroup>,
    /// Who made it.
    #[n(4)]
    pub created_by: String,
    /// When, in seconds since 1970.
    #[n(5)]
    pub created_at: i64,
}

impl Record for Group {
    const TREE: &'static str = "group";
    const FORMAT: Format = 1;
}

impl Group {
    /// Where a group lies.
    pub fn key(name: &GroupName) -> Key {
        Table::<Group>::key(name.as_str())
    }

    /// Whether somebody is a member.
    pub fn has(&self, person: &Person) -> bool {
        person.address.verified().is_some_and(|email| self.emails.contains(email))
            || person.groups.iter().any(|group| self.provider_groups.contains(group))
    }
}

/// What all groups together permit somebody, and the records that this rests on: the groups that they are
/// in. What is added to others takes nothing from them.
pub(crate) fn permitted(state: &State, person: &Person) -> (Permissions, RestsOn) {
    let mut permissions = Permissions::new();
    let mut rests_on = RestsOn::nothing();
    for group in state.groups().filter(|group| group.record.has(person)) {
        permissions.extend(group.record.permissions.iter().cloned());
        rests_on = rests_on.and(group.key.clone(), Some(group.version));
    }
    for id in person.names().map(Id::Person) {
        rests_on = rests_on.and(Denial::key(&id), None);
    }
    (permissions, rests_on)
}

#[cfg(test)]
mod tests;
