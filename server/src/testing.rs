//! What unit tests of operations need: a PKI on disk, a client's request.

pub(crate) mod foreign;

use std::path::Path;

use ca::constraints::NameConstraints;
use ca::hierarchy::{Init, RootKeyPlace};
use ca::key::{KeyType, PrivateKey, ScryptCost, make_csr};
use time::OffsetDateTime;
use trust::Presented;

use crate::ops::issue::{Issue, Issued, ProfileName};
use crate::pki::{Keys, OpenMode, Pki};

/// The time in tests.
pub(crate) fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_800_000_000 + seconds).unwrap()
}

pub(crate) fn keys() -> Keys {
    Keys { passphrase: None, cost: ScryptCost::CHEAP }
}

pub(crate) fn plain_init() -> Init {
    Init {
        organization: "Test".parse().unwrap(),
        key_type: KeyType::P256,
        constraints: NameConstraints::default(),
        root_key: RootKeyPlace::Beside,
    }
}

/// A new PKI in `directory`.
pub(crate) fn made(directory: &Path) -> Pki {
    Pki::init(directory, keys(), &plain_init(), &crate::peer::own(), at(0)).unwrap()
}

/// The same, opened again.
pub(crate) fn reopened(directory: &Path) -> Pki {
    reopened_at(directory, at(1))
}

/// The same, opened again at a time.
pub(crate) fn reopened_at(directory: &Path, now: OffsetDateTime) -> Pki {
    Pki::open(directory, keys(), OpenMode::Service, now).unwrap()
}

pub(crate) fn request(profile: ProfileName, name: &str) -> Issue {
    let key = PrivateKey::generate(KeyType::P256).unwrap();
    let csr = make_csr(&key, &name.parse().unwrap(), &[]).unwrap();
    Issue {
        profile,
        csr,
        name: Some(name.to_owned()),
        names: Vec::new(),
        days: None,
        dry_run: false,
        project: None,
    }
}

pub(crate) fn issue(pki: &Pki, name: &str) -> Issued {
    pki.run(request(ProfileName::Client, name), &Presented::InProcess, at(10)).unwrap()
}
