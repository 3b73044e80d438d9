//! Keys that are never certified again: a key once reported as compromised stays blocked for ever.
//!
//! A blocked key is remembered by the SHA-256 of its SPKI, so that neither another name nor another
//! profile brings it back. There is no way to unblock one.

use minicbor::{Decode, Encode};
use store::{Batch, Format, Key, Record, Store, Table, Versioned};

use crate::cert::{PublicKey, Serial, lower_hex};

/// Why and since when a key is blocked, under `blocked-key/SPKI`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct BlockedKey {
    /// Since when, in seconds since 1970.
    #[n(0)]
    pub since: i64,
    /// The certificate whose revocation blocked it.
    #[n(1)]
    pub serial: Serial,
    /// Who caused it.
    #[n(2)]
    pub who: String,
}

impl Record for BlockedKey {
    const TREE: &'static str = "blocked-key";
    const FORMAT: Format = 1;
}

/// Where a key's block lies, or would lie.
pub fn key(spki_digest: &[u8; 32]) -> Key {
    Table::<BlockedKey>::key(lower_hex(spki_digest))
}

/// Adds the blocking of a key to a batch.
pub fn block(batch: &mut Batch, spki_digest: &[u8; 32], record: &BlockedKey) {
    Table::put(batch, hex::encode(spki_digest), record);
}

/// Whether a key is blocked; a batch that relies on it not being so expects [`key`] to be absent.
pub fn find(store: &Store, public_key: &PublicKey) -> Result<Option<Versioned<BlockedKey>>, store::Error> {
    Table::get(store, lower_hex(&public_key.digest()))
}
