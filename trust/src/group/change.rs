//! Changing groups, and denying people. Nobody gives or takes more than they have, neither to a group nor to
//! its members.

use store::{Batch, Class, Table, Versioned};
use time::OffsetDateTime;

use super::{Group, GroupName};
use crate::change::{Cause, put_denials};
use crate::entry::{Denial, Id};
use crate::person::{Email, PersonId, ProviderGroup};
use crate::role::{Held, Permission};
use crate::set::State;

/// The most people and provider's groups of one group: all are looked through at every request.
pub const MOST_MEMBERS: usize = 1000;

/// The most octets of a journal line about a group: what stands there no more is in the record.
const LONGEST_TOLD: usize = 2048;

/// Why a group is not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// There is a group of that name.
    #[error("the group {name} is there already")]
    Exists {
        /// Its name.
        name: GroupName,
    },
    /// There is no such group.
    #[error("there is no group {name}")]
    NotFound {
        /// What was asked for.
        name: GroupName,
    },
    /// Nobody of that name is denied.
    #[error("{person} is not denied")]
    NotDenied {
        /// Who was asked for, escaped.
        person: String,
    },
    /// It has too many members.
    #[error(
        "the group {name} would have more than {MOST_MEMBERS} members; map a group of the provider instead"
    )]
    TooMany {
        /// Its name.
        name: GroupName,
    },
    /// More would be given or taken than whoever does it has.
    #[error("{who} can't give or take {wanted}: they are trusted as {has}")]
    Widens {
        /// Who gives.
        who: String,
        /// What would be given.
        wanted: Permission,
        /// What they have.
        has: Box<Held>,
    },
}

/// What is to become of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edit {
    /// Permissions that it gets.
    pub grant: Vec<Permission>,
    /// Permissions that it loses.
    pub withdraw: Vec<Permission>,
    /// Addresses whose owners join it.
    pub map: Vec<Email>,
    /// Addresses whose owners leave it.
    pub unmap: Vec<Email>,
    /// Provider's groups that join it.
    pub map_groups: Vec<ProviderGroup>,
    /// Provider's groups that leave it.
    pub unmap_groups: Vec<ProviderGroup>,
}

fn covers<'a>(cause: &Cause, wanted: impl IntoIterator<Item = &'a Permission>) -> Result<(), GroupError> {
    match wanted.into_iter().find(|wanted| !cause.may_give.permits(wanted)) {
        None => Ok(()),
        Some(wanted) => Err(GroupError::Widens {
            who: cause.who.clone(),
            wanted: wanted.clone(),
            has: Box::new(cause.may_give.clone()),
        }),
    }
}

fn batch(cause: &Cause, what: String, now: OffsetDateTime) -> Batch {
    let mut batch = Batch::new(Class::Ledger, now.unix_timestamp(), &cause.who, what);
    cause.rests_on.demand(&mut batch);
    batch
}

/// Makes a group that permits nothing and has nobody in it.
///
/// # Errors
/// [`GroupError::Exists`].
pub fn create(
    state: &State,
    name: GroupName,
    cause: &Cause,
    now: OffsetDateTime,
) -> Result<Batch, GroupError> {
    if state.group(&name).is_some() {
        return Err(GroupError::Exists { name });
    }
    let mut batch = batch(cause, format!("group create {name}"), now);
    let key = Group::key(&name);
    let group = Group {
        name,
        permissions: Default::default(),
        emails: Default::default(),
        provider_groups: Default::default(),
        created_by: cause.who.clone(),
        created_at: now.unix_timestamp(),
    };
    batch.expect_absent(key.clone());
    batch.put(key, Table::encode(&group));
    Ok(batch)
}

