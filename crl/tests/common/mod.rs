//! A PKI in a temporary directory, with a clock that the test turns.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use ca::authority::Current;
use ca::cert::{Certificate, Csr, KeyId, Serial};
use ca::constraints::NameConstraints;
use ca::hierarchy::{Init, Initialised, RootKeyPlace, init};
use ca::issue::Desk;
use ca::key::{KeyType, PrivateKey, ScryptCost, make_csr};
use ca::keyring::Keyring;
use ca::plan::{Issued, Order, Policy, Requester};
use ca::subject::LeafKind;
use ca::subject::Subject;
use crl::{Publisher, Reason, Request, RevokedSet, Target, Validity};
use store::Store;
use tempfile::TempDir;
use time::{Duration, OffsetDateTime};

pub struct Pki {
    pub directory: TempDir,
    pub store: Store,
    pub keyring: Arc<Keyring>,
    pub revoked: RevokedSet,
    pub publisher: Publisher,
    pub made: Initialised,
    pub now: OffsetDateTime,
}

/// The day on which every test begins.
pub fn start() -> OffsetDateTime {
    time::macros::datetime!(2026-11-21 12:00 UTC)
}

pub fn serial(number: u64) -> Serial {
    Serial::from_bytes(&[&[0x40; 12][..], &number.to_be_bytes()].concat()).unwrap()
}

impl Pki {
    pub fn new(key_type: KeyType) -> Pki {
        Pki::with_root_key(key_type, RootKeyPlace::Beside)
    }

    pub fn with_root_key(key_type: KeyType, root_key: RootKeyPlace) -> Pki {
        Pki::in_store(Store::in_memory(), TempDir::new().unwrap(), key_type, root_key)
    }

    pub fn in_store(store: Store, directory: TempDir, key_type: KeyType, root_key: RootKeyPlace) -> Pki {
        let keyring = Arc::new(Keyring::new(directory.path().join("keys"), None, ScryptCost::CHEAP));
        let wanted = Init {
            organization: "Example".parse().unwrap(),
            key_type,
            constraints: NameConstraints::default(),
            root_key,
        };
        let random = SystemRandom::new();
        let made = init(&store, &keyring, &wanted, &Policy::default(), "test", start(), &random).unwrap();
        ca::hierarchy::publish_certificates(&store, directory.path(), start()).unwrap();
        let revoked = RevokedSet::open(store.clone()).unwrap();
        let publisher = Publisher::new(directory.path(), store.clone(), keyring.clone(), revoked.clone());
        Pki { directory, store, keyring, revoked, publisher, made, now: start() }
    }

    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn issuing(&self) -> KeyId {
        self.made.issuing.certificate().key_id()
    }

    pub fn root(&self) -> KeyId {
        self.made.root.certificate().key_id()
    }

    pub fn issuing_certificate(&self) -> &Certificate {
        self.made.issuing.certificate().certificate()
    }

    pub fn desk_issue(&self, name: &str, key: &PrivateKey) -> Result<Issued, ca::Error> {
        let csr = make_csr(key, &name.parse().unwrap(), &[]).unwrap();
        let csr = Csr::from_pem_or_der(csr.as_bytes()).unwrap();
        let subject = Subject::typed(LeafKind::Client, name, &[]).unwrap();
        let order = Order::new(&csr, LeafKind::Client, subject, None, Requester::local("test"));
        let (random, policy) = (SystemRandom::new(), Policy::default());
        let (store, current) = (&self.store, &Current::followed(&self.store));
        let desk = Desk { store, current, keyring: &self.keyring, policy: &policy, random: &random };
        desk.issue(&order, self.now)
    }

    /// A certificate of the issuing CA that exists by its serial alone.
    pub fn target(&self, number: u64) -> Target {
        let not_after = self.now + Duration::days(100);
        Target { issuer: self.issuing(), serial: serial(number), not_after, key: None }
    }

    pub fn request(&self, reason: Reason) -> Request {
        Request { reason, invalidity: None, now: self.now }
    }

    pub fn revoke(&self, numbers: impl IntoIterator<Item = u64>, reason: Reason) {
        let targets: Vec<Target> = numbers.into_iter().map(|number| self.target(number)).collect();
        crl::revoke(&self.store, &targets, &self.request(reason), "test").unwrap();
    }

    pub fn publish(&self, which: &crl::Which) -> Arc<crl::Publication> {
        self.publisher.publish(which, Validity::default(), self.now).unwrap()
    }
}

pub fn openssl(arguments: &[&str]) -> Output {
    Command::new("openssl").args(arguments).output().expect("openssl is needed for the tests")
}

/// Both streams of a program that succeeded.
pub fn text(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&both).into_owned()
}
