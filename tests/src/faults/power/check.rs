//! What must hold on a disk that a power cut left, I1–I5, asked of the library in this process.
//!
//! Thousands of states are opened this way; a sample of them goes through the shipped program and
//! OpenSSL as well (`faults::check`). What lies in place is judged before anything opens the PKI.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ca::key::ScryptCost;
use server::Pki;
use server::ops::audit::AuditVerify;
use server::ops::crl::CrlPublish;
use server::ops::inventory::List;
use server::ops::revoke::Revoke;
use server::ops::view::{CertificateView, Selector, Status};
use server::pki::{Keys, OpenMode};
use time::OffsetDateTime;
use trust::Presented;
use x509_cert::certificate::Rfc5280;
use x509_cert::crl::CertificateList;
use x509_cert::der::Decode;

use super::disk::{Content, Disk};
use super::record::digest;
use crate::faults::Operation;

/// A list as it is published: its number and the serials on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PublishedList {
    number: u128,
    serials: BTreeSet<String>,
}

/// What stood before the operation: nothing may fall behind it.
pub(super) struct Ground {
    certificates: Vec<CertificateView>,
    lists: BTreeMap<String, PublishedList>,
}

impl Ground {
    pub(super) fn of(directory: &Path, now: OffsetDateTime) -> Result<Ground, String> {
        let pki = open(directory, now)?;
        Ok(Ground { certificates: certificates(&pki, now)?, lists: lists(directory)? })
    }
}

/// Whether the answer had been given when the power was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Given,
    NotYet,
}

/// Each file that others read is absent, or holds what it held at some moment whole; secrets are
/// nobody else's. The store's own files are the store's to judge.
pub(super) fn in_place(disk: &Disk, seen: &BTreeMap<String, BTreeSet<u64>>) -> Result<(), String> {
    for (path, node) in disk.paths() {
        let Content::File { bytes, mode } = &disk.0[node] else { continue };
        if path.starts_with("pki/store/") || path.contains(".pki-tmp-") {
            continue;
        }
        if !seen.get(&path).is_some_and(|hashes| hashes.contains(&digest(bytes))) {
            return Err(format!("{path} is a half: {} bytes", bytes.len()));
        }
        if path.ends_with(".key") && mode & 0o077 != 0 {
            return Err(format!("{path} has mode {mode:o}"));
        }
    }
    Ok(())
}

/// Opens what lies below `root` and holds it against what was there and what was answered.
pub(super) fn opened(
    operation: &Operation,
    root: &Path,
    ground: &Ground,
    answer: Answer,
    now: OffsetDateTime,
) -> Result<(), String> {
    let directory = root.join("pki");
    let left = lists(&directory)?;
    for (issuer, before) in &ground.lists {
        let now = left.get(issuer).ok_or_else(|| format!("the list of {issuer} is gone"))?;
        if now.number < before.number {
            return Err(format!(
                "the number of {issuer}'s list fell from {} to {}",
                before.number, now.number
            ));
        }
        if operation.name != "release" && !before.serials.is_subset(&now.serials) {
            return Err(format!("{issuer}'s list lost an entry"));
        }
    }
    let pki = open(&directory, now)?;
    let found = certificates(&pki, now)?;
    kept(operation, ground, &found)?;
    promised(operation, root, &found, &left, ground, answer)?;
    pki.run(AuditVerify { against: None }, &Presented::InProcess, now).map_err(said)?;

    // What comes next: the work goes on, and no number is used again.
    if operation.name == "revoke" {
        let selectors = vec![Selector::Word(operation.arguments()[1].to_owned())];
        let again = Revoke { selectors, reason: None, all: true, dry_run: false };
        pki.run(again, &Presented::InProcess, now).map_err(said)?;
    }
    pki.run(CrlPublish { root: false }, &Presented::InProcess, now).map_err(said)?;
    let next = lists(&directory)?;
    let known = certificates(&pki, now)?;
    for (issuer, old) in &left {
        let new = next.get(issuer).ok_or_else(|| format!("the list of {issuer} is gone after publishing"))?;
        if new != old && new.number <= old.number {
            return Err(format!("{issuer}'s next list has number {} after {}", new.number, old.number));
        }
        let lost = known.iter().find(|one| {
            one.issuer == *issuer
                && matches!(one.status, Status::Revoked | Status::Held)
                && !new.serials.contains(&one.serial)
        });
        if let Some(lost) = lost {
            return Err(format!("{} is revoked and not on {issuer}'s next list", lost.serial));
        }
    }
    Ok(())
}

