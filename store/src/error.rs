//! What can go wrong below.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::checkpoint::CheckpointError;
use crate::file::FileError;
use crate::{Key, Sequence};

/// Why the store refused or failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// A record that the batch rests on has changed: load, decide and commit again.
    #[error("the record {key} has changed in the meantime")]
    Conflict {
        /// The first key whose expectation did not hold.
        key: Key,
    },
    /// A record that whoever commits rests on has changed ([`crate::Store::resting_on`]): to decide anew
    /// would not bring it back.
    #[error("the record {key}, which allowed this, has changed in the meantime")]
    Withdrawn {
        /// The record.
        key: Key,
    },
    /// A record's bytes are not what this version can read.
    #[error("the record {key} can't be read: {reason}")]
    Record {
        /// Where it lies.
        key: Key,
        /// What is wrong with it.
        reason: String,
    },
    /// More batches are waiting than the disk takes: come back later.
    #[error("{waiting} batches are waiting already")]
    Busy {
        /// How many.
        waiting: usize,
    },
    /// A batch, or a word in it, is larger than the journal takes.
    #[error("{what} has {size} bytes, at most {limit} are taken")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// Another process, or this one, has the store open.
    #[error("the store {} is in use{}", path.display(), pid.map(|pid| format!(" by process {pid}")).unwrap_or_default())]
    Locked {
        /// The store's directory.
        path: PathBuf,
        /// Who holds it, if that could be read.
        pid: Option<u32>,
    },
    /// There is no store, and none was to be made.
    #[error("there is no store in {}", path.display())]
    Absent {
        /// The directory.
        path: PathBuf,
    },
    /// There has been a store here, but its journal is gone. It is never taken for a new one.
    #[error("the journal of {} is missing, although {evidence}", path.display())]
    Missing {
        /// The store's directory.
        path: PathBuf,
        /// What shows that there was one.
        evidence: String,
    },
    /// The journal is not what was written.
    #[error("{} is damaged at byte {offset}: {reason}", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// Where the first wrong byte, or the frame that holds it, begins.
        offset: u64,
        /// What is wrong there.
        reason: String,
    },
    /// Written by a later version of this program.
    #[error("{} has format {found}, this version reads up to {known}", file.display())]
    Format {
        /// The file.
        file: PathBuf,
        /// The format it names.
        found: u32,
        /// The newest format this version reads.
        known: u32,
    },
    /// The operating system refused.
    #[error("can't {operation} {}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The operating system gives this process too few threads, or too little memory for them.
    #[error("the store {} can't be opened without its threads", path.display())]
    Threads {
        /// The store's directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file could not be placed or read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The disk is full; nothing of the batch was kept, and later batches may succeed.
    #[error("no space left for {}", path.display())]
    Full {
        /// The file that could not grow.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// A write failed in a way that leaves its effect unknown. The store takes no more batches until
    /// it is opened again; whether this one was kept is decided then.
    #[error("the store takes no more changes: can't {operation} {}", path.display())]
    Failed {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// The index failed; opened again, the store rebuilds it from the journal.
    #[error("the index in {} can't be used: {reason}", path.display())]
    Index {
        /// The index's directory.
        path: PathBuf,
        /// What the index said.
        reason: String,
    },
    /// A checkpoint or its key could not be used.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The history is not a continuation of the one that a checkpoint speaks of.
    #[error("the history does not continue the checkpoint at entry {sequence}: {reason}")]
    Inconsistent {
        /// The checkpoint's sequence.
        sequence: Sequence,
        /// What differs.
        reason: &'static str,
    },
    /// Asked of a store in memory, which has no files.
    #[error("a store in memory has no files")]
    InMemory,
    /// A sequence was asked for that the store does not have.
    #[error("the store has no entry {sequence}")]
    NoEntry {
        /// The sequence.
        sequence: Sequence,
    },
}

impl Error {
    /// Wraps a system error; for use in `map_err`.
    pub(crate) fn io<E: Into<io::Error>>(operation: &'static str, path: &Path) -> impl FnOnce(E) -> Error {
        move |source| Error::Io { operation, path: path.to_owned(), source: source.into() }
    }

    pub(crate) fn damaged(file: &Path, offset: u64, reason: impl Into<String>) -> Error {
        Error::Damaged { file: file.to_owned(), offset, reason: reason.into() }
    }
}
