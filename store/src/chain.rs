//! The hash chain: how an entry is written, and what ties it to the one before.
//!
//! An entry is a header and a body. The chain runs over headers, and a header holds the digest of
//! its body: a dead body can be dropped later and the chain still verifies. Both are CBOR, a header
//! as an array of nine, a body as an array of `[key, value]` with `null` for a deletion.

use aws_lc_rs::digest::{SHA256, digest};
use minicbor::{Decode, Decoder, Encode, Encoder};

use crate::{Class, Epoch, Error, Key, Sequence, Write};

/// A SHA-256 digest.
pub type Hash = [u8; 32];

/// The longest `who` and `what` of a batch, in bytes.
pub const MAX_WORDS: usize = 4096;

/// Where a history has come to: what a checkpoint signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tip {
    /// The newest entry.
    pub sequence: Sequence,
    /// The epoch it belongs to.
    pub epoch: Epoch,
    /// The hash of its header; all zero in an empty store.
    pub hash: Hash,
}

impl Tip {
    /// Before the first entry.
    pub const START: Tip = Tip { sequence: Sequence::ZERO, epoch: Epoch(0), hash: [0; 32] };
}

/// An entry's header as it is hashed and stored.
#[derive(Debug, Encode, Decode)]
pub(crate) struct Header {
    #[n(0)]
    class: u8,
    /// One chain per node; this version writes one.
    #[n(1)]
    node: u32,
    #[n(2)]
    pub(crate) epoch: u32,
    #[n(3)]
    pub(crate) sequence: u64,
    #[n(4)]
    pub(crate) time: i64,
    #[n(5)]
    pub(crate) who: String,
    #[n(6)]
    pub(crate) what: String,
    #[cbor(n(7), with = "minicbor::bytes")]
    body: Hash,
    #[cbor(n(8), with = "minicbor::bytes")]
    previous: Hash,
}

/// The node number that a store of its own writes.
const NODE: u32 = 1;

impl Header {
    pub(crate) fn class(&self) -> Option<Class> {
        match self.class {
            1 => Some(Class::Ledger),
            2 => Some(Class::State),
            _ => None,
        }
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Header, String> {
        let mut decoder = Decoder::new(bytes);
        let header: Header = decoder.decode().map_err(|e| format!("an entry's header: {e}"))?;
        if decoder.position() != bytes.len() {
            return Err("an entry's header is followed by other bytes".to_owned());
        }
        Ok(header)
    }
}

/// What a batch says of itself, apart from its writes.
pub(crate) struct Words<'a> {
    pub(crate) class: Class,
    pub(crate) time: i64,
    pub(crate) who: &'a str,
    pub(crate) what: &'a str,
}

impl Tip {
    /// The next entry's header for a body with this digest, and the tip once it is written.
    pub(crate) fn next(&self, words: &Words<'_>, epoch: Epoch, body: Hash) -> (Vec<u8>, Tip) {
        let sequence = Sequence(self.sequence.0 + 1);
        let header = Header {
            class: match words.class {
                Class::Ledger => 1,
                Class::State => 2,
            },
            node: NODE,
            epoch: epoch.0,
            sequence: sequence.0,
            time: words.time,
            who: words.who.to_owned(),
            what: words.what.to_owned(),
            body,
            previous: self.hash,
        };
        let mut bytes = Vec::with_capacity(128 + words.who.len() + words.what.len());
        match minicbor::encode(&header, &mut bytes) {
            Ok(()) => {}
            Err(never) => unreachable!("encoding into a Vec can't fail: {never}"),
        }
        let hash = hash(&bytes);
        (bytes, Tip { sequence, epoch, hash })
    }

