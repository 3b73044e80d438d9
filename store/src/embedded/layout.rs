//! Where the files of a store lie, and how large things may get.

use std::path::{Path, PathBuf};

/// The newest format of journal and head that this version reads and writes.
pub(crate) const FORMAT: u32 = 1;

/// The paths inside a store's directory.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(crate) fn new(root: &Path) -> Layout {
        Layout { root: root.to_owned() }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Locked by whoever has the store open; that it exists means nothing.
    pub(crate) fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// Says that there is a store and in which format.
    pub(crate) fn marker(&self) -> PathBuf {
        self.root.join(MARKER)
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.root.join(JOURNAL)
    }

    pub(crate) fn segment(&self, number: u64) -> PathBuf {
        self.journal().join(segment_name(number))
    }

    /// What was acknowledged last, as this process knew it.
    pub(crate) fn head(&self) -> PathBuf {
        self.root.join(HEAD)
    }

    pub(crate) fn index(&self) -> PathBuf {
        self.root.join("index")
    }

    /// Written beside the index by earlier versions; means nothing now.
    pub(crate) fn index_clean(&self) -> PathBuf {
        self.root.join("index.clean")
    }

    /// The newest signed checkpoint.
    pub(crate) fn checkpoint(&self) -> PathBuf {
        self.root.join(CHECKPOINT)
    }
}

pub(crate) const MARKER: &str = "format";
pub(crate) const HEAD: &str = "head";
pub(crate) const JOURNAL: &str = "journal";
pub(crate) const CHECKPOINT: &str = "checkpoint";

pub(crate) fn segment_name(number: u64) -> String {
    format!("{number:08}.seg")
}

/// The number of a segment from its file's name; `None` for any other file.
pub(crate) fn segment_number(name: &str) -> Option<u64> {
    let number = name.strip_suffix(".seg")?.parse().ok()?;
    (segment_name(number) == name).then_some(number)
}

/// How large things may get. The defaults suit a small machine.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// A segment of the journal is sealed before it grows over this, in bytes.
    pub segment: u64,
    /// The largest body of one batch, in bytes.
    pub batch: usize,
    /// How many batches may wait for the committer.
    pub waiting: usize,
    /// How many bytes of bodies may wait for the committer.
    pub waiting_bytes: usize,
    /// A group commit takes no further batch once it has this many.
    pub group: usize,
    /// A group commit takes no further batch once it has this many bytes.
    pub group_bytes: usize,
    /// How many of the newest entries are kept in memory for [`crate::Store::follow`].
    pub recent: usize,
    /// How many bytes of bodies the entries kept in memory may have.
    pub recent_bytes: usize,
    /// A value above this lies in the journal alone, and the index points to it, in bytes.
    pub inline_value: usize,
    /// With less room than this on the disk no usual batch is taken, in bytes; an urgent one may use
    /// three quarters of it.
    pub reserve: u64,
    /// The index's cache, in bytes.
    pub index_cache: u64,
    /// What is committed and not in the index yet is written to it once it takes this much memory, in
    /// bytes; twice as much is held while that is done.
    pub gathered: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            segment: 16 << 20,
            batch: 32 << 20,
            waiting: 4096,
            waiting_bytes: 64 << 20,
            group: 1024,
            group_bytes: 4 << 20,
            recent: 1024,
            recent_bytes: 1 << 20,
            inline_value: 256,
            reserve: 16 << 20,
            index_cache: 1 << 20,
            gathered: 16 << 20,
        }
    }
}

impl Limits {
    /// The same, but never so large that a frame could not be read again.
    pub(crate) fn readable(mut self) -> Limits {
        self.batch = self.batch.min(MAX_BATCH);
        self.group = self.group.clamp(1, MAX_GROUP);
        self.group_bytes = self.group_bytes.min(MAX_BATCH);
        self
    }
}

/// The largest batch that [`Limits`] can allow.
const MAX_BATCH: usize = 32 << 20;
/// The most batches of one group: with the longest words their headers have 9 MiB.
const MAX_GROUP: usize = 1024;
/// The largest payload of a frame that a reader accepts; it also bounds what damage can make us
/// allocate. Room for a group that is full but for
/// one byte, one largest batch on top, and the headers.
pub(crate) const MAX_PAYLOAD: u32 = 96 << 20;
