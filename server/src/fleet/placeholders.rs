//! The placeholders of certificates that HAProxy is to serve and that nobody has obtained yet.
//!
//! One is put where a terminated domain's certificate of `pki acme` will lie, so that HAProxy starts. It is for that
//! alone: a running HAProxy is never told of it, and a file of the administrator's own (`certificate=`) is his affair.

use ::haproxy::FilePath;
use ::haproxy::placeholder::{Placed, is_one, put};
use ::haproxy::plan::{self, Files};
use ::haproxy::written::{DomainSpec, Way};
use ca::cert::DnsName;
use time::OffsetDateTime;

use super::seats;
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
    let lies = |names: &[DnsName], file: &FilePath| {
        let bundle = |name: &DnsName| plan::Bundle { file: file.clone(), name: name.clone() };
        // What can't be read is told where HAProxy is to be told of it.
        let read = names.first().and_then(|first| seats::read(bundle(first)).ok());
        read.is_some_and(|certificate| is_one(&certificate.leaf))
    };
    let lying = all.into_iter().filter(|(names, file)| lies(names, file));
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
