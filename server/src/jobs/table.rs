//! Which jobs there are.

use std::time::Duration;

use crl::Which;
use time::OffsetDateTime;

use super::Job;
use crate::Pki;
use crate::ops::crl::first_failure;
use crate::ops::{Error, acme};
use crate::own::{self, Kept, Own};

const SECONDS: Duration = Duration::from_secs(5);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// Every job.
pub(crate) static TABLE: [Job; 9] = [
    Job { name: "checkpoint", every: HOUR, run: checkpoint },
    Job { name: "follow-trusted-ca", every: SECONDS, run: follow_trusted_ca },
    Job { name: "keep-tally", every: MINUTE, run: keep_tally },
    Job { name: "place-certificates", every: MINUTE, run: place_certificates },
    Job { name: "publish-lists", every: MINUTE, run: publish_lists },
    Job { name: "renew-acme", every: HOUR, run: renew_acme },
    Job { name: "renew-own", every: HOUR, run: renew_own },
    Job { name: "sweep-temporaries", every: HOUR, run: sweep_temporaries },
    Job { name: "verify-journal", every: HOUR, run: verify_journal },
];

/// Signs a checkpoint of what has been committed since the last.
fn checkpoint(pki: &Pki, now: OffsetDateTime) -> Result<(), Error> {
    pki.checkpoint(now).map(|_note| ())
}

/// Takes in what changed in the files of foreign authorities.
fn follow_trusted_ca(pki: &Pki, now: OffsetDateTime) -> Result<(), Error> {
    pki.follow_trusted_ca(now)
}

/// Follows how many certificates there are, so that whoever asks need not wait for the counting.
fn keep_tally(pki: &Pki, now: OffsetDateTime) -> Result<(), Error> {
    pki.tally().keep(now)?;
    Ok(())
}

/// Places the authorities' certificates again where one is missing, was written over, or a generation has
/// ended.
fn place_certificates(pki: &Pki, now: OffsetDateTime) -> Result<(), Error> {
    pki.place_certificates(now)?;
    pki.fill_shelf(now)
}

/// Makes the lists that are due: at half of their validity, after a failure, or when one was lost.
fn publish_lists(pki: &Pki, now: OffsetDateTime) -> Result<(), Error> {
    let publication = pki.publish(&Which::Due, now)?;
    for list in &publication.lists {
        tracing::info!(issuer = %list.issuer, number = %list.number, entries = list.entries, "published a list");
    }
    first_failure(&publication)
}

/// Renews the certificates of the service and the operator, where `up` has made them.
fn renew_own(pki: &Pki, now: OffsetDateTime) -> Result<(), Error> {
    for own in Own::ALL.into_iter().filter(|own| own.certificate_path(pki).exists()) {
        match own::keep(pki, own, now)? {
            Kept::Current | Kept::Revoked => {}
            kept @ (Kept::Made | Kept::Renewed) => tracing::info!(?own, ?kept, "our own certificate"),
        }
    }
    Ok(())
}

/// Reads one segment of the journal again, another one at every hour.
fn verify_journal(pki: &Pki, now: OffsetDateTime) -> Result<(), Error> {
    let segments = pki.store().segments();
    if segments == 0 {
        return Ok(());
    }
    let hour = u64::try_from(now.unix_timestamp()).unwrap_or(0) / HOUR.as_secs();
    pki.store().verify_segment(1 + hour % segments)?;
    Ok(())
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, made};

    #[test]
    fn a_certificate_that_somebody_wrote_over_is_placed_again_within_a_minute() {
        let folder = tempfile::tempdir().unwrap();
        let pki = made(&folder.path().join("pki"));
        let job = TABLE.iter().find(|job| job.name == "place-certificates").unwrap();
        assert!(job.every <= MINUTE);
        for (round, name) in ["root.crt", "ca.crt", "chain.crt"].into_iter().enumerate() {
            let path = pki.directory().join(name);
            let right = std::fs::read(&path).unwrap();
            std::fs::write(&path, "somebody else's").unwrap();
            (job.run)(&pki, at(60 * round as i64)).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), right, "{name}");
        }
    }
}
