//! The question "may this peer do that?" and the proof that it was answered yes.

use std::fmt;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// The service itself: its periodic work, and what `pki up` makes at first.
    InProcess,
    /// A user of this machine, as the kernel names the other end of the socket (`SO_PEERCRED`), or
    /// the user of the process that runs the operation itself.
    Local {
        /// The user id.
        uid: u32,
        /// The user's name, for the audit trail alone; `None` if it has none.
        name: Option<String>,
    },
}

impl fmt::Display for Peer {
    /// As the audit trail names it: `service`, `local:1000(anna)`, `local:1000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::InProcess => f.write_str("service"),
            Peer::Local { uid, name: Some(name) } => write!(f, "local:{uid}({name})"),
            Peer::Local { uid, name: None } => write!(f, "local:{uid}"),
        }
    }
}

/// What is asked for: the kinds of operation that may one day be given to different peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Change what the authorities are: init, rotation, the root's key.
    Authority,
    /// Take everything away, keys included.
    Backup,
    /// Change settings.
    Configure,
    /// Have certificates issued by our own authority.
    Issue,
    /// Have certificates issued by a foreign ACME authority.
    Obtain,
    /// Sign and place lists.
    Publish,
    /// Look things up.
    Read,
    /// Revoke and release.
    Revoke,
}

impl Action {
    /// Every action, for tests and tables.
    pub const ALL: [Action; 8] = [
        Action::Authority,
        Action::Backup,
        Action::Configure,
        Action::Issue,
        Action::Obtain,
        Action::Publish,
        Action::Read,
        Action::Revoke,
    ];
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Action::Authority => "change the authorities",
            Action::Backup => "take a backup",
            Action::Configure => "change settings",
            Action::Issue => "issue certificates",
            Action::Obtain => "obtain certificates by ACME",
            Action::Publish => "publish lists",
            Action::Read => "look things up",
            Action::Revoke => "revoke certificates",
        })
    }
}

/// Proof that a peer may do a thing. Only [`decide`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    peer: Peer,
    action: Action,
}

impl Permit {
    /// Whose permit it is: what the journal records as "who".
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// What it permits.
    pub fn action(&self) -> Action {
        self.action
    }
}

/// The peer may not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{peer} may not {action}: only root and the owner of the directory (uid {owner}) may")]
pub struct Denied {
    /// Who asked.
    pub peer: Peer,
    /// For what.
    pub action: Action,
    /// Who could have.
    pub owner: u32,
}

/// The user id of root.
const ROOT: u32 = 0;

/// Decides whether `peer` may do `action` in a directory that belongs to the user `owner`.
pub fn decide(peer: &Peer, action: Action, owner: u32) -> Result<Permit, Denied> {
    let trusted = match peer {
        Peer::InProcess => true,
        Peer::Local { uid, name: _ } => *uid == owner || *uid == ROOT,
    };
    // Every action is named, so that a new one has to be thought about here.
    let allowed = match action {
        Action::Authority
        | Action::Backup
        | Action::Configure
        | Action::Issue
        | Action::Obtain
        | Action::Publish
        | Action::Read
        | Action::Revoke => trusted,
    };
    if allowed {
        Ok(Permit { peer: peer.clone(), action })
    } else {
        Err(Denied { peer: peer.clone(), action, owner })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(uid: u32) -> Peer {
        Peer::Local { uid, name: None }
    }

    #[test]
    fn owner_root_and_the_service_may_do_everything_and_others_nothing() {
        for action in Action::ALL {
            for peer in [Peer::InProcess, local(1000), local(0)] {
                let permit = decide(&peer, action, 1000).unwrap();
                assert_eq!((permit.peer(), permit.action()), (&peer, action));
            }
            for uid in [1, 999, 1001, 65534, u32::MAX] {
                let denied = decide(&local(uid), action, 1000).unwrap_err();
                assert_eq!(denied, Denied { peer: local(uid), action, owner: 1000 });
            }
        }
    }

    #[test]
    fn a_name_gives_no_rights() {
        let impostor = Peer::Local { uid: 1001, name: Some("root".to_owned()) };
        assert!(decide(&impostor, Action::Read, 1000).is_err());
    }

    #[test]
    fn peers_are_named_for_the_audit_trail() {
        assert_eq!(Peer::InProcess.to_string(), "service");
        assert_eq!(local(7).to_string(), "local:7");
        assert_eq!(Peer::Local { uid: 7, name: Some("anna".into()) }.to_string(), "local:7(anna)");
    }
}
