//! A copy of the store at one sequence, taken while it goes on working.
//!
//! The journal only grows, so the files' first bytes up to a length are the history up to an entry.
//! The index is left out: it is built again from the copy.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};

use crate::file::{FileError, OnExisting, Visibility, make_dir, place_with};
use crate::{Error, Tip};

/// What makes up a copy.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Where the history stands in it.
    pub tip: Tip,
    /// Its files.
    pub files: Vec<SnapshotFile>,
}

/// One file of a copy.
#[derive(Clone, Debug)]
pub struct SnapshotFile {
    /// Its path inside the store's directory.
    pub path: PathBuf,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    /// The first bytes of this file.
    Prefix {
        of: PathBuf,
        length: u64,
    },
    Bytes(Vec<u8>),
}

impl SnapshotFile {
    pub(crate) fn prefix(path: PathBuf, of: PathBuf, length: u64) -> SnapshotFile {
        SnapshotFile { path, content: Content::Prefix { of, length } }
    }

    pub(crate) fn bytes(path: PathBuf, bytes: Vec<u8>) -> SnapshotFile {
        SnapshotFile { path, content: Content::Bytes(bytes) }
    }

    /// How many bytes it has in the copy.
    pub fn size(&self) -> u64 {
        match &self.content {
            Content::Prefix { length, .. } => *length,
            Content::Bytes(bytes) => bytes.len() as u64,
        }
    }

    /// Reads exactly those bytes.
    pub fn open(&self) -> Result<Box<dyn Read + Send>, Error> {
        Ok(match &self.content {
            Content::Prefix { of, length } => {
                Box::new(File::open(of).map_err(Error::io("open", of))?.take(*length))
            }
            Content::Bytes(bytes) => Box::new(Cursor::new(bytes.clone())),
        })
    }
}

impl Snapshot {
    /// Writes the copy into a directory that is made for it.
    pub fn copy_to(&self, dir: &Path) -> Result<(), Error> {
        make_dir(dir, Visibility::Secret)?;
        for file in &self.files {
            let target = dir.join(&file.path);
            if let Some(parent) = target.parent() {
                make_dir(parent, Visibility::Secret)?;
            }
            let mut source = file.open()?;
            let mut copied = 0;
            place_with(&target, Visibility::Secret, OnExisting::Refuse, |out| {
                copied = io::copy(&mut source, out)?;
                Ok(())
            })?;
            if copied != file.size() {
                let source = io::Error::from(io::ErrorKind::UnexpectedEof);
                return Err(FileError::Io { operation: "copy to", path: target, source }.into());
            }
        }
        Ok(())
    }
}
