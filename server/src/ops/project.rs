//! Projects: which one a request is about, who reaches it, and what names it allows.
//!
//! A restricted peer sees nothing outside its projects: what lies there is not found, so that asking
//! tells it nothing either. What belongs to no project of a known name is for unrestricted peers alone.

use ca::cert::SubjectAltName;
use ca::plan::Requester;
use ca::records::{IssuedRecord, RestsOn};
use trust::Permit;
use trust::project::Project;
use trust::rights::{ProjectName, Scope};

use super::Error;
use crate::Pki;

/// The project that is meant: the one that was named, else the only one of whoever asks, else `default`.
///
/// # Errors
/// [`Error::ProjectName`]; [`Error::OtherProject`] if the permit does not extend to it.
pub(super) fn meant(permit: &Permit, named: Option<&str>) -> Result<ProjectName, Error> {
    let project = match (named, permit.scope()) {
        (Some(named), _) => Some(named.parse()?),
        (None, Scope::Projects(own)) if own.len() == 1 => own.iter().next().cloned(),
        (None, Scope::Projects(_) | Scope::Everything) => None,
    };
    let project = project.unwrap_or_else(ProjectName::default_project);
    permit.within(&project)?;
    Ok(project)
}

/// Whether a certificate lies within the permit.
pub(super) fn reaches(permit: &Permit, record: &IssuedRecord) -> bool {
    includes(permit, &record.project)
}

/// Whether what is filed under `project` lies within the permit.
pub(super) fn includes(permit: &Permit, project: &str) -> bool {
    match permit.scope() {
        Scope::Everything => true,
        scope @ Scope::Projects(_) => project.parse().is_ok_and(|project| scope.includes(&project)),
    }
}

/// Whoever asks for an issue in `project`, as the authority records it.
pub(super) fn requester(permit: &Permit, project: &str) -> Requester {
    Requester {
        project: project.to_owned(),
        reach: permit.reach(),
        ..Requester::local(permit.peer().to_string())
    }
}

/// Checks that the certificates of `project` may carry these names, and returns what that rests on.
///
/// # Errors
/// [`Error::NoProject`], [`Error::NameNotAllowed`].
pub(super) fn allow(pki: &Pki, project: &str, names: &[SubjectAltName]) -> Result<RestsOn, Error> {
    let project: ProjectName = project.parse()?;
    let state = pki.gate().set().now()?;
    let found = state.project(&project);
    match found {
        Some(found) => found.record.allows(names)?,
        None if project == ProjectName::default_project() => {}
        None => return Err(Error::NoProject { project }),
    }
    Ok(RestsOn::nothing().and(Project::key(&project), found.map(|found| found.version)))
}
