//! What must hold after a fault: invariants I1–I5, read off the files and through `pki` itself.
//!
//! The published files are judged first, by OpenSSL and before `pki` opens anything: readers do not
//! wait for it. A failed check is a sentence; the caller decides what to do with it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::{Output, Sandbox, openssl};

use super::{Fault, Operation};

/// What a prepared PKI has published: the state that nothing may fall behind.
#[derive(Clone, Debug, Default)]
pub struct Before {
    /// CRL number by issuer.
    numbers: BTreeMap<String, u128>,
    /// Serials on each issuer's list.
    revoked: BTreeMap<String, BTreeSet<String>>,
}

impl Before {
    /// Reads the published lists of `cas/`.
    pub fn of(sandbox: &Sandbox) -> Result<Before, String> {
        let mut before = Before::default();
        for path in files(&sandbox.dir().join("cas"), "crl") {
            let issuer = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let shown = openssl(sandbox, ["crl", "-noout", "-crlnumber", "-text", "-in", &text(&path)]);
            let number = shown
                .stdout
                .lines()
                .find_map(|line| line.strip_prefix("crlNumber=0x"))
                .and_then(|number| u128::from_str_radix(number, 16).ok())
                .ok_or_else(|| format!("{} has no number: {shown}", path.display()))?;
            let serials = shown.stdout.lines().filter_map(|line| line.trim().strip_prefix("Serial Number: "));
            before.revoked.insert(issuer.clone(), serials.map(str::to_lowercase).collect());
            before.numbers.insert(issuer, number);
        }
        Ok(before)
    }
}

/// Holds what an operation left against the invariants, runs it again and looks once more.
pub fn check(
    operation: &Operation,
    sandbox: &Sandbox,
    before: &Before,
    fault: Fault,
    ended: &Output,
) -> Result<(), String> {
    let answered = ended.code == 0 || operation.answer.is_some_and(|answer| ended.stdout.contains(answer));
    says_why(fault, ended)?;
    published(sandbox)?;
    kept(operation, sandbox, before)?;
    if !before.numbers.is_empty() {
        verified(sandbox)?;
    }
    let stored = (operation.stored)(sandbox).map_err(|cause| format!("half done: {cause}"))?;
    if answered && !stored {
        return Err("what was answered is not there".to_owned());
    }
    if ended.code == 0 {
        (operation.finished)(sandbox).map_err(|cause| format!("it ended well, but {cause}"))?;
    }
    let again = operation.run(sandbox);
    if !(again.code == 0 || operation.finished_says == Some(again.code)) || !(operation.stored)(sandbox)? {
        return Err(format!("the same command again does not finish: {again}"));
    }
    verified(sandbox).map_err(|cause| format!("after the same command again {cause}"))?;
    (operation.finished)(sandbox).map_err(|cause| format!("after the same command again {cause}"))?;
    published(sandbox)?;
    kept(operation, sandbox, before)?;
    let left = leftovers(sandbox);
    if !left.is_empty() {
        return Err(format!("temporary files are left: {left:?}"));
    }
    Ok(())
}

/// A failure names its cause and is no panic.
fn says_why(fault: Fault, ended: &Output) -> Result<(), String> {
    // The store catches the panics of its index, which is rebuilt; they are heard all the same.
    let ours = |line: &str| line.contains("panicked at") && !line.contains("/sled-");
    if ended.stderr.lines().any(ours) {
        return Err(format!("a panic: {ended}"));
    }
    let cause = match fault {
        Fault::Kill => return Ok(()),
        Fault::SyncFails => "Input/output error",
        Fault::DiskFull => "No space left on device",
    };
    // curl has no word but its own for a file of its own that it can't write.
    let curls = fault == Fault::DiskFull && ended.stderr.lines().any(|line| line.starts_with("curl: (23)"));
    if ended.code > 9 || (ended.code != 0 && !ended.says(cause) && !curls) {
        return Err(format!("the failure does not say why: {ended}"));
    }
    Ok(())
}

