//! Trust entries: who is let in by name, and with which rights. And their opposite: denials.
//!
//! An entry stands for a certificate and the lineage that renewals make of it, or for a user of this
//! machine. It lies under what it is found by, so that the same certificate can't be trusted twice. A
//! denial is what a removal leaves behind: of the certificates and of their keys, so that a renewal
//! with the same key does not come back in.

mod name;

use std::fmt;

use ca::cert::{Certificate, CertificateError, Fingerprint};
use minicbor::{Decode, Encode};
use store::{Format, Key, Record, Table};

use crate::person::PersonId;
use crate::rights::Rights;

pub use name::{EntryName, EntryNameError};

/// SHA-256 over a SubjectPublicKeyInfo.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct KeyDigest(#[cbor(with = "minicbor::bytes")] [u8; 32]);

impl KeyDigest {
    /// That of a certificate's key.
    pub fn of(certificate: &Certificate) -> KeyDigest {
        KeyDigest(certificate.public_key().digest())
    }

    /// From its octets.
    pub const fn from_bytes(octets: [u8; 32]) -> KeyDigest {
        KeyDigest(octets)
    }

    /// Its octets.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyDigest({self})")
    }
}

impl std::str::FromStr for KeyDigest {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<KeyDigest, hex::FromHexError> {
        let mut octets = [0; 32];
        hex::decode_to_slice(text, &mut octets)?;
        Ok(KeyDigest(octets))
    }
}

/// What an entry or a denial lies under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Id {
    /// A certificate.
    Certificate(Fingerprint),
    /// Every certificate of a key; denials only.
    Key(KeyDigest),
    /// A person by their address or subject; denials only.
    Person(PersonId),
    /// A user of this machine.
    User(u32),
}

impl Id {
    /// The last part of the record's key: `certificate-…`, `key-…`, `person-…` or `user-…`.
    pub(crate) fn part(&self) -> String {
        match self {
            Id::Certificate(fingerprint) => format!("certificate-{fingerprint}"),
            Id::Key(digest) => format!("key-{digest}"),
            Id::Person(person) => format!("person-{person}"),
            Id::User(uid) => format!("user-{uid}"),
        }
    }

    /// Reads the last part of a record's key.
    pub(crate) fn from_key(key: &Key) -> Option<Id> {
        let part = String::from_utf8(key.last_part()?).ok()?;
        let (kind, rest) = part.split_once('-')?;
        let id = match kind {
            "certificate" => Id::Certificate(rest.parse().ok()?),
            "key" => Id::Key(rest.parse().ok()?),
            "person" => Id::Person(rest.parse().ok()?),
            "user" => Id::User(rest.parse().ok()?),
            _ => return None,
        };
        // One id has one key: no other spelling of it may exist.
        (id.part() == part).then_some(id)
    }
}

/// How an entry came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Origin {
    /// Someone trusted gave the certificate or the user's name.
    #[n(0)]
    Added,
    /// A token was redeemed.
    #[n(1)]
    Token,
    /// An enrolment token was redeemed: the certificate is ours.
    #[n(2)]
    Enrolment,
    /// `issue-client --trust`.
    #[n(3)]
    Issued,
    /// It stood in `authenticated-certs/clients.pem`.
    #[n(4)]
    File,
    /// The passphrase was right.
    #[n(5)]
    Passphrase,
    /// The first other user to connect.
    #[n(6)]
    TrustFirst,
    /// The operator of `pki up`.
    #[n(7)]
    Operator,
}

impl Origin {
    /// One word for views and the audit trail.
    pub fn as_str(self) -> &'static str {
        match self {
            Origin::Added => "added",
            Origin::Token => "token",
            Origin::Enrolment => "enrolment",
            Origin::Issued => "issued",
            Origin::File => "file",
            Origin::Passphrase => "passphrase",
            Origin::TrustFirst => "trust-first",
            Origin::Operator => "operator",
        }
    }
}

/// A certificate that an entry's own one renewed, directly or not. It stays good until its end, so that
/// a client whose renewal was interrupted is not locked out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Former {
    /// The certificate.
    #[n(0)]
    pub fingerprint: Fingerprint,
    /// Its key.
    #[n(1)]
    pub key: KeyDigest,
    /// Its last second, since 1970.
    #[n(2)]
    pub not_after: i64,
}

