//! A private key in memory.

use aws_lc_rs::digest::Digest;
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
    EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use zeroize::Zeroizing;

use super::encryption::{self, ScryptCost};
use super::key_type::KeyType;
use super::passphrase::Passphrase;
use super::reading;
use crate::cert::{KeyError, PemError, PublicKey, SignatureAlgorithm, WeakKey, pem};

/// A private key that signs.
///
/// It is held by aws-lc, which wipes its memory when it is dropped. Only strong keys exist as values:
/// what [`PublicKey::check_strength`] refuses is not read.
pub struct PrivateKey {
    pair: Pair,
    public: PublicKey,
}

pub(super) enum Pair {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

/// Why a private key can't be made, read, written or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrivateKeyError {
    /// aws-lc refused the key's numbers: inconsistent, too small, or for another curve.
    #[error("the private key is damaged or not acceptable: {reason}")]
    Damaged {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Encrypting or signing failed inside.
    #[error("the cryptographic library failed to {task}")]
    Library {
        /// What it was asked to do.
        task: &'static str,
    },
    /// Not DER of the kind that the PEM block's label promises.
    #[error("the private key is not valid {format}: {reason}")]
    Malformed {
        /// PKCS#8, SEC1, ….
        format: &'static str,
        /// What the parser said.
        reason: String,
    },
    /// A key of this type is read, but not made here.
    #[error("keys of type {key_type} are not made here")]
    NotGenerated {
        /// The type.
        key_type: KeyType,
    },
    /// The file is encrypted.
    #[error("the private key is encrypted: a passphrase is needed")]
    PassphraseNeeded,
    /// Not the PEM that was expected.
    #[error("the private key can't be read")]
    Pem {
        /// Why.
        #[source]
        source: PemError,
    },
    /// A kind of key that isn't accepted.
    #[error("the private key is of an unaccepted kind")]
    Public {
        /// Why.
        #[source]
        source: KeyError,
    },
    /// A file that is too large to be a key.
    #[error("the private key's file has {size} octets; {limit} are allowed")]
    TooLarge {
        /// Octets of the file.
        size: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// Deriving the key would take too much memory or time.
    #[error("the private key's encryption asks for too much: {parameter}")]
    TooCostly {
        /// What is too large.
        parameter: &'static str,
    },
    /// Encrypted in a way that isn't supported.
    #[error("the private key's encryption is not supported (PBES2 with AES is): {reason}")]
    UnsupportedEncryption {
        /// What it is.
        reason: String,
    },
    /// The key can be broken.
    #[error("the private key is weak")]
    Weak {
        /// Why.
        #[source]
        source: WeakKey,
    },
    /// The passphrase doesn't open the file.
    #[error("the passphrase doesn't open the private key")]
    WrongPassphrase,
}

impl PrivateKey {
    /// Makes a new key from the system's random numbers.
    pub fn generate(key_type: KeyType) -> Result<PrivateKey, PrivateKeyError> {
        let failed = |_| PrivateKeyError::Library { task: "make a key" };
        let rsa = |size| RsaKeyPair::generate(size).map(Pair::Rsa).map_err(failed);
        let pair = match key_type {
            KeyType::P256 | KeyType::P384 | KeyType::P521 => {
                let algorithm = signing(key_type).ok_or(PrivateKeyError::NotGenerated { key_type })?;
                Pair::Ecdsa(EcdsaKeyPair::generate(algorithm).map_err(failed)?)
            }
            KeyType::Ed25519 => Pair::Ed25519(Ed25519KeyPair::generate().map_err(failed)?),
            KeyType::Rsa2048 => rsa(KeySize::Rsa2048)?,
            KeyType::Rsa3072 => rsa(KeySize::Rsa3072)?,
            KeyType::Rsa4096 => rsa(KeySize::Rsa4096)?,
            KeyType::RsaOther { .. } => return Err(PrivateKeyError::NotGenerated { key_type }),
        };
        PrivateKey::from_pair(pair)
    }

    /// Reads a key: exactly one PEM block that is PKCS#8, encrypted PKCS#8, SEC1 or PKCS#1.
    ///
    /// A passphrase given for a file that isn't encrypted is not used.
    pub fn from_pem(pem: &[u8], passphrase: Option<&Passphrase>) -> Result<PrivateKey, PrivateKeyError> {
        reading::read(pem, passphrase)
    }

    /// The key as unencrypted PKCS#8 in PEM.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, PrivateKeyError> {
        Ok(pem::write("PRIVATE KEY", &self.to_pkcs8()?))
    }

    /// The key as encrypted PKCS#8 in PEM: PBES2 with scrypt and AES-256-CBC (RFC 8018, RFC 7914 §7).
    pub fn to_encrypted_pem(
        &self,
        passphrase: &Passphrase,
        cost: ScryptCost,
    ) -> Result<Zeroizing<String>, PrivateKeyError> {
        let encrypted = encryption::encrypt(&self.to_pkcs8()?, passphrase, cost)?;
        Ok(pem::write("ENCRYPTED PRIVATE KEY", &encrypted))
    }

    /// The key as PKCS#8 in DER.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, PrivateKeyError> {
        let failed = |_| PrivateKeyError::Library { task: "encode a key" };
        // The first two documents wipe themselves; RSA's doesn't promise it, its copy is short-lived.
        Ok(Zeroizing::new(match &self.pair {
            Pair::Ecdsa(pair) => pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec(),
            Pair::Rsa(pair) => pair.as_der().map_err(failed)?.as_ref().to_vec(),
        }))
    }

