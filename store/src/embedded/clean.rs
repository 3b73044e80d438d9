//! The mark of an orderly close: with it the next open need not check the whole index.
//!
//! It names the sequence and the sizes of the index's files. It is taken away before the first
//! change and written back after the last: a process that was killed leaves none.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::layout::Layout;
use crate::file::{OnExisting, Visibility, place, read_limited, remove};
use crate::{Error, Sequence};

const MAX_SIZE: usize = 64 << 10;

pub(crate) struct Marker {
    path: PathBuf,
    index: PathBuf,
    present: Presence,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    Perhaps,
    Gone,
}

impl Marker {
    pub(crate) fn new(layout: &Layout) -> Marker {
        Marker { path: layout.index_clean(), index: layout.index(), present: Presence::Perhaps }
    }

    fn describe(&self, sequence: Sequence) -> Result<String, Error> {
        let mut files = Vec::new();
        list(&self.index, &mut files)?;
        files.sort();
        let mut text = format!("index 1 {sequence}\n");
        for (path, size) in files {
            let name = path.strip_prefix(&self.index).unwrap_or(&path).display();
            let _ = writeln!(text, "{size} {name}");
        }
        Ok(text)
    }

    /// What the marker would have to say at this moment; `None` if the files can't be listed. Taken
    /// before the index is opened, for opening changes its files.
    pub(crate) fn expected(&self) -> Option<Claim> {
        let said = String::from_utf8(read_limited(&self.path, MAX_SIZE).ok()?).ok()?;
        let sequence = said.split_whitespace().nth(2)?.parse().ok().map(Sequence)?;
        (self.describe(sequence).ok()? == said).then_some(Claim(sequence))
    }

    /// Takes it away, durably; does nothing the second time.
    pub(crate) fn remove(&mut self) -> Result<(), Error> {
        if self.present == Presence::Perhaps {
            remove(&self.path)?;
            self.present = Presence::Gone;
        }
        Ok(())
    }

    pub(crate) fn write(&self, sequence: Sequence) -> Result<(), Error> {
        let text = self.describe(sequence)?;
        if read_limited(&self.path, MAX_SIZE).is_ok_and(|said| said == text.as_bytes()) {
            return Ok(());
        }
        Ok(place(&self.path, text.as_bytes(), Visibility::Secret, OnExisting::Replace)?)
    }
}

/// That the index was closed in order with this sequence, and its files have their sizes still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim(pub(crate) Sequence);

fn list(dir: &Path, files: &mut Vec<(PathBuf, u64)>) -> Result<(), Error> {
    let refuse = || Error::io("list", dir);
    for entry in std::fs::read_dir(dir).map_err(refuse())? {
        let entry = entry.map_err(refuse())?;
        let metadata = entry.metadata().map_err(refuse())?;
        match metadata.is_dir() {
            true => list(&entry.path(), files)?,
            false => files.push((entry.path(), metadata.len())),
        }
    }
    Ok(())
}
