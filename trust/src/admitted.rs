//! A peer that was let in, and what it may do: the proof that an operation asks for.

use std::fmt;

use ca::records::{Reach, RestsOn};

use crate::decide::{Grant, Way};
use crate::peer::Peer;
use crate::permit::{Action, Permit};
use crate::rights::{ClientType, ProjectName, Rights};

/// A peer that was let in. Only the decision makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    peer: Peer,
    rights: Rights,
    way: Way,
    rests_on: RestsOn,
}

impl Admitted {
    pub(crate) fn new(peer: Peer, grant: Grant, rests_on: RestsOn) -> Admitted {
        Admitted { peer, rights: grant.rights, way: grant.way, rests_on }
    }

    /// The service itself, for its periodic work.
    pub fn in_process() -> Admitted {
        let grant = Grant { rights: Rights::FULL, way: Way::Owner };
        Admitted::new(Peer::InProcess, grant, RestsOn::nothing())
    }

    /// Who it is.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// What it may do, and where.
    pub fn rights(&self) -> &Rights {
        &self.rights
    }

    /// How it came in.
    pub fn way(&self) -> Way {
        self.way
    }

    /// Asks whether it may do a thing.
    ///
    /// # Errors
    /// [`Forbidden`].
    pub fn permit(&self, action: Action) -> Result<Permit, Forbidden> {
        let restricted = self.rights.scope.is_restricted();
        // Every type and every action is named, so that a new one has to be thought about here.
        let allowed = match (self.rights.kind, action) {
            (ClientType::Client, Action::Issue | Action::Read | Action::Revoke) => true,
            (
                ClientType::Client,
                Action::Authority
                | Action::Backup
                | Action::Configure
                | Action::Inspect
                | Action::Metrics
                | Action::Obtain
                | Action::Publish
                | Action::Trust,
            ) => !restricted,
            (ClientType::Server, Action::Read) => true,
            (ClientType::Server, Action::Inspect | Action::Metrics) => !restricted,
            (
                ClientType::Server,
                Action::Authority
                | Action::Backup
                | Action::Configure
                | Action::Issue
                | Action::Obtain
                | Action::Publish
                | Action::Revoke
                | Action::Trust,
            ) => false,
            (ClientType::Metrics, Action::Metrics) => true,
            (
                ClientType::Metrics,
                Action::Authority
                | Action::Backup
                | Action::Configure
                | Action::Inspect
                | Action::Issue
                | Action::Obtain
                | Action::Publish
                | Action::Read
                | Action::Revoke
                | Action::Trust,
            ) => false,
        };
        match allowed {
            true => Ok(Permit::granted(
                self.peer.clone(),
                action,
                self.rights.scope.clone(),
                self.rests_on.clone(),
            )),
            false => {
                Err(Forbidden { peer: Box::new(self.peer.clone()), action, rights: self.rights.clone() })
            }
        }
    }
}

/// A peer that was let in may not do this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{peer} may not {action}: it is trusted as {rights}")]
pub struct Forbidden {
    /// Who asked.
    pub peer: Box<Peer>,
    /// For what.
    pub action: Action,
    /// What it may do.
    pub rights: Rights,
}

/// A project that a peer has no rights in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{peer} has no rights in project {project}")]
pub struct OtherProject {
    /// Who asked.
    pub peer: String,
    /// For which project.
    pub project: ProjectName,
}

impl Permit {
    /// Whether it extends to a project.
    ///
    /// # Errors
    /// [`OtherProject`].
    pub fn within(&self, project: &ProjectName) -> Result<(), OtherProject> {
        match self.scope().includes(project) {
            true => Ok(()),
            false => Err(OtherProject { peer: self.peer().to_string(), project: project.clone() }),
        }
    }

    /// What an issuance that it permits must record of it: how far whoever causes the issue can reach.
    pub fn reach(&self) -> Reach {
        match self.scope().is_restricted() {
            true => Reach::Project,
            false => Reach::Everything,
        }
    }
}

impl fmt::Display for Admitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} as {}", self.peer, self.rights)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Origin;
    use crate::rights::Scope;

    fn admitted(kind: ClientType, scope: Scope) -> Admitted {
        let grant = Grant { rights: Rights { kind, scope }, way: Way::Entry(Origin::Added) };
        Admitted::new(Peer::Nobody, grant, RestsOn::nothing())
    }

    #[test]
    fn what_each_type_may_do_is_this_and_no_more() {
        let web = || Scope::project("web".parse().unwrap());
        let all: &[Action] = &Action::ALL;
        let (issue, read, revoke) = (Action::Issue, Action::Read, Action::Revoke);
        let inspect = Action::Inspect;
        let table: [(ClientType, Scope, &[Action]); 6] = [
            (ClientType::Client, Scope::Everything, all),
            (ClientType::Client, web(), &[issue, read, revoke]),
            (ClientType::Server, Scope::Everything, &[read, inspect, Action::Metrics]),
            (ClientType::Server, web(), &[read]),
            (ClientType::Metrics, Scope::Everything, &[Action::Metrics]),
            (ClientType::Metrics, web(), &[Action::Metrics]),
        ];
        for (kind, scope, expected) in table {
            let peer = admitted(kind, scope);
            for action in Action::ALL {
                let permit = peer.permit(action);
                assert_eq!(permit.is_ok(), expected.contains(&action), "{peer}: {action}");
            }
        }
    }

    #[test]
    fn a_permit_carries_the_scope_it_was_given_for() {
        let web: ProjectName = "web".parse().unwrap();
        let permit = admitted(ClientType::Client, Scope::project(web.clone())).permit(Action::Issue).unwrap();
        assert_eq!(permit.reach(), Reach::Project);
        assert!(permit.within(&web).is_ok());
        assert!(permit.within(&ProjectName::default_project()).is_err());
        let full = Admitted::in_process().permit(Action::Issue).unwrap();
        assert_eq!(full.reach(), Reach::Everything);
        assert!(full.within(&web).is_ok());
    }
}
