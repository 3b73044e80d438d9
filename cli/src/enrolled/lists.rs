//! The revocation lists that a service sends to an enrolled machine: judged before they are written, because
//! whoever reads `NAME.crl` relies on it.
//!
//! Only the authorities below the root that the certificate leads to count. Refused as a whole are lists that
//! one of them did not sign, that are out of date or lack something, and those among which the root's or the
//! issuing CA's is missing.

use ca::cert::{Certificate, printable};
use crl::{ListFinding, ParsedList};
use server::ops::enroll::Enrolled;
use time::{Duration, OffsetDateTime};
use trust::authority::read_lists;

use crate::{
    connect::Service,
    error::{CommandError, Kind},
};

/// Where the certificates of every authority lie.
const CHAIN: &str = "/chain.crt";
/// By how much the clock here may be behind the service's.
const SLACK: Duration = Duration::minutes(5);

/// Fetches the lists, and judges them.
pub fn fetch(
    service: &Service,
    path: &str,
    enrolled: &Enrolled,
    now: OffsetDateTime,
) -> Result<Vec<u8>, CommandError> {
    let root = Certificate::from_pem(enrolled.root.as_bytes()).map_err(|error| unusable(&error))?;
    let chain =
        Certificate::pem_bundle(enrolled.issued.chain.as_bytes()).map_err(|error| unusable(&error))?;
    of(service, path, &root, chain.get(1..).unwrap_or_default(), now)
}

/// The same for whoever has the root and the authorities between already.
pub fn of(
    service: &Service,
    path: &str,
    root: &Certificate,
    between: &[Certificate],
    now: OffsetDateTime,
) -> Result<Vec<u8>, CommandError> {
    let bytes = service.fetch(path)?;
    let lists = read_lists(&bytes).map_err(|error| unusable(&error))?;
    let mut authorities: Vec<Certificate> = std::iter::once(root).chain(between).cloned().collect();
    let needed = authorities.clone();
    let known = |list: &ParsedList| needed.iter().any(|known| known.subject_raw() == list.issuer());
    if !lists.iter().all(known) {
        // Those of generations that others' certificates are of.
        let others = Certificate::pem_bundle(&service.fetch(CHAIN)?).map_err(|error| unusable(&error))?;
        let below = |other: &Certificate| other.is_ca() && other.verify_signed_by(root).is_ok();
        authorities.extend(others.into_iter().filter(below));
    }
    judge(&lists, &needed, &authorities, now)?;
    Ok(bytes)
}

/// Judges lists: each has to be of one of `authorities`, and each of `needed` has to have one.
fn judge(
    lists: &[ParsedList],
    needed: &[Certificate],
    authorities: &[Certificate],
    now: OffsetDateTime,
) -> Result<(), CommandError> {
    let mut seen = Vec::new();
    for list in lists {
        let of = authorities.iter().filter(|authority| authority.subject_raw() == list.issuer());
        let mut signer = None;
        for authority in of {
            let report = list.report(Some(authority), now).map_err(|error| unusable(&error))?;
            if !report.findings.iter().any(|finding| matches!(finding, ListFinding::Signature(_))) {
                signer = Some((authority, report));
                break;
            }
        }
        let Some((authority, report)) = signer else {
            let issuer = list.report(None, now).map(|report| report.issuer).unwrap_or_default();
            return Err(refused(format!(
                "no authority below our root signed the list of {}",
                printable(&issuer)
            )));
        };
        let counts = |finding: &&ListFinding| match finding {
            ListFinding::NotYet { this_update } => *this_update > now + SLACK,
            _ => true,
        };
        if let Some(finding) = report.findings.iter().find(counts) {
            return Err(refused(format!("the list of {}: {finding}", authority.subject_display())));
        }
        if !authority.key_usage().is_none_or(|usage| usage.crl_sign()) {
            return Err(refused(format!("{} may sign no lists", authority.subject_display())));
        }
        seen.push(list.issuer());
    }
    match needed.iter().find(|needed| !seen.contains(&needed.subject_raw())) {
        Some(missing) => Err(refused(format!("there is none of {}", missing.subject_display()))),
        None => Ok(()),
    }
}

