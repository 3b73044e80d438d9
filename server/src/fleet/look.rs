//! How an instance stands, found out now: `pki haproxy status`.

use ::haproxy::FilePath;
use ::haproxy::runtime::{Bounds, Health, LoadedList, Runtime, Worker, served};
use ::haproxy::written::InstanceSpec;
use ca::cert::{DnsName, Serial};
use time::OffsetDateTime;

use super::seats::{self, Found};
use crate::Pki;
use crate::ops::Error;

/// How an instance stands.
pub struct Look {
    /// Who answered.
    pub worker: Worker,
    /// The certificates.
    pub certificates: Vec<CertificateLook>,
    /// How many certificates its map should have.
    pub revoked_wanted: usize,
    /// How many it has.
    pub revoked_loaded: usize,
    /// The lists it has loaded.
    pub lists: Vec<LoadedList>,
    /// Its backends.
    pub health: Vec<Health>,
}

/// One certificate: what lies on the disk, what is loaded, what is served.
pub struct CertificateLook {
    /// The file.
    pub file: FilePath,
    /// A name it is served for.
    pub name: DnsName,
    /// On the disk: serial number, and its end.
    pub on_disk: Option<(Serial, OffsetDateTime)>,
    /// Whether a placeholder lies there instead.
    pub placeholder: bool,
    /// Loaded; `None` if HAProxy does not use the file.
    pub loaded: Option<Serial>,
    /// Served, or why that is not known.
    pub served: Result<Serial, String>,
}

/// How long a handshake may take.
const HANDSHAKE: std::time::Duration = std::time::Duration::from_secs(5);

/// Looks at an instance; changes nothing.
pub fn look(pki: &Pki, instance: &InstanceSpec, now: OffsetDateTime) -> Result<Look, Error> {
    let settings = pki.settings()?;
    let runtime = Runtime::new(instance.admin.clone(), Bounds::STANDARD);
    let worker = runtime.worker()?;
    let Found { wanted, absent, placeholders, .. } = seats::wanted(pki, &settings, now)?;
    let https = seats::https(instance, &settings);
    let on_disk = wanted
        .certificates
        .iter()
        .map(|one| (one.bundle.clone(), Some((one.leaf.serial(), one.leaf.not_after()))));
    let files = super::files(pki, &settings)?;
    let missing = ::haproxy::plan::bundles(&super::domains(&settings)?, &files)?;
    let missing = missing
        .into_iter()
        .filter(|bundle| absent.contains(&bundle.file) || placeholders.contains(&bundle.file));
    let missing = missing.map(|bundle| (bundle, None));
    let mut certificates = Vec::new();
    for (bundle, on_disk) in on_disk.chain(missing) {
        let found = match https {
            Some(address) => served(address, &bundle.name, HANDSHAKE)
                .map(|found| found.serial())
                .map_err(|error| crate::http::problem::in_words(&error)),
            None => Err("where its clients come to it is not known".to_owned()),
        };
        let loaded = runtime.loaded(&bundle.file).unwrap_or(None);
        certificates.push(CertificateLook {
            placeholder: placeholders.contains(&bundle.file),
            file: bundle.file,
            name: bundle.name,
            on_disk,
            loaded,
            served: found,
        });
    }
    Ok(Look {
        worker,
        certificates,
        revoked_wanted: wanted.map.as_ref().map_or(0, |_| wanted.revoked.len()),
        revoked_loaded: wanted.map.as_ref().map_or(Ok(0), |map| runtime.map_size(map))?,
        lists: runtime.lists(&wanted.lists)?,
        health: runtime.health()?,
    })
}