/// Changes a group; `None` if that changes nothing.
///
/// # Errors
/// [`GroupError::Widens`], [`GroupError::TooMany`].
pub fn edit(
    group: &Versioned<Group>,
    edit: &Edit,
    cause: &Cause,
    now: OffsetDateTime,
) -> Result<Option<Batch>, GroupError> {
    let before = &group.record;
    let mut after = before.clone();
    after.permissions.extend(edit.grant.iter().cloned());
    after.permissions.retain(|permission| !edit.withdraw.contains(permission));
    after.emails.extend(edit.map.iter().cloned());
    after.emails.retain(|email| !edit.unmap.contains(email));
    after.provider_groups.extend(edit.map_groups.iter().cloned());
    after.provider_groups.retain(|group| !edit.unmap_groups.contains(group));
    // What changes is theirs to give; and whoever comes or goes gets or loses all the group has.
    covers(cause, before.permissions.symmetric_difference(&after.permissions))?;
    if (&before.emails, &before.provider_groups) != (&after.emails, &after.provider_groups) {
        covers(cause, before.permissions.union(&after.permissions))?;
    }
    if after.emails.len() + after.provider_groups.len() > MOST_MEMBERS {
        return Err(GroupError::TooMany { name: after.name });
    }
    if after == *before {
        return Ok(None);
    }
    let mut batch = batch(cause, told(before, &after), now);
    // A full disk must not keep anyone from being locked out.
    if after.permissions.is_subset(&before.permissions)
        && after.emails.is_subset(&before.emails)
        && after.provider_groups.is_subset(&before.provider_groups)
    {
        batch.urgent();
    }
    batch.expect_unchanged(group.key.clone(), group.version);
    batch.put(group.key.clone(), Table::encode(&after));
    Ok(Some(batch))
}

/// What the journal says of a change: each part of it, with a sign before it.
fn told(before: &Group, after: &Group) -> String {
    let mut what = format!("group edit {}", after.name);
    let mut more = 0;
    let mut add = |sign: &str, words: Vec<String>| {
        for word in words {
            match what.len() + word.len() < LONGEST_TOLD {
                true => what.push_str(&format!(" {sign}{word}")),
                false => more += 1,
            }
        }
    };
    let texts = |set: Vec<&Permission>| set.into_iter().map(Permission::to_string).collect();
    add("+", texts(after.permissions.difference(&before.permissions).collect()));
    add("-", texts(before.permissions.difference(&after.permissions).collect()));
    let emails = |set: Vec<&Email>| set.into_iter().map(Email::to_string).collect();
    add("+", emails(after.emails.difference(&before.emails).collect()));
    add("-", emails(before.emails.difference(&after.emails).collect()));
    let groups =
        |set: Vec<&ProviderGroup>| set.into_iter().map(|group| format!("{:?}", group.as_str())).collect();
    add("+provider-group=", groups(after.provider_groups.difference(&before.provider_groups).collect()));
    add("-provider-group=", groups(before.provider_groups.difference(&after.provider_groups).collect()));
    if more > 0 {
        what.push_str(&format!(" and {more} more"));
    }
    what
}

/// Removes a group: its members lose what it permitted.
///
/// # Errors
/// [`GroupError::Widens`].
pub fn remove(group: &Versioned<Group>, cause: &Cause, now: OffsetDateTime) -> Result<Batch, GroupError> {
    covers(cause, &group.record.permissions)?;
    let mut batch = batch(cause, format!("group remove {}", group.record.name), now);
    batch.urgent();
    batch.expect_unchanged(group.key.clone(), group.version);
    batch.delete(group.key.clone());
    Ok(batch)
}

/// Denies somebody, by their address or subject, whatever their groups permit.
///
/// # Errors
/// [`GroupError::Widens`]: whom they may deny is not known beforehand, so they must have everything.
pub fn deny(name: &str, cause: &Cause, now: OffsetDateTime) -> Result<Batch, GroupError> {
    covers(cause, [&Permission::Everything])?;
    let id = Id::Person(PersonId::of(name));
    let name = ca::cert::printable(name);
    let mut batch = batch(cause, format!("person deny {name}"), now);
    batch.urgent();
    put_denials(&mut batch, vec![id], &name, now);
    Ok(batch)
}

/// Lifts the denial of somebody: their groups count again.
///
/// # Errors
/// [`GroupError::Widens`], [`GroupError::NotDenied`].
pub fn allow(state: &State, name: &str, cause: &Cause, now: OffsetDateTime) -> Result<Batch, GroupError> {
    covers(cause, [&Permission::Everything])?;
    let id = Id::Person(PersonId::of(name));
    let name = ca::cert::printable(name);
    let Some(denial) = state.denial(&id) else { return Err(GroupError::NotDenied { person: name }) };
    let mut batch = batch(cause, format!("person allow {name}"), now);
    batch.expect_unchanged(Denial::key(&id), denial.version);
    batch.delete(Denial::key(&id));
    Ok(batch)
}
