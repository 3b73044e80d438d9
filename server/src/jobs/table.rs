//! Which jobs there are.

use std::time::Duration;

use time::OffsetDateTime;

use super::Job;
use crate::Pki;
use crate::ops::Error;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// Every job.
pub(crate) static TABLE: [Job; 1] = [Job { name: "sweep-temporaries", every: HOUR, run: sweep_temporaries }];

/// Removes what interrupted writers left beside the files they meant.
fn sweep_temporaries(pki: &Pki, _: OffsetDateTime) -> Result<(), Error> {
    let layout = pki.layout();
    let directories =
        [layout.root().to_owned(), layout.authorities(), layout.keys(), layout.service(), layout.operator()];
    for directory in directories.iter().filter(|directory| directory.is_dir()) {
        let swept = store::file::sweep_temporaries(directory)?;
        if swept > 0 {
            tracing::info!(swept, directory = %directory.display(), "removed leftovers of interrupted writes");
        }
    }
    Ok(())
}
