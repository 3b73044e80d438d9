//! The umask belongs to the whole process, so its test has a process of its own.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::Mode;
use store::file::{OnExisting, Visibility, make_dir, place, read_secret};

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn content_and_mode_hold_whatever_the_umask() {
    let dir = tempfile::tempdir().unwrap();
    for umask in [0o000, 0o022, 0o077, 0o277] {
        let before = rustix::process::umask(Mode::from_raw_mode(umask));
        let at = dir.path().join(format!("{umask:o}"));
        make_dir(&at, Visibility::Public).unwrap();
        make_dir(&at.join("keys"), Visibility::Secret).unwrap();
        place(&at.join("ca.crt"), b"public", Visibility::Public, OnExisting::Replace).unwrap();
        place(&at.join("keys/ca.key"), b"secret", Visibility::Secret, OnExisting::Refuse).unwrap();
        rustix::process::umask(before);
        assert_eq!(
            [mode(&at), mode(&at.join("keys")), mode(&at.join("ca.crt")), mode(&at.join("keys/ca.key"))],
            [0o755, 0o700, 0o644, 0o600],
            "under umask {umask:o}"
        );
        assert_eq!(fs::read(at.join("ca.crt")).unwrap(), b"public");
        assert_eq!(read_secret(&at.join("keys/ca.key")).unwrap().as_slice(), b"secret");
    }
}
