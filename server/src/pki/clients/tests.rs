use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};

use ca::cert::Certificate;
use trust::entry::Origin;
use trust::{Presented, Refusal};

use super::*;
use crate::ops::revoke::Revoke;
use crate::ops::trust::add::TrustAdd;
use crate::ops::trust::remove::TrustRemove;
use crate::ops::trust::view::RightsWanted;
use crate::ops::view::Selector;
use crate::settings::{self, Setting};
use crate::testing::{at, issue, made, reopened};

fn certificate(pki: &Pki, name: &str) -> Certificate {
    Certificate::from_pem(issue(pki, name).pem.as_bytes()).unwrap()
}

fn append(pki: &Pki, text: &str) {
    pki.make_room_for_clients();
    let path = pki.layout().clients();
    let mut file = File::options().append(true).create(true).open(&path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
}

fn refusal(pki: &Pki, certificate: &Certificate) -> Option<Refusal> {
    let shown = Presented::Certificate(Holder::new(certificate.clone(), Vec::new()));
    match pki.admit(&shown, at(50)) {
        Ok(_) => None,
        Err(Error::Refused(refusal)) => Some(refusal),
        Err(other) => panic!("{other}"),
    }
}

fn remove(pki: &Pki, certificate: &Certificate) {
    let which = Selector::Pem(certificate.to_pem());
    pki.run(TrustRemove { which, revoke: false, reason: None }, &Presented::InProcess, at(31)).unwrap();
}

#[test]
fn what_is_appended_is_trusted_and_garbage_keeps_nobody_out() {
    let dir = tempfile::tempdir().unwrap();
    let pki = made(&dir.path().join("pki"));
    let (anna, bert) = (certificate(&pki, "anna"), certificate(&pki, "bert"));
    pki.follow_clients(at(20)).unwrap();
    assert!(!pki.clients_have_changed(), "there is nothing yet");
    append(
        &pki,
        &format!("garbage\n-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n{}", anna.to_pem()),
    );
    assert!(pki.clients_have_changed());
    pki.follow_clients(at(21)).unwrap();
    assert_eq!(refusal(&pki, &anna), None);
    assert!(!pki.clients_have_changed());
    append(&pki, &bert.to_pem());
    pki.follow_clients(at(22)).unwrap();
    assert_eq!(refusal(&pki, &bert), None);
    let entries = pki.gate().set().now().unwrap().entries();
    assert_eq!(entries.len(), 2);
    assert!(entries.iter().all(|entry| entry.record.origin == Origin::File));
    assert_eq!(entries[0].record.added_by, "file:authenticated-certs/clients.pem");
    // What is taken out of it stays: the file adds, and nothing else.
    fs::remove_file(pki.layout().clients()).unwrap();
    pki.follow_clients(at(23)).unwrap();
    assert_eq!(refusal(&pki, &anna), None);
}

#[test]
fn a_removal_wins_over_the_file_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("pki");
    let pki = made(&home);
    let anna = certificate(&pki, "anna");
    append(&pki, &anna.to_pem());
    pki.follow_clients(at(20)).unwrap();
    remove(&pki, &anna);
    append(&pki, "\n");
    pki.follow_clients(at(32)).unwrap();
    assert!(matches!(refusal(&pki, &anna), Some(Refusal::Removed { .. })));
    drop(pki);
    let pki = reopened(&home);
    pki.follow_clients(at(33)).unwrap();
    assert!(matches!(refusal(&pki, &anna), Some(Refusal::Removed { .. })));
    let add = TrustAdd { certificate: anna.to_pem(), name: None, rights: RightsWanted::full() };
    pki.run(add, &Presented::InProcess, at(34)).unwrap();
    assert_eq!(refusal(&pki, &anna), None);
}

#[test]
fn a_file_that_somebody_else_could_have_written_does_not_count() {
    let dir = tempfile::tempdir().unwrap();
    let pki = made(&dir.path().join("pki"));
    let anna = certificate(&pki, "anna");
    append(&pki, &anna.to_pem());
    let (folder, path) = (pki.layout().authenticated(), pki.layout().clients());
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let still_out = |what: &str| {
        pki.follow_clients(at(20)).unwrap();
        assert_eq!(refusal(&pki, &anna), Some(Refusal::Stranger), "{what}");
    };
    mode(&path, 0o664);
    still_out("its group can write it");
    mode(&path, 0o646);
    still_out("others can write it");
    mode(&path, 0o644);
    mode(&folder, 0o777);
    append(&pki, "\n");
    still_out("others can write its directory");
    mode(&folder, 0o755);
    let other = folder.join("other");
    fs::hard_link(&path, &other).unwrap();
    still_out("it has two names");
    fs::remove_file(&path).unwrap();
    symlink(&other, &path).unwrap();
    still_out("it is a link");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    still_out("it is a directory");
    fs::remove_dir(&path).unwrap();
    let elsewhere = dir.path().join("elsewhere");
    fs::rename(&other, &path).unwrap();
    fs::rename(&folder, &elsewhere).unwrap();
    symlink(&elsewhere, &folder).unwrap();
    still_out("its directory is a link");
    if rustix::process::geteuid().is_root() {
        fs::remove_file(&folder).unwrap();
        fs::rename(&elsewhere, &folder).unwrap();
        std::os::unix::fs::chown(&path, Some(1001), None).unwrap();
        still_out("somebody else owns it");
        std::os::unix::fs::chown(&path, Some(0), None).unwrap();
        pki.follow_clients(at(21)).unwrap();
        assert_eq!(refusal(&pki, &anna), None, "and now it counts");
    }
}

#[test]
fn what_was_not_acceptable_is_taken_once_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let pki = made(&dir.path().join("pki"));
    let foreign = made(&dir.path().join("foreign"));
    let (anna, theirs) = (certificate(&pki, "anna"), certificate(&foreign, "theirs"));
    settings::set(pki.store(), Setting::CorePkiMode, Some("on"), "t", 1).unwrap();
    let selectors = vec![Selector::Pem(anna.to_pem())];
    let revoke = Revoke { selectors, reason: None, all: false, dry_run: false };
    pki.run(revoke, &Presented::InProcess, at(15)).unwrap();
    append(&pki, &format!("{}{}", anna.to_pem(), theirs.to_pem()));
    pki.follow_clients(at(20)).unwrap();
    assert!(matches!(refusal(&pki, &theirs), Some(Refusal::NotSigned { .. })));
    settings::set(pki.store(), Setting::CorePkiMode, None, "t", 2).unwrap();
    assert!(!pki.clients_have_changed(), "the file is as it was");
    pki.follow_clients(at(25)).unwrap();
    assert_eq!(refusal(&pki, &theirs), None);
    assert!(matches!(refusal(&pki, &anna), Some(Refusal::Revoked { .. })));
}
