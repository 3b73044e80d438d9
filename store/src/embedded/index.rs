//! The index: where the newest value of each key lies. It may be lost; the journal may not.
//!
//! It consists of runs (records in the order of keys, written once), newest first, and a manifest
//! that names them and says up to where they follow the journal. sled holds the manifest and where
//! each block of a run lies. Nothing is believed of what is read: every block carries a checksum
//! with its run's number, its key and the key of the next, so that a reader sees what is damaged,
//! missing or of another time before it answers. sled may also panic on damage: every call is
//! caught.
//!
//! What this module refuses: to change anything that a run holds, and to use what the manifest does
//! not name.

mod block;
mod change;
mod code;
mod filter;
mod manifest;
mod merge;
mod run;
mod write;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::sync::{Mutex, PoisonError};
use crate::{Direction, Error, KeyRange};
pub(crate) use change::{Change, Changes, Keyed, Slot};
pub(crate) use filter::KeyHash;
use manifest::Manifest;
pub(crate) use manifest::Mark;
pub(crate) use merge::{Merge, Removals, Source};
use run::Run;

/// Where the manifest lies in sled.
const MANIFEST: &[u8] = b"\0manifest";
/// The first byte that a record's key can begin with.
const FIRST_KEY: &[u8] = &[1];
/// sled frees its file lock a moment after it was dropped; ours says that nobody else is there.
const LOCK_RETRIES: u32 = 200;
const LOCK_RETRY: Duration = Duration::from_millis(10);
/// How often sled writes on its own, in milliseconds; each manifest is flushed besides.
const FLUSH_EVERY: u64 = 2000;
/// So many runs of about one size are merged into one.
const FAN: usize = 4;
/// Runs below this count as the smallest, in bytes.
const SMALLEST: u64 = 64 << 10;

/// Whether work that takes long is still wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Yes,
    No,
}

/// For work that nothing interrupts.
pub(crate) fn always() -> Wanted {
    Wanted::Yes
}

/// An index as of one mark. A flush or a merge makes a new one; who reads an older one may go on.
#[derive(Clone)]
pub(crate) struct Index {
    db: sled::Db,
    path: PathBuf,
    pub(crate) mark: Mark,
    /// The newest first.
    runs: Vec<Arc<Run>>,
    /// Runs that no manifest names any more, until nobody reads them.
    retired: Arc<Mutex<Vec<Arc<Run>>>>,
}

fn open_sled(path: &Path, cache: u64) -> Result<sled::Db, Error> {
    let config = sled::Config::new().path(path).cache_capacity(cache).flush_every_ms(Some(FLUSH_EVERY));
    let mut tries = 0;
    loop {
        match guard(path, || config.open()) {
            Err(Error::Index { reason, .. }) if reason.contains("lock") && tries < LOCK_RETRIES => {
                tries += 1;
                std::thread::sleep(LOCK_RETRY);
            }
            opened => return opened,
        }
    }
}

impl Index {
    /// Opens what is there, and sweeps what was begun and not finished.
    pub(crate) fn open(path: &Path, cache: u64) -> Result<Index, Error> {
        let db = open_sled(path, cache)?;
        let refuse = |reason: &str| Error::Index { path: path.to_owned(), reason: reason.to_owned() };
        let bytes = guard(path, || db.get(MANIFEST))?;
        let bytes = bytes.ok_or_else(|| refuse("it does not say how far it follows the journal"))?;
        let manifest = Manifest::from_bytes(&bytes)
            .ok_or_else(|| refuse("its manifest is damaged or of another version"))?;
        let runs = manifest.runs.into_iter().map(|meta| Run::open(&db, path, meta).map(Arc::new));
        let runs = runs.collect::<Result<_, _>>()?;
        let index = Index { db, path: path.to_owned(), mark: manifest.mark, runs, retired: Arc::default() };
        index.sweep()?;
        Ok(index)
    }

