//! Signatures over certificates, requests and lists: one place that knows the algorithms.
//!
//! SHA-1 and MD5 are not in it, so nothing here can ever accept them. ECDSA is accepted with SHA-256,
//! -384 and -512 on each curve: the digest need not be that of the curve.

use aws_lc_rs::digest::Digest;
use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier};
use der::{Decode, Reader, SliceReader, Tag, Tagged};
use rustls_pki_types::alg_id;

use super::public_key::PublicKey;
use crate::key::KeyType;

/// A signature algorithm that is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignatureAlgorithm {
    /// ECDSA with SHA-256, RFC 5758 §3.2.
    EcdsaSha256,
    /// ECDSA with SHA-384.
    EcdsaSha384,
    /// ECDSA with SHA-512.
    EcdsaSha512,
    /// Ed25519, RFC 8410.
    Ed25519,
    /// RSA PKCS#1 v1.5 with SHA-256, RFC 4055 §5.
    RsaSha256,
    /// RSA PKCS#1 v1.5 with SHA-384.
    RsaSha384,
    /// RSA PKCS#1 v1.5 with SHA-512.
    RsaSha512,
    /// RSASSA-PSS with SHA-256, MGF1 over it and a salt of 32 octets, RFC 4055 §3.1.
    RsaPssSha256,
    /// RSASSA-PSS with SHA-384 and a salt of 48 octets.
    RsaPssSha384,
    /// RSASSA-PSS with SHA-512 and a salt of 64 octets.
    RsaPssSha512,
}

/// Why a signature was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The algorithm and the key belong to different worlds.
    #[error("a signature by {algorithm} can't come from a key of type {key_type}")]
    Mismatch {
        /// The algorithm.
        algorithm: SignatureAlgorithm,
        /// The key's type.
        key_type: KeyType,
    },
    /// An algorithm that isn't accepted: too old, too new, or with unusual parameters.
    #[error("the signature algorithm {algorithm} is not accepted")]
    UnsupportedAlgorithm {
        /// Its name, or its object identifier.
        algorithm: String,
    },
    /// The signature is not that of this key over these bytes.
    #[error("the signature is wrong")]
    Wrong,
}

/// The three parts of whatever X.509 signs: bytes, algorithm, signature (RFC 5280 §4.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedData<'a> {
    /// The bytes that are signed, tag and length included.
    pub tbs: &'a [u8],
    /// The AlgorithmIdentifier, tag and length included.
    pub algorithm: &'a [u8],
    /// The signature.
    pub signature: &'a [u8],
}

impl<'a> SignedData<'a> {
    /// Takes a certificate, a request or a list apart.
    pub fn from_der(der: &'a [u8]) -> Result<SignedData<'a>, der::Error> {
        let mut reader = SliceReader::new(der)?;
        let (tbs, algorithm, signature) = reader.sequence(|reader| -> Result<_, der::Error> {
            let tbs = reader.tlv_bytes()?;
            let algorithm = reader.tlv_bytes()?;
            Ok((tbs, algorithm, BitStringRef::decode(reader)?))
        })?;
        reader.finish()?;
        let unused = || der::Error::from(der::ErrorKind::Value { tag: Tag::BitString });
        Ok(SignedData { tbs, algorithm, signature: signature.as_bytes().ok_or_else(unused)? })
    }

    /// Checks the signature by the signer's key.
    pub fn verify(&self, signer: &PublicKey) -> Result<(), SignatureError> {
        SignatureAlgorithm::from_der(self.algorithm)?.verify(signer, self.tbs, self.signature)
    }
}

impl SignatureAlgorithm {
    /// Reads an AlgorithmIdentifier in DER.
    ///
    /// For RSA PKCS#1 v1.5 the parameters may be NULL or absent (RFC 4055 §5), everything else has one
    /// form.
    pub fn from_der(der: &[u8]) -> Result<SignatureAlgorithm, SignatureError> {
        let any = AnyRef::from_der(der).map_err(|_| unsupported("(not DER)"))?;
        if any.tag() != Tag::Sequence {
            return Err(unsupported("(malformed)"));
        }
        let identifier = any.value();
        let rsa_without_null = [identifier, &[0x05, 0x00]].concat();
        for (known, algorithm) in KNOWN {
            let known = known.as_ref();
            if known == identifier || (algorithm.is_pkcs1() && known == rsa_without_null) {
                return Ok(algorithm);
            }
        }
        let oid = any
            .sequence(|reader: &mut SliceReader<'_>| -> Result<_, der::Error> {
                let oid = ObjectIdentifier::decode(reader)?;
                let _parameters = Option::<AnyRef<'_>>::decode(reader)?;
                Ok(oid)
            })
            .map_err(|_| unsupported("(malformed)"))?;
        Err(unsupported(&describe(oid)))
    }

