//! The audit key: Ed25519, in a file of its own, PKCS#8 PEM.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use aws_lc_rs::rand::SecureRandom;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{CheckpointError, LogName};
use crate::file::{FileError, OnExisting, Visibility, place, read_secret};

const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";
/// The type of an Ed25519 signature in a note.
const ED25519_NOTE: u8 = 1;

/// The key that signs checkpoints.
pub struct AuditKey(Ed25519KeyPair);

impl AuditKey {
    /// Reads the key at `path`; if there is no such file, makes a key and places it there.
    pub fn load_or_create(path: &Path, random: &dyn SecureRandom) -> Result<AuditKey, CheckpointError> {
        match AuditKey::load(path) {
            Err(CheckpointError::File(error)) if error.io_kind() == Some(std::io::ErrorKind::NotFound) => {}
            loaded => return loaded,
        }
        // Version 1: OpenSSL 3.0 does not read the one that holds the public key as well.
        let document = Ed25519KeyPair::generate_pkcs8v1(random).map_err(|_| CheckpointError::Generate)?;
        let encoded = Zeroizing::new(STANDARD.encode(document.as_ref()));
        let pem = Zeroizing::new(format!("{BEGIN}\n{}\n{END}\n", encoded.as_str()));
        match place(path, pem.as_bytes(), Visibility::Secret, OnExisting::Refuse) {
            // Whether this process or a faster one placed it: what lies there counts.
            Ok(()) | Err(FileError::Exists { .. }) => AuditKey::load(path),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads the key at `path`.
    pub fn load(path: &Path) -> Result<AuditKey, CheckpointError> {
        let pem = read_secret(path)?;
        let refuse = || CheckpointError::KeyFile { path: path.to_owned() };
        let text = std::str::from_utf8(&pem).map_err(|_| refuse())?;
        let body =
            text.trim().strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END)).ok_or_else(refuse)?;
        let body: Zeroizing<String> = Zeroizing::new(body.split_ascii_whitespace().collect());
        let der = Zeroizing::new(STANDARD.decode(body.as_bytes()).map_err(|_| refuse())?);
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).map(AuditKey).map_err(|_| refuse())
    }

    /// What others check its signatures with, under the name that it signs by.
    pub fn public(&self, name: LogName) -> AuditPublicKey {
        let mut key = [0; 32];
        key.copy_from_slice(self.0.public_key().as_ref());
        AuditPublicKey { name, key }
    }

    /// The bytes of a signature line: the key's hash and the signature.
    pub(super) fn sign(&self, name: &LogName, text: &[u8]) -> Result<Vec<u8>, CheckpointError> {
        let signature = self.0.try_sign(text).map_err(|_| CheckpointError::Sign)?;
        Ok([&self.public(name.clone()).hash(), signature.as_ref()].concat())
    }
}

impl fmt::Debug for AuditKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuditKey(…)")
    }
}

/// The public half of an audit key and its name; as text a C2SP verifier key, `name+hash+key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditPublicKey {
    name: LogName,
    key: [u8; 32],
}

impl AuditPublicKey {
    /// The name it signs by.
    pub fn name(&self) -> &LogName {
        &self.name
    }

    /// The first four bytes of the SHA-256 of name, newline, type and key.
    pub(super) fn hash(&self) -> [u8; 4] {
        let mut input = self.name.as_str().as_bytes().to_vec();
        input.extend_from_slice(&[b'\n', ED25519_NOTE]);
        input.extend_from_slice(&self.key);
        let hash = crate::chain::hash(&input);
        [hash[0], hash[1], hash[2], hash[3]]
    }

    pub(super) fn verify(&self, text: &[u8], signature: &[u8]) -> Result<(), CheckpointError> {
        UnparsedPublicKey::new(&ED25519, self.key)
            .verify(text, signature)
            .map_err(|_| CheckpointError::Signature { name: self.name.clone() })
    }
}

impl fmt::Display for AuditPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = STANDARD.encode([&[ED25519_NOTE], self.key.as_slice()].concat());
        write!(f, "{}+{}+{key}", self.name, hex::encode(self.hash()))
    }
}

impl FromStr for AuditPublicKey {
    type Err = CheckpointError;

    fn from_str(text: &str) -> Result<AuditPublicKey, CheckpointError> {
        let refuse = || CheckpointError::VerifierKey;
        let (name, rest) = text.split_once('+').ok_or_else(refuse)?;
        let (hash, key) = rest.split_once('+').ok_or_else(refuse)?;
        let bytes = STANDARD.decode(key).map_err(|_| refuse())?;
        let key = match bytes.split_first() {
            Some((&ED25519_NOTE, key)) => key.try_into().map_err(|_| refuse())?,
            _ => return Err(refuse()),
        };
        let key = AuditPublicKey { name: LogName::new(name)?, key };
        match hex::encode(key.hash()) == hash {
            true => Ok(key),
            false => Err(refuse()),
        }
    }
}
