//! A PKI of our own, foreign authorities and strangers, for this crate's tests.

use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use ca::authority::Current;
use ca::cert::{Certificate, Csr, KeyId, Serial};
use ca::constraints::NameConstraints;
use ca::followed::Followed;
use ca::hierarchy::{Init, Initialised, RootKeyPlace, init};
use ca::issue::Desk;
use ca::key::{KeyType, PrivateKey, ScryptCost, make_csr};
use ca::keyring::Keyring;
use ca::plan::{Order, Policy, Requester};
use ca::records::{IssuedRecord, Reach, RestsOn};
use ca::subject::{LeafKind, Subject};
use crl::{ParsedList, Reason, RevokedSet, Target};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyIdMethod, KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
use store::{Batch, Class, Store, Table};
use tempfile::TempDir;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use crate::authority::{Import, Source, import};
use crate::entry::{Denial, Entry, Id, KeyDigest, Origin, Subject as Whom};
use crate::rights::Rights;
use crate::{Admitted, Error, Gate, Holder, Presented, Settings};

/// The time of every test that does not set another.
pub(crate) const NOW: OffsetDateTime = datetime!(2026-11-21 12:00:00 UTC);
/// The owner of every test's directory.
pub(crate) const OWNER: u32 = 900;

/// Our own PKI and the gate before it.
pub(crate) struct Pki {
    _directory: TempDir,
    pub(crate) store: Store,
    pub(crate) current: Followed<Current>,
    pub(crate) keyring: Keyring,
    pub(crate) revoked: RevokedSet,
    pub(crate) made: Initialised,
    pub(crate) gate: Gate,
}

impl Pki {
    pub(crate) fn new() -> Pki {
        let directory = TempDir::new().unwrap();
        let store = Store::in_memory();
        let keyring = Keyring::new(directory.path().join("keys"), None, ScryptCost::CHEAP);
        let wanted = Init {
            organization: "Example".parse().unwrap(),
            key_type: KeyType::P256,
            constraints: NameConstraints::default(),
            root_key: RootKeyPlace::Beside,
        };
        let policy = Policy::default();
        let made = init(&store, &keyring, &wanted, &policy, "test", NOW, &SystemRandom::new()).unwrap();
        let revoked = RevokedSet::open(store.clone()).unwrap();
        let gate = Gate::open(store.clone(), revoked.clone(), OWNER).unwrap();
        let current = Current::followed(&store);
        Pki { _directory: directory, store, current, keyring, revoked, made, gate }
    }

    pub(crate) fn desk<'a>(&'a self, policy: &'a Policy, random: &'a SystemRandom) -> Desk<'a> {
        Desk { store: &self.store, current: &self.current, keyring: &self.keyring, policy, random }
    }

    /// A certificate of ours, caused by someone with that reach, in that project.
    pub(crate) fn issue(&self, name: &str, project: &str, reach: Reach) -> (IssuedRecord, Certificate) {
        self.issue_kind(name, project, reach, LeafKind::Client)
    }

    pub(crate) fn issue_kind(
        &self,
        name: &str,
        project: &str,
        reach: Reach,
        kind: LeafKind,
    ) -> (IssuedRecord, Certificate) {
        let key = PrivateKey::generate(KeyType::P256).unwrap();
        let csr = make_csr(&key, &"asked".parse().unwrap(), &[]).unwrap();
        let csr = Csr::from_pem_or_der(csr.as_bytes()).unwrap();
        let subject = Subject::typed(kind, name, &[]).unwrap();
        let by = Requester {
            who: "test".to_owned(),
            project: project.to_owned(),
            rests_on: RestsOn::nothing(),
            reach,
        };
        let order = Order::new(&csr, kind, subject, None, by);
        let (policy, random) = (Policy::default(), SystemRandom::new());
        let issued = self.desk(&policy, &random).issue(&order, NOW).unwrap();
        (issued.record, issued.certificate)
    }

    /// A client of the default project, caused by an unrestricted peer.
    pub(crate) fn client(&self, name: &str) -> Certificate {
        self.issue(name, "default", Reach::Everything).1
    }

    pub(crate) fn revoke(&self, certificate: &Certificate) {
        let issuer = self.made.issuing.certificate().key_id();
        self.revoke_by(issuer, certificate);
    }

    pub(crate) fn revoke_by(&self, issuer: KeyId, certificate: &Certificate) {
        let target =
            Target { issuer, serial: certificate.serial(), not_after: certificate.not_after(), key: None };
        let request = crl::Request { reason: Reason::Superseded, invalidity: None, now: NOW };
        crl::revoke(&self.store, &[target], &request, "test").unwrap();
    }

    pub(crate) fn trust(&self, certificate: &Certificate, rights: Rights) {
        let entry = Entry {
            subject: Whom::Certificate {
                der: certificate.der().to_vec(),
                former: Vec::new(),
                key: KeyDigest::of(certificate),
            },
            name: "anna".parse().unwrap(),
            rights,
            origin: Origin::Added,
            added_by: "test".to_owned(),
            added_at: 0,
        };
        let mut batch = Batch::new(Class::Ledger, 0, "test", "trust");
        batch.put(Entry::key(&entry.id()), Table::encode(&entry));
        self.store.commit(batch).unwrap();
    }

    pub(crate) fn deny(&self, id: Id) {
        let denial = Denial { name: "anna".to_owned(), denied_by: "test".to_owned(), denied_at: 0 };
        let mut batch = Batch::new(Class::Ledger, 0, "test", "deny");
        batch.put(Denial::key(&id), Table::encode(&denial));
        self.store.commit(batch).unwrap();
    }

    pub(crate) fn import(&self, authority: &Foreign) {
        let key = KeyDigest::of(&authority.certificate);
        let read = self.gate.set().now().unwrap().authority(&key).cloned();
        match import(&authority.certificate, read.as_deref(), Source::Added, "test", NOW).unwrap() {
            Import::New(batch) => drop(self.store.commit(batch).unwrap()),
            Import::Already => {}
        }
    }

    pub(crate) fn load(&self, list: &[u8]) -> Result<Arc<crate::authority::LoadedList>, Error> {
        self.gate.load_list(&ParsedList::read(list).unwrap(), "test", NOW)
    }

    /// Shows a certificate alone.
    pub(crate) fn admit(&self, certificate: &Certificate, settings: &Settings) -> Result<Admitted, Error> {
        self.admit_with(certificate, &[], settings, NOW)
    }

    pub(crate) fn admit_with(
        &self,
        certificate: &Certificate,
        chain: &[&Foreign],
        settings: &Settings,
        now: OffsetDateTime,
    ) -> Result<Admitted, Error> {
        let chain = chain.iter().map(|authority| authority.certificate.clone()).collect();
        let presented = Presented::Certificate(Holder::new(certificate.clone(), chain));
        let (judged, admitted) =
            (self.gate.judge(&presented, settings, now), self.gate.admit(&presented, settings, now));
        assert_eq!(judged.is_ok(), admitted.is_ok(), "{judged:?} {admitted:?}");
        admitted
    }
}

