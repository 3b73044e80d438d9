//! Imported authorities: whose clients may come, and the lists that say which of them may not.
//!
//! An authority is its key: two with the same name are two authorities, and two certificates of one
//! key are one. A list is verified once, when it is loaded; from then on a lookup in a set answers.

mod import;
mod list;
mod standing;

use ca::cert::{Certificate, CertificateError, Serial};
use crl::CrlNumber;
use minicbor::{Decode, Encode};
use store::{Format, Key, Record, Table};

use crate::entry::KeyDigest;

pub use import::{Import, ImportError, follow_file, forget, import};
pub use list::{ListError, ListHealth, LoadedList, read_lists};
pub use standing::{Demand, word};

/// An imported authority, under `trust-authority/KEY`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Authority {
    /// Its certificate, DER.
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    pub der: Vec<u8>,
    /// How it came here.
    #[n(1)]
    pub source: Source,
    /// Who imported it.
    #[n(2)]
    pub added_by: String,
    /// When, in seconds since 1970.
    #[n(3)]
    pub added_at: i64,
}

/// How an authority came here, and so what takes it away again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Source {
    /// `pki trust ca add`.
    #[n(0)]
    Added,
    /// It stands in `trusted-ca/server.ca`.
    #[n(1)]
    File,
}

impl Record for Authority {
    const TREE: &'static str = "trust-authority";
    const FORMAT: Format = 1;
}

impl Authority {
    /// Where the authority of a key lies.
    pub fn key(digest: &KeyDigest) -> Key {
        Table::<Authority>::key(digest.to_string())
    }

    /// Its certificate.
    pub fn certificate(&self) -> Result<Certificate, CertificateError> {
        Certificate::from_der(&self.der)
    }
}

/// What is remembered of an authority's lists, under `trust-list/KEY`. It outlives the list itself: a
/// list below it is never enforced again.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ListMemory {
    /// The highest number ever seen.
    #[n(0)]
    pub number: CrlNumber,
    /// SHA-256 of that list.
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    pub digest: [u8; 32],
    /// Its thisUpdate, in seconds since 1970.
    #[n(2)]
    pub this_update: i64,
    /// Its nextUpdate, in seconds since 1970.
    #[n(3)]
    pub next_update: i64,
    /// How many certificates it names.
    #[n(4)]
    pub entries: u64,
    /// When it was first loaded, in seconds since 1970.
    #[n(5)]
    pub seen_at: i64,
}

impl Record for ListMemory {
    const TREE: &'static str = "trust-list";
    const FORMAT: Format = 1;
}

impl ListMemory {
    /// Where the memory of an authority's lists lies.
    pub fn key(digest: &KeyDigest) -> Key {
        Table::<ListMemory>::key(digest.to_string())
    }
}

/// One step of a path: this authority's key signed the certificate with this serial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Link {
    /// The authority's key.
    pub issuer: KeyDigest,
    /// The certificate below it.
    pub serial: Serial,
}
