//! Which jobs there are.

use std::time::Duration;

use crl::Which;
use store::again;
use time::OffsetDateTime;
use trust::token;

use super::{Job, Wake};
use crate::Pki;
use crate::ops::acme::Meanwhile;
use crate::ops::crl::first_failure;
use crate::ops::{Error, acme};
use crate::own::{self, Kept, Own};

const SECONDS: Duration = Duration::from_secs(5);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// Every job.
pub(crate) static TABLE: [Job; 12] = [
    Job { name: "checkpoint", every: HOUR, wake: Wake::Never, run: checkpoint },
    Job { name: "follow-trusted-ca", every: SECONDS, wake: Wake::Never, run: follow_trusted_ca },
    Job { name: "keep-acme", every: MINUTE, wake: Wake::Settings, run: keep_acme },
    Job { name: "keep-tally", every: MINUTE, wake: Wake::Never, run: keep_tally },
    Job { name: "place-certificates", every: MINUTE, wake: Wake::Never, run: place_certificates },
    Job { name: "prune-tokens", every: HOUR, wake: Wake::Never, run: prune_tokens },
    Job { name: "publish-lists", every: MINUTE, wake: Wake::Never, run: publish_lists },
    Job { name: "renew-acme", every: MINUTE, wake: Wake::Never, run: renew_acme },
    Job { name: "renew-own", every: HOUR, wake: Wake::Never, run: renew_own },
    Job { name: "sum-up-refusals", every: MINUTE, wake: Wake::Never, run: sum_up_refusals },
    Job { name: "sweep-temporaries", every: HOUR, wake: Wake::Never, run: sweep_temporaries },
    Job { name: "verify-journal", every: HOUR, wake: Wake::Never, run: verify_journal },
];

/// Signs a checkpoint of what has been committed since the last.
fn checkpoint(pki: &Pki, now: OffsetDateTime) -> Result<(), Error> {
    pki.checkpoint(now).map(|_note| ())
}

/// Takes in what changed in the files of foreign authorities.
fn follow_trusted_ca(pki: &Pki, now: OffsetDateTime) -> Result<(), Error> {
    pki.follow_trusted_ca(now)
}

/// Obtains and renews the service's own certificate for `acme.domain`.
fn keep_acme(pki: &Pki, now: OffsetDateTime) -> Result<(), Error> {
    let who = trust::Peer::InProcess.to_string();
    match acme::own::keep(pki, &who, now, Meanwhile::Leave)?.and_then(|kept| kept.failure) {
        Some(failure) => Err(failure),
        None => Ok(()),
    }
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

/// Forgets tokens a week after their end. One that was redeemed or revoked is gone at once.
fn prune_tokens(pki: &Pki, now: OffsetDateTime) -> Result<(), Error> {
    again(|| {
        if let Some(batch) = token::prune(&token::list(pki.store())?, now) {
            pki.store().commit(batch)?;
        }
        Ok(())
    })
}

/// Writes down how many strangers were refused, and why.
fn sum_up_refusals(pki: &Pki, now: OffsetDateTime) -> Result<(), Error> {
    pki.sum_up_refusals(now)
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
            // A renewal keeps its entry; what was made anew, after its end, has none.
            kept @ Kept::Made => {
                tracing::info!(?own, ?kept, "our own certificate");
                if own == Own::Operator {
                    own::trust_operator(pki, now)?;
                }
            }
            kept @ Kept::Renewed => tracing::info!(?own, ?kept, "our own certificate"),
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

/// Renews what was obtained by ACME and is due, and goes on with what was placed and is not served. What fails is
/// also told by `pki acme list`, with the time of the next attempt.
fn renew_acme(pki: &Pki, now: OffsetDateTime) -> Result<(), Error> {
    let who = trust::Peer::InProcess.to_string();
    let mut failure = acme::go_on_with_all(pki, &who, acme::When::Due(now), Meanwhile::Leave).err();
    for renewal in acme::renew_due(pki, &who, now, Meanwhile::Leave)? {
        failure = renewal.failure.or(failure);
    }
    failure.map_or(Ok(()), Err)
}

/// Removes what interrupted writers left beside the files they meant.
fn sweep_temporaries(pki: &Pki, _: OffsetDateTime) -> Result<(), Error> {
    for directory in pki.layout().written() {
        let swept = store::file::sweep_temporaries(&directory)?;
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
    fn run(name: &str, pki: &Pki, seconds: i64) {
        let job = TABLE.iter().find(|job| job.name == name).unwrap();
        (job.run)(pki, at(seconds)).unwrap();
    }

    #[test]
    fn a_token_is_forgotten_a_week_after_its_end() {
        use crate::ops::trust::token::{TokenCreate, TokenList};
        use crate::ops::trust::view::RightsWanted;
        const DAY: i64 = 24 * 60 * 60;
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("pki");
        let init = crate::testing::plain_init();
        let (pki, _) =
            crate::up::up(&place, crate::testing::keys(), &init, &crate::peer::own(), at(0)).unwrap();
        let create = TokenCreate { name: "alice".to_owned(), rights: RightsWanted::full() };
        pki.run(create, &trust::Presented::InProcess, at(0)).unwrap();
        let listed = |seconds| {
            run("prune-tokens", &pki, seconds);
            pki.run(TokenList {}, &trust::Presented::InProcess, at(seconds)).unwrap().len()
        };
        assert_eq!(listed(21 * DAY), 1, "expired after 15 days, and still listed");
        assert_eq!(listed(23 * DAY), 0);
    }

    #[test]
    fn an_operator_whose_certificate_has_ended_gets_another_that_is_trusted_likewise() {
        use crate::ops::trust::edit::TrustEdit;
        use trust::{Holder, Presented};
        const DAY: i64 = 24 * 60 * 60;
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("pki");
        let init = crate::testing::plain_init();
        let (pki, _) =
            crate::up::up(&place, crate::testing::keys(), &init, &crate::peer::own(), at(0)).unwrap();
        let scope = |seconds| {
            let shown = Holder::new(own::in_place(&pki, Own::Operator).unwrap().unwrap(), Vec::new());
            let admitted = pki.admit(&Presented::Certificate(shown), at(seconds)).unwrap();
            admitted.rights().unwrap().scope.is_restricted()
        };
        assert!(!scope(1));
        let edit = TrustEdit {
            word: "operator".to_owned(),
            name: None,
            kind: None,
            restricted: Some(true),
            projects: Some(vec!["default".to_owned()]),
            version: None,
        };
        pki.run(edit, &Presented::InProcess, at(2)).unwrap();
        run("renew-own", &pki, 400 * DAY);
        assert!(scope(400 * DAY), "and has no more rights than the one before");
    }
}
