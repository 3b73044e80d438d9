//! Where authorities' private keys lie, and which are open.
//!
//! `keys/root.key` and `keys/KEYID.key`: PKCS#8 in PEM, 0600, under a passphrase if one was given. A key
//! is read once and stays open as long as the keyring. Refuses a key file that others can read, and a
//! key that is not the one its record names.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use store::file::{FileError, OnExisting, Visibility};

use crate::cert::{Certificate, KeyId};
use crate::issuer::{Issuer, IssuerCertificate, IssuerError};
use crate::key::{Passphrase, PrivateKey, PrivateKeyError, ScryptCost};
use crate::records::{AuthorityRecord, KeyPlace};
use crate::signer::{self, SignError};

/// Why a key could not be used or kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// The record's certificate can't be read.
    #[error("the certificate on record for authority {key_id} can't be read")]
    Certificate {
        /// The authority.
        key_id: KeyId,
        /// What is wrong with it.
        #[source]
        source: crate::cert::CertificateError,
    },
    /// The key is not kept here.
    #[error("the private key of authority {key_id} is not here{}", note.as_deref().map(|note| format!(" (it is at {note})")).unwrap_or_default())]
    Elsewhere {
        /// The authority.
        key_id: KeyId,
        /// Where it went, as far as it was said.
        note: Option<String>,
    },
    /// Its file can't be read or written.
    #[error("the private key of an authority can't be read or kept")]
    File(#[from] FileError),
    /// Its certificate and key don't make an issuer.
    #[error("authority {key_id} can't sign")]
    Issuer {
        /// The authority.
        key_id: KeyId,
        /// Why not.
        #[source]
        source: IssuerError,
    },
    /// Its file is not a usable key.
    #[error("{} is not a private key that can be used", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: PrivateKeyError,
    },
    /// It opens, and does not do what a key is for.
    #[error("the private key of authority {key_id} does not sign what its certificate verifies")]
    Proof {
        /// The authority.
        key_id: KeyId,
        /// What failed.
        #[source]
        source: SignError,
    },
    /// A passphrase is needed.
    #[error("{} is encrypted, and no passphrase was given", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// Its certificate has not come yet.
    #[error("authority {key_id} still waits for its certificate")]
    NoCertificate {
        /// The authority.
        key_id: KeyId,
    },
}

/// The private keys of one PKI.
pub struct Keyring {
    directory: PathBuf,
    passphrase: Option<Passphrase>,
    cost: ScryptCost,
    open: Mutex<HashMap<KeyId, Open>>,
}

/// A key that was opened, and the issuer that it was last used for.
struct Open {
    key: Arc<PrivateKey>,
    issuer: Option<Issuer>,
}

impl Keyring {
    /// The keys in `directory`, which is read only when a key is needed.
    ///
    /// With a passphrase, keys are written under it at this cost; without, in the clear.
    pub fn new(directory: impl Into<PathBuf>, passphrase: Option<Passphrase>, cost: ScryptCost) -> Keyring {
        Keyring { directory: directory.into(), passphrase, cost, open: Mutex::default() }
    }

    /// What trying the passphrase costs.
    pub fn cost(&self) -> ScryptCost {
        self.cost
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The file of an authority's key.
    pub fn path(&self, record: &AuthorityRecord) -> PathBuf {
        if record.role.is_root() { self.root_path() } else { self.issuing_path(&record.key_id) }
    }

    pub(crate) fn root_path(&self) -> PathBuf {
        self.directory.join("root.key")
    }

    pub(crate) fn issuing_path(&self, key_id: &KeyId) -> PathBuf {
        self.directory.join(format!("{key_id}.key"))
    }

    /// Whether keys are written under a passphrase, as a record says it.
    pub fn place_kind(&self) -> KeyPlace {
        match self.passphrase {
            Some(_) => KeyPlace::HereEncrypted,
            None => KeyPlace::Here,
        }
    }

    /// An authority, ready to sign.
    ///
    /// Its key is read from its file at the first call, and its certificate checked again only when
    /// the record has another one: every issuance comes through here.
    pub fn issuer(&self, record: &AuthorityRecord) -> Result<Issuer, KeyringError> {
        let key_id = record.key_id;
        if let Some(issuer) = self.lock().get(&key_id).and_then(|open| open.issuer.as_ref())
            && record.certificate.as_deref() == Some(issuer.certificate().certificate().der())
        {
            return Ok(issuer.clone());
        }
        let certificate = issuer_certificate(record)?;
        let key = self.key(record)?;
        let issuer =
            Issuer::new(certificate, key).map_err(|source| KeyringError::Issuer { key_id, source })?;
        signer::prove(issuer.key()).map_err(|source| KeyringError::Proof { key_id, source })?;
        if let Some(open) = self.lock().get_mut(&key_id) {
            open.issuer = Some(issuer.clone());
        }
        Ok(issuer)
    }

    /// Opens an authority's key.
    pub fn key(&self, record: &AuthorityRecord) -> Result<Arc<PrivateKey>, KeyringError> {
        if let Some(open) = self.lock().get(&record.key_id) {
            return Ok(open.key.clone());
        }
        if let KeyPlace::Elsewhere { note } = &record.key {
            return Err(KeyringError::Elsewhere { key_id: record.key_id, note: note.clone() });
        }
        let key = Arc::new(self.read(&self.path(record))?);
        // A key of another authority is told apart by `Issuer::new`, before it signs anything.
        self.hold(record.key_id, key.clone());
        Ok(key)
    }

    /// Takes a key that was opened elsewhere, such as a root's from a file that the user named.
    pub fn hold(&self, key_id: KeyId, key: Arc<PrivateKey>) {
        self.lock().insert(key_id, Open { key, issuer: None });
    }

    /// Forgets an open key; its file stays.
    pub fn forget(&self, key_id: &KeyId) {
        self.lock().remove(key_id);
    }

    /// Reads a key file with the keyring's passphrase.
    pub fn read(&self, path: &Path) -> Result<PrivateKey, KeyringError> {
        let pem = store::file::read_secret(path)?;
        PrivateKey::from_pem(&pem, self.passphrase.as_ref()).map_err(|source| match source {
            PrivateKeyError::PassphraseNeeded => KeyringError::Locked { path: path.to_owned() },
            source => KeyringError::Key { path: path.to_owned(), source },
        })
    }

    /// Writes a key, durably, 0600, under the keyring's passphrase if it has one.
    pub fn write(&self, path: &Path, key: &PrivateKey, on_existing: OnExisting) -> Result<(), KeyringError> {
        let failed = |source| KeyringError::Key { path: path.to_owned(), source };
        let pem = match &self.passphrase {
            Some(passphrase) => key.to_encrypted_pem(passphrase, self.cost).map_err(failed)?,
            None => key.to_pem().map_err(failed)?,
        };
        Ok(store::file::place(path, pem.as_bytes(), Visibility::Secret, on_existing)?)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<KeyId, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyring").field("directory", &self.directory).finish_non_exhaustive()
    }
}

/// The certificate on record, checked for signing.
pub fn issuer_certificate(record: &AuthorityRecord) -> Result<IssuerCertificate, KeyringError> {
    let key_id = record.key_id;
    let der = record.certificate.as_deref().ok_or(KeyringError::NoCertificate { key_id })?;
    let certificate =
        Certificate::from_der(der).map_err(|source| KeyringError::Certificate { key_id, source })?;
    IssuerCertificate::new(certificate).map_err(|source| KeyringError::Issuer { key_id, source })
}
