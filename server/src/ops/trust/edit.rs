//! Editing an entry: `pki trust edit`.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use trust::change::{Cause, Edit, edit, select};
use trust::rights::{ProjectName, Rights};
use trust::{Action, Permit};
use utoipa::ToSchema;

use super::view::TrustView;
use super::{TrustError, add, demand_projects, scope, settle};
use crate::Pki;
use crate::ops::{Error, Operation};

/// Changes an entry; what is `None` stays.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TrustEdit {
    /// Its name, or the beginning of a fingerprint of one of its certificates.
    pub word: String,
    /// The new name.
    pub name: Option<String>,
    /// The new type: `client`, `server` or `metrics`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Whether it is limited to projects from now on.
    pub restricted: Option<bool>,
    /// The projects that it is limited to from now on.
    pub projects: Option<Vec<String>>,
    /// The version that was read, if another must not be overruled.
    pub version: Option<u64>,
}

impl Operation for TrustEdit {
    const NAME: &'static str = "trust-edit";
    const ACTION: Action = Action::Trust;
    type Reply = TrustView;

    fn run(self, pki: &Pki, permit: &Permit, now: OffsetDateTime) -> Result<TrustView, Error> {
        let name = add::name(self.name.as_deref())?;
        let kind = self.kind.as_deref().map(str::parse).transpose().map_err(TrustError::Type)?;
        let cause = Cause::from(permit);
        let id = settle(pki, || {
            let state = pki.gate().set().now()?;
            let entry = select(&state, &self.word)?;
            if self.version.is_some_and(|version| version != entry.version.0.0) {
                return Err(TrustError::Changed { name: entry.record.name.to_string() }.into());
            }
            let now_has = &entry.record.rights;
            let restricted = self.restricted.unwrap_or(now_has.scope.is_restricted());
            let projects = match (&self.projects, restricted) {
                (Some(projects), _) => projects.clone(),
                (None, true) => now_has.scope.projects().map(ProjectName::to_string).collect(),
                // Who is not restricted any more needs none.
                (None, false) => Vec::new(),
            };
            let rights =
                Rights { kind: kind.unwrap_or(now_has.kind), scope: scope(restricted, &projects, &state)? };
            let wanted = Edit { name: name.clone(), rights: Some(rights.clone()) };
            let mut batch = edit(&entry, &wanted, &cause, now)?;
            if let Some(batch) = &mut batch {
                demand_projects(batch, &rights, &state);
            }
            Ok((batch, entry.record.id()))
        })?;
        add::shown(pki, &id, now)
    }
}