/// What refused, and nothing else may have.
pub(crate) fn refusal<T: std::fmt::Debug>(outcome: Result<T, Error>) -> crate::Refusal {
    match outcome {
        Err(Error::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

/// An authority that is not ours.
pub(crate) struct Foreign {
    pub(crate) params: CertificateParams,
    pub(crate) key: PrivateKey,
    pub(crate) certificate: Certificate,
}

pub(crate) fn authority_params(name: &str) -> CertificateParams {
    let mut params = client_params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.extended_key_usages = Vec::new();
    params
}

pub(crate) fn client_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    (params.not_before, params.not_after) = (NOW - Duration::days(30), NOW + Duration::days(300));
    params
}

pub(crate) fn new_key() -> PrivateKey {
    PrivateKey::generate(KeyType::P256).unwrap()
}

/// A certificate that signed itself, as LXD's clients make them.
pub(crate) fn stranger(name: &str) -> Certificate {
    self_signed(&client_params(name), &new_key())
}

pub(crate) fn self_signed(params: &CertificateParams, key: &PrivateKey) -> Certificate {
    Certificate::from_der(params.self_signed(key).unwrap().der()).unwrap()
}

impl Foreign {
    pub(crate) fn root(name: &str) -> Foreign {
        Foreign::root_of(authority_params(name))
    }

    pub(crate) fn root_of(params: CertificateParams) -> Foreign {
        let key = new_key();
        let certificate = self_signed(&params, &key);
        Foreign { params, key, certificate }
    }

    pub(crate) fn below(&self, name: &str) -> Foreign {
        let (params, key) = (authority_params(name), new_key());
        let certificate = self.sign(&params, &key);
        Foreign { params, key, certificate }
    }

    pub(crate) fn sign(&self, params: &CertificateParams, key: &PrivateKey) -> Certificate {
        let issuer = Issuer::from_params(&self.params, &self.key);
        Certificate::from_der(params.signed_by(key, &issuer).unwrap().der()).unwrap()
    }

    pub(crate) fn client(&self, name: &str) -> Certificate {
        self.sign(&client_params(name), &new_key())
    }

    pub(crate) fn list(&self, number: u64, revoked: &[&Certificate]) -> Vec<u8> {
        self.list_of(self.list_params(number, &revoked.iter().map(|c| c.serial()).collect::<Vec<_>>()))
    }

    pub(crate) fn list_params(&self, number: u64, revoked: &[Serial]) -> CertificateRevocationListParams {
        let entry = |serial: &Serial| RevokedCertParams {
            serial_number: SerialNumber::from_slice(serial.as_bytes()),
            revocation_time: NOW - Duration::days(1),
            reason_code: None,
            invalidity_date: None,
        };
        CertificateRevocationListParams {
            this_update: NOW - Duration::days(1),
            next_update: NOW + Duration::days(6),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        }
    }

    pub(crate) fn list_of(&self, params: CertificateRevocationListParams) -> Vec<u8> {
        let issuer = Issuer::from_params(&self.params, &self.key);
        params.signed_by(&issuer).unwrap().der().to_vec()
    }
}
