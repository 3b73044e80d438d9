//! Who is trusted: entries, tokens, imported authorities, projects, groups. `pki trust …`, `pki project …`,
//! `pki group …`.
//!
//! The crate `trust` decides each change and returns the batch; here it is asked, committed by the permit
//! of whoever asks, and shown. Whoever is restricted sees what lies within their own projects and changes
//! nothing.

pub mod add;
pub mod authority;
pub mod edit;
pub mod enroll;
mod error;
pub mod group;
pub mod list;
pub mod project;
pub(crate) mod reachable;
pub mod remove;
pub(crate) mod replace;
pub mod token;
pub mod view;

use store::{Batch, again};
use trust::State;
use trust::rights::{ProjectName, Rights, Scope};

use super::Error;
use crate::Pki;

pub use error::TrustError;

/// Decides and commits, and decides again while others change what the decision rests on. That whoever
/// asks may do it at all is expected of every batch by the store of `pki`.
fn settle<T>(pki: &Pki, mut decide: impl FnMut() -> Result<(Option<Batch>, T), Error>) -> Result<T, Error> {
    again(|| {
        let (batch, decided) = decide()?;
        if let Some(batch) = batch {
            pki.store().commit(batch)?;
        }
        Ok(decided)
    })
}

/// The settings that a decision goes by.
fn decided_by(pki: &Pki) -> Result<trust::Settings, Error> {
    Ok(pki.settings()?.trust())
}

/// The rights that were asked for; each project of theirs must be there.
pub(super) fn rights(wanted: &view::RightsWanted, state: &State) -> Result<Rights, Error> {
    let kind = wanted.kind.parse().map_err(TrustError::Type)?;
    Ok(Rights { kind, scope: scope(wanted.restricted, &wanted.projects, state)? })
}

/// Everything, or these projects, each of which must be there.
fn scope(restricted: bool, projects: &[String], state: &State) -> Result<Scope, Error> {
    if !restricted {
        return match projects {
            [] => Ok(Scope::Everything),
            [_, ..] => Err(TrustError::Unrestricted.into()),
        };
    }
    let mut names = std::collections::BTreeSet::new();
    for text in projects {
        let project: ProjectName = text.parse()?;
        if state.project(&project).is_none() && project != ProjectName::default_project() {
            return Err(Error::NoProject { project });
        }
        names.insert(project);
    }
    Ok(Scope::Projects(names))
}

/// Lets a batch expect that the projects of these rights are still there.
pub(super) fn demand_projects(batch: &mut Batch, rights: &Rights, state: &State) {
    for name in rights.scope.projects() {
        if let Some(project) = state.project(name) {
            batch.expect_unchanged(project.key.clone(), project.version);
        }
    }
}

#[cfg(test)]
mod tests;
