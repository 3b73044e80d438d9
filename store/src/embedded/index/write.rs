//! Writing a run: from records in order to blocks, places and a filter.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::block::Builder;
use super::change::{Change, Keyed};
use super::filter::Digests;
use super::run::{Meta, Place, Run, create_file, file_path, tree_name};
use super::{Wanted, guard};
use crate::Error;
use crate::embedded::writer::is_full;

/// A block is closed once its records have this many bytes.
const BLOCK: usize = 3072;
/// How much is gathered before it is written to the file.
const WRITE: usize = 1 << 20;

struct Writer<'i> {
    index: &'i Path,
    path: PathBuf,
    tree: sled::Tree,
    file: File,
    /// What is not in the file yet.
    waiting: Vec<u8>,
    block: Builder,
    digests: Digests,
    meta: Meta,
}

/// Writes a run of records that come in the order of keys. `None` if there are none, or it is not
/// wanted any more: what was begun then is swept when the index is opened.
pub(crate) fn write(
    db: &sled::Db,
    index: &Path,
    number: u64,
    mut records: impl Iterator<Item = Result<Keyed, Error>>,
    wanted: &dyn Fn() -> Wanted,
) -> Result<Option<Run>, Error> {
    let Some((key, change)) = records.next().transpose()? else { return Ok(None) };
    let mut writer = Writer::create(db, index, number, &key, &change)?;
    writer.push(&key, &change)?;
    for record in records {
        let (key, change) = record?;
        if writer.block.size() >= BLOCK {
            if wanted() == Wanted::No {
                return Ok(None);
            }
            writer.close_block(&key, &change)?;
        }
        writer.push(&key, &change)?;
    }
    writer.finish().map(Some)
}

impl<'i> Writer<'i> {
    fn create(
        db: &sled::Db,
        index: &'i Path,
        number: u64,
        first: &[u8],
        change: &Change,
    ) -> Result<Writer<'i>, Error> {
        let path = file_path(index, number);
        let file = create_file(&path)?;
        let tree = guard(index, || db.open_tree(tree_name(number)))?;
        let first_key = first.to_vec();
        Ok(Writer {
            index,
            path,
            tree,
            file,
            waiting: Vec::with_capacity(WRITE + BLOCK),
            block: Builder::new(first, change),
            digests: Digests::default(),
            meta: Meta {
                number,
                first: first_key,
                blocks: 0,
                records: 0,
                bytes: 0,
                filter: 0,
                filter_crc: 0,
            },
        })
    }

    fn push(&mut self, key: &[u8], change: &Change) -> Result<(), Error> {
        self.block.push(key, change);
        self.digests.push(key);
        self.meta.records += 1;
        Ok(())
    }

    /// Ends the block, and begins the one whose first key and change these are.
    fn close_block(&mut self, key: &[u8], change: &Change) -> Result<(), Error> {
        let block = std::mem::replace(&mut self.block, Builder::new(key, change));
        self.put(block, key)
    }

    fn put(&mut self, block: Builder, next: &[u8]) -> Result<(), Error> {
        let first = block.first().to_vec();
        let bytes = block.finish(self.meta.number, next);
        let too_large =
            || Error::Index { path: self.index.to_owned(), reason: "a block is too large".to_owned() };
        let length = u32::try_from(bytes.len()).map_err(|_| too_large())?;
        let place = Place { offset: self.meta.bytes, length };
        guard(self.index, || self.tree.insert(first, &place.to_bytes()))?;
        self.meta.bytes += u64::from(length);
        self.meta.blocks += 1;
        self.waiting.extend_from_slice(&bytes);
        if self.waiting.len() >= WRITE {
            let at = self.meta.bytes - self.waiting.len() as u64;
            self.file.write_all_at(&self.waiting, at).map_err(|error| self.failed("write", error))?;
            self.waiting.clear();
        }
        Ok(())
    }

    /// A full disk is named as such.
    fn failed(&self, operation: &'static str, source: io::Error) -> Error {
        match is_full(&source) {
            true => Error::Full { path: self.path.clone(), source: Arc::new(source) },
            false => Error::io(operation, &self.path)(source),
        }
    }

    fn finish(mut self) -> Result<Run, Error> {
        let last = std::mem::replace(&mut self.block, Builder::new(&[], &Change::Delete));
        self.put(last, &[])?;
        let filter = std::mem::take(&mut self.digests).finish();
        let bytes = filter.to_bytes();
        self.meta.filter = bytes.len() as u64;
        self.meta.filter_crc = crc32c::crc32c(&bytes);
        let at = self.meta.bytes - self.waiting.len() as u64;
        self.waiting.extend_from_slice(&bytes);
        self.file.write_all_at(&self.waiting, at).map_err(|error| self.failed("write", error))?;
        // Not for its safety: a run that a power cut damages is seen, and costs a rebuild.
        self.file.sync_data().map_err(|error| self.failed("sync", error))?;
        let Writer { index, tree, file, meta, .. } = self;
        Ok(Run::written(meta, tree, file, index, filter))
    }
}
