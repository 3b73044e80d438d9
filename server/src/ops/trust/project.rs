//! Projects: `pki project create|list|show|remove`.
//!
//! A project that somebody's rights name is not removed: who came after it under the same name would find
//! them waiting.

use serde::{Deserialize, Serialize};
use store::Batch;
use time::OffsetDateTime;
use trust::group::Group;
use trust::project::{DnsPattern, Project};
use trust::rights::{ProjectName, Rights};
use trust::token::{self, Purpose};
use trust::{Action, Permit, State};
use utoipa::ToSchema;

use super::{TrustError, settle};
use crate::Pki;
use crate::ops::{Error, Operation, shape};

/// A project, which certificates belong to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProjectView {
    /// Its name.
    pub name: String,
    /// The DNS names that its certificates may carry, and no others; none is any.
    pub allow_dns: Vec<String>,
    /// Who made it; `None` for `default`, which is always there.
    pub created_by: Option<String>,
    /// When.
    #[serde(with = "time::serde::rfc3339::option")]
    pub created_at: Option<OffsetDateTime>,
    /// Clients, tokens and groups that are limited to it.
    pub used_by: Vec<String>,
}

/// Makes a project.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ProjectCreate {
    /// Its name.
    pub name: String,
    /// The DNS names that its certificates may carry, like `*.web.internal`; none is any.
    pub allow_dns: Vec<String>,
}

impl Operation for ProjectCreate {
    const NAME: &'static str = "project-create";
    const ACTION: Action = Action::Trust;
    type Reply = ProjectView;

    fn run(self, pki: &Pki, permit: &Permit, now: OffsetDateTime) -> Result<ProjectView, Error> {
        let name = name(&self.name)?;
        let patterns = self.allow_dns.iter().map(|text| text.parse::<DnsPattern>());
        let patterns = patterns.collect::<Result<Vec<_>, _>>().map_err(TrustError::Pattern)?;
        let who = permit.peer().to_string();
        settle(pki, || {
            let state = pki.gate().set().now()?;
            if state.project(&name).is_some() {
                return Err(TrustError::ProjectExists { name: name.to_string() }.into());
            }
            Ok((Some(Project::put(name.clone(), patterns.clone(), None, &who, now)), ()))
        })?;
        let state = pki.gate().set().now()?;
        view(pki, &name, &state, permit)
    }
}

/// Every project, as far as whoever asks may see them, by name.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ProjectList {}

impl Operation for ProjectList {
    const NAME: &'static str = "project-list";
    const ACTION: Action = Action::Read;
    type Reply = Vec<ProjectView>;

    fn run(self, pki: &Pki, permit: &Permit, _: OffsetDateTime) -> Result<Vec<ProjectView>, Error> {
        let state = pki.gate().set().now()?;
        let made = state.projects().map(|project| project.record.name.clone());
        let mut names: Vec<ProjectName> = made.chain([ProjectName::default_project()]).collect();
        names.sort();
        names.dedup();
        names.retain(|name| permit.scope().includes(name));
        names.iter().map(|name| view(pki, name, &state, permit)).collect()
    }
}

/// One project.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ProjectShow {
    /// Its name.
    pub name: String,
}

impl Operation for ProjectShow {
    const NAME: &'static str = "project-show";
    const ACTION: Action = Action::Read;
    type Reply = ProjectView;

    fn run(self, pki: &Pki, permit: &Permit, _: OffsetDateTime) -> Result<ProjectView, Error> {
        let name = name(&self.name)?;
        match permit.within(&name) {
            Ok(()) => view(pki, &name, &*pki.gate().set().now()?, permit),
            // What others have is not told by how it is refused.
            Err(_) => Err(Error::NoProject { project: name }),
        }
    }
}

/// Removes a project that nobody's rights name. Certificates that belong to it keep its name.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ProjectRemove {
    /// Its name.
    pub name: String,
}

impl Operation for ProjectRemove {
    const NAME: &'static str = "project-remove";
    const ACTION: Action = Action::Trust;
    type Reply = ProjectView;

    fn run(self, pki: &Pki, permit: &Permit, now: OffsetDateTime) -> Result<ProjectView, Error> {
        let name = name(&self.name)?;
        if name == ProjectName::default_project() {
            return Err(TrustError::DefaultProject.into());
        }
        let who = permit.peer().to_string();
        settle(pki, || {
            let state = pki.gate().set().now()?;
            let before = view(pki, &name, &state, permit)?;
            let found = state.project(&name);
            let found = found.ok_or_else(|| Error::NoProject { project: name.clone() })?;
            if !before.used_by.is_empty() {
                return Err(TrustError::ProjectInUse { name: name.to_string(), users: before.used_by }.into());
            }
            let batch: Batch = Project::remove(found, &who, now);
            Ok((Some(batch), before))
        })
    }
}

fn name(text: &str) -> Result<ProjectName, Error> {
    Ok(text.parse()?)
}

/// Shows a project; who uses it is told only to whoever may change that.
fn view(pki: &Pki, name: &ProjectName, state: &State, permit: &Permit) -> Result<ProjectView, Error> {
    let found = state.project(name).map(|project| &project.record);
    if found.is_none() && *name != ProjectName::default_project() {
        return Err(Error::NoProject { project: name.clone() });
    }
    let used_by = match permit.scope().is_restricted() {
        true => Vec::new(),
        false => users(pki, name, state)?,
    };
    Ok(ProjectView {
        name: name.to_string(),
        allow_dns: found.into_iter().flat_map(|found| &found.allow_dns).map(DnsPattern::to_string).collect(),
        created_by: found.map(|found| found.created_by.clone()),
        created_at: found.map(|found| shape::moment(found.created_at)),
        used_by,
    })
}

/// Whose rights name a project: entries, tokens that will become some, and groups of people.
fn users(pki: &Pki, name: &ProjectName, state: &State) -> Result<Vec<String>, Error> {
    let named = |rights: &Rights| rights.scope.projects().any(|project| project == name);
    let entries = state.entries();
    let entries = entries.iter().filter(|entry| named(&entry.record.rights));
    let mut users: Vec<String> = entries.map(|entry| entry.record.name.to_string()).collect();
    for token in token::list(pki.store())? {
        let names_it = match &token.record.purpose {
            Purpose::Trust { rights } => named(rights),
            Purpose::Enrol { project, rights, .. } => project == name || rights.as_ref().is_some_and(named),
        };
        if names_it {
            users.push(format!("the token for {}", token.record.name));
        }
    }
    let names_it =
        |group: &Group| group.permissions.iter().any(|permission| permission.project() == Some(name));
    let groups = state.groups().filter(|group| names_it(&group.record));
    users.extend(groups.map(|group| format!("the group {}", group.record.name)));
    Ok(users)
}
