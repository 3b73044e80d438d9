//! A small PKI in memory, for this crate's tests.

use std::path::Path;

use aws_lc_rs::rand::SystemRandom;
use store::Store;
use tempfile::TempDir;
use time::OffsetDateTime;
use time::macros::datetime;

use crate::authority::Current;
use crate::cert::{CommonName, Csr, SubjectAltName};
use crate::constraints::NameConstraints;
use crate::distribution::Distribution;
use crate::followed::Followed;
use crate::hierarchy::{Init, Initialised, RootKeyPlace, init};
use crate::issue::Desk;
use crate::key::{KeyType, PrivateKey, ScryptCost, make_csr};
use crate::keyring::Keyring;
use crate::plan::{Order, Policy, Requester};
use crate::subject::{LeafKind, Subject};

/// The time of every test that does not set another.
pub(crate) const NOW: OffsetDateTime = datetime!(2026-11-21 12:00:00 UTC);

/// A PKI that was just made.
pub(crate) struct Pki {
    pub(crate) directory: TempDir,
    pub(crate) store: Store,
    pub(crate) current: Followed<Current>,
    pub(crate) keyring: Keyring,
    pub(crate) policy: Policy,
    pub(crate) random: SystemRandom,
    pub(crate) made: Initialised,
}

impl Pki {
    pub(crate) fn new() -> Pki {
        Pki::of(KeyType::P256, NameConstraints::default())
    }

    pub(crate) fn of(key_type: KeyType, constraints: NameConstraints) -> Pki {
        Pki::at(key_type, constraints, NOW)
    }

    pub(crate) fn at(key_type: KeyType, constraints: NameConstraints, now: OffsetDateTime) -> Pki {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::in_memory();
        let keyring = keyring(directory.path());
        let policy = policy();
        let random = SystemRandom::new();
        let wish = wish(key_type, constraints);
        let made = init(&store, &keyring, &wish, &policy, "test", now, &random).unwrap();
        let current = Current::followed(&store);
        Pki { directory, store, current, keyring, policy, random, made }
    }

    pub(crate) fn desk(&self) -> Desk<'_> {
        Desk {
            store: &self.store,
            current: &self.current,
            keyring: &self.keyring,
            policy: &self.policy,
            random: &self.random,
        }
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }
}

pub(crate) fn keyring(directory: &Path) -> Keyring {
    Keyring::new(directory.join("keys"), None, ScryptCost::CHEAP)
}

pub(crate) fn policy() -> Policy {
    Policy {
        distribution: Distribution { base: Some("http://pki.example.com".parse().unwrap()) },
        ..Policy::default()
    }
}

pub(crate) fn wish(key_type: KeyType, constraints: NameConstraints) -> Init {
    Init { organization: name("Example"), key_type, constraints, root_key: RootKeyPlace::Beside }
}

pub(crate) fn name(text: &str) -> CommonName {
    text.parse().unwrap()
}

pub(crate) fn names(texts: &[&str]) -> Vec<SubjectAltName> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

pub(crate) fn csr_of(key: &PrivateKey) -> Csr {
    Csr::from_pem_or_der(make_csr(key, &name("asked"), &[]).unwrap().as_bytes()).unwrap()
}

pub(crate) fn csr() -> Csr {
    csr_of(&PrivateKey::generate(KeyType::P256).unwrap())
}

pub(crate) fn client(text: &str) -> Order {
    let subject = Subject::client(name(text), Vec::new()).unwrap();
    Order::new(&csr(), LeafKind::Client, subject, None, Requester::local("test"))
}

pub(crate) fn server(texts: &[&str]) -> Order {
    let subject = Subject::server(names(texts)).unwrap();
    Order::new(&csr(), LeafKind::Server, subject, None, Requester::local("test"))
}

/// Runs OpenSSL; its output if it succeeded, or else what it said.
pub(crate) fn openssl(arguments: &[&str]) -> Result<String, String> {
    let output = std::process::Command::new("openssl").args(arguments).output().unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match output.status.success() {
        true => Ok(said(&output.stdout)),
        false => Err(said(&output.stdout) + &said(&output.stderr)),
    }
}
