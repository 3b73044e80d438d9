//! The service's own certificate: read from its files, and read again when they change.
//!
//! Clients that pinned it go by the certificate itself, so its key and its file stay as they are until
//! they are renewed or taken away. Files that are gone are made anew before the next handshake.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use store::file::{FileError, read_secret};
use time::OffsetDateTime;

use crate::Pki;
use crate::own::{self, Own};

/// Why there is no certificate to speak with.
#[derive(Debug, thiserror::Error)]
pub enum OwnCertificateError {
    /// A file can't be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file is not what it should be.
    #[error("{path} can't be used for TLS: {reason}")]
    Unusable {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A new one could not be made.
    #[error("the service's certificate can't be made")]
    Make(#[source] Box<crate::ops::Error>),
}

/// Which state of the files was read: what changes whenever one of them is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp([(u64, i64, i64, u64); 2]);

impl Stamp {
    fn of(files: &Files) -> io::Result<Stamp> {
        let stamp = |path: &Path| {
            fs::symlink_metadata(path)
                .map(|found| (found.ino(), found.mtime(), found.mtime_nsec(), found.size()))
        };
        Ok(Stamp([stamp(&files.chain)?, stamp(&files.key)?]))
    }
}

#[derive(Debug)]
struct Files {
    chain: PathBuf,
    key: PathBuf,
}

struct Current {
    stamp: Stamp,
    key: Arc<CertifiedKey>,
}

/// The certificate that handshakes are answered with.
pub(crate) struct OwnCertificate {
    pki: Pki,
    files: Files,
    current: ArcSwap<Current>,
    /// One at a time reads or makes the files.
    renewing: Mutex<()>,
}

impl std::fmt::Debug for OwnCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OwnCertificate").field("files", &self.files).finish_non_exhaustive()
    }
}

impl OwnCertificate {
    /// Reads the files, making what is missing.
    pub(crate) fn open(pki: Pki, now: OffsetDateTime) -> Result<OwnCertificate, OwnCertificateError> {
        let files = Files { chain: Own::Service.chain_path(&pki), key: Own::Service.key_path(&pki) };
        let current = read_or_make(&pki, &files, now)?;
        Ok(OwnCertificate { pki, files, current: ArcSwap::from_pointee(current), renewing: Mutex::new(()) })
    }

    /// Whether the files are the ones that were read: two calls of the kernel, before each handshake.
    pub(crate) fn is_current(&self) -> bool {
        Stamp::of(&self.files).is_ok_and(|stamp| stamp == self.current.load().stamp)
    }

    /// Reads the files again, making what is missing. While they can't be read, the last good
    /// certificate stays. Blocks.
    pub(crate) fn refresh(&self, now: OffsetDateTime) -> Result<(), OwnCertificateError> {
        let _one = self.renewing.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.is_current() {
            self.current.store(Arc::new(read_or_make(&self.pki, &self.files, now)?));
        }
        Ok(())
    }
}

impl ResolvesServerCert for OwnCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.load().key))
    }
}

fn read_or_make(pki: &Pki, files: &Files, now: OffsetDateTime) -> Result<Current, OwnCertificateError> {
    if Stamp::of(files).is_err() {
        let kept =
            own::keep(pki, Own::Service, now).map_err(|error| OwnCertificateError::Make(Box::new(error)))?;
        tracing::info!(?kept, "the service's certificate");
    }
    read(files)
}

fn read(files: &Files) -> Result<Current, OwnCertificateError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| FileError::Io { operation: "read", path, source }
    };
    // The stamp first: files replaced meanwhile are read again at the next handshake.
    let stamp = Stamp::of(files).map_err(io(&files.chain))?;
    let unusable =
        |path: &Path, reason: String| OwnCertificateError::Unusable { path: path.to_owned(), reason };
    let pem = fs::read(&files.chain).map_err(io(&files.chain))?;
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| unusable(&files.chain, error.to_string()))?;
    let key = PrivateKeyDer::from_pem_slice(&read_secret(&files.key)?)
        .map_err(|error| unusable(&files.key, error.to_string()))?;
    let key = any_supported_type(&key).map_err(|error| unusable(&files.key, error.to_string()))?;
    let certified = CertifiedKey::new(chain, key);
    certified.keys_match().map_err(|error| unusable(&files.chain, error.to_string()))?;
    Ok(Current { stamp, key: Arc::new(certified) })
}
