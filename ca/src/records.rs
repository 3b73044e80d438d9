//! What this crate keeps in the store: authorities, issued certificates, their indices, blocked keys.
//!
//! A record is CBOR behind a byte that names its format; fields are only ever added, with new numbers.
//! Indices hold no truth: they lead to a serial, and the record there says the rest.

mod found;
pub(crate) mod index;

pub(crate) use index::IndexRecord;

use std::sync::Arc;

use minicbor::{Decode, Encode};
use store::{Batch, Expectation, Expected, Format, Key, Record, Store, Table, Version};
use time::OffsetDateTime;

use crate::cert::{Fingerprint, KeyId, Serial};
use crate::constraints::{ConstraintError, NameConstraints};

/// Which part an authority plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Role {
    /// Signs issuing CAs.
    #[n(0)]
    Root,
    /// Signs end-entity certificates.
    #[n(1)]
    Issuing,
    /// An adopted self-signed CA that does both.
    #[n(2)]
    RootAndIssuing,
}

impl Role {
    /// `root` or `issuing`; an adopted CA that is both counts as a root.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Root | Role::RootAndIssuing => "root",
            Role::Issuing => "issuing",
        }
    }

    /// Whether it is the end of a path.
    pub fn is_root(self) -> bool {
        match self {
            Role::Root | Role::RootAndIssuing => true,
            Role::Issuing => false,
        }
    }
}

/// What an authority is good for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum AuthorityState {
    /// Its key is here and its CSR is out: the root signs elsewhere.
    #[n(0)]
    AwaitingCertificate,
    /// It signs.
    #[n(1)]
    Current,
    /// Another signs in its place; its list is still kept.
    #[n(2)]
    Retired,
    /// Its certificate is revoked.
    #[n(3)]
    Revoked,
}

impl AuthorityState {
    /// Its name in views: `current`, `retired`, `revoked` or `awaiting-certificate`.
    pub fn as_str(self) -> &'static str {
        match self {
            AuthorityState::AwaitingCertificate => "awaiting-certificate",
            AuthorityState::Current => "current",
            AuthorityState::Retired => "retired",
            AuthorityState::Revoked => "revoked",
        }
    }
}

/// Where an authority's private key is.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum KeyPlace {
    /// In the directory's `keys`, in the clear.
    #[n(0)]
    Here,
    /// In the directory's `keys`, under a passphrase.
    #[n(1)]
    HereEncrypted,
    /// Not here.
    #[n(2)]
    Elsewhere {
        /// Where it went, as far as it was said.
        #[n(0)]
        note: Option<String>,
    },
}

impl KeyPlace {
    /// Its name in views: `here`, `here-encrypted` or `elsewhere`.
    pub fn as_str(&self) -> &'static str {
        match self {
            KeyPlace::Here => "here",
            KeyPlace::HereEncrypted => "here-encrypted",
            KeyPlace::Elsewhere { .. } => "elsewhere",
        }
    }
}

/// One generation of an authority, under `authority/KEYID`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct AuthorityRecord {
    /// Its key identifier, the record's own name.
    #[n(0)]
    pub key_id: KeyId,
    /// Its part.
    #[n(1)]
    pub role: Role,
    /// What it is good for now.
    #[n(2)]
    pub state: AuthorityState,
    /// Where its private key is.
    #[n(3)]
    pub key: KeyPlace,
    /// Its certificate, DER; `None` while it is awaited.
    #[n(4)]
    #[cbor(with = "minicbor::bytes")]
    pub certificate: Option<Vec<u8>>,
    /// Its CSR, PEM, while the certificate is awaited.
    #[n(5)]
    pub csr: Option<String>,
    /// The names it is held to, as `example.com` or `10.0.0.0/8`.
    #[n(6)]
    pub constraints: Vec<String>,
    /// When it was made or adopted, in seconds since 1970.
    #[n(7)]
    pub created_at: i64,
    /// The authority that signs its certificate; its own for a root.
    #[n(8)]
    pub parent: KeyId,
    /// The names it may not sign; an adopted CA may be held so.
    #[n(9)]
    pub excluded: Vec<String>,
}

