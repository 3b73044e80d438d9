//! Public keys: of a known kind, on their curve, and strong or said to be weak.

use aws_lc_rs::signature::{self, ParsedPublicKey, VerificationAlgorithm};
use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier, UintRef};
use der::{Decode, Reader, SliceReader, Tag, Tagged};
use rustls_pki_types::alg_id;

use super::digest::{KeyId, sha256};
use super::weak::{self, WeakKey};
use crate::key::KeyType;

/// A subject's public key, in exactly the SubjectPublicKeyInfo that came (RFC 5280 §4.1.2.7).
///
/// It is RSA, ECDSA on P-256, P-384 or P-521, or Ed25519; an elliptic point is uncompressed and on its
/// curve. Whether the key is strong enough is another question: [`PublicKey::check_strength`].
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PublicKey {
    spki: Vec<u8>,
    /// Where the BIT STRING's value begins; it ends with `spki`.
    value_at: usize,
    key_type: KeyType,
    /// Both are asked for several times whenever the key is met.
    digest: [u8; 32],
    key_id: KeyId,
}

/// Why a public key can't be used at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// A point with one coordinate. RFC 5480 §2.2 lets an authority refuse it, and many programs can't read it.
    #[error("the public key is a compressed point; only uncompressed ones are accepted")]
    CompressedPoint,
    /// A curve given by its numbers instead of its name, RFC 5480 §2.1.1 forbids it.
    #[error("the key's curve is given by explicit parameters; it must be named")]
    ExplicitCurve,
    /// Not a SubjectPublicKeyInfo in DER.
    #[error("the public key is not valid DER: {reason}")]
    Malformed {
        /// What the parser said.
        reason: String,
    },
    /// Not a point of the curve, the point at infinity, or of the wrong length.
    #[error("the public key is not a point of {key_type}")]
    NotOnCurve {
        /// The curve.
        key_type: KeyType,
    },
    /// RSA parameters other than NULL, RFC 3279 §2.3.1.
    #[error("the RSA key has parameters other than NULL")]
    RsaParameters,
    /// A kind of key that isn't accepted.
    #[error("keys of the kind {algorithm} are not accepted (P-256, P-384, P-521, Ed25519 and RSA are)")]
    UnsupportedAlgorithm {
        /// Its name, or its object identifier.
        algorithm: String,
    },
    /// A curve that isn't accepted.
    #[error("the curve {curve} is not accepted (P-256, P-384 and P-521 are)")]
    UnsupportedCurve {
        /// Its name, or its object identifier.
        curve: String,
    },
}

impl PublicKey {
    /// Reads a SubjectPublicKeyInfo in DER and checks that its point is on its curve.
    pub fn from_spki(spki_der: &[u8]) -> Result<PublicKey, KeyError> {
        let key = PublicKey::to_be_used(spki_der)?;
        key.check_point()?;
        Ok(key)
    }

    /// As [`PublicKey::from_spki`], for a key that verifies a signature next: the library reads the point again for
    /// that, and takes none that is not on its curve. After a signature that does not verify,
    /// [`PublicKey::check_point`] says whether the key is to blame.
    pub(super) fn to_be_used(spki_der: &[u8]) -> Result<PublicKey, KeyError> {
        let mut reader = SliceReader::new(spki_der).map_err(malformed)?;
        let (algorithm, value) = reader
            .sequence(|reader| -> Result<_, der::Error> {
                let algorithm = AnyRef::decode(reader)?;
                Ok((algorithm, BitStringRef::decode(reader)?))
            })
            .map_err(malformed)?;
        reader.finish().map_err(malformed)?;
        let value = value.as_bytes().ok_or_else(|| malformed("the key has unused bits"))?;
        let key_type = key_type(algorithm, value)?;
        check_form(key_type, value)?;
        Ok(PublicKey {
            spki: spki_der.to_vec(),
            value_at: spki_der.len() - value.len(),
            key_type,
            digest: sha256(spki_der),
            key_id: KeyId::of_bit_string(value),
        })
    }

    /// Checks that the point of an elliptic key is on its curve; aws-lc does the checks of SP 800-56A §5.6.2.3.
    pub(super) fn check_point(&self) -> Result<(), KeyError> {
        let Some(verification) = curve(self.key_type) else { return Ok(()) };
        match ParsedPublicKey::new(verification, self.bit_string()) {
            Ok(_) => Ok(()),
            Err(_) => Err(KeyError::NotOnCurve { key_type: self.key_type }),
        }
    }

    /// The SubjectPublicKeyInfo in DER.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// The value of the subjectPublicKey BIT STRING: a point, or an RSAPublicKey in DER.
    pub fn bit_string(&self) -> &[u8] {
        &self.spki[self.value_at..]
    }

    /// What kind of key it is.
    pub fn key_type(&self) -> KeyType {
        self.key_type
    }

    /// SHA-256 over the SubjectPublicKeyInfo: what a blocked key is remembered by.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// The key's identifier as our certificates carry it.
    pub fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// Checks everything that is known to make a key of this kind weak.
    pub fn check_strength(&self) -> Result<(), WeakKey> {
        match self.key_type {
            // Points were checked when the key was read; the curves themselves are strong.
            KeyType::P256 | KeyType::P384 | KeyType::P521 => Ok(()),
            KeyType::Ed25519 => weak::check_ed25519(self.bit_string()),
            KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096 | KeyType::RsaOther { .. } => {
                match rsa_numbers(self.bit_string()) {
                    Ok((modulus, exponent)) => weak::check_rsa(modulus, exponent),
                    Err(_) => Err(WeakKey::Modulus),
                }
            }
        }
    }
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PublicKey({} {})", self.key_type, self.key_id())
    }
}