    /// The public key that belongs to it.
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// What kind of key it is.
    pub fn key_type(&self) -> KeyType {
        self.public.key_type()
    }

    /// The algorithm of its signatures: SHA-256, -384 and -512 with P-256, -384 and -521, Ed25519, and
    /// RSA PKCS#1 v1.5 with SHA-256.
    pub fn signature_algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::of_key(self.key_type())
    }

    /// That algorithm's AlgorithmIdentifier in DER, tag and length included.
    pub fn signature_algorithm_der(&self) -> Vec<u8> {
        self.signature_algorithm().der()
    }

    /// Signs `message`; the result is what an X.509 BIT STRING holds.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, PrivateKeyError> {
        let failed = |_| PrivateKeyError::Library { task: "sign" };
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Ecdsa(pair) => Ok(pair.sign(&random, message).map_err(failed)?.as_ref().to_vec()),
            Pair::Ed25519(pair) => Ok(pair.try_sign(message).map_err(failed)?.as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map_err(failed)?;
                Ok(signature)
            }
        }
    }

    /// Signs a message by its digest, which is that of [`KeyType::ecdsa_hash`]; no other kind of key can.
    pub(crate) fn sign_digest(&self, digest: &Digest) -> Result<Vec<u8>, PrivateKeyError> {
        let failed = || PrivateKeyError::Library { task: "sign a digest" };
        match &self.pair {
            Pair::Ecdsa(pair) => Ok(pair.sign_digest(digest).map_err(|_| failed())?.as_ref().to_vec()),
            Pair::Ed25519(_) | Pair::Rsa(_) => Err(failed()),
        }
    }

    /// A key as aws-lc holds it, with its public half read and judged like any other.
    pub(super) fn from_pair(pair: Pair) -> Result<PrivateKey, PrivateKeyError> {
        let failed = |_| PrivateKeyError::Library { task: "encode a public key" };
        let spki = match &pair {
            Pair::Ecdsa(pair) => pair.public_key().as_der().map_err(failed)?,
            Pair::Ed25519(pair) => pair.public_key().as_der().map_err(failed)?,
            Pair::Rsa(pair) => pair.public_key().as_der().map_err(failed)?,
        };
        let public =
            PublicKey::from_spki(spki.as_ref()).map_err(|source| PrivateKeyError::Public { source })?;
        public.check_strength().map_err(|source| PrivateKeyError::Weak { source })?;
        Ok(PrivateKey { pair, public })
    }
}

/// How aws-lc calls signing on a curve.
pub(super) fn signing(key_type: KeyType) -> Option<&'static EcdsaSigningAlgorithm> {
    match key_type {
        KeyType::P256 => Some(&ECDSA_P256_SHA256_ASN1_SIGNING),
        KeyType::P384 => Some(&ECDSA_P384_SHA384_ASN1_SIGNING),
        KeyType::P521 => Some(&ECDSA_P521_SHA512_ASN1_SIGNING),
        KeyType::Ed25519 => None,
        KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096 | KeyType::RsaOther { .. } => None,
    }
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PrivateKey({} {}, …)", self.public.key_type(), self.public.key_id())
    }
}

impl rcgen::PublicKeyData for PrivateKey {
    fn der_bytes(&self) -> &[u8] {
        self.public.bit_string()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        self.key_type().rcgen_algorithm()
    }

    fn subject_public_key_info(&self) -> Vec<u8> {
        self.public.spki_der().to_vec()
    }
}

impl rcgen::SigningKey for PrivateKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        PrivateKey::sign(self, message).map_err(|_| rcgen::Error::RemoteKeyError)
    }
}