impl AuthorityRecord {
    /// The names it is held to.
    pub fn name_constraints(&self) -> Result<NameConstraints, ConstraintError> {
        NameConstraints::recorded(&self.constraints, &self.excluded)
    }
}

impl Record for AuthorityRecord {
    const TREE: &'static str = "authority";
    const FORMAT: Format = 1;
}

/// Which authorities sign, under `authority-current/pair`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct CurrentRecord {
    /// The root.
    #[n(0)]
    pub root: KeyId,
    /// The issuing CA; the root itself where an adopted CA is both.
    #[n(1)]
    pub issuing: KeyId,
}

impl CurrentRecord {
    /// The only record of its tree.
    pub const PART: &'static str = "pair";
}

impl Record for CurrentRecord {
    const TREE: &'static str = "authority-current";
    const FORMAT: Format = 1;
}

/// Which profile a certificate was issued under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum IssuedProfile {
    /// TLS client authentication.
    #[n(0)]
    Client,
    /// TLS server authentication.
    #[n(1)]
    Server,
    /// Issued by an adopted CA before we adopted it.
    #[n(2)]
    Imported,
    /// Signed by an authority of ours, recorded from its file, and for none of these uses.
    #[n(3)]
    Unknown,
}

impl IssuedProfile {
    /// `client`, `server`, `imported` or `unknown`.
    pub fn as_str(self) -> &'static str {
        match self {
            IssuedProfile::Client => "client",
            IssuedProfile::Server => "server",
            IssuedProfile::Imported => "imported",
            IssuedProfile::Unknown => "unknown",
        }
    }
}

/// Whether a renewal kept the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Lineage {
    /// A renewal with its predecessor's key.
    #[n(0)]
    KeyKept,
    /// A renewal with a key of its own.
    #[n(1)]
    Rekeyed,
}

/// How far whoever caused an issue could reach at that time: the most that the certificate may ever be
/// worth by itself, however it is renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Reach {
    /// Into the project that the certificate belongs to, and no further.
    #[n(0)]
    Project,
    /// Everywhere.
    #[n(1)]
    Everything,
}

/// One issued certificate, under `issued/SERIAL`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct IssuedRecord {
    /// Its serial number, the record's own name.
    #[n(0)]
    pub serial: Serial,
    /// Its DER; `None` for one imported from an index that had no file for it.
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    pub der: Option<Vec<u8>>,
    /// The name it was issued under.
    #[n(2)]
    pub name: String,
    /// The profile.
    #[n(3)]
    pub profile: IssuedProfile,
    /// Its alternative names, as `dns:…`, `ip:…`, `email:…`, `uri:…`.
    #[n(4)]
    pub names: Vec<String>,
    /// The project it belongs to.
    #[n(5)]
    pub project: String,
    /// Who caused its issue.
    #[n(6)]
    pub requester: String,
    /// When it was issued, in seconds since 1970.
    #[n(7)]
    pub issued_at: i64,
    /// Its notBefore, in seconds since 1970; `None` if an index did not tell.
    #[n(8)]
    pub not_before: Option<i64>,
    /// Its notAfter, in seconds since 1970.
    #[n(9)]
    pub not_after: i64,
    /// The authority that signed it.
    #[n(10)]
    pub issuer: KeyId,
    /// SHA-256 of its SPKI, if its DER is known.
    #[n(11)]
    #[cbor(with = "minicbor::bytes")]
    pub key: Option<[u8; 32]>,
    /// The digest of the request that it answered.
    #[n(12)]
    #[cbor(with = "minicbor::bytes")]
    pub request: Option<[u8; 32]>,
    /// The lifetime that was asked for in days, if one was.
    #[n(13)]
    pub days: Option<u32>,
    /// The certificate that it renews, and how.
    #[n(14)]
    pub predecessor: Option<Predecessor>,
    /// How far its requester could reach; `None` if nobody knows any more.
    #[n(15)]
    pub reach: Option<Reach>,
}