/// Whom an entry is about.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Subject {
    /// A certificate, and those that it renewed.
    #[n(0)]
    Certificate {
        /// The newest, DER.
        #[n(0)]
        #[cbor(with = "minicbor::bytes")]
        der: Vec<u8>,
        /// The ones before it, the newest first, as long as they are in date.
        #[n(1)]
        former: Vec<Former>,
        /// The newest one's key.
        #[n(2)]
        key: KeyDigest,
    },
    /// A user of this machine.
    #[n(1)]
    User {
        /// The user id.
        #[n(0)]
        uid: u32,
        /// The name that the id had then: an id that goes to somebody else takes no rights along.
        #[n(1)]
        name: Option<String>,
    },
}

/// One trust entry, under `trusted/ID`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Entry {
    /// Whom it is about.
    #[n(0)]
    pub subject: Subject,
    /// What it is called.
    #[n(1)]
    pub name: EntryName,
    /// What it may do, and where.
    #[n(2)]
    pub rights: Rights,
    /// How it came to be.
    #[n(3)]
    pub origin: Origin,
    /// Who caused it, as the audit trail says it.
    #[n(4)]
    pub added_by: String,
    /// When, in seconds since 1970.
    #[n(5)]
    pub added_at: i64,
}

impl Record for Entry {
    const TREE: &'static str = "trusted";
    const FORMAT: Format = 1;
}

impl Entry {
    /// What it lies under.
    pub fn id(&self) -> Id {
        match &self.subject {
            Subject::Certificate { der, .. } => Id::Certificate(Fingerprint::of(der)),
            Subject::User { uid, .. } => Id::User(*uid),
        }
    }

    /// Where it lies.
    pub fn key(id: &Id) -> Key {
        Table::<Entry>::key(id.part())
    }

    /// Every certificate it admits, the newest first.
    pub fn fingerprints(&self) -> Vec<Fingerprint> {
        match &self.subject {
            Subject::Certificate { der, former, .. } => {
                let newest = std::iter::once(Fingerprint::of(der));
                newest.chain(former.iter().map(|former| former.fingerprint)).collect()
            }
            Subject::User { .. } => Vec::new(),
        }
    }

    /// Its newest certificate; `None` for a user.
    pub fn certificate(&self) -> Option<Result<Certificate, CertificateError>> {
        match &self.subject {
            Subject::Certificate { der, .. } => Some(Certificate::from_der(der)),
            Subject::User { .. } => None,
        }
    }
}

/// The record `denied/ID`: this certificate, key, person or user is not let in, whatever else speaks for it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Denial {
    /// What the removed entry was called.
    #[n(0)]
    pub name: String,
    /// Who removed it.
    #[n(1)]
    pub denied_by: String,
    /// When, in seconds since 1970.
    #[n(2)]
    pub denied_at: i64,
}

impl Record for Denial {
    const TREE: &'static str = "denied";
    const FORMAT: Format = 1;
}

impl Denial {
    /// Where a denial lies.
    pub fn key(id: &Id) -> Key {
        Table::<Denial>::key(id.part())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_key() {
        let fingerprint = Fingerprint::from_bytes([0xcd; 32]);
        for id in [
            Id::Certificate(fingerprint),
            Id::Key(KeyDigest::from_bytes([1; 32])),
            Id::Person(PersonId::of("anna@example.com")),
            Id::User(0),
            Id::User(u32::MAX),
        ] {
            assert_eq!(Id::from_key(&Entry::key(&id)), Some(id));
        }
        let upper = format!("certificate-{}", fingerprint.to_string().to_uppercase());
        for stray in ["", "user-", "user-01", "user-+1", "group-1", "key-ab", "person-x", &upper] {
            assert_eq!(Id::from_key(&Table::<Entry>::key(stray)), None, "{stray}");
        }
    }

    #[test]
    fn an_entry_survives_its_encoding() {
        let former = Former {
            fingerprint: Fingerprint::from_bytes([7; 32]),
            key: KeyDigest::from_bytes([8; 32]),
            not_after: -1,
        };
        for subject in [
            Subject::Certificate { der: vec![0x30, 0], former: vec![former], key: former.key },
            Subject::User { uid: 1000, name: Some("anna".to_owned()) },
        ] {
            let entry = Entry {
                subject,
                name: "anna's".parse().unwrap(),
                rights: Rights::FULL,
                origin: Origin::TrustFirst,
                added_by: "service".to_owned(),
                added_at: 5,
            };
            let bytes = minicbor::to_vec(&entry).unwrap();
            assert_eq!(minicbor::decode::<Entry>(&bytes).unwrap(), entry);
        }
    }
}
