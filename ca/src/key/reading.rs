//! Reading private keys that others made.
//!
//! The PEM rule is that of `cert::pem`: a byte order mark is skipped, lines may end in LF or CRLF, and
//! there is exactly one block. PKCS#8 (RFC 5958), encrypted PKCS#8, SEC1 (RFC 5915) and PKCS#1
//! (RFC 8017) are told apart by the block's label, never by trying.

use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair};
use der::Decode;
use der::asn1::{AnyRef, ObjectIdentifier};
use pkcs8::PrivateKeyInfoRef;
use rustls_pki_types::alg_id;

use super::encryption;
use super::key_type::KeyType;
use super::passphrase::Passphrase;
use super::private::{Pair, PrivateKey, PrivateKeyError, signing};
use crate::cert::pem;

/// The most octets of a key's file: an RSA key of 8192 bits has 6 KiB.
const MAX_OCTETS: usize = 64 * 1024;

const PKCS8: &str = "PRIVATE KEY";
const ENCRYPTED_PKCS8: &str = "ENCRYPTED PRIVATE KEY";
const SEC1: &str = "EC PRIVATE KEY";
const PKCS1: &str = "RSA PRIVATE KEY";

pub(super) fn read(text: &[u8], passphrase: Option<&Passphrase>) -> Result<PrivateKey, PrivateKeyError> {
    if text.len() > MAX_OCTETS {
        return Err(PrivateKeyError::TooLarge { size: text.len(), limit: MAX_OCTETS });
    }
    let block = pem::one(text, &[PKCS8, ENCRYPTED_PKCS8, SEC1, PKCS1])
        .map_err(|source| PrivateKeyError::Pem { source })?;
    let pair = match block.label.as_str() {
        ENCRYPTED_PKCS8 => {
            let plain = encryption::decrypt(&block.der, passphrase)?;
            match pkcs8(&plain) {
                // Padding that happens to be right (one time in 256) leaves noise.
                Err(PrivateKeyError::Malformed { .. }) => Err(PrivateKeyError::WrongPassphrase),
                other => other,
            }
        }
        SEC1 => sec1(&block.der),
        PKCS1 => pkcs1(&block.der),
        _ => pkcs8(&block.der),
    }?;
    PrivateKey::from_pair(pair)
}

fn damaged(reason: aws_lc_rs::error::KeyRejected) -> PrivateKeyError {
    let reason = match reason.description_() {
        "InconsistentComponents" => "its parts do not belong together",
        "InvalidEncoding" => "it is not encoded as its format demands",
        "TooLarge" => "it is larger than any key that is taken here (RSA: 8192 bits)",
        "TooSmall" => "it is too small (RSA: 2048 bits at least)",
        "WrongAlgorithm" => "it is for another algorithm than it says",
        _ => "the cryptographic library does not take it",
    };
    PrivateKeyError::Damaged { reason }
}

fn pkcs8(der: &[u8]) -> Result<Pair, PrivateKeyError> {
    let malformed = |e: der::Error| PrivateKeyError::Malformed { format: "PKCS#8", reason: e.to_string() };
    let info = PrivateKeyInfoRef::from_der(der).map_err(malformed)?;
    let oid = info.algorithm.oid;
    let curve = info.algorithm.parameters.map(|parameters| parameters.decode_as::<ObjectIdentifier>());
    match (oid.to_string().as_str(), curve) {
        ("1.3.101.112", None) => {
            Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map(Pair::Ed25519).map_err(damaged)
        }
        ("1.2.840.113549.1.1.1", _) => RsaKeyPair::from_pkcs8(der).map(Pair::Rsa).map_err(damaged),
        ("1.2.840.10045.2.1", Some(Ok(curve))) => {
            let key_type = named_curve(curve).ok_or_else(|| unsupported(curve))?;
            let algorithm = signing(key_type).ok_or_else(|| unsupported(curve))?;
            EcdsaKeyPair::from_pkcs8(algorithm, der).map(Pair::Ecdsa).map_err(damaged)
        }
        ("1.2.840.10045.2.1", Some(Err(_)) | None) => {
            Err(PrivateKeyError::Public { source: crate::cert::KeyError::ExplicitCurve })
        }
        _ => Err(PrivateKeyError::Public {
            source: crate::cert::KeyError::UnsupportedAlgorithm { algorithm: oid.to_string() },
        }),
    }
}

fn unsupported(curve: ObjectIdentifier) -> PrivateKeyError {
    PrivateKeyError::Public { source: crate::cert::KeyError::UnsupportedCurve { curve: curve.to_string() } }
}

fn named_curve(curve: ObjectIdentifier) -> Option<KeyType> {
    // An identifier's content ends with its curve's OID, tag and length in front of it.
    [
        (alg_id::ECDSA_P256, KeyType::P256),
        (alg_id::ECDSA_P384, KeyType::P384),
        (alg_id::ECDSA_P521, KeyType::P521),
    ]
    .into_iter()
    .find(|(identifier, _)| identifier.as_ref().ends_with(curve.as_bytes()))
    .map(|(_, key_type)| key_type)
}

/// SEC1 names its curve in an optional field, so the curves are tried: only one fits.
fn sec1(der: &[u8]) -> Result<Pair, PrivateKeyError> {
    let malformed = |e: der::Error| PrivateKeyError::Malformed { format: "SEC1", reason: e.to_string() };
    AnyRef::from_der(der).map_err(malformed)?;
    let mut rejected = None;
    for key_type in [KeyType::P256, KeyType::P384, KeyType::P521] {
        let Some(algorithm) = signing(key_type) else { continue };
        match EcdsaKeyPair::from_private_key_der(algorithm, der) {
            Ok(pair) => return Ok(Pair::Ecdsa(pair)),
            Err(error) => rejected = Some(error),
        }
    }
    Err(rejected.map_or(PrivateKeyError::Library { task: "read a key" }, damaged))
}

fn pkcs1(der: &[u8]) -> Result<Pair, PrivateKeyError> {
    let malformed = |e: der::Error| PrivateKeyError::Malformed { format: "PKCS#1", reason: e.to_string() };
    AnyRef::from_der(der).map_err(malformed)?;
    RsaKeyPair::from_der(der).map(Pair::Rsa).map_err(damaged)
}