    /// Makes an empty one where there is none.
    pub(crate) fn create(path: &Path, cache: u64) -> Result<Index, Error> {
        let db = open_sled(path, cache)?;
        let dir = path.join(run::RUNS);
        crate::file::make_dir(&dir, crate::file::Visibility::Secret)?;
        let index =
            Index { db, path: path.to_owned(), mark: Mark::START, runs: Vec::new(), retired: Arc::default() };
        index.commit(index.runs.clone(), index.mark)
    }

    fn guard<T>(&self, act: impl FnOnce() -> sled::Result<T>) -> Result<T, Error> {
        guard(&self.path, act)
    }

    /// Removes the trees and files of runs that the manifest does not name.
    fn sweep(&self) -> Result<(), Error> {
        let known: Vec<_> = self.runs.iter().map(|run| run::tree_name(run.meta.number)).collect();
        for name in self.guard(|| Ok(self.db.tree_names()))? {
            if name.starts_with(b"run-") && !known.iter().any(|known| *known == *name) {
                self.guard(|| self.db.drop_tree(&name))?;
            }
        }
        let known: Vec<_> = self.runs.iter().map(|run| run::file_path(&self.path, run.meta.number)).collect();
        let dir = self.path.join(run::RUNS);
        for entry in std::fs::read_dir(&dir).map_err(Error::io("list", &dir))? {
            let path = entry.map_err(Error::io("list", &dir))?.path();
            if !known.contains(&path) {
                std::fs::remove_file(&path).map_err(Error::io("remove", &path))?;
            }
        }
        Ok(())
    }

    /// Makes these runs the index: writes the manifest and has sled write all it holds back.
    fn commit(&self, runs: Vec<Arc<Run>>, mark: Mark) -> Result<Index, Error> {
        let manifest = Manifest { mark, runs: runs.iter().map(|run| run.meta.clone()).collect() };
        self.guard(|| self.db.insert(MANIFEST, manifest.to_bytes()))?;
        self.flush()?;
        Ok(Index { mark, runs, ..self.clone() })
    }

    pub(crate) fn flush(&self) -> Result<(), Error> {
        self.guard(|| self.db.flush()).map(|_| ())
    }

    /// A number that no run has had, for sled counts across kills.
    fn number(&self) -> Result<u64, Error> {
        let newest = self.runs.iter().map(|run| run.meta.number).max().unwrap_or(0);
        Ok(self.guard(|| self.db.generate_id())?.max(newest + 1))
    }

    /// The index with these changes in front, which lead to `mark`.
    pub(crate) fn with(&self, changes: &Changes, mark: Mark) -> Result<Index, Error> {
        let records = changes.iter().map(|(key, change)| Ok((key.clone(), change.clone())));
        let written = write::write(&self.db, &self.path, self.number()?, records, &always)?;
        let runs = written.map(Arc::new).into_iter().chain(self.runs.iter().cloned());
        self.commit(runs.collect(), mark)
    }

    /// The newest runs that are due to be merged into one.
    pub(crate) fn due(&self) -> &[Arc<Run>] {
        let class = |run: &Arc<Run>| (run.meta.bytes / SMALLEST).max(1).ilog(FAN as u64);
        let largest = self.runs.iter().map(class).max().unwrap_or(0);
        for limit in 0..=largest {
            let newest = self.runs.iter().take_while(|run| class(run) <= limit).count();
            let alike = self.runs[..newest].iter().filter(|run| class(run) == limit).count();
            if alike >= FAN {
                return &self.runs[..newest];
            }
        }
        &[]
    }

