//! The question "may this peer do that?" and the proof that it was answered yes.

use std::fmt;

use ca::records::RestsOn;

use crate::decide::ROOT;
use crate::peer::Peer;
use crate::rights::Scope;
use crate::role::Held;

/// What is asked for: the kinds of operation that may one day be given to different peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Change what the authorities are: init, rotation, the root's key.
    Authority,
    /// Take everything away, keys included.
    Backup,
    /// Change settings.
    Configure,
    /// Look through what concerns every project: the journal, the settings, the state of the directory.
    Inspect,
    /// Have certificates issued by our own authority.
    Issue,
    /// Read the metrics.
    Metrics,
    /// Have certificates issued by a foreign ACME authority.
    Obtain,
    /// Sign and place lists.
    Publish,
    /// Look up certificates, authorities and lists.
    Read,
    /// Revoke and release.
    Revoke,
    /// Change who is trusted: entries, tokens, imported authorities, projects, the passphrase.
    Trust,
}

impl Action {
    /// Every action, for tests and tables.
    pub const ALL: [Action; 11] = [
        Action::Authority,
        Action::Backup,
        Action::Configure,
        Action::Inspect,
        Action::Issue,
        Action::Metrics,
        Action::Obtain,
        Action::Publish,
        Action::Read,
        Action::Revoke,
        Action::Trust,
    ];
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Action::Authority => "change the authorities",
            Action::Backup => "take a backup",
            Action::Configure => "change settings",
            Action::Inspect => "look through the journal and the settings",
            Action::Issue => "issue certificates",
            Action::Metrics => "read the metrics",
            Action::Obtain => "obtain certificates by ACME",
            Action::Publish => "publish lists",
            Action::Read => "look certificates up",
            Action::Revoke => "revoke certificates",
            Action::Trust => "change who is trusted",
        })
    }
}

/// Proof that a peer may do a thing. Only [`crate::Admitted::permit`] and [`owner_only`] make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    peer: Peer,
    action: Action,
    scope: Scope,
    held: Held,
    rests_on: RestsOn,
}

impl Permit {
    pub(crate) fn granted(peer: Peer, action: Action, scope: Scope, held: Held, rests_on: RestsOn) -> Permit {
        Permit { peer, action, scope, held, rests_on }
    }

    /// All that the peer holds: the most that it can give to others.
    pub fn held(&self) -> &Held {
        &self.held
    }

    /// Where: a restricted peer's permit extends to its projects alone.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The records that it rests on: every batch that is committed by this permit must expect them
    /// unchanged ([`RestsOn::demand`]), so that a removal or revocation in between wins.
    pub fn rests_on(&self) -> &RestsOn {
        &self.rests_on
    }

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

/// Decides whether `peer` may do `action` in a directory that belongs to the user `owner`, where nobody
/// but root, the owner and the service itself may do anything: the rule of the socket in the directory.
///
/// # Errors
/// [`Denied`].
pub fn owner_only(peer: &Peer, action: Action, owner: u32) -> Result<Permit, Denied> {
    let trusted = match peer {
        Peer::InProcess => true,
        Peer::Local { uid, name: _ } => *uid == owner || *uid == ROOT,
        Peer::Certificate { .. } | Peer::Nobody | Peer::Person { .. } => false,
    };
    match trusted {
        true => Ok(Permit::granted(peer.clone(), action, Scope::Everything, Held::FULL, RestsOn::nothing())),
        false => Err(Denied { peer: peer.clone(), action, owner }),
    }
}

#[cfg(test)]
mod tests {
    use ca::cert::Fingerprint;

    use super::*;

    fn local(uid: u32) -> Peer {
        Peer::Local { uid, name: None }
    }

    #[test]
    fn owner_root_and_the_service_may_do_everything_and_others_nothing() {
        for action in Action::ALL {
            for peer in [Peer::InProcess, local(1000), local(0)] {
                let permit = owner_only(&peer, action, 1000).unwrap();
                assert_eq!((permit.peer(), permit.action()), (&peer, action));
            }
            let certificate =
                Peer::Certificate { fingerprint: Fingerprint::from_bytes([0; 32]), name: None, from: None };
            for peer in [certificate, Peer::Nobody] {
                assert!(owner_only(&peer, action, 1000).is_err());
            }
            for uid in [1, 999, 1001, 65534, u32::MAX] {
                let denied = owner_only(&local(uid), action, 1000).unwrap_err();
                assert_eq!(denied, Denied { peer: local(uid), action, owner: 1000 });
            }
        }
    }

    #[test]
    fn a_name_gives_no_rights() {
        let impostor = Peer::Local { uid: 1001, name: Some("root".to_owned()) };
        assert!(owner_only(&impostor, Action::Read, 1000).is_err());
    }
}