fn refused(why: String) -> CommandError {
    let mut error = CommandError::new(Kind::External, "the service's revocation lists can't be relied on")
        .hint("`pki doctor` on the server says what is wrong with them, `pki crl publish` makes new ones");
    error.causes.push(why);
    error
}

fn unusable(error: &dyn std::error::Error) -> CommandError {
    let mut refused = refused(error.to_string());
    refused.causes.extend(server::http::problem::causes(error));
    refused
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ca::{
        constraints::NameConstraints,
        hierarchy::{Init, RootKeyPlace},
        key::{KeyType, ScryptCost},
    };
    use server::{Pki, pki::Keys};

    use super::*;

    fn at(days: i64) -> OffsetDateTime {
        time::macros::datetime!(2026-01-01 0:00 UTC) + Duration::days(days)
    }

    /// The lists and the authorities of a new PKI, root first.
    fn made(directory: &Path) -> (Vec<ParsedList>, Vec<Certificate>) {
        let init = Init {
            organization: "Example".parse().unwrap(),
            key_type: KeyType::P256,
            constraints: NameConstraints::default(),
            root_key: RootKeyPlace::Beside,
        };
        let keys = Keys { passphrase: None, cost: ScryptCost::CHEAP };
        drop(Pki::init(directory, keys, &init, &server::peer::own(), at(0)).unwrap());
        let read = |name: &str| std::fs::read(directory.join(name)).unwrap();
        let authorities = ["root.crt", "ca.crt"].map(|name| Certificate::from_pem(&read(name)).unwrap());
        (read_lists(&read("chain.crl")).unwrap(), authorities.into())
    }

    fn why(
        lists: &[ParsedList],
        needed: &[Certificate],
        authorities: &[Certificate],
        now: OffsetDateTime,
    ) -> String {
        judge(lists, needed, authorities, now).unwrap_err().causes.join(": ")
    }

    #[test]
    fn only_lists_of_our_own_authorities_in_their_time_are_relied_on() {
        let folder = tempfile::tempdir().unwrap();
        let (lists, ours) = made(&folder.path().join("ours"));
        let (foreign, theirs) = made(&folder.path().join("theirs"));
        judge(&lists, &ours, &ours, at(1)).unwrap();
        // A clock that is a little behind is no reason to refuse them.
        judge(&lists, &ours, &ours, at(0) - Duration::minutes(4)).unwrap();
        assert!(why(&lists, &ours, &ours, at(-1)).contains("in force only from"));
        assert!(why(&lists, &ours, &ours, at(8)).contains("has run out"));
        let unsigned = "no authority below our root signed the list";
        assert!(why(&foreign, &ours, &ours, at(1)).contains(unsigned));
        // The same names prove nothing: these are signed by other keys.
        let theirs_named: Vec<&[u8]> = theirs.iter().map(Certificate::subject_raw).collect();
        assert_ne!(theirs_named[1], ours[1].subject_raw());
        let both: Vec<ParsedList> = lists.into_iter().chain(foreign).collect();
        assert!(why(&both, &ours, &ours, at(1)).contains(unsigned));
        let all: Vec<Certificate> = ours.iter().chain(&theirs).cloned().collect();
        judge(&both, &ours, &all, at(1)).unwrap();
        for kept in 0..2 {
            assert!(why(&both[kept..=kept], &ours, &ours, at(1)).contains("there is none of"), "{kept}");
        }
        assert!(why(&[], &ours, &ours, at(1)).contains("there is none of"));
    }

    #[test]
    fn a_list_that_somebody_changed_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (lists, ours) = made(&folder.path().join("ours"));
        let mut der = lists[0].der().to_vec();
        let last = der.len() - 1;
        der[last] ^= 1;
        let changed = ParsedList::read(&der).unwrap();
        assert!(why(&[changed], &ours, &ours, at(1)).contains("no authority below our root"));
    }
}