    /// The algorithm by which a key of this type signs here.
    pub fn of_key(key_type: KeyType) -> SignatureAlgorithm {
        match key_type {
            KeyType::P256 => SignatureAlgorithm::EcdsaSha256,
            KeyType::P384 => SignatureAlgorithm::EcdsaSha384,
            KeyType::P521 => SignatureAlgorithm::EcdsaSha512,
            KeyType::Ed25519 => SignatureAlgorithm::Ed25519,
            KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096 | KeyType::RsaOther { .. } => {
                SignatureAlgorithm::RsaSha256
            }
        }
    }

    /// The AlgorithmIdentifier in DER, tag and length included.
    pub fn der(self) -> Vec<u8> {
        let mut der = vec![0x30];
        for (known, algorithm) in KNOWN {
            if algorithm == self {
                // All are shorter than 128 octets: the length is one octet.
                der.push(known.as_ref().len() as u8);
                der.extend_from_slice(known.as_ref());
            }
        }
        der
    }

    /// Checks a signature over `message`.
    pub fn verify(self, signer: &PublicKey, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        let key_type = signer.key_type();
        let verification =
            self.verification(key_type).ok_or(SignatureError::Mismatch { algorithm: self, key_type })?;
        UnparsedPublicKey::new(verification, signer.bit_string())
            .verify(message, signature)
            .map_err(|_| SignatureError::Wrong)
    }

    /// Checks an ECDSA signature over the message of this digest, which must be of the algorithm's own kind.
    pub(crate) fn verify_digest(
        self,
        signer: &PublicKey,
        digest: &Digest,
        signature: &[u8],
    ) -> Result<(), SignatureError> {
        let key_type = signer.key_type();
        let verification =
            self.verification(key_type).ok_or(SignatureError::Mismatch { algorithm: self, key_type })?;
        UnparsedPublicKey::new(verification, signer.bit_string())
            .verify_digest(digest, signature)
            .map_err(|_| SignatureError::Wrong)
    }

    fn is_pkcs1(self) -> bool {
        matches!(
            self,
            SignatureAlgorithm::RsaSha256 | SignatureAlgorithm::RsaSha384 | SignatureAlgorithm::RsaSha512
        )
    }

    fn verification(self, key_type: KeyType) -> Option<&'static dyn VerificationAlgorithm> {
        use SignatureAlgorithm::*;
        match key_type {
            KeyType::P256 => match self {
                EcdsaSha256 => Some(&signature::ECDSA_P256_SHA256_ASN1),
                EcdsaSha384 => Some(&signature::ECDSA_P256_SHA384_ASN1),
                EcdsaSha512 => Some(&signature::ECDSA_P256_SHA512_ASN1),
                Ed25519 | RsaSha256 | RsaSha384 | RsaSha512 => None,
                RsaPssSha256 | RsaPssSha384 | RsaPssSha512 => None,
            },
            KeyType::P384 => match self {
                EcdsaSha256 => Some(&signature::ECDSA_P384_SHA256_ASN1),
                EcdsaSha384 => Some(&signature::ECDSA_P384_SHA384_ASN1),
                EcdsaSha512 => Some(&signature::ECDSA_P384_SHA512_ASN1),
                Ed25519 | RsaSha256 | RsaSha384 | RsaSha512 => None,
                RsaPssSha256 | RsaPssSha384 | RsaPssSha512 => None,
            },
            KeyType::P521 => match self {
                EcdsaSha256 => Some(&signature::ECDSA_P521_SHA256_ASN1),
                EcdsaSha384 => Some(&signature::ECDSA_P521_SHA384_ASN1),
                EcdsaSha512 => Some(&signature::ECDSA_P521_SHA512_ASN1),
                Ed25519 | RsaSha256 | RsaSha384 | RsaSha512 => None,
                RsaPssSha256 | RsaPssSha384 | RsaPssSha512 => None,
            },
            KeyType::Ed25519 => match self {
                Ed25519 => Some(&signature::ED25519),
                EcdsaSha256 | EcdsaSha384 | EcdsaSha512 | RsaSha256 | RsaSha384 | RsaSha512 => None,
                RsaPssSha256 | RsaPssSha384 | RsaPssSha512 => None,
            },
            KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096 | KeyType::RsaOther { .. } => match self {
                RsaSha256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
                RsaSha384 => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
                RsaSha512 => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
                RsaPssSha256 => Some(&signature::RSA_PSS_2048_8192_SHA256),
                RsaPssSha384 => Some(&signature::RSA_PSS_2048_8192_SHA384),
                RsaPssSha512 => Some(&signature::RSA_PSS_2048_8192_SHA512),
                EcdsaSha256 | EcdsaSha384 | EcdsaSha512 | Ed25519 => None,
            },
        }
    }
}