    /// Checks that an entry read back continues this tip; returns the tip after it.
    pub(crate) fn follow(&self, bytes: &[u8], header: &Header, body: Option<&[u8]>) -> Result<Tip, String> {
        let expected = self.sequence.0 + 1;
        if header.sequence != expected {
            return Err(format!("entry {} stands where {expected} belongs", header.sequence));
        }
        if header.previous != self.hash {
            return Err(format!("entry {expected} does not continue the one before"));
        }
        if header.epoch < self.epoch.0 {
            return Err(format!("entry {expected} falls back to epoch {}", header.epoch));
        }
        if header.class().is_none() {
            return Err(format!("entry {expected} has an unknown class"));
        }
        if body.is_some_and(|body| hash(body) != header.body) {
            return Err(format!("entry {expected} has another body than its header says"));
        }
        Ok(Tip { sequence: Sequence(expected), epoch: Epoch(header.epoch), hash: hash(bytes) })
    }
}

pub(crate) fn hash(bytes: &[u8]) -> Hash {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}

/// Checks the words that a batch brings along.
pub(crate) fn check_words(who: &str, what: &str) -> Result<(), Error> {
    for (name, word) in [("the name of who caused a batch", who), ("the description of a batch", what)] {
        if word.len() > MAX_WORDS {
            return Err(Error::TooLarge { what: name, size: word.len(), limit: MAX_WORDS });
        }
    }
    Ok(())
}

/// A body, and where in it each write's value lies (offset and length; `None` for a deletion).
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
    pub(crate) values: Vec<Option<(usize, usize)>>,
}

pub(crate) fn encode_body(writes: &[(Key, Write)]) -> Body {
    let size = writes.iter().map(|(key, write)| key.as_bytes().len() + write.size() + 16).sum::<usize>() + 16;
    let mut values = Vec::with_capacity(writes.len());
    let mut encoder = Encoder::new(Vec::with_capacity(size));
    let result = (|| {
        encoder.array(writes.len() as u64)?;
        for (key, write) in writes {
            encoder.array(2)?.bytes(key.as_bytes())?;
            match write {
                Write::Put(value) => {
                    encoder.bytes(value)?;
                    values.push(Some((encoder.writer().len() - value.len(), value.len())));
                }
                Write::Delete => {
                    encoder.null()?;
                    values.push(None);
                }
            }
        }
        Ok::<(), minicbor::encode::Error<std::convert::Infallible>>(())
    })();
    match result {
        Ok(()) => Body { bytes: encoder.into_writer(), values },
        Err(never) => unreachable!("encoding into a Vec can't fail: {never}"),
    }
}

/// One write as it lies in a body: its key, and the value with its offset there.
pub(crate) struct BodyWrite<'b> {
    pub(crate) key: &'b [u8],
    pub(crate) value: Option<(usize, &'b [u8])>,
}

pub(crate) fn decode_body(bytes: &[u8]) -> Result<Vec<BodyWrite<'_>>, String> {
    let decode = || -> Result<Vec<BodyWrite<'_>>, minicbor::decode::Error> {
        let wrong = minicbor::decode::Error::message;
        let mut decoder = Decoder::new(bytes);
        let count = decoder.array()?.ok_or_else(|| wrong("an array without its length"))?;
        let mut writes = Vec::new();
        for _ in 0..count {
            if decoder.array()? != Some(2) {
                return Err(wrong("a write that is no pair"));
            }
            let key = decoder.bytes()?;
            let value = match decoder.datatype()? {
                minicbor::data::Type::Null => {
                    decoder.null()?;
                    None
                }
                _ => {
                    let value = decoder.bytes()?;
                    Some((decoder.position() - value.len(), value))
                }
            };
            writes.push(BodyWrite { key, value });
        }
        match decoder.position() == bytes.len() {
            true => Ok(writes),
            false => Err(wrong("more bytes than writes")),
        }
    };
    decode().map_err(|e| format!("an entry's body: {e}"))
}

/// The writes of a body as they were committed.
pub(crate) fn writes(bytes: &[u8]) -> Result<Vec<(Key, Write)>, String> {
    let write = |write: BodyWrite<'_>| {
        let value = write.value.map_or(Write::Delete, |(_, value)| Write::Put(value.to_vec()));
        (Key::from_stored(write.key.to_vec()), value)
    };
    Ok(decode_body(bytes)?.into_iter().map(write).collect())
}
