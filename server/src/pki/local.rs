//! The users of this machine, as Multipass has them: who may reach the socket, who is trusted for being the
//! first to come, and who for knowing the passphrase.
//!
//! Being first is worth something only while the socket keeps out all but the administrators: once it was
//! open to everybody, nobody becomes trusted that way until the service starts again.

use std::fs;
use std::sync::atomic::Ordering;
use std::time::Instant;

use store::again;
use time::OffsetDateTime;
use trust::Presented;
use trust::local::passphrase::{LocalPassphrase, PassphraseError, admit_user, verify};
use trust::local::throttle::Asked;
use trust::local::{SocketAccess, socket_access, trust_first};

use super::Pki;
use crate::listen::SocketMode;
use crate::ops::Error;
use crate::ops::local::Authenticated;

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

    /// Trusts a user of this machine who knows the passphrase. Each user is slowed down alone.
    ///
    /// # Errors
    /// [`PassphraseError`] inside, [`Error::TooOften`], [`Error::Stopping`] if too many ask at once.
    pub(crate) fn authenticate(
        &self,
        presented: &Presented,
        passphrase: &str,
        clock: Instant,
        now: OffsetDateTime,
    ) -> Result<Authenticated, Error> {
        let user = match (self.admit(presented, now), presented) {
            (Ok(_), _) => return Ok(Authenticated { already: true }),
            (Err(_), Presented::Local(user)) => user,
            (Err(error), _) => return Err(error),
        };
        let refused = |error: PassphraseError| Error::from(trust::Error::from(error));
        let set = LocalPassphrase::load(self.store())?;
        if set.is_none() {
            return Err(refused(PassphraseError::NotSet));
        }
        let attempt = self.shared.throttle.begin(user.uid, clock)?;
        let slot = self.shared.slots.take(Asked::Here).ok_or(Error::Crowded)?;
        let verified = verify(passphrase, set.as_ref()).map_err(refused)?;
        drop(slot);
        attempt.succeeded();
        again(|| {
            let batch = admit_user(&*self.gate().set().now()?, user, &verified, now)?;
            let Some(batch) = batch else { return Ok(Authenticated { already: true }) };
            self.store().commit(batch)?;
            Ok(Authenticated { already: false })
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
    use crate::ops::local::PassphraseSet;
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
    fn whoever_knows_the_passphrase_is_trusted_and_guessing_is_slow() {
        let dir = tempfile::tempdir().unwrap();
        let pki = made(&dir.path().join("pki"));
        let clock = Instant::now();
        let ask = |uid, text: &str| pki.authenticate(&user(uid), text, clock, at(30));
        let unset = ask(1001, "correct horse").unwrap_err();
        assert!(unset.to_string().starts_with("Passphrase is not set."), "{unset}");
        let set = PassphraseSet { passphrase: Some("correct horse".to_owned()) };
        pki.run(set, &Presented::InProcess, at(25)).unwrap();
        for _ in 0..4 {
            let wrong = ask(1001, "wrong").unwrap_err();
            assert_eq!(wrong.to_string(), "Passphrase is not correct. Please try again.");
        }
        assert!(matches!(ask(1001, "correct horse"), Err(Error::TooOften(_))), "it waits");
        assert!(!ask(1002, "correct horse").unwrap().already, "and nobody else does");
        assert!(ask(1002, "whatever").unwrap().already);
        assert_eq!((is_in(&pki, 1001), is_in(&pki, 1002)), (false, true));
        let short = PassphraseSet { passphrase: Some("short".to_owned()) };
        assert!(pki.run(short, &Presented::InProcess, at(40)).is_err());
        assert!(pki.run(PassphraseSet { passphrase: None }, &user(1001), at(40)).is_err());
        pki.run(PassphraseSet { passphrase: None }, &user(1002), at(40)).unwrap();
        assert!(ask(1003, "correct horse").unwrap_err().to_string().starts_with("Passphrase is not set."));
    }

    #[test]
    fn groups_are_found_by_their_whole_name() {
        let groups = "root:x:0:\nsudoers:x:9:\nsudo:x:27:anna,bert\nbroken\n";
        assert_eq!(group_id(groups, "sudo"), Some(27));
        assert_eq!(group_id(groups, "admin"), None);
    }
}