impl std::fmt::Display for SignatureAlgorithm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            SignatureAlgorithm::EcdsaSha256 => "ECDSA with SHA-256",
            SignatureAlgorithm::EcdsaSha384 => "ECDSA with SHA-384",
            SignatureAlgorithm::EcdsaSha512 => "ECDSA with SHA-512",
            SignatureAlgorithm::Ed25519 => "Ed25519",
            SignatureAlgorithm::RsaSha256 => "RSA with SHA-256",
            SignatureAlgorithm::RsaSha384 => "RSA with SHA-384",
            SignatureAlgorithm::RsaSha512 => "RSA with SHA-512",
            SignatureAlgorithm::RsaPssSha256 => "RSA-PSS with SHA-256",
            SignatureAlgorithm::RsaPssSha384 => "RSA-PSS with SHA-384",
            SignatureAlgorithm::RsaPssSha512 => "RSA-PSS with SHA-512",
        })
    }
}

const KNOWN: [(rustls_pki_types::AlgorithmIdentifier, SignatureAlgorithm); 10] = [
    (alg_id::ECDSA_SHA256, SignatureAlgorithm::EcdsaSha256),
    (alg_id::ECDSA_SHA384, SignatureAlgorithm::EcdsaSha384),
    (alg_id::ECDSA_SHA512, SignatureAlgorithm::EcdsaSha512),
    (alg_id::ED25519, SignatureAlgorithm::Ed25519),
    (alg_id::RSA_PKCS1_SHA256, SignatureAlgorithm::RsaSha256),
    (alg_id::RSA_PKCS1_SHA384, SignatureAlgorithm::RsaSha384),
    (alg_id::RSA_PKCS1_SHA512, SignatureAlgorithm::RsaSha512),
    (alg_id::RSA_PSS_SHA256, SignatureAlgorithm::RsaPssSha256),
    (alg_id::RSA_PSS_SHA384, SignatureAlgorithm::RsaPssSha384),
    (alg_id::RSA_PSS_SHA512, SignatureAlgorithm::RsaPssSha512),
];

fn unsupported(algorithm: &str) -> SignatureError {
    SignatureError::UnsupportedAlgorithm { algorithm: algorithm.to_owned() }
}

/// Names the algorithms that people still meet, so that the refusal says why.
fn describe(oid: ObjectIdentifier) -> String {
    match oid.to_string().as_str() {
        "1.2.840.113549.1.1.2" => "RSA with MD2".to_owned(),
        "1.2.840.113549.1.1.4" => "RSA with MD5".to_owned(),
        "1.2.840.113549.1.1.5" | "1.3.14.3.2.29" => "RSA with SHA-1".to_owned(),
        "1.2.840.113549.1.1.14" => "RSA with SHA-224".to_owned(),
        "1.2.840.113549.1.1.10" => {
            "RSA-PSS with unusual parameters (SHA-2, MGF1 over the same digest, salt as long as it)"
                .to_owned()
        }
        "1.2.840.10040.4.3" => "DSA with SHA-1".to_owned(),
        "2.16.840.1.101.3.4.3.1" => "DSA with SHA-224".to_owned(),
        "2.16.840.1.101.3.4.3.2" => "DSA with SHA-256".to_owned(),
        "1.2.840.10045.4.1" => "ECDSA with SHA-1".to_owned(),
        "1.2.840.10045.4.3.1" => "ECDSA with SHA-224".to_owned(),
        "1.3.101.113" => "Ed448".to_owned(),
        number => number.to_owned(),
    }
}

#[cfg(test)]
mod tests;
