use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use age::secrecy::SecretString;
use ca::key::ScryptCost;
use store::file::Visibility;
use time::OffsetDateTime;

use super::*;

fn secret(text: &str) -> SecretString {
    SecretString::from(text.to_owned())
}

fn member(path: &str, visibility: Visibility, source: Source) -> Result<Member, Error> {
    Ok(Member { path: PathBuf::from(path), visibility, source })
}

fn packed(members: Vec<Result<Member, Error>>) -> Vec<u8> {
    let mut out = Vec::new();
    let first = member(MANIFEST, Visibility::Public, Source::Bytes(b"{}".to_vec()));
    let members = std::iter::once(first).chain(members);
    pack(&mut out, &secret("right"), Work(2), members, OffsetDateTime::UNIX_EPOCH).unwrap();
    out
}

fn restore(sealed: &[u8], passphrase: &str, into: &Path) -> Result<Vec<u8>, Error> {
    unpack(sealed, &secret(passphrase), into, |_, _| Ok(())).map(|unpacked| unpacked.manifest)
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn what_goes_in_comes_out_with_its_modes() {
    let dir = tempfile::tempdir().unwrap();
    let long = dir.path().join("long");
    fs::write(&long, "journal, and what came after the snapshot").unwrap();
    let sealed = packed(vec![
        member("keys", Visibility::Secret, Source::Directory),
        member("keys/root.key", Visibility::Secret, Source::Bytes(b"key".to_vec())),
        member("ca.crt", Visibility::Public, Source::Bytes(b"certificate".to_vec())),
        member("journal", Visibility::Secret, Source::Reader(Box::new(fs::File::open(long).unwrap()), 7)),
    ]);
    assert!(!sealed.windows(11).any(|window| window == b"certificate"), "it is encrypted");
    let there = dir.path().join("there");
    fs::create_dir(&there).unwrap();
    assert_eq!(restore(&sealed, "right", &there).unwrap(), b"{}");
    assert_eq!(fs::read(there.join("keys/root.key")).unwrap(), b"key");
    assert_eq!(fs::read_dir(&there).unwrap().count(), 3, "nothing is left over");
    let into = dir.path().join("new");
    assert_eq!(restore(&sealed, "right", &into).unwrap(), b"{}");
    assert_eq!(fs::read(into.join("keys/root.key")).unwrap(), b"key");
    assert_eq!(fs::read(into.join("journal")).unwrap(), b"journal");
    assert_eq!(mode(&into), 0o755);
    assert_eq!(mode(&into.join("keys")), 0o700);
    assert_eq!(mode(&into.join("keys/root.key")), 0o600);
    assert_eq!(mode(&into.join("ca.crt")), 0o644);
    assert!(matches!(restore(&sealed, "right", &into), Err(Error::Occupied { .. })));
}

#[test]
fn a_wrong_passphrase_or_a_changed_archive_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let into = dir.path().join("new");
    let sealed = packed(vec![member("ca.crt", Visibility::Public, Source::Bytes(vec![7; 200_000]))]);
    assert!(matches!(restore(&sealed, "wrong", &into), Err(Error::Decrypt(_))));
    let mut changed = sealed.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    assert!(restore(&changed, "right", &into).is_err());
    for cut in [0, 10, sealed.len() / 2, sealed.len() - 1] {
        assert!(restore(&sealed[..cut], "right", &into).is_err(), "cut at {cut}");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn an_archive_that_lacks_its_last_chunk_is_not_whole() {
    let dir = tempfile::tempdir().unwrap();
    let into = dir.path().join("new");
    // Of the two empty blocks at tar's end, the second is all that age's last chunk holds.
    const CHUNK: usize = 64 * 1024;
    let body = vec![7; CHUNK + 512 - 5 * 512];
    let sealed = packed(vec![member("ca.crt", Visibility::Public, Source::Bytes(body))]);
    let last = 512 + 16;
    assert!(restore(&sealed[..sealed.len() - last], "right", &into).is_err());
    assert!(!into.exists());
    restore(&sealed, "right", &into).unwrap();
}

#[test]
fn nothing_is_made_outside_and_no_links() {
    let dir = tempfile::tempdir().unwrap();
    let into = dir.path().join("new");
    let hostile = |build: fn(&mut tar::Builder<&mut dyn std::io::Write>)| {
        let mut out = Vec::new();
        let mut recipient = age::scrypt::Recipient::new(secret("right"));
        recipient.set_work_factor(2);
        let encryptor =
            age::Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient)).unwrap();
        let mut sealed = encryptor.wrap_output(&mut out).unwrap();
        {
            let sink: &mut dyn std::io::Write = &mut sealed;
            let mut tar = tar::Builder::new(sink);
            raw(&mut tar, MANIFEST, tar::EntryType::Regular);
            build(&mut tar);
            tar.finish().unwrap();
        }
        sealed.finish().unwrap();
        out
    };
    fn raw(tar: &mut tar::Builder<&mut dyn std::io::Write>, path: &str, kind: tar::EntryType) {
        let mut header = tar::Header::new_gnu();
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(0);
        header.set_link_name("/etc/passwd").unwrap();
        header.set_cksum();
        tar.append(&header, std::io::empty()).unwrap();
    }
    for archive in [
        hostile(|tar| raw(tar, "../escaped", tar::EntryType::Regular)),
        hostile(|tar| raw(tar, "/tmp/escaped", tar::EntryType::Regular)),
        hostile(|tar| raw(tar, "a/../../escaped", tar::EntryType::Regular)),
        hostile(|tar| raw(tar, "link", tar::EntryType::Symlink)),
        hostile(|tar| raw(tar, "link", tar::EntryType::Link)),
        hostile(|tar| raw(tar, "pipe", tar::EntryType::Fifo)),
    ] {
        assert!(matches!(restore(&archive, "right", &into), Err(Error::Foreign { .. })));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}

/// Kills a restore into `place` when it has put this many things there; `None` is before all of it.
fn killed(sealed: &[u8], place: &Path, placed: Option<usize>) {
    let left = std::panic::catch_unwind(|| {
        let hidden = leftover::name(place.file_name().unwrap(), 0);
        let folder = if place.is_dir() { place } else { place.parent().unwrap() };
        let folder = folder.join(hidden);
        unpack::<Error>(sealed, &secret("right"), place, |beside, _| {
            // As it was at that moment, put back under another process's number after ours is cleaned up.
            let copy = folder.with_file_name(format!("{}9", folder.file_name().unwrap().to_str().unwrap()));
            copy_all(beside, &copy);
            panic!("killed");
        })
    });
    assert!(left.is_err());
    let Some(placed) = placed else { return };
    let folder = fs::read_dir(place).unwrap().next().unwrap().unwrap().path();
    let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    leftover::write_down(&folder, &names).unwrap();
    for name in names.iter().take(placed) {
        fs::rename(folder.join(name), place.join(name)).unwrap();
    }
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => copy_all(&entry.path(), &to.join(entry.file_name())),
            false => drop(fs::copy(entry.path(), to.join(entry.file_name())).unwrap()),
        }
    }
}