impl rcgen::PublicKeyData for PublicKey {
    fn der_bytes(&self) -> &[u8] {
        self.bit_string()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        self.key_type.rcgen_algorithm()
    }

    fn subject_public_key_info(&self) -> Vec<u8> {
        self.spki.clone()
    }
}

fn malformed(reason: impl std::fmt::Display) -> KeyError {
    KeyError::Malformed { reason: reason.to_string() }
}

/// Which kind of key an AlgorithmIdentifier and a key's value are.
fn key_type(algorithm: AnyRef<'_>, value: &[u8]) -> Result<KeyType, KeyError> {
    if algorithm.tag() != Tag::Sequence {
        return Err(malformed("the algorithm is not a sequence"));
    }
    let identifier = algorithm.value();
    let known = [
        (alg_id::ECDSA_P256, KeyType::P256),
        (alg_id::ECDSA_P384, KeyType::P384),
        (alg_id::ECDSA_P521, KeyType::P521),
        (alg_id::ED25519, KeyType::Ed25519),
    ];
    if let Some((_, key_type)) = known.iter().find(|(known, _)| known.as_ref() == identifier) {
        return Ok(*key_type);
    }
    if alg_id::RSA_ENCRYPTION.as_ref() == identifier {
        let (modulus, _) = rsa_numbers(value).map_err(malformed)?;
        return Ok(KeyType::rsa(weak::bits(modulus)));
    }
    let (oid, parameters) = algorithm
        .sequence(|reader: &mut SliceReader<'_>| -> Result<_, der::Error> {
            Ok((ObjectIdentifier::decode(reader)?, Option::<AnyRef<'_>>::decode(reader)?))
        })
        .map_err(malformed)?;
    Err(refusal(oid, parameters))
}

const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// Says what an unaccepted AlgorithmIdentifier is.
fn refusal(oid: ObjectIdentifier, parameters: Option<AnyRef<'_>>) -> KeyError {
    if oid == RSA_ENCRYPTION {
        return KeyError::RsaParameters;
    }
    if oid != EC_PUBLIC_KEY {
        let algorithm = match oid.to_string().as_str() {
            "1.2.840.10040.4.1" => "DSA".to_owned(),
            "1.2.840.10046.2.1" | "1.2.840.113549.1.3.1" => "DH".to_owned(),
            "1.2.840.113549.1.1.10" => "RSASSA-PSS".to_owned(),
            "1.3.101.110" => "X25519".to_owned(),
            "1.3.101.111" => "X448".to_owned(),
            "1.3.101.113" => "Ed448".to_owned(),
            "2.16.840.1.101.3.4.3.17" | "2.16.840.1.101.3.4.3.18" | "2.16.840.1.101.3.4.3.19" => {
                "ML-DSA".to_owned()
            }
            number => number.to_owned(),
        };
        return KeyError::UnsupportedAlgorithm { algorithm };
    }
    match parameters.map(|parameters| parameters.decode_as::<ObjectIdentifier>()) {
        Some(Ok(curve)) => {
            let curve = match curve.to_string().as_str() {
                "1.2.840.10045.3.1.1" => "P-192".to_owned(),
                "1.3.132.0.10" => "secp256k1".to_owned(),
                "1.3.132.0.33" => "P-224".to_owned(),
                "1.3.36.3.3.2.8.1.1.7" => "brainpoolP256r1".to_owned(),
                "1.3.36.3.3.2.8.1.1.11" => "brainpoolP384r1".to_owned(),
                "1.3.36.3.3.2.8.1.1.13" => "brainpoolP512r1".to_owned(),
                number => number.to_owned(),
            };
            KeyError::UnsupportedCurve { curve }
        }
        Some(Err(_)) | None => KeyError::ExplicitCurve,
    }
}

/// The algorithm by which aws-lc reads a point of this curve; none for RSA.
fn curve(key_type: KeyType) -> Option<&'static dyn VerificationAlgorithm> {
    match key_type {
        KeyType::P256 => Some(&signature::ECDSA_P256_SHA256_ASN1),
        KeyType::P384 => Some(&signature::ECDSA_P384_SHA384_ASN1),
        KeyType::P521 => Some(&signature::ECDSA_P521_SHA512_ASN1),
        KeyType::Ed25519 => Some(&signature::ED25519),
        KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096 | KeyType::RsaOther { .. } => None,
    }
}

/// Checks that an elliptic point is uncompressed and of its curve's length.
fn check_form(key_type: KeyType, value: &[u8]) -> Result<(), KeyError> {
    let octets = match key_type {
        KeyType::P256 => 65,
        KeyType::P384 => 97,
        KeyType::P521 => 133,
        KeyType::Ed25519 => 32,
        KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096 | KeyType::RsaOther { .. } => return Ok(()),
    };
    if key_type != KeyType::Ed25519 && matches!(value.first(), Some(2 | 3)) {
        return Err(KeyError::CompressedPoint);
    }
    let uncompressed = key_type == KeyType::Ed25519 || value.first() == Some(&4);
    if value.len() != octets || !uncompressed {
        return Err(KeyError::NotOnCurve { key_type });
    }
    Ok(())
}

/// Modulus and exponent of an RSAPublicKey (RFC 8017 appendix A.1.1), without leading zeros.
pub(super) fn rsa_numbers(value: &[u8]) -> Result<(&[u8], &[u8]), der::Error> {
    let mut reader = SliceReader::new(value)?;
    let numbers = reader.sequence(|reader| -> Result<_, der::Error> {
        let modulus: UintRef<'_> = reader.decode()?;
        let exponent: UintRef<'_> = reader.decode()?;
        Ok((modulus.as_bytes(), exponent.as_bytes()))
    })?;
    reader.finish()?;
    Ok(numbers)
}

#[cfg(test)]
mod tests;
