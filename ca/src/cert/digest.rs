//! Digests that name things: a certificate by its fingerprint, a key by its identifier.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};

use super::public_key::{KeyError, PublicKey};
use super::serial::HexError;

/// SHA-256 over a certificate's DER.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of a certificate.
    pub fn of(der: &[u8]) -> Fingerprint {
        Fingerprint(sha256(der))
    }
}

/// A key's identifier: what our certificates carry as SKI and AKI.
///
/// It is the leftmost 160 bits of SHA-256 over the value of the subjectPublicKey BIT STRING,
/// RFC 7093 §2 method 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 20]);

impl KeyId {
    /// The identifier of the key in a SubjectPublicKeyInfo.
    pub fn of_spki(spki_der: &[u8]) -> Result<KeyId, KeyError> {
        Ok(PublicKey::from_spki(spki_der)?.key_id())
    }

    /// The identifier of a subjectPublicKey BIT STRING's value.
    pub(super) fn of_bit_string(value: &[u8]) -> KeyId {
        let mut id = [0; 20];
        id.copy_from_slice(&sha256(value)[..20]);
        KeyId(id)
    }
}

/// SHA-256 as an array.
pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut value = [0; 32];
    value.copy_from_slice(digest(&SHA256, bytes).as_ref());
    value
}

/// Lower-case hex digits. Every record has a dozen such words, and the usual way writes them char by char.
pub(crate) fn lower_hex(octets: &[u8]) -> String {
    let mut digits = vec![0; 2 * octets.len()];
    // The only error is a wrong length.
    let _ = hex::encode_to_slice(octets, &mut digits);
    String::from_utf8(digits).unwrap_or_default()
}

macro_rules! hex_newtype {
    ($name:ident, $length:literal) => {
        impl $name {
            /// From its octets.
            pub const fn from_bytes(octets: [u8; $length]) -> $name {
                $name(octets)
            }

            /// Its octets.
            pub fn as_bytes(&self) -> &[u8; $length] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut digits = [0; 2 * $length];
                let _ = hex::encode_to_slice(self.0, &mut digits);
                f.write_str(std::str::from_utf8(&digits).unwrap_or_default())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        /// Hex digits of either case, with or without colons.
        impl FromStr for $name {
            type Err = HexError;

            fn from_str(text: &str) -> Result<$name, HexError> {
                let refuse = || HexError { digits: 2 * $length, found: text.chars().count() };
                if text.len() > 3 * $length {
                    return Err(refuse());
                }
                let digits: String = text.chars().filter(|&c| c != ':').collect();
                let mut octets = [0; $length];
                hex::decode_to_slice(digits, &mut octets).map_err(|_| refuse())?;
                Ok($name(octets))
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = HexError;

            fn try_from(bytes: &[u8]) -> Result<$name, HexError> {
                let octets =
                    bytes.try_into().map_err(|_| HexError { digits: 2 * $length, found: 2 * bytes.len() })?;
                Ok($name(octets))
            }
        }

        impl<C> minicbor::Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                encoder: &mut minicbor::Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                encoder.bytes(&self.0)?.ok()
            }
        }

        impl<'b, C> minicbor::Decode<'b, C> for $name {
            fn decode(
                decoder: &mut minicbor::Decoder<'b>,
                _: &mut C,
            ) -> Result<$name, minicbor::decode::Error> {
                $name::try_from(decoder.bytes()?).map_err(minicbor::decode::Error::custom)
            }
        }
    };
}

hex_newtype!(Fingerprint, 32);
hex_newtype!(KeyId, 20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_sha256() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Fingerprint::of(b"").to_string(), empty);
        assert_eq!(empty.to_uppercase().parse::<Fingerprint>().unwrap(), Fingerprint::of(b""));
        assert!(empty[1..].parse::<Fingerprint>().is_err());
        assert!("zz".repeat(32).parse::<Fingerprint>().is_err());
        assert!(":".repeat(2000).parse::<Fingerprint>().is_err());
    }

    #[test]
    fn both_survive_cbor() {
        let fingerprint = Fingerprint::of(b"x");
        let cbor = minicbor::to_vec(fingerprint).unwrap();
        assert_eq!(minicbor::decode::<Fingerprint>(&cbor).unwrap(), fingerprint);
        assert!(minicbor::decode::<KeyId>(&cbor).is_err());
    }
}
