//! What is served: everyone who fetches a file shares one copy of it, or one open file.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use store::file::FileError;
use time::OffsetDateTime;

use super::Published;
use super::content::{Content, LARGE};
use crate::ops::Error;

/// Everything that is served now, by path.
#[derive(Default)]
pub(crate) struct Shelf {
    files: ArcSwap<BTreeMap<String, Published>>,
    open: AtomicBool,
    filling: Mutex<Stamps>,
}

/// What a file was when it was read: a file is only ever replaced by another, so that is enough to
/// know whether it has to be read again.
type Stamps = BTreeMap<String, (u64, u64, i64, i64)>;

/// The shelf while it is filled.
pub(crate) struct Filling<'a> {
    before: Arc<BTreeMap<String, Published>>,
    stamps: &'a Stamps,
    next: BTreeMap<String, Published>,
    next_stamps: Stamps,
}

impl Shelf {
    /// From now on it is kept full: a command that serves nobody spares itself the reading.
    pub(crate) fn open(&self) {
        self.open.store(true, Ordering::SeqCst);
    }

    /// Whether somebody is served from it.
    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Ordering::SeqCst)
    }

    /// Replaces all that is served by what `fill` puts there; if it fails everything stays.
    ///
    /// One at a time, so that whoever comes last also reads last.
    pub(crate) fn fill(&self, fill: impl FnOnce(&mut Filling<'_>) -> Result<(), Error>) -> Result<(), Error> {
        if !self.is_open() {
            return Ok(());
        }
        let mut stamps = self.filling.lock().unwrap_or_else(PoisonError::into_inner);
        let mut filling = Filling {
            before: self.files.load_full(),
            stamps: &stamps,
            next: BTreeMap::new(),
            next_stamps: BTreeMap::new(),
        };
        fill(&mut filling)?;
        let Filling { next, next_stamps, .. } = filling;
        self.files.store(Arc::new(next));
        *stamps = next_stamps;
        Ok(())
    }

    pub(crate) fn find(&self, path: &str) -> Option<Published> {
        self.files.load().get(path).cloned()
    }
}

impl Filling<'_> {
    /// Serves a file of the directory; one that is not there is not served.
    pub(crate) fn file(
        &mut self,
        path: String,
        file: &Path,
        media: &'static str,
        next_update: Option<OffsetDateTime>,
    ) -> Result<(), Error> {
        let failed = |source| Error::File(FileError::Io { operation: "read", path: file.to_owned(), source });
        let mut open = match fs::File::open(file) {
            Ok(open) => open,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(source) => return Err(failed(source)),
        };
        let found = open.metadata().map_err(failed)?;
        let stamp = (found.ino(), found.len(), found.mtime(), found.mtime_nsec());
        let published = match (self.before.get(&path), self.stamps.get(&path)) {
            (Some(known), Some(then)) if *then == stamp => known.clone().until(next_update),
            _ => {
                let modified = OffsetDateTime::from_unix_timestamp(found.mtime()).ok();
                let content = match found.len() > LARGE {
                    true => Content::held(open, &found),
                    false => {
                        let mut body = Vec::with_capacity(usize::try_from(found.len()).unwrap_or(0));
                        open.read_to_end(&mut body).map_err(failed)?;
                        Content::from(body)
                    }
                };
                let new = Published::new(content, media, modified, next_update);
                match self.before.get(&path) {
                    Some(before) => new.after(before),
                    None => new,
                }
            }
        };
        self.next_stamps.insert(path.clone(), stamp);
        self.next.insert(path, published);
        Ok(())
    }

    /// Goes on serving what was served under this path; `false` if nothing was.
    pub(crate) fn keep(&mut self, path: &str) -> bool {
        let known = self.before.get(path).cloned();
        let is_kept = known.is_some();
        self.next.extend(known.map(|known| (path.to_owned(), known)));
        is_kept
    }

    /// Serves something that lies in the store.
    pub(crate) fn bytes(
        &mut self,
        path: String,
        body: Vec<u8>,
        media: &'static str,
        modified: Option<OffsetDateTime>,
    ) {
        self.next.insert(path, Published::new(body, media, modified, None));
    }
}

#[cfg(test)]
mod tests {
    use super::super::PEM;
    use super::*;

    #[test]
    fn a_replaced_file_is_read_and_a_failure_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.crl");
        let shelf = Shelf::default();
        let fill = |shelf: &Shelf| shelf.fill(|filling| filling.file("/ca.crl".into(), &file, PEM, None));
        fs::write(&file, "one").unwrap();
        fill(&shelf).unwrap();
        assert!(shelf.find("/ca.crl").is_none(), "nobody is served yet");
        shelf.open();
        fill(&shelf).unwrap();
        assert_eq!(shelf.find("/ca.crl").unwrap().text(), "one");
        store::file::place(&file, b"two", store::file::Visibility::Public, store::file::OnExisting::Replace)
            .unwrap();
        fill(&shelf).unwrap();
        assert_eq!(shelf.find("/ca.crl").unwrap().text(), "two");
        let failed = shelf.fill(|_| Err(Error::Nameless));
        assert!(failed.is_err());
        assert_eq!(shelf.find("/ca.crl").unwrap().text(), "two");
        fs::remove_file(&file).unwrap();
        fill(&shelf).unwrap();
        assert!(shelf.find("/ca.crl").is_none());
    }
}
