//! `pki up`: makes what is missing, so that serving can begin. Run again, it finds everything there.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ca::hierarchy::{Init, RootKeyPlace};
use time::OffsetDateTime;
use trust::{Action, Peer};

use crate::Pki;
use crate::ops::doctor::{self, Finding};
use crate::ops::{Error, view::AuthorityView};
use crate::own::{self, Kept, Own};
use crate::pki::{DirectoryError, Keys, OpenMode};
use crate::settings::{self, Setting};

/// Where the public listener of a new PKI binds.
pub const FIRST_PUBLIC_ADDRESS: &str = "127.0.0.1:8080";
/// Where the HTTPS listener of a new PKI binds.
pub const FIRST_HTTPS_ADDRESS: &str = "127.0.0.1:8443";

/// What `up` found and made.
#[derive(Clone, Debug)]
pub struct UpReport {
    /// The directory.
    pub directory: PathBuf,
    /// Whether there was a PKI.
    pub pki: PkiState,
    /// What was made, and where it lies.
    pub made: Vec<Made>,
    /// The authorities that sign now.
    pub authorities: Vec<AuthorityView>,
    /// Where the public listener will bind.
    pub public_address: Option<SocketAddr>,
    /// Where the HTTPS listener will bind.
    pub https_address: Option<SocketAddr>,
    /// What the user should know.
    pub advice: Vec<Finding>,
}

/// Whether there was a PKI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PkiState {
    /// It was made just now.
    Created,
    /// It was there.
    Found,
}

/// One thing that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// What, e.g. `root CA`.
    pub what: &'static str,
    /// The file that others need of it.
    pub path: PathBuf,
}

/// Makes what is missing in `directory`: the PKI itself as `init` says, the service's and the operator's
/// certificates, the entry that lets the operator in, the listeners' addresses. Returns the PKI open, ready to be served.
///
/// # Errors
/// As [`Pki::open`] and [`Pki::init`].
pub fn up(
    directory: &Path,
    keys: Keys,
    init: &Init,
    peer: &Peer,
    now: OffsetDateTime,
) -> Result<(Pki, UpReport), Error> {
    let (pki, state) = match Pki::open(directory, keys.clone(), OpenMode::Service, now) {
        Ok(pki) => (pki, PkiState::Found),
        Err(Error::Directory(DirectoryError::Missing { .. } | DirectoryError::Unfinished { .. })) => {
            (Pki::init(directory, keys, init, peer, now)?, PkiState::Created)
        }
        Err(error) => return Err(error),
    };
    let permit = trust::owner_only(peer, Action::Authority, pki.owner())?;
    match (state, &init.root_key) {
        (PkiState::Found, RootKeyPlace::File(_)) => pki.finish_first(&init.root_key, now)?,
        (PkiState::Found, RootKeyPlace::Beside) | (PkiState::Created, _) => {}
    }
    let mut made = Vec::new();
    match state {
        PkiState::Found => {}
        PkiState::Created => {
            for (what, name) in
                [("root CA", "root.crt"), ("issuing CA", "ca.crt"), ("revocation list", "ca.crl")]
            {
                made.push(Made { what, path: pki.directory().join(name) });
            }
        }
    }
    // Before the first server certificate: once there is one, an address that is unset was unset by
    // somebody.
    let first = own::in_place(&pki, Own::Service)?.is_none();
    let firsts = [
        (Setting::CorePublicAddress, FIRST_PUBLIC_ADDRESS),
        (Setting::CoreHttpsAddress, FIRST_HTTPS_ADDRESS),
    ];
    for (setting, value) in firsts {
        if first && pki.settings()?.stored(setting).is_none() {
            let who = permit.peer().to_string();
            settings::set(pki.store(), setting, Some(value), &who, now.unix_timestamp())?;
        }
    }
    for own in Own::ALL {
        let what = match own {
            Own::Operator => "operator's client certificate",
            Own::Service => "service's server certificate",
        };
        match own::keep(&pki, own, now)? {
            Kept::Current | Kept::Revoked => {}
            Kept::Made | Kept::Renewed => made.push(Made { what, path: own.certificate_path(&pki) }),
        }
    }
    // Every time: an `up` that was interrupted may not have come to it. An operator who was removed stays so.
    own::trust_operator(&pki, now)?;
    let report = UpReport {
        directory: pki.directory().to_owned(),
        pki: state,
        made,
        authorities: doctor::current_authorities(&pki, now)?,
        public_address: pki.settings()?.public_address(),
        https_address: pki.settings()?.https_address(),
        advice: doctor::advice(&pki)?,
    };
    Ok((pki, report))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, keys, plain_init};

    #[test]
    fn up_makes_everything_once() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("pki");
        let go = |seconds| up(&place, keys(), &plain_init(), &crate::peer::own(), at(seconds)).unwrap();
        let (pki, first) = go(0);
        assert_eq!(first.pki, PkiState::Created);
        assert_eq!(first.made.len(), 5);
        assert!(first.made.iter().all(|made| made.path.is_file()), "{:?}", first.made);
        assert_eq!(first.public_address, FIRST_PUBLIC_ADDRESS.parse().ok());
        assert_eq!(first.https_address, FIRST_HTTPS_ADDRESS.parse().ok());
        let entries = pki.gate().set().now().unwrap().entries();
        assert_eq!(entries.len(), 1, "the operator is let in on HTTPS too");
        assert_eq!(entries[0].record.origin, trust::entry::Origin::Operator);
        assert_eq!(first.authorities.len(), 2);
        assert!(first.advice.iter().any(|finding| finding.check == "root-key"));
        settings::set(pki.store(), Setting::CorePublicAddress, None, "test", 1).unwrap();
        drop(pki);
        let (_pki, second) = go(60);
        assert_eq!((second.pki, second.made), (PkiState::Found, Vec::new()));
        assert_eq!(second.public_address, None, "what was unset stays unset");
    }

    #[test]
    fn up_finishes_what_was_begun() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("pki");
        Pki::begin_for_test(&place);
        let (_pki, report) = up(&place, keys(), &plain_init(), &crate::peer::own(), at(0)).unwrap();
        assert_eq!(report.pki, PkiState::Created);
    }
    #[test]
    fn up_trusts_the_operator_whom_an_interrupted_one_did_not_and_nobody_who_was_removed() {
        use crate::ops::trust::remove::TrustRemove;
        use crate::ops::view::Selector;
        use trust::Presented;
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("pki");
        let pki = crate::testing::made(&place);
        own::keep(&pki, Own::Operator, at(1)).unwrap();
        drop(pki);
        let go = |seconds| up(&place, keys(), &plain_init(), &crate::peer::own(), at(seconds)).unwrap().0;
        let entries = |pki: &Pki| pki.gate().set().now().unwrap().entries().len();
        let pki = go(2);
        assert_eq!(entries(&pki), 1);
        let which = Selector::Word("operator".to_owned());
        pki.run(TrustRemove { which, revoke: false, reason: None }, &Presented::InProcess, at(3)).unwrap();
        drop(pki);
        assert_eq!(entries(&go(4)), 0);
    }
}