impl Record for IssuedRecord {
    const TREE: &'static str = "issued";
    const FORMAT: Format = 1;
    /// A certificate of an elliptic key, and the fields beside it.
    const USUAL_SIZE: usize = 1100;
}

/// What a certificate renews.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Predecessor {
    /// The renewed certificate.
    #[n(0)]
    pub serial: Serial,
    /// Whether the key stayed.
    #[n(1)]
    pub lineage: Lineage,
}

impl IssuedRecord {
    /// Its fingerprint, if its DER is known.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.der.as_deref().map(Fingerprint::of)
    }

    /// The last second of its validity.
    pub fn ends(&self) -> OffsetDateTime {
        moment(self.not_after)
    }

    /// Whether it is past its end.
    pub fn is_expired(&self, now: OffsetDateTime) -> bool {
        now > self.ends()
    }

    /// Adds the record and all its index entries to a batch.
    pub fn put(&self, batch: &mut Batch) {
        let serial = self.serial.to_string();
        Table::put(batch, &serial, self);
        let entry = IndexRecord { serial: self.serial, issuer: self.issuer };
        let value = Table::<IndexRecord>::encode(&entry);
        batch.put(index::by_name(&self.name, self.issued_at, &self.serial), value.clone());
        batch.put(index::by_expiry(self.not_after).part(&serial), value.clone());
        if let Some(fingerprint) = self.fingerprint() {
            batch.put(index::by_fingerprint(&fingerprint), value.clone());
        }
        if let Some(key) = &self.key {
            batch.put(index::by_key(key).part(&serial), value.clone());
        }
        if let Some(request) = &self.request {
            batch.put(index::by_request(request), value);
        }
    }
}

/// Records that something rests on, with the versions that were read; they go into its batch, so that
/// a change in between wins. Cheap to clone: every request that is let in carries some.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestsOn(Expected);

impl RestsOn {
    /// Nothing.
    pub fn nothing() -> RestsOn {
        RestsOn::default()
    }

    /// Also what a read of `key` returned, absence included.
    pub fn and(mut self, key: Key, read: Option<Version>) -> RestsOn {
        let expected = read.map_or(Expectation::Absent, Expectation::Unchanged);
        Arc::make_mut(&mut self.0).push((key, expected));
        self
    }

    /// Whether one of them lies at `key`.
    pub(crate) fn contains(&self, key: &Key) -> bool {
        self.0.iter().any(|(rested, _)| rested == key)
    }

    /// The store for whoever may change it only as long as all of them are as they were read.
    pub fn hold(&self, store: &Store) -> Store {
        store.resting_on(Arc::clone(&self.0))
    }

    /// Also all of `other`.
    pub fn and_all(mut self, other: RestsOn) -> RestsOn {
        Arc::make_mut(&mut self.0).extend(other.0.iter().cloned());
        self
    }

    /// Lets a batch expect all of them as they were read.
    pub fn demand(&self, batch: &mut Batch) {
        for (key, expected) in self.0.iter() {
            match expected {
                Expectation::Absent => batch.expect_absent(key.clone()),
                Expectation::Unchanged(version) => batch.expect_unchanged(key.clone(), *version),
            }
        }
    }
}

/// Where the crate above records that a certificate is revoked or on hold. Here only its absence matters.
pub(crate) fn revocation_key(issuer: &KeyId, serial: &Serial) -> Key {
    Key::new("revoked").part(issuer.to_string()).part(serial.to_string())
}

/// What a read of a certificate's revocation returned.
pub(crate) fn revocation(
    store: &Store,
    issuer: &KeyId,
    serial: &Serial,
) -> Result<Option<Version>, store::Error> {
    Ok(store.get(&revocation_key(issuer, serial))?.map(|stored| stored.version))
}

/// Seconds since 1970 as a moment; what no calendar can say becomes its nearest end.
pub(crate) fn moment(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(if seconds < 0 {
        time::macros::datetime!(0000-01-01 0:00 UTC)
    } else {
        time::macros::datetime!(9999-12-31 23:59:59 UTC)
    })
}