#[test]
fn what_a_killed_restore_left_makes_way_for_the_next() {
    let sealed = packed(vec![
        member("keys", Visibility::Secret, Source::Directory),
        member("keys/root.key", Visibility::Secret, Source::Bytes(b"key".to_vec())),
        member("ca.crt", Visibility::Public, Source::Bytes(b"certificate".to_vec())),
        member("root.crt", Visibility::Public, Source::Bytes(b"certificate".to_vec())),
    ]);
    for (made, placed) in [(false, None), (true, None), (true, Some(0)), (true, Some(1)), (true, Some(3))] {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("pki");
        if made {
            fs::create_dir(&place).unwrap();
        }
        killed(&sealed, &place, placed);
        let hidden = |folder: &Path| {
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            entries.filter(|entry| entry.file_name().to_string_lossy().contains(".restore-")).count()
        };
        assert_eq!(hidden(dir.path()) + hidden(&place), 1, "{made} {placed:?}");
        // One that fails changes nothing of it.
        assert!(restore(&sealed, "wrong", &place).is_err());
        assert_eq!(hidden(dir.path()) + hidden(&place), 1, "{made} {placed:?}");
        let unpacked = unpack::<Error>(&sealed[..], &secret("right"), &place, |_, _| Ok(())).unwrap();
        assert_eq!(unpacked.removed.len(), 1, "{made} {placed:?}");
        assert_eq!(fs::read_dir(&place).unwrap().count(), 3, "{made} {placed:?}");
        assert_eq!(fs::read(place.join("keys/root.key")).unwrap(), b"key");
        assert_eq!(hidden(dir.path()), 0, "{made} {placed:?}");
    }
}

#[test]
fn a_restore_that_lives_and_files_of_somebody_else_are_left_alone() {
    let sealed = packed(vec![member("ca.crt", Visibility::Public, Source::Bytes(b"certificate".to_vec()))]);
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("pki");
    fs::create_dir(&place).unwrap();
    killed(&sealed, &place, None);
    let folder = fs::read_dir(&place).unwrap().next().unwrap().unwrap().path();
    let held = leftover::lock(&folder).unwrap();
    assert!(matches!(restore(&sealed, "right", &place), Err(Error::Occupied { .. })));
    drop(held);
    fs::write(place.join("mine"), "").unwrap();
    assert!(matches!(restore(&sealed, "right", &place), Err(Error::Occupied { .. })));
    // A PKI is one however it came to be.
    fs::remove_file(place.join("mine")).unwrap();
    leftover::write_down(&folder, &["store".into(), "../mine".into()]).unwrap();
    fs::create_dir(place.join("store")).unwrap();
    assert!(matches!(restore(&sealed, "right", &place), Err(Error::Occupied { .. })));
    fs::remove_dir(place.join("store")).unwrap();
    restore(&sealed, "right", &place).unwrap();
}

#[test]
fn trying_an_archives_passphrase_costs_what_age_has_it_cost() {
    assert_eq!(Work::beside(ScryptCost::DEFAULT).0, 18);
    let mut out = Vec::new();
    let members = vec![member(MANIFEST, Visibility::Public, Source::Bytes(b"{}".to_vec()))].into_iter();
    let work = Work::beside(ScryptCost { log_n: 1, ..ScryptCost::CHEAP });
    pack(&mut out, &secret("right"), work, members, OffsetDateTime::UNIX_EPOCH).unwrap();
    let told = String::from_utf8_lossy(&out);
    assert!(told.lines().nth(1).is_some_and(|line| line.starts_with("-> scrypt ") && line.ends_with(" 5")));
}
