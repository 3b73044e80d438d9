//! Files that others read, and files that nobody else may read.
//!
//! A published list, a certificate and a key are placed here and nowhere else, so that three
//! promises are kept in one spot: a file is at every instant absent, old or new and never partial;
//! it is durable once [`place()`] has returned; a secret is 0600 from the moment it exists, whatever
//! the umask. Everything happens relative to the opened directory, so that a directory swapped in
//! between does not lead the write elsewhere.
//!
//! What this module refuses: to write through a symbolic link (the link itself is replaced), to
//! replace anything that is not a file, to read a secret that others can read.

mod directory;
mod error;
mod pace;
mod place;
mod read;

pub use directory::{make_dir, remove, sweep_temporaries};
pub use error::FileError;
pub use pace::{Others, Pace};
pub use place::{
    Aside, Draft, Part, WriteOnce, place, place_together, place_with, put_in_place, write_aside,
};
pub use read::{read_credential, read_limited, read_secret};

use rustix::fs::Mode;

/// Who may read a file or enter a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// Everybody reads: a file is 0644, a directory 0755.
    Public,
    /// The owner alone: a file is 0600, a directory 0700.
    Secret,
}

impl Visibility {
    fn file_mode(self) -> Mode {
        match self {
            Visibility::Public => Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH,
            Visibility::Secret => Mode::RUSR | Mode::WUSR,
        }
    }

    fn directory_mode(self) -> Mode {
        match self {
            Visibility::Public => Mode::RWXU | Mode::RGRP | Mode::XGRP | Mode::ROTH | Mode::XOTH,
            Visibility::Secret => Mode::RWXU,
        }
    }
}

/// What happens to a file that already has the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnExisting {
    /// The new file takes its place in one step.
    Replace,
    /// It stays and the answer is [`FileError::Exists`].
    Refuse,
}
