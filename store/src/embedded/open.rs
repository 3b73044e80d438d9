//! Opening a store: locked, its journal judged, its index brought up, the committer started.

use std::path::Path;
use std::sync::Arc;

use super::catchup::{self, Check, IndexState, Opened};
use super::committer::{Committer, spawn};
use super::head::{Head, HeadFile, HeadFound};
use super::index::Index;
use super::journal::Journal;
use super::layout::{FORMAT, Layout, Limits};
use super::lock::Lock;
use super::recover::{self, DroppedTail, Witness};
use super::segment::{HEADER, SegmentHeader};
use super::shared::Shared;
use super::view::View;
use super::writer::Writer;
use super::{Embedded, Inner, indexer};
use crate::checkpoint::Checkpoint;
use crate::file::{OnExisting, Visibility, make_dir, place, read_limited, sweep_temporaries};
use crate::spread::room_for;
use crate::sync::Mutex;
use crate::{Error, Progress, Sequence, Tip};

/// What to do where there is no store yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Create {
    /// Make one. Where there has been one, its loss is an error all the same.
    IfAbsent,
    /// Answer [`Error::Absent`].
    Refuse,
}

/// How to open a store.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OpenOptions {
    /// What to do where there is none.
    pub create: Create,
    /// How large things may get.
    pub limits: Limits,
    /// Where it is told how far the index follows the journal, in octets, while it is brought up to it.
    pub progress: Progress,
}

impl OpenOptions {
    /// The usual limits.
    pub fn new(create: Create) -> OpenOptions {
        OpenOptions { create, limits: Limits::default(), progress: Progress::default() }
    }
}

/// Whether the store was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was made just now.
    Created,
    /// It was opened.
    Opened,
}

/// What opening a store found and did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenReport {
    /// Whether it was there.
    pub origin: Origin,
    /// The newest entry.
    pub head: Sequence,
    /// What became of the index.
    pub index: IndexState,
    /// The end of an interrupted write that was removed. It had not been acknowledged.
    pub dropped: Option<DroppedTail>,
    /// Guards that could not be used, in words: the store is whole as far as can be told without.
    pub warnings: Vec<String>,
}

/// Seven of sled's pool and one that flushes it, the committer and the indexer.
const THREADS: usize = 10;

const MAX_SMALL_FILE: usize = 64 << 10;

pub(super) fn open(dir: &Path, options: OpenOptions) -> Result<(Embedded, OpenReport), Error> {
    let limits = options.limits.readable();
    let layout = Layout::new(dir);
    match options.create {
        Create::IfAbsent => make_dir(dir, Visibility::Secret)?,
        Create::Refuse if dir.is_dir() => {}
        Create::Refuse => return Err(Error::Absent { path: dir.to_owned() }),
    }
    let lock = Lock::take(&layout)?;
    sweep_temporaries(dir)?;
    let journal = Journal::new(layout.clone());
    if layout.journal().is_dir() {
        sweep_temporaries(&layout.journal())?;
    }

    let mut warnings = Vec::new();
    let origin = prepare(&layout, &journal, options.create)?;
    let last = recover::segments(&journal)?;
    recover::check_sealed(&journal, last)?;
    let scanned = recover::scan(&journal, last)?;

    // Before the index is opened: without threads of its own sled waits for ever, with too few it breaks down,
    // and a sound index would be taken for a useless one.
    let few = |source| Error::Threads { path: dir.to_owned(), source };
    room_for(THREADS).map_err(few)?;
    // The index's mark is evidence too, so it is read before the end of the journal is judged.
    let index = catchup::open(&layout.index(), &limits);
    let head_found = HeadFile::read(&layout.head())?;
    let witnesses = witnesses(&layout, head_found, &index, &mut warnings)?;
    let dropped = recover::judge(&journal, &scanned, &witnesses)?;

    let (tip, end) = (scanned.tip, scanned.end);
    let mut writer = Writer::open(&layout, &limits, end, scanned.digest)?;
    // What the head file does not know may lie in the page cache alone. It is made to last before
    // head file or index can say that it is there: a power cut may keep their word and not the frame.
    writer.settle(match head_found {
        HeadFound::Head(head) if head.end.segment == end.segment => head.end.offset,
        HeadFound::Head(_) | HeadFound::Absent | HeadFound::Unreadable => HEADER,
    })?;
    let (index, changes, index_state) =
        catchup::bring_up(&journal, index, Check::Small, (tip, end), &limits, &options.progress)?;
    let head = Head { tip, end };
    let head_file = HeadFile::open(&layout.head(), head)?;
    let view = View::new(index, changes);
    let index = Arc::clone(&view.index);
    let shared = Arc::new(Shared::new(journal, limits, view, head));
    shared.desk.tidy();
    if matches!(index_state, IndexState::CaughtUp { .. }) {
        // Nobody waits for it: what is damaged is seen when it is read, this only sees it earlier.
        shared.desk.verify(Index::clone(&index));
    }
    drop(index);
    let indexer = indexer::spawn(Arc::clone(&shared)).map_err(few)?;
    let committer = Committer { shared: Arc::clone(&shared), writer, head_file, head, indexer };
    let thread = spawn(committer).map_err(few)?;
    let inner = Inner { shared, thread: Mutex::new(Some(thread)), lock: Mutex::new(Some(lock)) };
    let report = OpenReport { origin, head: tip.sequence, index: index_state, dropped, warnings };
    Ok((Embedded(Arc::new(inner)), report))
}

