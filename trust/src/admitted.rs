//! A peer that was let in, and what it may do: the proof that an operation asks for.

use std::fmt;

use ca::records::{Reach, RestsOn};

use crate::decide::{Grant, Way};
use crate::peer::Peer;
use crate::permit::{Action, Permit};
use crate::rights::{ClientType, ProjectName, Rights, Scope};
use crate::role::{Held, Permission};

/// A peer that was let in. Only the decision makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    peer: Peer,
    held: Held,
    way: Way,
    rests_on: RestsOn,
}

impl Admitted {
    pub(crate) fn new(peer: Peer, grant: Grant, rests_on: RestsOn) -> Admitted {
        Admitted { peer, held: grant.held, way: grant.way, rests_on }
    }

    /// The service itself, for its periodic work.
    pub fn in_process() -> Admitted {
        let grant = Grant { held: Held::FULL, way: Way::Owner };
        Admitted::new(Peer::InProcess, grant, RestsOn::nothing())
    }

    /// Who it is.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// What it holds.
    pub fn held(&self) -> &Held {
        &self.held
    }

    /// A client's rights; `None` for a person, who has permissions.
    pub fn rights(&self) -> Option<&Rights> {
        match &self.held {
            Held::Rights(rights) => Some(rights),
            Held::Permissions(_) => None,
        }
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
        let scope = match &self.held {
            Held::Rights(rights) => rights_allow(rights, action).then(|| rights.scope.clone()),
            Held::Permissions(permissions) => {
                permissions.iter().filter_map(|permission| allows(permission, action)).reduce(Scope::and)
            }
        };
        match scope {
            Some(scope) => Ok(Permit::granted(
                self.peer.clone(),
                action,
                scope,
                self.held.clone(),
                self.rests_on.clone(),
            )),
            None => Err(Forbidden {
                peer: Box::new(self.peer.clone()),
                action,
                held: Box::new(self.held.clone()),
            }),
        }
    }
}

/// The table of permissions: a client's by its type. Every type and every action is named, so that a new
/// one has to be thought about here.
fn rights_allow(rights: &Rights, action: Action) -> bool {
    let restricted = rights.scope.is_restricted();
    match (rights.kind, action) {
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
    }
}

/// The same table, a person's lines of it: where one permission allows an action, if it does. The lines
/// that are a client's too are taken from there.
fn allows(permission: &Permission, action: Action) -> Option<Scope> {
    let as_client =
        |kind, scope: Scope| rights_allow(&Rights { kind, scope: scope.clone() }, action).then_some(scope);
    match (permission, action) {
        (Permission::Everything, _) => as_client(ClientType::Client, Scope::Everything),
        (Permission::Issue(project), _) => as_client(ClientType::Client, Scope::project(project.clone())),
        (Permission::View, _) => as_client(ClientType::Server, Scope::Everything),
        (Permission::Revoke, Action::Read | Action::Revoke) => Some(Scope::Everything),
        (Permission::Trust, Action::Inspect | Action::Read | Action::Trust) => Some(Scope::Everything),
        (
            Permission::Revoke,
            Action::Authority
            | Action::Backup
            | Action::Configure
            | Action::Inspect
            | Action::Issue
            | Action::Metrics
            | Action::Obtain
            | Action::Publish
            | Action::Trust,
        )
        | (
            Permission::Trust,
            Action::Authority
            | Action::Backup
            | Action::Configure
            | Action::Issue
            | Action::Metrics
            | Action::Obtain
            | Action::Publish
            | Action::Revoke,
        ) => None,
    }
}

/// A peer that was let in may not do this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{peer} may not {action}: it is trusted as {held}")]
pub struct Forbidden {
    /// Who asked.
    pub peer: Box<Peer>,
    /// For what.
    pub action: Action,
    /// What it holds.
    pub held: Box<Held>,
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
        write!(f, "{} as {}", self.peer, self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Origin;

    fn admitted(kind: ClientType, scope: Scope) -> Admitted {
        let held = Held::Rights(Rights { kind, scope });
        let grant = Grant { held, way: Way::Entry(Origin::Added) };
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

    fn person(words: &[&str]) -> Admitted {
        let held = Held::Permissions(words.iter().map(|word| word.parse().unwrap()).collect());
        let grant = Grant { held, way: Way::Provider };
        Admitted::new(Peer::Person { name: "anna".to_owned() }, grant, RestsOn::nothing())
    }

    #[test]
    fn what_each_permission_permits_is_this_and_no_more() {
        let all: &[Action] = &Action::ALL;
        let (issue, read, revoke, inspect) = (Action::Issue, Action::Read, Action::Revoke, Action::Inspect);
        let table: [(&[&str], &[Action]); 7] = [
            (&[], &[]),
            (&["view"], &[read, inspect, Action::Metrics]),
            (&["issue:web"], &[issue, read, revoke]),
            (&["revoke"], &[read, revoke]),
            (&["trust"], &[read, inspect, Action::Trust]),
            (&["everything"], all),
            (&["trust", "issue:web"], &[issue, read, revoke, inspect, Action::Trust]),
        ];
        for (words, expected) in table {
            let peer = person(words);
            for action in Action::ALL {
                assert_eq!(peer.permit(action).is_ok(), expected.contains(&action), "{peer}: {action}");
            }
        }
    }

    #[test]
    fn a_persons_permit_extends_as_far_as_the_permissions_that_allow_it() {
        let (web, db): (ProjectName, ProjectName) = ("web".parse().unwrap(), "db".parse().unwrap());
        let peer = person(&["issue:web", "issue:db", "view"]);
        let issue = peer.permit(Action::Issue).unwrap();
        assert!(issue.within(&web).is_ok() && issue.within(&db).is_ok());
        assert!(issue.within(&ProjectName::default_project()).is_err());
        assert_eq!(issue.reach(), Reach::Project);
        // What one permission allows everywhere, another that names a project does not limit.
        assert_eq!(peer.permit(Action::Read).unwrap().scope(), &Scope::Everything);
        assert_eq!(peer.permit(Action::Revoke).unwrap().within(&db), Ok(()));
        assert!(person(&["revoke", "issue:web"]).permit(Action::Revoke).unwrap().within(&db).is_ok());
        assert_eq!(person(&["everything"]).permit(Action::Issue).unwrap().reach(), Reach::Everything);
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
