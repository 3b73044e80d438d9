//! The kinds of keys that exist here.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;

/// What kind of key it is, and how strong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyType {
    /// ECDSA on NIST P-256.
    P256,
    /// ECDSA on NIST P-384: the default everywhere.
    P384,
    /// ECDSA on NIST P-521; TLS clients often can't verify it.
    P521,
    /// Ed25519, RFC 8032.
    Ed25519,
    /// RSA with a modulus of 2048 bits.
    Rsa2048,
    /// RSA, 3072 bits.
    Rsa3072,
    /// RSA, 4096 bits.
    Rsa4096,
    /// RSA of any other length: read, never generated.
    RsaOther {
        /// Bits of the modulus.
        bits: usize,
    },
}

impl KeyType {
    /// The kinds that commands offer for new keys.
    pub const OFFERED: [KeyType; 4] = [KeyType::P256, KeyType::P384, KeyType::Ed25519, KeyType::Rsa4096];

    /// RSA with a modulus of so many bits.
    pub fn rsa(bits: usize) -> KeyType {
        match bits {
            2048 => KeyType::Rsa2048,
            3072 => KeyType::Rsa3072,
            4096 => KeyType::Rsa4096,
            bits => KeyType::RsaOther { bits },
        }
    }

    /// Whether it is RSA of any length.
    pub fn is_rsa(self) -> bool {
        match self {
            KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096 | KeyType::RsaOther { .. } => true,
            KeyType::P256 | KeyType::P384 | KeyType::P521 | KeyType::Ed25519 => false,
        }
    }

    /// What ECDSA with this key hashes a message by when we sign (RFC 5758 §3.2); `None` for keys that take
    /// the message itself, or that nobody signs large things with.
    pub(crate) fn ecdsa_hash(self) -> Option<&'static digest::Algorithm> {
        match self {
            KeyType::P256 => Some(&digest::SHA256),
            KeyType::P384 => Some(&digest::SHA384),
            KeyType::P521 => Some(&digest::SHA512),
            KeyType::Ed25519 => None,
            KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096 | KeyType::RsaOther { .. } => None,
        }
    }

    /// How rcgen calls the key together with its signature algorithm.
    pub(crate) fn rcgen_algorithm(self) -> &'static rcgen::SignatureAlgorithm {
        match self {
            KeyType::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            KeyType::P384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            KeyType::P521 => &rcgen::PKCS_ECDSA_P521_SHA512,
            KeyType::Ed25519 => &rcgen::PKCS_ED25519,
            KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096 | KeyType::RsaOther { .. } => {
                &rcgen::PKCS_RSA_SHA256
            }
        }
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyType::P256 => f.write_str("p256"),
            KeyType::P384 => f.write_str("p384"),
            KeyType::P521 => f.write_str("p521"),
            KeyType::Ed25519 => f.write_str("ed25519"),
            KeyType::Rsa2048 => f.write_str("rsa2048"),
            KeyType::Rsa3072 => f.write_str("rsa3072"),
            KeyType::Rsa4096 => f.write_str("rsa4096"),
            KeyType::RsaOther { bits } => write!(f, "rsa{bits}"),
        }
    }
}

/// A key type's name that isn't one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} is not a key type; p256, p384, ed25519 and rsa4096 are")]
pub struct UnknownKeyType {
    /// What was written, escaped.
    pub name: String,
}

/// Reads what [`fmt::Display`] writes.
impl FromStr for KeyType {
    type Err = UnknownKeyType;

    fn from_str(text: &str) -> Result<KeyType, UnknownKeyType> {
        let refuse = || UnknownKeyType { name: crate::cert::printable(text) };
        match text {
            "p256" => Ok(KeyType::P256),
            "p384" => Ok(KeyType::P384),
            "p521" => Ok(KeyType::P521),
            "ed25519" => Ok(KeyType::Ed25519),
            _ => {
                let digits = text.strip_prefix("rsa").ok_or_else(refuse)?;
                if digits.starts_with('0') || !digits.bytes().all(|b| b.is_ascii_digit()) {
                    return Err(refuse());
                }
                Ok(KeyType::rsa(digits.parse().map_err(|_| refuse())?))
            }
        }
    }
}
