//! Which of the certificates we issued end soon.

use ca::inventory;
use time::{Duration, OffsetDateTime};

use super::{Error, Finding, Severity, finding, ok};
use crate::Pki;

/// How far ahead is soon.
const SOON: Duration = Duration::days(30);
/// More than these are not counted.
const MOST: usize = 1_000;

/// What ends soon and is not revoked. A note: whoever uses it renews it, or wants it to end.
pub(super) fn ending(pki: &Pki, now: OffsetDateTime) -> Result<Finding, Error> {
    let page = inventory::ending(pki.store(), now, now + SOON, None, MOST)?;
    let mut count = 0_usize;
    let mut first = None;
    for record in &page.records {
        if pki.revoked().find(&record.issuer, &record.serial)?.is_none() {
            count += 1;
            first.get_or_insert(record);
        }
    }
    let Some(first) = first else {
        return Ok(ok("certificates", "no certificate ends within 30 days"));
    };
    let on = OffsetDateTime::from_unix_timestamp(first.not_after)
        .map_or_else(|_| String::new(), |at| at.date().to_string());
    let message = match (count, page.next) {
        (1, None) => format!("the certificate of {} ends on {on}", first.name),
        (_, None) => {
            format!("{count} certificates end within 30 days, the first, that of {}, on {on}", first.name)
        }
        (_, Some(_)) => format!("more than {count} certificates end within 30 days, the first on {on}"),
    };
    Ok(finding(
        Severity::Note,
        "certificates",
        message,
        "`pki list --expiring 30d` lists them, `pki renew NAME` issues a successor",
    ))
}
