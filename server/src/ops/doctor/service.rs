//! The clock, the settings, the listeners and the periodic work.

use store::Sequence;
use time::{Duration, OffsetDateTime};

use super::{Finding, Severity, finding, ok, told};
use crate::Pki;
use crate::ops::Error;
use crate::serve::ListenerState;

/// What may lie between two readings of a clock that is set over the network.
const SLACK: Duration = Duration::minutes(5);

/// Whether the clock goes backwards: the journal remembers what time it was.
pub(super) fn clock(pki: &Pki, now: OffsetDateTime) -> Result<Finding, Error> {
    let head = pki.store().head();
    let last = pki.store().follow(Sequence(head.0.saturating_sub(1)), 1)?;
    let Some(last) = last.first() else { return Ok(ok("clock", "the journal is empty")) };
    let then = OffsetDateTime::from_unix_timestamp(last.time).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    if then > now + SLACK {
        return Ok(finding(
            Severity::Error,
            "clock",
            format!("the clock says {}, but the journal's last entry is of {}", told(now), told(then)),
            "set the clock; certificates issued now would have wrong dates",
        ));
    }
    Ok(ok("clock", format!("the clock is not behind the journal, whose last entry is of {}", then.date())))
}

/// What a setting that is missing will cost, and whether the listeners are up.
pub(super) fn settings(pki: &Pki) -> Result<Vec<Finding>, Error> {
    let settings = pki.settings()?;
    let mut findings = Vec::new();
    findings.push(match settings.public_url() {
        Some(url) => ok("public-url", format!("certificates say that lists are at {url}")),
        None => finding(
            Severity::Note,
            "public-url",
            "core.public_url is not set: certificates carry no CRL and issuer URLs",
            "pki config set core.public_url http://HOST[:PORT], before certificates are issued",
        ),
    });
    findings.push(match (pki.public_state(), settings.public_address()) {
        (ListenerState::Listening(address), _) => {
            ok("public-address", format!("lists are served on {address}"))
        }
        (ListenerState::Failed { address, causes }, _) => finding(
            Severity::Error,
            "public-address",
            format!("lists are not served on {address}: {}", causes.join(": ")),
            "free the address, or set core.public_address to another",
        ),
        (ListenerState::Off, Some(address)) => finding(
            Severity::Note,
            "public-address",
            format!("no service runs here; lists will be served on {address}"),
            "pki serve",
        ),
        (ListenerState::Off, None) => finding(
            Severity::Note,
            "public-address",
            "core.public_address is not set: lists are not served by HTTP",
            "pki config set core.public_address IP:PORT",
        ),
    });
    findings.push(match (pki.https_state(), settings.https_address()) {
        (ListenerState::Listening(address), _) => {
            ok("https-address", format!("clients are served on {address}"))
        }
        (ListenerState::Failed { address, causes }, _) => finding(
            Severity::Error,
            "https-address",
            format!("clients are not served on {address}: {}", causes.join(": ")),
            "free the address, or set core.https_address to another",
        ),
        (ListenerState::Off, Some(address)) => finding(
            Severity::Note,
            "https-address",
            format!("no service runs here; clients will be served on {address}"),
            "pki serve",
        ),
        (ListenerState::Off, None) => finding(
            Severity::Note,
            "https-address",
            "core.https_address is not set: clients on other machines are not served",
            "pki config set core.https_address IP, [::] for every address",
        ),
    });
    Ok(findings)
}

/// The periodic work that fails.
pub(super) fn jobs(pki: &Pki) -> Vec<Finding> {
    let failures = pki.job_failures().now();
    if failures.is_empty() {
        return vec![ok("jobs", "no periodic work fails")];
    }
    failures
        .into_iter()
        .map(|(job, failure)| {
            finding(
                Severity::Error,
                "jobs",
                format!("{job} failed at {}: {}", told(failure.at), failure.causes.join(": ")),
                "it is tried again by itself; the service's log has every attempt",
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::settings::{self, Setting};

    #[test]
    fn a_clock_behind_the_journal_is_found() {
        let pki = Pki::in_memory(Path::new("/nowhere"), 0).unwrap();
        let at = |seconds| OffsetDateTime::from_unix_timestamp(seconds).unwrap();
        assert_eq!(clock(&pki, at(0)).unwrap().severity, Severity::Ok);
        settings::set(pki.store(), Setting::CorePublicUrl, Some("http://a"), "test", 10_000).unwrap();
        assert_eq!(clock(&pki, at(9_900)).unwrap().severity, Severity::Ok);
        assert_eq!(clock(&pki, at(9_000)).unwrap().severity, Severity::Error);
    }

    #[test]
    fn missing_settings_are_told() {
        let pki = Pki::in_memory(Path::new("/nowhere"), 0).unwrap();
        assert!(settings(&pki).unwrap().iter().all(|finding| finding.severity == Severity::Note));
        settings::set(pki.store(), Setting::CorePublicUrl, Some("http://a"), "test", 1).unwrap();
        assert_eq!(settings(&pki).unwrap()[0].severity, Severity::Ok);
    }
}
