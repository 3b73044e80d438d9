//! Who may read and change the files, and whether there is room for more.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use super::{Finding, Severity};
use crate::layout::Layout;

/// Below this much room a warning is due: a segment of the journal and a few lists.
const LITTLE_ROOM: u64 = 256 << 20;
/// Below this much room the next write may fail.
const NO_ROOM: u64 = 32 << 20;
/// How deep the directory is looked through: `store/index/…` is as deep as it goes.
const DEPTH: usize = 4;

/// The modes and owners of everything in the directory.
pub(super) fn modes(layout: &Layout, owner: u32) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Err(error) = look(layout, layout.root(), owner, DEPTH, &mut findings) {
        findings.push(Finding {
            severity: Severity::Warning,
            check: "files".to_owned(),
            message: format!("the directory can't be looked through: {error}"),
            hint: None,
        });
    }
    if findings.is_empty() {
        findings.push(super::ok("files", "secrets are for the owner alone, nobody else can change anything"));
    }
    findings
}

fn look(
    layout: &Layout,
    path: &Path,
    owner: u32,
    depth: usize,
    findings: &mut Vec<Finding>,
) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        // Temporaries come and go.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mode = found.mode() & 0o7777;
    let mut report = |severity, message: String, hint: String| {
        findings.push(Finding { severity, check: "files".to_owned(), message, hint: Some(hint) });
    };
    if found.uid() != owner {
        report(
            Severity::Warning,
            format!(
                "{} belongs to uid {}, not to {owner} as the directory does",
                path.display(),
                found.uid()
            ),
            format!("chown {owner} {}", path.display()),
        );
    }
    // Who may open a socket is settled anew at each start; what they may do, for each request.
    if found.is_symlink() || found.file_type().is_socket() {
        return Ok(());
    }
    if mode & 0o022 != 0 {
        report(
            Severity::Error,
            format!("{} can be changed by others (mode {mode:04o})", path.display()),
            format!("chmod go-w {}", path.display()),
        );
    }
    if is_secret(layout, path) && mode & 0o077 != 0 {
        report(
            Severity::Error,
            format!("{} is a secret that others can read (mode {mode:04o})", path.display()),
            format!("chmod go= {}, and take what it protects for known to others", path.display()),
        );
    }
    if found.is_dir() && depth > 0 {
        for entry in fs::read_dir(path)? {
            look(layout, &entry?.path(), owner, depth - 1, findings)?;
        }
    }
    Ok(())
}

fn is_secret(layout: &Layout, path: &Path) -> bool {
    path.starts_with(layout.keys())
        // sled makes its files as the umask says; the directory above, which is 0700, keeps others out.
        || path.starts_with(layout.store()) && !path.starts_with(layout.store().join("index"))
        || path.extension().is_some_and(|extension| extension == "key")
}

/// How much room there is.
pub(super) fn room(directory: &Path) -> Finding {
    let left = match rustix::fs::statvfs(directory) {
        Ok(system) => system.f_bavail.saturating_mul(system.f_frsize),
        Err(error) => {
            return Finding {
                severity: Severity::Warning,
                check: "room".to_owned(),
                message: format!("the free room can't be found out: {}", io::Error::from(error)),
                hint: None,
            };
        }
    };
    let severity = match left {
        0..NO_ROOM => Severity::Error,
        NO_ROOM..LITTLE_ROOM => Severity::Warning,
        LITTLE_ROOM.. => Severity::Ok,
    };
    Finding {
        severity,
        check: "room".to_owned(),
        message: format!("{} MiB are free at {}", left >> 20, directory.display()),
        hint: (severity != Severity::Ok)
            .then(|| "make room: without it nothing is issued or revoked".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn open_secrets_and_writable_files_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let owner = fs::metadata(dir.path()).unwrap().uid();
        fs::create_dir(layout.keys()).unwrap();
        chmod(&layout.keys(), 0o700);
        let (key, list) = (layout.keys().join("root.key"), dir.path().join("ca.crl"));
        fs::write(&key, "").unwrap();
        fs::write(&list, "").unwrap();
        chmod(&key, 0o600);
        chmod(&list, 0o644);
        let worst = |owner| {
            let findings = modes(&layout, owner);
            findings.iter().map(|finding| finding.severity).max()
        };
        assert_eq!(worst(owner), Some(Severity::Ok));
        chmod(&list, 0o666);
        assert_eq!(worst(owner), Some(Severity::Error));
        chmod(&list, 0o644);
        chmod(&key, 0o640);
        let findings = modes(&layout, owner);
        assert!(findings[0].message.contains("root.key is a secret that others can read (mode 0640)"));
        chmod(&key, 0o600);
        assert_eq!(worst(owner + 1), Some(Severity::Warning));
    }

    #[test]
    fn there_is_room() {
        assert!(room(Path::new("/")).message.contains("MiB are free"));
        assert_eq!(room(Path::new("/nowhere")).severity, Severity::Warning);
    }
}
