//! Which jobs there are.

use std::time::Duration;

use ca::hierarchy::publish_certificates;
use crl::Which;
use time::OffsetDateTime;

use super::Job;
use crate::Pki;
use crate::ops::{Error, acme};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// Every job.
pub(crate) static TABLE: [Job; 2] = [
    Job { name: "renew-acme", every: HOUR, run: renew_acme },
    Job { name: "sweep-temporaries", every: HOUR, run: sweep_temporaries },
];

/// Renews what was obtained by ACME and is due. What fails is also told by `pki acme list`, with the time
/// of the next attempt.
fn renew_acme(pki: &Pki, now: OffsetDateTime) -> Result<(), Error> {
    let mut failure = None;
    for renewal in acme::renew_due(pki, &trust::Peer::InProcess.to_string(), now)? {
        failure = renewal.failure.or(failure);
    }
    failure.map_or(Ok(()), Err)
}

/// Removes what interrupted writers left beside the files they meant.
fn sweep_temporaries(pki: &Pki, _: OffsetDateTime) -> Result<(), Error> {
    let layout = pki.layout();
    let mut directories = vec![
        layout.root().to_owned(),
        layout.authorities(),
        layout.keys(),
        layout.service(),
        layout.operator(),
    ];
    let obtained = std::fs::read_dir(layout.acme()).into_iter().flatten().flatten();
    directories.extend(obtained.map(|folder| folder.path()));
    for directory in directories.iter().filter(|directory| directory.is_dir()) {
        let swept = store::file::sweep_temporaries(directory)?;
        if swept > 0 {
            tracing::info!(swept, directory = %directory.display(), "removed leftovers of interrupted writes");
        }
    }
    Ok(())
}