/// Makes a new store, or checks that the one here is of a known format. A journal that is gone is
/// never taken for a store that was never there.
fn prepare(layout: &Layout, journal: &Journal, create: Create) -> Result<Origin, Error> {
    let marker = layout.marker();
    let said = match read_limited(&marker, MAX_SMALL_FILE) {
        Ok(bytes) => Some(bytes),
        Err(error) if error.io_kind() == Some(std::io::ErrorKind::NotFound) => None,
        Err(error) => return Err(error.into()),
    };
    if let Some(bytes) = &said {
        check_format(&marker, bytes)?;
    }
    let origin = if recover::segments(journal)? > 0 {
        Origin::Opened
    } else {
        let traces = [marker.clone(), layout.head(), layout.index(), layout.checkpoint()];
        if let Some(trace) = traces.iter().find(|trace| trace.exists()) {
            let evidence = format!("{} is there", trace.display());
            return Err(Error::Missing { path: layout.root().to_owned(), evidence });
        }
        match create {
            Create::Refuse => return Err(Error::Absent { path: layout.root().to_owned() }),
            Create::IfAbsent => {
                make_dir(&layout.journal(), Visibility::Secret)?;
                SegmentHeader { number: 1, before: Tip::START, previous: None }.create(layout)?;
                Origin::Created
            }
        }
    };
    if said.is_none() {
        // After the first segment: a creation that was interrupted is simply gone on with.
        let text = format!("pki store {FORMAT}\n");
        place(&marker, text.as_bytes(), Visibility::Secret, OnExisting::Replace)?;
    }
    Ok(origin)
}

fn check_format(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let format = std::str::from_utf8(bytes)
        .ok()
        .and_then(|text| text.strip_prefix("pki store ")?.trim_end().parse().ok());
    match format {
        Some(FORMAT) => Ok(()),
        Some(found) => Err(Error::Format { file: path.to_owned(), found, known: FORMAT }),
        None => Err(Error::damaged(path, 0, "it does not name the store's format")),
    }
}

/// Everything that knows how far the journal went.
fn witnesses(
    layout: &Layout,
    head: HeadFound,
    index: &Opened,
    warnings: &mut Vec<String>,
) -> Result<Vec<Witness>, Error> {
    let mut witnesses = Vec::new();
    if head == HeadFound::Unreadable {
        warnings.push(format!("{} can't be read", layout.head().display()));
    }
    witnesses.extend(recover::head_witness(head));
    if let Opened::Usable(index) = index {
        let sequence = index.mark.tip.sequence;
        witnesses.push(Witness { name: "the index".to_owned(), sequence, hash: None });
    }
    match read_limited(&layout.checkpoint(), MAX_SMALL_FILE) {
        Ok(bytes) => match Checkpoint::parse_unverified(&String::from_utf8_lossy(&bytes)) {
            Ok(checkpoint) => witnesses.push(Witness {
                name: "the last checkpoint".to_owned(),
                sequence: checkpoint.sequence,
                hash: Some(checkpoint.hash),
            }),
            Err(error) => warnings.push(format!("{} can't be read: {error}", layout.checkpoint().display())),
        },
        Err(error) if error.io_kind() == Some(std::io::ErrorKind::NotFound) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(witnesses)
}
