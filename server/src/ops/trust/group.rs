//! Groups of people: `pki group create|list|show|grant|withdraw|map|unmap|remove|deny|allow`.
//!
//! Whoever changes a group has what they give or take: see [`trust::group`]. A project that is named must be
//! there, and is not removed as long as it is.

use serde::{Deserialize, Serialize};
use store::Versioned;
use time::OffsetDateTime;
use trust::change::Cause;
use trust::entry::{Denial, Id};
use trust::group::{self, Edit, Group, GroupError, GroupName};
use trust::person::{Email, PersonError, PersonId, ProviderGroup, Subject};
use trust::rights::ProjectName;
use trust::role::Permission;
use trust::{Action, Permit, State};
use utoipa::ToSchema;

use super::{TrustError, settle};
use crate::Pki;
use crate::ops::{Error, Operation, shape};

/// A group of people, and what they may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GroupView {
    /// Its name.
    pub name: String,
    /// What its members may do: `view`, `issue:PROJECT`, `revoke`, `trust`, `everything`.
    pub permissions: Vec<String>,
    /// Whoever has one of these e-mail addresses is a member.
    pub emails: Vec<String>,
    /// Whoever the identity provider has in one of these groups is a member.
    pub provider_groups: Vec<String>,
    /// Who made it.
    pub created_by: String,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// Somebody whose groups do not count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeniedPerson {
    /// Their e-mail address, or the provider's subject.
    pub person: String,
    /// Who denied them.
    pub denied_by: String,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub denied_at: OffsetDateTime,
}

/// Every group, and who is denied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Groups {
    /// The groups, by name.
    pub groups: Vec<GroupView>,
    /// Who is denied, by name.
    pub denied: Vec<DeniedPerson>,
}

/// Makes a group that permits nothing and has no members.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct GroupCreate {
    /// Its name.
    pub name: String,
}

impl Operation for GroupCreate {
    const NAME: &'static str = "group-create";
    const ACTION: Action = Action::Trust;
    type Reply = GroupView;

    fn run(self, pki: &Pki, permit: &Permit, now: OffsetDateTime) -> Result<GroupView, Error> {
        let name = name(&self.name)?;
        let cause = Cause::from(permit);
        settle(pki, || {
            let state = pki.gate().set().now()?;
            let batch = group::create(&state, name.clone(), &cause, now).map_err(trust::Error::from)?;
            Ok((Some(batch), ()))
        })?;
        shown(pki, &name)
    }
}

/// Every group, and who is denied.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct GroupList {}

impl Operation for GroupList {
    const NAME: &'static str = "group-list";
    const ACTION: Action = Action::Inspect;
    type Reply = Groups;

    fn run(self, pki: &Pki, _: &Permit, _: OffsetDateTime) -> Result<Groups, Error> {
        let state = pki.gate().set().now()?;
        let people = state.denials().filter(|(id, _)| matches!(id, Id::Person(_)));
        let mut denied: Vec<DeniedPerson> = people.map(|(_, denial)| denied(&denial.record)).collect();
        denied.sort_by(|a, b| a.person.cmp(&b.person));
        Ok(Groups { groups: state.groups().map(|group| view(&group.record)).collect(), denied })
    }
}

/// One group.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct GroupShow {
    /// Its name.
    pub name: String,
}

impl Operation for GroupShow {
    const NAME: &'static str = "group-show";
    const ACTION: Action = Action::Inspect;
    type Reply = GroupView;

    fn run(self, pki: &Pki, _: &Permit, _: OffsetDateTime) -> Result<GroupView, Error> {
        shown(pki, &name(&self.name)?)
    }
}

/// Changes what a group permits, and whom it has.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct GroupEdit {
    /// Its name.
    pub name: String,
    /// Permissions that it gets.
    #[serde(default)]
    pub grant: Vec<String>,
    /// Permissions that it loses.
    #[serde(default)]
    pub withdraw: Vec<String>,
    /// E-mail addresses that join it.
    #[serde(default)]
    pub map: Vec<String>,
    /// E-mail addresses that leave it.
    #[serde(default)]
    pub unmap: Vec<String>,
    /// Groups of the identity provider that join it.
    #[serde(default)]
    pub map_provider_groups: Vec<String>,
    /// Groups of the identity provider that leave it.
    #[serde(default)]
    pub unmap_provider_groups: Vec<String>,
}

impl Operation for GroupEdit {
    const NAME: &'static str = "group-edit";
    const ACTION: Action = Action::Trust;
    type Reply = GroupView;

    fn run(self, pki: &Pki, permit: &Permit, now: OffsetDateTime) -> Result<GroupView, Error> {
        let name = name(&self.name)?;
        let edit = Edit {
            grant: permissions(&self.grant)?,
            withdraw: permissions(&self.withdraw)?,
            map: parsed::<Email>(&self.map)?,
            unmap: parsed::<Email>(&self.unmap)?,
            map_groups: parsed::<ProviderGroup>(&self.map_provider_groups)?,
            unmap_groups: parsed::<ProviderGroup>(&self.unmap_provider_groups)?,
        };
        let cause = Cause::from(permit);
        settle(pki, || {
            let state = pki.gate().set().now()?;
            let group = found(&state, &name)?;
            let mut batch = group::edit(group, &edit, &cause, now).map_err(trust::Error::from)?;
            for project in edit.grant.iter().filter_map(Permission::project) {
                let known = state.project(project);
                if known.is_none() && *project != ProjectName::default_project() {
                    return Err(Error::NoProject { project: project.clone() });
                }
                if let (Some(batch), Some(project)) = (&mut batch, known) {
                    batch.expect_unchanged(project.key.clone(), project.version);
                }
            }
            Ok((batch, ()))
        })?;
        shown(pki, &name)
    }
}