    /// Merges runs of it that stand together into one; `None` if that was not wanted to the end.
    pub(crate) fn merge(
        &self,
        runs: &[Arc<Run>],
        wanted: &dyn Fn() -> Wanted,
    ) -> Result<Option<Option<Run>>, Error> {
        let oldest = self.runs.last().map(|run| run.meta.number) == runs.last().map(|run| run.meta.number);
        let removals = if oldest { Removals::Drop } else { Removals::Keep };
        let sources =
            runs.iter().map(|run| Box::new(run.scan(FIRST_KEY, &[0xff], Direction::Ascending)) as Source<'_>);
        let merged = Merge::new(sources.collect(), Direction::Ascending, removals);
        let run = write::write(&self.db, &self.path, self.number()?, merged, wanted)?;
        Ok((wanted() == Wanted::Yes).then_some(run))
    }

    /// The index with `new` in the place of `old`; the old ones are retired.
    pub(crate) fn replaced(&self, old: &[Arc<Run>], new: Option<Run>) -> Result<Index, Error> {
        let is_old = |run: &Arc<Run>| old.iter().any(|old| old.meta.number == run.meta.number);
        let at = self.runs.iter().position(is_old).unwrap_or(self.runs.len());
        let mut runs = self.runs.clone();
        runs.retain(|run| !is_old(run));
        if let Some(new) = new {
            runs.insert(at, Arc::new(new));
        }
        let index = self.commit(runs, self.mark)?;
        self.retired.lock().unwrap_or_else(PoisonError::into_inner).extend(old.iter().cloned());
        Ok(index)
    }

    /// Removes retired runs that nobody reads any more.
    pub(crate) fn bury(&self) -> Result<(), Error> {
        let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        let all = std::mem::take(&mut *retired);
        for run in all {
            match Arc::try_unwrap(run) {
                Ok(run) => {
                    let path = run::file_path(&self.path, run.meta.number);
                    std::fs::remove_file(&path).map_err(Error::io("remove", &path))?;
                    self.guard(|| self.db.drop_tree(run::tree_name(run.meta.number)))?;
                }
                Err(read) => retired.push(read),
            }
        }
        Ok(())
    }

    /// Everything that is due and has at most `most` bytes, merged at once.
    pub(crate) fn tidy(mut self, most: u64) -> Result<Index, Error> {
        loop {
            let due = self.due().to_vec();
            if due.is_empty() || size(&due) > most {
                return Ok(self);
            }
            if let Some(run) = self.merge(&due, &always)? {
                self = self.replaced(&due, run)?;
                drop(due);
                self.bury()?;
            }
        }
    }

    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Change>, Error> {
        let digest = filter::digest(key);
        for run in &self.runs {
            if let Some(change) = run.get(key, digest)? {
                return Ok(Some(change));
            }
        }
        Ok(None)
    }

    /// The runs as sources of the records from `start` to before `end`, the newest first.
    pub(crate) fn sources<'i>(&'i self, start: &[u8], end: &[u8], direction: Direction) -> Vec<Source<'i>> {
        let beginning = filter::beginning(start, end);
        let asked = self.runs.iter().filter(|run| beginning.is_none_or(|digest| run.may_hold(digest)));
        asked.map(|run| Box::new(run.scan(start, end, direction)) as Source<'_>).collect()
    }

    /// Reads everything once.
    pub(crate) fn verify(&self, wanted: &dyn Fn() -> Wanted) -> Result<(), Error> {
        self.runs.iter().try_for_each(|run| run.verify(wanted))
    }

    /// How many bytes its blocks have.
    pub(crate) fn bytes(&self) -> u64 {
        size(&self.runs)
    }
}

/// How many bytes the blocks of these runs have.
pub(crate) fn size(runs: &[Arc<Run>]) -> u64 {
    runs.iter().map(|run| run.meta.bytes).sum()
}

/// The keys that a scan looks at, the end excluded; `None` if there can be none.
pub(crate) fn bounds(
    range: &KeyRange,
    after: Option<&[u8]>,
    direction: Direction,
) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut start = range.start.as_slice().max(FIRST_KEY).to_vec();
    let mut end = range.end.clone();
    match (after, direction) {
        (Some(after), Direction::Ascending) if after >= start.as_slice() => {
            // The smallest key above `after`.
            start = [after, &[0]].concat();
        }
        (Some(after), Direction::Descending) if after < end.as_slice() => end = after.to_vec(),
        _ => {}
    }
    (start < end).then_some((start, end))
}

fn guard<T>(path: &Path, act: impl FnOnce() -> sled::Result<T>) -> Result<T, Error> {
    let refuse = |reason| Error::Index { path: path.to_owned(), reason };
    match catch_unwind(AssertUnwindSafe(act)) {
        Ok(result) => result.map_err(|error| refuse(error.to_string())),
        Err(_) => Err(refuse("it broke down while it was used".to_owned())),
    }
}
