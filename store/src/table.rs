//! A typed view of a tree: records are CBOR behind one byte that names their format.

use std::marker::PhantomData;

use crate::{Batch, Direction, Error, Key, Store, Stored, Version};

/// The version of a record's encoding, its first byte. A reader refuses one it does not know.
pub type Format = u8;

/// A thing that can be kept in a [`Table`].
pub trait Record: Sized + minicbor::Encode<()> + for<'b> minicbor::Decode<'b, ()> {
    /// The tree it lies in.
    const TREE: &'static str;
    /// The newest encoding, the one that is written.
    const FORMAT: Format;
    /// How many octets most of them take, for a record to be allocated once.
    const USUAL_SIZE: usize = 64;
}

/// A record with the version that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned<R> {
    /// Where it lies.
    pub key: Key,
    /// What a batch may expect.
    pub version: Version,
    /// The record itself.
    pub record: R,
}

/// The tree of one type of record.
pub struct Table<R>(PhantomData<R>);

impl<R: Record> Table<R> {
    /// The key of the record named by `part`.
    pub fn key(part: impl AsRef<[u8]>) -> Key {
        Key::new(R::TREE).part(part)
    }

    /// Reads the record named by `part`.
    pub fn get(store: &Store, part: impl AsRef<[u8]>) -> Result<Option<Versioned<R>>, Error> {
        store.get(&Self::key(part))?.map(Self::decode).transpose()
    }

    /// Reads up to `limit` records in key order, beginning after the key `after`.
    pub fn list(store: &Store, after: Option<&Key>, limit: usize) -> Result<Vec<Versioned<R>>, Error> {
        let range = Key::new(R::TREE).children();
        store.scan(&range, after, limit, Direction::Ascending)?.into_iter().map(Self::decode).collect()
    }

    /// Adds a put of `record` under `part` to a batch.
    pub fn put(batch: &mut Batch, part: impl AsRef<[u8]>, record: &R) {
        batch.put(Self::key(part), Self::encode(record));
    }

    /// The bytes under which a record is stored.
    pub fn encode(record: &R) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(R::USUAL_SIZE);
        bytes.push(R::FORMAT);
        match minicbor::encode(record, &mut bytes) {
            Ok(()) => bytes,
            Err(never) => unreachable!("encoding into a Vec can't fail: {never}"),
        }
    }

    /// Reads a record from what was stored.
    pub fn decode(stored: Stored) -> Result<Versioned<R>, Error> {
        let refuse = |reason: String| Error::Record { key: stored.key.clone(), reason };
        let record = match stored.value.split_first() {
            Some((&format, body)) if format == R::FORMAT => {
                minicbor::decode(body).map_err(|e| refuse(e.to_string()))?
            }
            Some((&format, _)) => {
                return Err(refuse(format!("its format is {format}, this version reads {}", R::FORMAT)));
            }
            None => return Err(refuse("it is empty".to_owned())),
        };
        Ok(Versioned { key: stored.key, version: stored.version, record })
    }
}