/// Removes a group: its members lose what it permitted.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct GroupRemove {
    /// Its name.
    pub name: String,
}

impl Operation for GroupRemove {
    const NAME: &'static str = "group-remove";
    const ACTION: Action = Action::Trust;
    type Reply = GroupView;

    fn run(self, pki: &Pki, permit: &Permit, now: OffsetDateTime) -> Result<GroupView, Error> {
        let name = name(&self.name)?;
        let cause = Cause::from(permit);
        settle(pki, || {
            let state = pki.gate().set().now()?;
            let group = found(&state, &name)?;
            let batch = group::remove(group, &cause, now).map_err(trust::Error::from)?;
            Ok((Some(batch), view(&group.record)))
        })
    }
}

/// Denies somebody, whatever their groups permit, until they are allowed again.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PersonDeny {
    /// Their e-mail address, or the provider's subject.
    pub person: String,
}

impl Operation for PersonDeny {
    const NAME: &'static str = "person-deny";
    const ACTION: Action = Action::Trust;
    type Reply = DeniedPerson;

    fn run(self, pki: &Pki, permit: &Permit, now: OffsetDateTime) -> Result<DeniedPerson, Error> {
        let person = person(&self.person)?;
        let cause = Cause::from(permit);
        settle(pki, || Ok((Some(group::deny(&person, &cause, now).map_err(trust::Error::from)?), ())))?;
        denial(&*pki.gate().set().now()?, &person)
    }
}

/// Lifts a denial: the groups of that person count again.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PersonAllow {
    /// Their e-mail address, or the provider's subject.
    pub person: String,
}

impl Operation for PersonAllow {
    const NAME: &'static str = "person-allow";
    const ACTION: Action = Action::Trust;
    type Reply = DeniedPerson;

    fn run(self, pki: &Pki, permit: &Permit, now: OffsetDateTime) -> Result<DeniedPerson, Error> {
        let person = person(&self.person)?;
        let cause = Cause::from(permit);
        settle(pki, || {
            let state = pki.gate().set().now()?;
            let batch = group::allow(&state, &person, &cause, now).map_err(trust::Error::from)?;
            Ok((Some(batch), denial(&state, &person)?))
        })
    }
}

/// The denial of somebody.
fn denial(state: &State, person: &str) -> Result<DeniedPerson, Error> {
    let found = state.denial(&Id::Person(PersonId::of(person)));
    let gone = || trust::Error::from(GroupError::NotDenied { person: ca::cert::printable(person) });
    Ok(denied(&found.ok_or_else(gone)?.record))
}

fn denied(denial: &Denial) -> DeniedPerson {
    DeniedPerson {
        person: denial.name.clone(),
        denied_by: denial.denied_by.clone(),
        denied_at: shape::moment(denial.denied_at),
    }
}

/// An address if it looks like one, else a subject.
fn person(text: &str) -> Result<String, Error> {
    let email = text.parse::<Email>().map(|email| email.to_string());
    let named = email.or_else(|_| text.parse::<Subject>().map(|subject| subject.to_string()));
    Ok(named.map_err(TrustError::Person)?)
}

fn name(text: &str) -> Result<GroupName, Error> {
    Ok(text.parse().map_err(TrustError::GroupName)?)
}

fn permissions(words: &[String]) -> Result<Vec<Permission>, Error> {
    let parsed = words.iter().map(|word| word.parse()).collect::<Result<_, _>>();
    Ok(parsed.map_err(TrustError::Permission)?)
}

fn parsed<T: std::str::FromStr<Err = PersonError>>(words: &[String]) -> Result<Vec<T>, Error> {
    let parsed = words.iter().map(|word| word.parse()).collect::<Result<_, _>>();
    Ok(parsed.map_err(TrustError::Person)?)
}

fn found<'a>(state: &'a State, name: &GroupName) -> Result<&'a Versioned<Group>, Error> {
    let found = state.group(name).map(AsRef::as_ref);
    Ok(found.ok_or_else(|| trust::Error::from(GroupError::NotFound { name: name.clone() }))?)
}

fn shown(pki: &Pki, name: &GroupName) -> Result<GroupView, Error> {
    Ok(view(&found(&*pki.gate().set().now()?, name)?.record))
}

fn view(group: &Group) -> GroupView {
    GroupView {
        name: group.name.to_string(),
        permissions: group.permissions.iter().map(ToString::to_string).collect(),
        emails: group.emails.iter().map(ToString::to_string).collect(),
        provider_groups: group.provider_groups.iter().map(ToString::to_string).collect(),
        created_by: group.created_by.clone(),
        created_at: shape::moment(group.created_at),
    }
}
