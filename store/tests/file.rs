//! Placing and reading files: atomic, durable, with the right mode, never through a link.

#![allow(clippy::unwrap_used)]

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode};
use store::file::{
    FileError, OnExisting, Part, Visibility, make_dir, place, place_together, place_with, read_credential,
    read_limited, read_secret, remove, sweep_temporaries,
};

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn replacing_gives_a_new_file_and_leaves_the_old_one_to_its_readers() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ca.crl");
    place(&path, b"old", Visibility::Public, OnExisting::Replace).unwrap();
    let mut reader = fs::File::open(&path).unwrap();
    place(&path, b"new and longer", Visibility::Public, OnExisting::Replace).unwrap();
    assert_eq!(io::read_to_string(&mut reader).unwrap(), "old");
    assert_eq!(fs::read(&path).unwrap(), b"new and longer");
    assert_eq!(names(dir.path()), ["ca.crl"]);
}

#[test]
fn refusing_keeps_the_existing_file_or_link() {
    let dir = tempfile::tempdir().unwrap();
    let (key, link) = (dir.path().join("a.key"), dir.path().join("b.key"));
    fs::write(&key, "mine").unwrap();
    symlink("nowhere", &link).unwrap();
    for path in [&key, &link] {
        let error = place(path, b"other", Visibility::Secret, OnExisting::Refuse).unwrap_err();
        assert!(matches!(&error, FileError::Exists { path: p } if p == path), "{error:?}");
    }
    assert_eq!(fs::read(&key).unwrap(), b"mine");
    assert_eq!(names(dir.path()), ["a.key", "b.key"]);
}

#[test]
fn a_file_that_appears_while_ours_is_written_is_still_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.key");
    let result = place_with(&path, Visibility::Secret, OnExisting::Refuse, |file| {
        fs::write(&path, "theirs")?;
        file.write_all(b"ours")
    });
    assert!(matches!(result, Err(FileError::Exists { .. })), "{result:?}");
    assert_eq!(fs::read(&path).unwrap(), b"theirs");
    assert_eq!(names(dir.path()), ["a.key"]);
}

#[test]
fn a_link_is_replaced_and_its_target_untouched() {
    let dir = tempfile::tempdir().unwrap();
    let (target, link) = (dir.path().join("passwd"), dir.path().join("ca.crt"));
    fs::write(&target, "root").unwrap();
    symlink(&target, &link).unwrap();
    place(&link, b"certificate", Visibility::Public, OnExisting::Replace).unwrap();
    assert_eq!(fs::read(&target).unwrap(), b"root");
    assert!(fs::symlink_metadata(&link).unwrap().is_file());
    assert_eq!(fs::read(&link).unwrap(), b"certificate");
}

#[test]
fn a_hard_link_elsewhere_keeps_its_content() {
    let dir = tempfile::tempdir().unwrap();
    let (path, other) = (dir.path().join("ca.crt"), dir.path().join("other"));
    fs::write(&other, "other").unwrap();
    fs::hard_link(&other, &path).unwrap();
    place(&path, b"certificate", Visibility::Public, OnExisting::Replace).unwrap();
    assert_eq!(fs::read(&other).unwrap(), b"other");
}

#[test]
fn what_is_no_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, fifo) = (dir.path().join("folder"), dir.path().join("fifo"));
    fs::create_dir(&folder).unwrap();
    rustix::fs::mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    for path in [&folder, &fifo] {
        for on_existing in [OnExisting::Replace, OnExisting::Refuse] {
            let error = place(path, b"x", Visibility::Public, on_existing).unwrap_err();
            assert!(matches!(error, FileError::Irregular { .. }), "{error:?}");
        }
        assert!(matches!(read_secret(path), Err(FileError::Irregular { .. })));
    }
    assert!(fs::symlink_metadata(&fifo).unwrap().file_type().is_fifo());
    let error = place(&dir.path().join(".."), b"x", Visibility::Public, OnExisting::Replace).unwrap_err();
    assert!(matches!(error, FileError::NoName { .. }), "{error:?}");
    assert_eq!(names(dir.path()), ["fifo", "folder"]);
}

#[test]
fn a_writer_that_fails_leaves_everything_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ca.crl");
    fs::write(&path, "old").unwrap();
    let error = place_with(&path, Visibility::Public, OnExisting::Replace, |file| {
        file.write_all(b"half a list")?;
        Err(io::ErrorKind::StorageFull.into())
    })
    .unwrap_err();
    assert_eq!(error.io_kind(), Some(io::ErrorKind::StorageFull));
    assert!(error.to_string().contains("ca.crl"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(names(dir.path()), ["ca.crl"]);
}

#[test]
fn files_that_belong_together_are_replaced_together_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let part = |name, bytes, visibility| Part { name, bytes, visibility };
    let (key, chain) = (Visibility::Secret, Visibility::Public);
    place_together(dir.path(), &[part("k", b"old", key), part("c", b"old", chain)]).unwrap();
    assert_eq!(names(dir.path()), ["c", "k"]);
    assert_eq!((mode(&dir.path().join("k")), mode(&dir.path().join("c"))), (0o600, 0o644));
    // The last of them can't be placed: none is.
    std::fs::create_dir(dir.path().join("d")).unwrap();
    for bad in ["d", "x/y", ".."] {
        let parts = [part("k", b"new", key), part("c", b"new", chain), part(bad, b"new", chain)];
        place_together(dir.path(), &parts).unwrap_err();
        assert_eq!(std::fs::read(dir.path().join("k")).unwrap(), b"old", "{bad}");
        assert_eq!(names(dir.path()), ["c", "d", "k"]);
    }
    place_together(dir.path(), &[part("k", b"new", key), part("c", b"new", chain)]).unwrap();
    assert_eq!(std::fs::read(dir.path().join("c")).unwrap(), b"new");
}