/// The store opens and its chain verifies.
fn verified(sandbox: &Sandbox) -> Result<(), String> {
    let verified = sandbox.pki(["audit", "verify"]);
    match verified.code {
        0 => Ok(()),
        _ => Err(format!("the journal does not verify: {verified}")),
    }
}

/// I5: every published file is complete, and OpenSSL verifies every list in it.
fn published(sandbox: &Sandbox) -> Result<(), String> {
    let (dir, cas) = (sandbox.dir(), sandbox.dir().join("cas"));
    let mut authorities = String::new();
    for path in files(&dir, "crt").into_iter().chain(files(&cas, "crt")) {
        let certificates = blocks(&path, "CERTIFICATE")?;
        for certificate in certificates {
            authorities.push_str(&certificate);
        }
    }
    if authorities.is_empty() {
        return Ok(());
    }
    let bundle = sandbox.root().join("authorities.pem");
    write(&bundle, authorities.as_bytes())?;
    let judge = |list: &Path, from: &Path, form: &str| {
        let shown = openssl(
            sandbox,
            ["crl", "-noout", "-inform", form, "-CAfile", &text(&bundle), "-verify", "-in", &text(list)],
        );
        match shown.code == 0 && shown.says("verify OK") {
            true => Ok(()),
            false => Err(format!("OpenSSL refuses {}: {shown}", from.display())),
        }
    };
    let one = sandbox.root().join("one.crl");
    for path in files(&dir, "crl") {
        for list in blocks(&path, "X509 CRL")? {
            write(&one, list.as_bytes())?;
            judge(&one, &path, "PEM")?;
        }
    }
    for path in files(&dir, "der").into_iter().chain(files(&cas, "crl")) {
        judge(&path, &path, "DER")?;
    }
    Ok(())
}

/// I4: no number falls and no revoked certificate leaves its list, but by a release.
fn kept(operation: &Operation, sandbox: &Sandbox, before: &Before) -> Result<(), String> {
    let after = Before::of(sandbox)?;
    for (issuer, number) in &before.numbers {
        match after.numbers.get(issuer) {
            Some(now) if now >= number => {}
            Some(now) => return Err(format!("the number of {issuer}'s list fell from {number} to {now}")),
            None => return Err(format!("the list of {issuer} is gone")),
        }
        let (then, now) = (&before.revoked[issuer], &after.revoked[issuer]);
        if operation.name != "release" && !then.is_subset(now) {
            return Err(format!("{issuer}'s list lost an entry: {then:?} became {now:?}"));
        }
    }
    Ok(())
}

/// Files that a next run should have swept away.
fn leftovers(sandbox: &Sandbox) -> Vec<PathBuf> {
    // The user's own: who they are to services, and which they know.
    let own = std::fs::read_dir(sandbox.home().join(".config/pki")).into_iter().flatten().flatten();
    let files = sandbox.contents().into_keys().chain(own.map(|entry| entry.path()));
    files.filter(|path| path.to_string_lossy().contains(".pki-tmp-")).collect()
}

/// The PEM blocks of a published file, which must hold whole ones and nothing else.
fn blocks(path: &Path, label: &str) -> Result<Vec<String>, String> {
    let content = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let (begin, end) = (format!("-----BEGIN {label}-----\n"), format!("-----END {label}-----\n"));
    let blocks: Vec<String> = content.split_inclusive(&end).map(str::to_owned).collect();
    let complete = blocks.iter().all(|block| block.starts_with(&begin) && block.ends_with(&end));
    match complete && !blocks.is_empty() {
        true => Ok(blocks),
        false => Err(format!("{} is not complete:\n{content}", path.display())),
    }
}

/// The files of a folder with this ending, without those under way.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == ending))
        .collect();
    found.sort();
    found
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    std::fs::write(path, bytes).map_err(|error| format!("{}: {error}", path.display()))
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
