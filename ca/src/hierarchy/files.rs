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

/// Which files were placed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// Those that were new or differed; the others were left alone.
    pub changed: Vec<PathBuf>,
}

/// Places the certificate files in `directory`. Idempotent: a file that is right is not touched.
pub fn publish_certificates(
    store: &Store,
    directory: &Path,
    now: OffsetDateTime,
) -> Result<Published, Error> {
    let current = Current::load(store)?;
    let mut published = Published::default();
    let generations = directory.join("cas");
    store::file::make_dir(&generations, Visibility::Public)?;
    for record in authority::list(store)?.iter().filter(|record| record.certificate.is_some()) {
        let pem = issuer_certificate(record)?.certificate().to_pem();
        place(&mut published, generations.join(format!("{}.crt", record.key_id)), &pem)?;
    }
    let chain: String = chain(store, &current, now)?.iter().map(Certificate::to_pem).collect();
    place(&mut published, directory.join("chain.crt"), &chain)?;
    let issuing = issuer_certificate(&current.issuing.record)?;
    place(&mut published, directory.join("ca.crt"), &issuing.certificate().to_pem())?;
    let root = issuer_certificate(&current.root.record)?;
    place(&mut published, directory.join("root.crt"), &root.certificate().to_pem())?;
    Ok(published)
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
