//! The placeholders of certificates that HAProxy is to serve and that nobody has obtained yet.
//!
//! One is put where a terminated domain's certificate of `pki acme` will lie, so that HAProxy starts. It is for that
//! alone: a running HAProxy is never told of it, and a file of the administrator's own (`certificate=`) is their affair.

use std::path::Path;

use ::haproxy::FilePath;
use ::haproxy::placeholder::{Placed, lies_at, put};
use ::haproxy::plan::Files;
use ::haproxy::written::{DomainSpec, Way};
use ca::cert::DnsName;
use time::OffsetDateTime;

use crate::Pki;
use crate::ops::Error;

/// Puts one wherever nothing lies, and returns where it was put.
pub(crate) fn lay(
    domains: &[DomainSpec],
    files: &Files,
    now: OffsetDateTime,
) -> Result<Vec<FilePath>, Error> {
    let mut laid = Vec::new();
    for (names, file) in places(domains, files)? {
        if put(&file, names, now)? == Placed::Now {
            tracing::warn!(%file, "a placeholder is laid there: no certificate was obtained yet");
            laid.push(file);
        }
    }
    Ok(laid)
}

/// Those that lie there now, with the names of their domains.
pub(crate) fn lying(pki: &Pki) -> Result<Vec<(Vec<DnsName>, FilePath)>, Error> {
    let settings = pki.settings()?;
    let domains = super::domains(&settings)?;
    let all = places(&domains, &super::files(pki, &settings)?)?;
    let lying = all.into_iter().filter(|(_, file)| lies_at(Path::new(file.as_str())));
    Ok(lying.map(|(names, file)| (names.to_vec(), file)).collect())
}

/// Where certificates of ours are to lie, each place once.
fn places<'a>(domains: &'a [DomainSpec], files: &Files) -> Result<Vec<(&'a [DnsName], FilePath)>, Error> {
    let mut places: Vec<(&[DnsName], FilePath)> = Vec::new();
    for spec in domains {
        let (Way::Terminate { certificate: None, .. }, Some(first)) = (&spec.way, spec.names.first()) else {
            continue;
        };
        let file = files.bundle(first)?;
        if places.iter().all(|(_, known)| *known != file) {
            places.push((&spec.names, file));
        }
    }
    Ok(places)
}
