//! Secrets that have to lie in a record (account keys, client secrets) are sealed first.
//!
//! AES-256-GCM under one key in a file of its own, with a random nonce for each sealing and the
//! place of the secret as associated data, so that a sealed value can't be moved to another record.
//! The journal is kept for ever and copied into backups: it must never hold a secret in clear.

use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::rand::SecureRandom;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::file::{FileError, OnExisting, Visibility, place, read_secret};

const KEY_LEN: usize = 32;
/// The first word of the key's file.
const KEY_LABEL: &str = "pki-store-key-1";
/// The first byte of what was sealed: AES-256-GCM, a nonce of 12 bytes, the tag at the end.
const FORMAT: u8 = 1;

/// Why a secret could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The key's file could not be read or written.
    #[error("the sealing key's file can't be used")]
    File(#[from] FileError),
    /// The key's file is not one.
    #[error("{} holds no sealing key", path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
    },
    /// The system gave no random bytes.
    #[error("no random bytes for a sealing key")]
    Random,
    /// The cipher refused to seal.
    #[error("sealing failed")]
    Seal,
    /// The bytes were sealed in a way that this version does not know.
    #[error("not sealed in a way this version knows")]
    Format,
    /// The bytes were sealed under another key or for another place, or have been changed.
    #[error("sealed under another key or for another place, or changed since")]
    Refused,
}

/// The key that seals the secrets of one store.
pub struct SealingKey(RandomizedNonceKey);

impl SealingKey {
    /// Reads the key at `path`; if there is no such file, makes a new key and places it there.
    ///
    /// A new key opens nothing that was sealed under a lost one: where sealed records exist
    /// already, use [`SealingKey::load`].
    pub fn load_or_create(path: &Path, random: &dyn SecureRandom) -> Result<SealingKey, SealError> {
        match SealingKey::load(path) {
            Err(SealError::File(error)) if error.io_kind() == Some(std::io::ErrorKind::NotFound) => {}
            loaded => return loaded,
        }
        let mut key = Zeroizing::new([0; KEY_LEN]);
        random.fill(key.as_mut_slice()).map_err(|_| SealError::Random)?;
        let encoded = Zeroizing::new(STANDARD.encode(key.as_slice()));
        let text = Zeroizing::new(format!("{KEY_LABEL} {}\n", encoded.as_str()));
        match place(path, text.as_bytes(), Visibility::Secret, OnExisting::Refuse) {
            Ok(()) => SealingKey::from_bytes(key.as_slice(), path),
            // Another process was faster: its key counts.
            Err(FileError::Exists { .. }) => SealingKey::load(path),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads the key at `path`.
    pub fn load(path: &Path) -> Result<SealingKey, SealError> {
        let text = read_secret(path)?;
        let refuse = || SealError::KeyFile { path: path.to_owned() };
        let encoded = std::str::from_utf8(&text)
            .ok()
            .and_then(|text| text.trim_end().strip_prefix(KEY_LABEL)?.strip_prefix(' '))
            .ok_or_else(refuse)?;
        let key = Zeroizing::new(STANDARD.decode(encoded).map_err(|_| refuse())?);
        SealingKey::from_bytes(&key, path)
    }

    fn from_bytes(key: &[u8], path: &Path) -> Result<SealingKey, SealError> {
        RandomizedNonceKey::new(&AES_256_GCM, key)
            .map(SealingKey)
            .map_err(|_| SealError::KeyFile { path: path.to_owned() })
    }

    /// Seals `plain` for the place that `aad` names, e.g. the record's key.
    pub fn seal(&self, plain: &[u8], aad: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut sealed = Vec::with_capacity(1 + NONCE_LEN + plain.len() + AES_256_GCM.tag_len());
        let mut text = Vec::with_capacity(plain.len() + AES_256_GCM.tag_len());
        text.extend_from_slice(plain);
        let nonce =
            self.0.seal_in_place_append_tag(Aad::from(aad), &mut text).map_err(|_| SealError::Seal)?;
        sealed.push(FORMAT);
        sealed.extend_from_slice(nonce.as_ref());
        sealed.append(&mut text);
        Ok(sealed)
    }

    /// Opens what was sealed with the same `aad`.
    pub fn open(&self, sealed: &[u8], aad: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (&format, rest) = sealed.split_first().ok_or(SealError::Format)?;
        if format != FORMAT {
            return Err(SealError::Format);
        }
        let (nonce, text) = rest.split_at_checked(NONCE_LEN).ok_or(SealError::Format)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Format)?;
        let mut plain = Zeroizing::new(text.to_vec());
        let length = self
            .0
            .open_in_place(nonce, Aad::from(aad), plain.as_mut_slice())
            .map_err(|_| SealError::Refused)?
            .len();
        plain.truncate(length);
        Ok(plain)
    }
}

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealingKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::rand::SystemRandom;

    fn key(dir: &Path) -> SealingKey {
        SealingKey::load_or_create(&dir.join("store.key"), &SystemRandom::new()).unwrap()
    }

    #[test]
    fn what_was_sealed_opens_with_the_same_key_and_place_only() {
        let dir = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir().unwrap();
        let sealed = key(dir.path()).seal(b"hmac secret", b"acme-account/1").unwrap();
        // The second call reads the key from its file.
        assert_eq!(key(dir.path()).open(&sealed, b"acme-account/1").unwrap().as_slice(), b"hmac secret");
        for refused in [
            key(dir.path()).open(&sealed, b"acme-account/2"),
            key(other.path()).open(&sealed, b"acme-account/1"),
        ] {
            assert!(matches!(refused, Err(SealError::Refused)), "{refused:?}");
        }
    }

    #[test]
    fn a_changed_or_shortened_value_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let key = key(dir.path());
        let sealed = key.seal(b"secret", b"").unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(key.open(&changed, b"").is_err(), "byte {at}");
            assert!(key.open(&sealed[..at], b"").is_err(), "length {at}");
        }
    }

    #[test]
    fn sealing_twice_gives_different_bytes_and_no_clear_text() {
        let dir = tempfile::tempdir().unwrap();
        let key = key(dir.path());
        let (one, two) = (key.seal(b"canary-canary", b"").unwrap(), key.seal(b"canary-canary", b"").unwrap());
        assert_ne!(one, two);
        assert!(!one.windows(6).any(|part| part == b"canary"));
    }

    #[test]
    fn a_damaged_or_open_key_file_is_refused_and_never_replaced() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store.key");
        key(dir.path());
        let good = std::fs::read(&path).unwrap();
        for bad in [&b""[..], b"pki-store-key-1 AAAA\n", b"-----BEGIN PRIVATE KEY-----\n", &good[..40]] {
            std::fs::write(&path, bad).unwrap();
            let error = SealingKey::load_or_create(&path, &SystemRandom::new()).unwrap_err();
            assert!(matches!(error, SealError::KeyFile { .. }), "{error:?}");
            assert_eq!(std::fs::read(&path).unwrap(), bad);
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let error = SealingKey::load(&path).unwrap_err();
        assert!(matches!(error, SealError::File(FileError::Exposed { .. })), "{error:?}");
    }
}