/// Nothing that was there before is lost or has changed.
fn kept(operation: &Operation, ground: &Ground, found: &[CertificateView]) -> Result<(), String> {
    for before in &ground.certificates {
        let after = found.iter().find(|one| one.serial == before.serial);
        let after = after.ok_or_else(|| format!("the certificate of {} is forgotten", before.name))?;
        let meant = operation.arguments().get(1) == Some(&before.name.as_str());
        if after.status != before.status && !meant {
            return Err(format!("{} was {:?} and is {:?}", before.name, before.status, after.status));
        }
    }
    Ok(())
}

/// What the operation answered is there, and what it did not is there whole or not at all.
fn promised(
    operation: &Operation,
    root: &Path,
    found: &[CertificateView],
    left: &BTreeMap<String, PublishedList>,
    ground: &Ground,
    answer: Answer,
) -> Result<(), String> {
    let name = operation.arguments().get(1).copied().unwrap_or_default();
    let ours: Vec<_> = found.iter().filter(|one| one.name == name).collect();
    let given = answer == Answer::Given;
    match operation.name {
        "issue-client" | "issue-server" => {
            if ours.len() > 1 || (given && ours.is_empty()) {
                return Err(format!("{} certificates of {name}, answered: {given}", ours.len()));
            }
            let has = |file: String| root.join("work").join(file).exists();
            // The key lies in the pending file until everything else is there.
            if !ours.is_empty() && !has(format!("{name}.key")) && !has(format!(".{name}.pending")) {
                return Err(format!("{name} is issued and its key is lost"));
            }
            if given && !(has(format!("{name}.crt")) && has(format!("{name}-chain.crt"))) {
                return Err(format!("{name} was answered and its files are lost"));
            }
        }
        "revoke" if given => {
            for one in ours {
                let listed = left.get(&one.issuer).is_some_and(|list| list.serials.contains(&one.serial));
                if one.status != Status::Revoked || !listed {
                    return Err(format!(
                        "{name} was answered as revoked, is {:?}, listed: {listed}",
                        one.status
                    ));
                }
            }
        }
        "crl publish" if given => {
            let fresh = left.iter().any(|(issuer, list)| ground.lists.get(issuer) != Some(list));
            if !fresh {
                return Err("no list that was answered is in place".to_owned());
            }
        }
        _ => {}
    }
    Ok(())
}

fn open(directory: &Path, now: OffsetDateTime) -> Result<Pki, String> {
    let keys = Keys { passphrase: None, cost: ScryptCost::CHEAP };
    Pki::open(directory, keys, OpenMode::Command, now)
        .map_err(|error| format!("it does not open: {}", said(error)))
}

fn certificates(pki: &Pki, now: OffsetDateTime) -> Result<Vec<CertificateView>, String> {
    let list = List { limit: List::LIMIT, ..List::default() };
    Ok(pki.run(list, &Presented::InProcess, now).map_err(said)?.certificates)
}

/// An error with its causes.
fn said(error: server::ops::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(one) = cause {
        text.push_str(&format!(": {one}"));
        cause = one.source();
    }
    text
}

/// The published lists by issuer.
fn lists(directory: &Path) -> Result<BTreeMap<String, PublishedList>, String> {
    let folder = directory.join("cas");
    let refuse = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(&folder).map_err(refuse)? {
        let path = entry.map_err(refuse)?.path();
        if path.extension().is_some_and(|ending| ending == "crl") {
            let issuer = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let bytes = std::fs::read(&path).map_err(refuse)?;
            found.insert(issuer, list(&bytes).map_err(|cause| format!("{}: {cause}", path.display()))?);
        }
    }
    Ok(found)
}

fn list(der: &[u8]) -> Result<PublishedList, String> {
    let list = CertificateList::<Rfc5280>::from_der(der).map_err(|error| error.to_string())?;
    let extensions = list.tbs_cert_list.crl_extensions.unwrap_or_default();
    let number =
        extensions.iter().find(|one| one.extn_id.to_string() == "2.5.29.20").ok_or("no CRL number")?;
    // An INTEGER: tag, length, octets.
    let octets = number.extn_value.as_bytes().get(2..).unwrap_or_default();
    let number = octets.iter().fold(0, |number: u128, octet| number << 8 | u128::from(*octet));
    let revoked = list.tbs_cert_list.revoked_certificates.unwrap_or_default();
    let serials = revoked.iter().map(|one| hex::encode(one.serial_number.as_bytes())).collect();
    Ok(PublishedList { number, serials })
}
