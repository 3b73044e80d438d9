//! Publishes the authorities' certificates as files: always derived from records, each placed in one step.
//!
//! `root.crt`, `ca.crt` and `chain.crt` are what clients are given; `cas/KEYID.crt` is every generation.
//! `chain.crt` holds every issuing CA that still has certificates in force, so that a client which was
//! given a leaf alone keeps verifying after a rotation: the current one first, the root last.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use store::Store;
use store::file::{OnExisting, Visibility};
use time::OffsetDateTime;

use crate::authority::{self, Current};
use crate::cert::Certificate;
use crate::error::Error;
use crate::keyring::issuer_certificate;
use crate::records::{AuthorityRecord, AuthorityState, Role};
use crate::tally::Tally;

/// The folder of every generation's files.
const GENERATIONS: &str = "cas";

/// Which files were placed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// Those that were new or differed; the others were left alone.
    pub changed: Vec<PathBuf>,
}

/// What the certificate files hold, by their names in the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles(Vec<(PathBuf, String)>);

impl CertificateFiles {
    /// What they must hold by the records. Where there are earlier generations that is a walk through the
    /// inventory.
    pub fn on_record(store: &Store, now: OffsetDateTime) -> Result<CertificateFiles, Error> {
        let current = Current::load(store)?;
        let mut files = Vec::new();
        for record in authority::list(store)?.iter().filter(|record| record.certificate.is_some()) {
            let name = Path::new(GENERATIONS).join(format!("{}.crt", record.key_id));
            files.push((name, issuer_certificate(record)?.certificate().to_pem()));
        }
        let chain = chain(store, &current, now)?.iter().map(Certificate::to_pem).collect();
        files.push(("chain.crt".into(), chain));
        for (name, record) in [("ca.crt", &current.issuing.record), ("root.crt", &current.root.record)] {
            files.push((name.into(), issuer_certificate(record)?.certificate().to_pem()));
        }
        Ok(CertificateFiles(files))
    }

    /// Places them in `directory`. Idempotent: a file that is right is not touched.
    pub fn place(&self, directory: &Path) -> Result<Published, Error> {
        store::file::make_dir(&directory.join(GENERATIONS), Visibility::Public)?;
        let mut published = Published::default();
        for (name, pem) in &self.0 {
            place(&mut published, directory.join(name), pem)?;
        }
        Ok(published)
    }
}

/// Places the certificate files in `directory` as the records have them.
pub fn publish_certificates(
    store: &Store,
    directory: &Path,
    now: OffsetDateTime,
) -> Result<Published, Error> {
    CertificateFiles::on_record(store, now)?.place(directory)
}

/// The certificates of `chain.crt`: issuing CAs with certificates in force, the current one first, then
/// the root.
pub fn chain(store: &Store, current: &Current, now: OffsetDateTime) -> Result<Vec<Certificate>, Error> {
    let earlier: Vec<AuthorityRecord> = authority::list(store)?
        .into_iter()
        .filter(|record| match (record.role, record.state) {
            (Role::Issuing, AuthorityState::Retired) => record.key_id != current.pair.record.issuing,
            (Role::Issuing, _) | (Role::Root | Role::RootAndIssuing, _) => false,
        })
        .collect();
    // Without an earlier generation there is nothing to count.
    let live = match earlier.is_empty() {
        true => BTreeMap::new(),
        false => Tally::new(store.clone()).live(now)?,
    };
    let mut chain = Vec::new();
    let mut add = |record: &AuthorityRecord| -> Result<(), Error> {
        chain.push(issuer_certificate(record)?.certificate().clone());
        Ok(())
    };
    if current.pair.record.issuing != current.pair.record.root {
        add(&current.issuing.record)?;
    }
    for record in &earlier {
        if live.get(&record.key_id).is_some_and(|&count| count > 0) {
            add(record)?;
        }
    }
    add(&current.root.record)?;
    Ok(chain)
}

fn place(published: &mut Published, path: PathBuf, pem: &str) -> Result<(), Error> {
    if std::fs::read(&path).is_ok_and(|found| found == pem.as_bytes()) {
        return Ok(());
    }
    store::file::place(&path, pem.as_bytes(), Visibility::Public, OnExisting::Replace)?;
    published.changed.push(path);
    Ok(())
}
