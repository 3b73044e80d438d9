//! Appending to the journal: one write, one sync, and no second guess when either fails.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};

use super::layout::{Layout, Limits};
use super::segment::{HEADER, Position, SealedAs, SegmentHeader};
use crate::chain::Hash;
use crate::{Error, Tip};

pub(crate) struct Writer {
    layout: Layout,
    file: File,
    segment_limit: u64,
    /// Where the next frame begins.
    pub(crate) end: Position,
    /// Over everything in the open segment.
    digest: Context,
}

impl Writer {
    /// Continues a segment whose bytes up to `end` have the running digest `digest`.
    pub(crate) fn open(
        layout: &Layout,
        limits: &Limits,
        end: Position,
        digest: Context,
    ) -> Result<Writer, Error> {
        Ok(Writer {
            layout: layout.clone(),
            file: open(layout, end.segment)?,
            segment_limit: limits.segment,
            end,
            digest,
        })
    }

    /// Makes sure of what lies behind `from` in the open segment: frames that were written by a
    /// process that then ended, and that readers are about to see. They are written once more before
    /// the sync, for after a failed one the kernel may hold pages that it wrongly believes written.
    pub(crate) fn settle(&mut self, from: u64) -> Result<(), Error> {
        let path = self.layout.segment(self.end.segment);
        let file = File::open(&path).map_err(Error::io("open", &path))?;
        let mut block = vec![0; 1 << 16];
        let mut at = from;
        while at < self.end.offset {
            let size = usize::try_from(self.end.offset - at).unwrap_or(usize::MAX).min(block.len());
            file.read_exact_at(&mut block[..size], at).map_err(Error::io("read", &path))?;
            self.file.write_all_at(&block[..size], at).map_err(Error::io("write", &path))?;
            at += size as u64;
        }
        self.file.sync_data().map_err(Error::io("sync", &path))
    }

    /// Writes and syncs a frame; returns where it begins. `before` is the tip that it continues.
    ///
    /// On [`Error::Full`] nothing of it is left and the next append may succeed; after any other
    /// error the state of the file is unknown and nothing more may be appended.
    pub(crate) fn append(&mut self, frame: &[u8], before: Tip) -> Result<Position, Error> {
        if self.end.offset > HEADER && self.end.offset + frame.len() as u64 > self.segment_limit {
            self.rotate(before)?;
        }
        let at = self.end;
        let path = self.layout.segment(at.segment);
        if let Err(error) = self.file.write_all_at(frame, at.offset) {
            return Err(match is_full(&error) && self.cut_back().is_ok() {
                true => Error::Full { path, source: Arc::new(error) },
                false => Error::Failed { operation: "write", path, source: Arc::new(error) },
            });
        }
        // A failed sync is final: the kernel may have dropped the pages and call the next one a success.
        self.file.sync_data().map_err(|error| Error::Failed {
            operation: "sync",
            path,
            source: Arc::new(error),
        })?;
        self.digest.update(frame);
        self.end.offset += frame.len() as u64;
        Ok(at)
    }

    /// Removes a half-written frame.
    fn cut_back(&self) -> io::Result<()> {
        self.file.set_len(self.end.offset)?;
        self.file.sync_all()?;
        match self.file.metadata()?.len() == self.end.offset {
            true => Ok(()),
            false => Err(io::Error::other("the segment did not shrink")),
        }
    }

    /// Seals the open segment by creating its successor.
    fn rotate(&mut self, before: Tip) -> Result<(), Error> {
        let previous = SealedAs { length: self.end.offset, digest: finish(self.digest.clone()) };
        let header = SegmentHeader { number: self.end.segment + 1, before, previous: Some(previous) };
        let path = self.layout.segment(header.number);
        match header.create(&self.layout) {
            Ok(()) => {}
            Err(Error::File(crate::file::FileError::Io { source, .. })) if is_full(&source) => {
                return Err(Error::Full { path, source: Arc::new(source) });
            }
            Err(error) => {
                let source = Arc::new(io::Error::other(error));
                return Err(Error::Failed { operation: "create", path, source });
            }
        }
        self.file = open(&self.layout, header.number)?;
        self.digest = Context::new(&SHA256);
        self.digest.update(&header.to_bytes());
        self.end = Position { segment: header.number, offset: HEADER };
        Ok(())
    }
}

fn open(layout: &Layout, segment: u64) -> Result<File, Error> {
    let path = layout.segment(segment);
    OpenOptions::new().write(true).open(&path).map_err(|error| Error::Failed {
        operation: "open",
        path,
        source: Arc::new(error),
    })
}

pub(crate) fn finish(digest: Context) -> Hash {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest.finish().as_ref());
    hash
}

pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}
