//! The users of this machine, as Multipass has them: who may reach the socket, and who is trusted for being
//! the first to come.
//!
//! Being first is worth something only while the socket keeps out all but the administrators: once it was
//! open to everybody, nobody becomes trusted that way until the service starts again.

use std::fs;
use std::sync::atomic::Ordering;

use store::again;
use time::OffsetDateTime;
use trust::Presented;
use trust::local::{SocketAccess, socket_access, trust_first};

use super::Pki;
use crate::listen::SocketMode;
use crate::ops::Error;

impl Pki {
    /// Who may open the socket now. Where none of the groups is there, or the service may not give it the
    /// socket, that is its owner alone.
    pub(crate) fn socket_mode(&self) -> Result<SocketMode, Error> {
        let settings = self.settings()?;
        let access = socket_access(&*self.gate().set().now()?, settings.trust_first());
        Ok(match access {
            SocketAccess::Everyone => {
                self.shared.socket_opened.store(true, Ordering::SeqCst);
                SocketMode::Everyone
            }
            SocketAccess::Group => {
                let groups = fs::read_to_string("/etc/group").unwrap_or_default();
                let gid = settings.socket_groups().find_map(|name| group_id(&groups, name));
                gid.map_or(SocketMode::Owner, SocketMode::Group)
            }
        })
    }

    /// Trusts whoever presents this if they are the first other user to come.
    pub(crate) fn welcome(&self, presented: &Presented, now: OffsetDateTime) -> Result<(), Error> {
        let Presented::Local(user) = presented else { return Ok(()) };
        // Whoever needs no entry is not asked about any: damaged records must not lock them out.
        if user.uid == 0 || user.uid == self.owner() || self.shared.socket_opened.load(Ordering::SeqCst) {
            return Ok(());
        }
        again(|| {
            let rule = self.settings()?.trust_first();
            let batch = trust_first(user, self.owner(), rule, &*self.gate().set().now()?, now);
            if let Some(batch) = batch {
                self.store().commit(batch)?;
                tracing::warn!(uid = user.uid, name = ?user.name, "the first other user is trusted");
            }
            Ok(())
        })
    }
}

/// The id of the group `name`, by the text of `/etc/group` (group(5)).
fn group_id(groups: &str, name: &str) -> Option<u32> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then(|| fields.nth(1)?.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{self, Setting};
    use crate::testing::{at, made};
    use trust::LocalUser;

    fn user(uid: u32) -> Presented {
        Presented::Local(LocalUser { uid, name: Some(format!("u{uid}")) })
    }

    fn is_in(pki: &Pki, uid: u32) -> bool {
        pki.admit(&user(uid), at(50)).is_ok()
    }

    #[test]
    fn the_first_other_user_is_trusted_and_nobody_after() {
        let dir = tempfile::tempdir().unwrap();
        let pki = made(&dir.path().join("pki"));
        pki.welcome(&user(0), at(10)).unwrap();
        assert!(!matches!(pki.socket_mode().unwrap(), SocketMode::Everyone), "root is not the first");
        for uid in [1001, 1002] {
            pki.welcome(&user(uid), at(20)).unwrap();
        }
        assert_eq!((is_in(&pki, 1001), is_in(&pki, 1002)), (true, false));
        assert!(matches!(pki.socket_mode().unwrap(), SocketMode::Everyone));
    }

    #[test]
    fn nobody_is_first_once_the_socket_was_open() {
        let dir = tempfile::tempdir().unwrap();
        let pki = made(&dir.path().join("pki"));
        let rule = |value| settings::set(pki.store(), Setting::LocalTrustFirst, Some(value), "t", 1).unwrap();
        rule("false");
        pki.welcome(&user(1001), at(20)).unwrap();
        assert!(matches!(pki.socket_mode().unwrap(), SocketMode::Everyone));
        rule("true");
        pki.welcome(&user(1002), at(21)).unwrap();
        assert_eq!((is_in(&pki, 1001), is_in(&pki, 1002)), (false, false));
    }

    #[test]
    fn groups_are_found_by_their_whole_name() {
        let groups = "root:x:0:\nsudoers:x:9:\nsudo:x:27:anna,bert\nbroken\n";
        assert_eq!(group_id(groups, "sudo"), Some(27));
        assert_eq!(group_id(groups, "admin"), None);
    }
}
