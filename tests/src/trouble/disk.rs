//! A small file system, and files that nobody may change.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run;

/// A mounted file system, unmounted however the test ends.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one of this size (`24m`) over a folder, which is made if need be.
    #[track_caller]
    pub fn mount(at: &Path, size: &str) -> SmallDisk {
        assert!(rustix::process::geteuid().is_root(), "this test mounts a file system: run it as root");
        std::fs::create_dir_all(at).expect("a new folder");
        let options = format!("size={size},mode=755");
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(at)).success();
        SmallDisk(at.to_owned())
    }

    /// Takes the room until so much of it is left; none at all with 0.
    #[track_caller]
    pub fn fill(&self, left: u64) {
        let ballast = self.0.join("ballast");
        let mut ballast =
            std::fs::OpenOptions::new().create(true).append(true).open(ballast).expect("a new file");
        let error = loop {
            let room = rustix::fs::statvfs(&self.0).expect("a file system");
            if left > 0 && room.f_bavail * room.f_frsize <= left {
                return;
            }
            if let Err(error) = ballast.write_all(&[0; 4096]) {
                break error;
            }
        };
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    }

    /// Gives the room back.
    #[track_caller]
    pub fn empty(&self) {
        std::fs::remove_file(self.0.join("ballast")).expect("ballast");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        run(Command::new("umount").arg("--lazy").arg(&self.0));
    }
}

/// A file or folder that even root can't change, until this is dropped.
pub struct Immutable(PathBuf);

impl Immutable {
    /// Makes it so (`chattr +i`).
    #[track_caller]
    pub fn make(path: &Path) -> Immutable {
        run(Command::new("chattr").arg("+i").arg(path)).success();
        Immutable(path.to_owned())
    }
}

impl Drop for Immutable {
    fn drop(&mut self) {
        run(Command::new("chattr").arg("-i").arg(&self.0));
    }
}