#[test]
fn the_temporary_file_is_never_open_to_others() {
    let dir = tempfile::tempdir().unwrap();
    for visibility in [Visibility::Public, Visibility::Secret] {
        place_with(&dir.path().join("f"), visibility, OnExisting::Replace, |file| {
            file.write_all(b"x")?;
            let modes: Vec<u32> = names(dir.path())
                .iter()
                .filter(|name| name.starts_with(".pki-tmp-"))
                .map(|name| mode(&dir.path().join(name)))
                .collect();
            assert_eq!(modes, [0o600]);
            Ok(())
        })
        .unwrap();
    }
}

#[test]
fn a_sweep_takes_leftovers_and_spares_work_under_way() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(".pki-tmp-1-0"), "left").unwrap();
    fs::write(dir.path().join(format!(".pki-tmp-{}-7", std::process::id())), "left").unwrap();
    fs::write(dir.path().join("other"), "stays").unwrap();
    place_with(&dir.path().join("f"), Visibility::Public, OnExisting::Replace, |file| {
        assert_eq!(sweep_temporaries(dir.path()).unwrap(), 2);
        file.write_all(b"whole")
    })
    .unwrap();
    assert_eq!(names(dir.path()), ["f", "other"]);
    assert_eq!(fs::read(dir.path().join("f")).unwrap(), b"whole");
}

#[test]
fn a_leftover_under_our_own_name_is_stepped_over() {
    let dir = tempfile::tempdir().unwrap();
    for number in 0..200 {
        let name = format!(".pki-tmp-{}-{number}", std::process::id());
        fs::write(dir.path().join(name), "left by a process with the same id").unwrap();
    }
    place(&dir.path().join("f"), b"x", Visibility::Public, OnExisting::Replace).unwrap();
    assert_eq!(fs::read(dir.path().join("f")).unwrap(), b"x");
}

#[test]
fn a_secret_that_others_can_reach_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ca.key");
    fs::write(&path, "secret").unwrap();
    for exposed in [0o644, 0o640, 0o604, 0o620, 0o601] {
        fs::set_permissions(&path, Permissions::from_mode(exposed)).unwrap();
        let error = read_secret(&path).unwrap_err();
        assert!(matches!(error, FileError::Exposed { mode, .. } if mode == exposed), "{error:?}");
        assert_eq!(read_credential(&path).unwrap().as_slice(), b"secret");
    }
    fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
    assert_eq!(read_secret(&path).unwrap().as_slice(), b"secret");

    let link = dir.path().join("link");
    symlink(&path, &link).unwrap();
    assert!(matches!(read_secret(&link), Err(FileError::Irregular { .. })));
    let missing = read_secret(&dir.path().join("none")).unwrap_err();
    assert_eq!(missing.io_kind(), Some(io::ErrorKind::NotFound));
}

#[test]
fn reading_stops_at_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("request.csr");
    fs::write(&path, vec![b'a'; 100]).unwrap();
    assert_eq!(read_limited(&path, 100).unwrap().len(), 100);
    assert!(matches!(read_limited(&path, 99), Err(FileError::TooLarge { limit: 99, .. })));
    assert!(matches!(read_limited(Path::new("/dev/zero"), 1000), Err(FileError::TooLarge { .. })));
}

#[test]
fn directories_are_made_with_those_above_and_an_exposed_secret_one_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("a/b/keys");
    make_dir(&deep, Visibility::Secret).unwrap();
    assert_eq!(mode(&deep), 0o700);
    make_dir(&deep, Visibility::Secret).unwrap();
    fs::set_permissions(&deep, Permissions::from_mode(0o750)).unwrap();
    assert!(matches!(make_dir(&deep, Visibility::Secret), Err(FileError::Exposed { mode: 0o750, .. })));
    make_dir(&deep, Visibility::Public).unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let error = make_dir(&dir.path().join("file"), Visibility::Public).unwrap_err();
    assert!(matches!(error, FileError::NotADirectory { .. }), "{error:?}");
}

#[test]
fn removing_is_done_once_and_never_takes_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    fs::write(&path, "").unwrap();
    remove(&path).unwrap();
    remove(&path).unwrap();
    assert!(!path.exists());
    assert!(remove(dir.path()).is_err());
}
