use std::{ffi::OsString, path::PathBuf};

use super::*;
use crate::output::Stream;

fn environment(variables: &[(&str, &str)]) -> Environment {
    Environment {
        variables: variables
            .iter()
            .map(|(name, value)| (OsString::from(name), OsString::from(value)))
            .collect(),
        directory: PathBuf::from("/work"),
        input: Stream::Other,
        output: Stream::Other,
        speech: Stream::Other,
        now: || time::OffsetDateTime::UNIX_EPOCH,
        scrypt: ca::key::ScryptCost::CHEAP,
    }
}

#[test]
fn the_users_own_directory_follows_the_xdg_specification() {
    let own = |variables: &[(&str, &str)]| own_directory(&environment(variables));
    assert_eq!(own(&[("HOME", "/home/a")]), Ok(PathBuf::from("/home/a/.local/share/pki")));
    assert_eq!(own(&[("HOME", "/home/a"), ("XDG_DATA_HOME", "/data")]), Ok(PathBuf::from("/data/pki")));
    // The specification: a relative path is to be ignored.
    let relative = [("HOME", "/home/a"), ("XDG_DATA_HOME", "data")];
    assert_eq!(own(&relative), Ok(PathBuf::from("/home/a/.local/share/pki")));
    assert!(own(&[]).is_err());
    assert!(own(&[("HOME", "")]).is_err());
}

#[test]
fn another_users_directory_is_refused_with_the_way_round() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(local::check_owner(directory.path()), Ok(()));
    let absent = local::check_owner(&directory.path().join("none")).unwrap_err();
    assert_eq!(absent.kind, Kind::NotFound);
    // Only root can give a directory away.
    if rustix::process::geteuid().is_root() {
        let nobody = rustix::fs::Uid::from_raw(65534);
        rustix::fs::chown(directory.path(), Some(nobody), None).unwrap();
        let error = local::check_owner(directory.path()).unwrap_err();
        assert_eq!(error.kind, Kind::Denied);
        assert!(error.hints[0].starts_with("sudo -u nobody pki"), "{error:?}");
    }
}
