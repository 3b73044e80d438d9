//! The index at open: compared with the journal, caught up, or thrown away and built again.
//!
//! What a process that was killed had not written to its index yet is read from the journal, from
//! the index's mark on. That is as much as stood in front of the index: little, whatever the store
//! holds. A whole index is read only when it is small or there is reason to doubt it, for a reader
//! sees damage by itself.

use std::path::Path;
use std::sync::mpsc;

use super::frame::{self, RawEntry};
use super::index::{Change, Changes, Index, Mark, Slot, always};
use super::journal::{Journal, Walk};
use super::layout::Limits;
use super::segment::{HEADER, Position};
use crate::chain::decode_body;
use crate::{Error, Progress, Tip};

/// What became of the index when the store was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IndexState {
    /// It was at the journal's end.
    Ready,
    /// It was behind, as after a kill, and has been brought up.
    CaughtUp {
        /// How many entries it lacked.
        entries: u64,
    },
    /// It was lost or damaged and has been built again from the journal.
    Rebuilt {
        /// Why.
        reason: String,
        /// How many entries were read.
        entries: u64,
    },
}

/// An index that may be worth keeping, or why it is not.
pub(crate) enum Opened {
    Usable(Box<Index>),
    Useless(String),
}

/// How much of an index is read before it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    /// All of a small one: that takes no time.
    Small,
    /// All of it: something was wrong.
    All,
}

/// An index below this many bytes is read whole at each opening.
const SMALL: u64 = 8 << 20;

/// Opens the index and looks at its mark.
pub(crate) fn open(path: &Path, limits: &Limits) -> Opened {
    if !path.exists() {
        return Opened::Useless("there was none".to_owned());
    }
    match Index::open(path, limits.index_cache) {
        Ok(index) => Opened::Usable(Box::new(index)),
        Err(error) => Opened::Useless(reason(error)),
    }
}

fn reason(error: Error) -> String {
    match error {
        Error::Index { reason, .. } => reason,
        other => other.to_string(),
    }
}

/// Brings the index to the journal's end; what is not in it yet stands in the changes.
pub(crate) fn bring_up(
    journal: &Journal,
    opened: Opened,
    check: Check,
    (tip, end): (Tip, Position),
    limits: &Limits,
    progress: &Progress,
) -> Result<(Index, Changes, IndexState), Error> {
    let reason = match opened {
        Opened::Useless(reason) => reason,
        Opened::Usable(index) => match catch_up(journal, *index, check, (tip, end), limits, progress) {
            Ok(brought_up) => return Ok(brought_up),
            Err(error) => reason(error),
        },
    };
    rebuild(journal, (tip, end), limits, progress, reason)
}

fn catch_up(
    journal: &Journal,
    index: Index,
    check: Check,
    (tip, end): (Tip, Position),
    limits: &Limits,
    progress: &Progress,
) -> Result<(Index, Changes, IndexState), Error> {
    if check == Check::All || index.bytes() <= SMALL {
        index.verify(&always)?;
    }
    let known = index.mark.tip;
    if known.sequence == tip.sequence {
        return match known == tip {
            true => Ok((index, Changes::default(), IndexState::Ready)),
            false => Err(foreign(journal, "it follows another journal")),
        };
    }
    let (index, changes, reached) = follow(journal, index, end, limits, progress)?;
    if reached != tip {
        return Err(foreign(journal, "it does not lead to the journal's end"));
    }
    Ok((index, changes, IndexState::CaughtUp { entries: tip.sequence.0 - known.sequence.0 }))
}

fn foreign(journal: &Journal, reason: &str) -> Error {
    Error::Index { path: journal.layout.index(), reason: reason.to_owned() }
}

/// Follows the journal from the index's mark to `end`; returns the tip there too.
///
/// What fills up is handed to a second thread, which writes it as a run and merges runs, while this one reads
/// on: one batch is gathered and one is written, so that memory stays at two of them.
fn follow(
    journal: &Journal,
    index: Index,
    end: Position,
    limits: &Limits,
    progress: &Progress,
) -> Result<(Index, Changes, Tip), Error> {
    let begin = index.mark;
    let way = Way::begin(journal, begin.end, end, progress);
    let (full, filled) = mpsc::sync_channel::<(Changes, Mark)>(0);
    std::thread::scope(|scope| {
        let write = move || {
            let bring = |index: Index, (changes, mark)| index.with(&changes, mark)?.tidy(u64::MAX);
            filled.into_iter().try_fold(index, bring)
        };
        let thread = std::thread::Builder::new().name("store-catchup".to_owned());
        let started = thread.spawn_scoped(scope, write);
        let writer = started.map_err(Error::io("start a thread for", &journal.layout.index()))?;
        let read = gather(journal, begin, end, limits, &way, &full);
        drop(full);
        let index = writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        let (changes, tip) = read?;
        Ok((index, changes, tip))
    })
}

/// Reads the journal from `begin` to `end`; what fills up goes to `full`, the rest is returned. If nobody takes
/// it any more, it stops.
fn gather(
    journal: &Journal,
    begin: Mark,
    end: Position,
    limits: &Limits,
    way: &Way<'_>,
    full: &mpsc::SyncSender<(Changes, Mark)>,
) -> Result<(Changes, Tip), Error> {
    let mut now = begin;
    let mut changes = Changes::default();
    journal.walk(now.end, end, |at, prefix, payload| {
        let damaged = |reason| Error::damaged(&journal.layout.segment(at.segment), at.offset, reason);
        if at.segment != now.end.segment {
            tracing::info!(segment = at.segment, of = end.segment, "the index follows the journal");
        }
        for entry in frame::entries(prefix, payload).map_err(damaged)? {
            now.tip = entry.continues(&now.tip).map_err(damaged)?;
            keyed(&entry, at, limits, &mut changes).map_err(damaged)?;
        }
        now.end = Position { segment: at.segment, offset: at.offset + prefix.size() };
        way.reach(now.end);
        let is_full = changes.bytes() >= limits.gathered;
        Ok(match is_full && full.send((std::mem::take(&mut changes), now)).is_err() {
            true => Walk::Stop,
            false => Walk::On,
        })
    })?;
    Ok((changes, now.tip))
}

/// The journal's octets from one place to another, for whoever looks on.
struct Way<'p> {
    progress: &'p Progress,
    from: Position,
    /// Octets of the segments before each, of those that are passed.
    before: Vec<u64>,
}

impl Way<'_> {
    fn begin<'p>(journal: &Journal, from: Position, end: Position, progress: &'p Progress) -> Way<'p> {
        let length =
            |segment| std::fs::metadata(journal.layout.segment(segment)).map_or(0, |found| found.len());
        let mut before = vec![0];
        for segment in from.segment..end.segment {
            before.push(before.last().copied().unwrap_or_default() + length(segment));
        }
        let way = Way { progress, from, before };
        progress.begin(way.octets(end));
        way
    }

    fn reach(&self, at: Position) {
        self.progress.reach(self.octets(at));
    }

    fn octets(&self, at: Position) -> u64 {
        let passed =
            usize::try_from(at.segment - self.from.segment).ok().and_then(|passed| self.before.get(passed));
        (passed.copied().unwrap_or_default() + at.offset).saturating_sub(self.from.offset)
    }
}

/// Adds what an entry does to the index.
fn keyed(
    entry: &RawEntry<'_>,
    frame: Position,
    limits: &Limits,
    changes: &mut Changes,
) -> Result<(), String> {
    let Some((body_at, body)) = entry.body else { return Ok(()) };
    for write in decode_body(body)? {
        let change = match write.value {
            None => Change::Delete,
            Some((offset, value)) => {
                let slot = Slot::of(value, frame, body_at + offset as u64, limits.inline_value);
                Change::put(entry.header.sequence, slot)
            }
        };
        changes.insert(write.key.to_vec(), change);
    }
    Ok(())
}

/// Builds the index from the whole journal, in little memory.
fn rebuild(
    journal: &Journal,
    (tip, end): (Tip, Position),
    limits: &Limits,
    progress: &Progress,
    reason: String,
) -> Result<(Index, Changes, IndexState), Error> {
    let path = journal.layout.index();
    match std::fs::remove_dir_all(&path) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        // Something else has the name: a file that was put there.
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => crate::file::remove(&path)?,
        Err(error) => return Err(Error::io("remove", &path)(error)),
    }
    let left = journal.layout.index_clean();
    if left.exists() {
        crate::file::remove(&left)?;
    }
    let index = Index::create(&path, limits.index_cache)?;
    let (index, changes, reached) = follow(journal, index, end, limits, progress)?;
    if reached != tip {
        let path = journal.layout.segment(end.segment);
        return Err(Error::damaged(&path, HEADER, "the segments do not continue each other"));
    }
    let index = index.with(&changes, Mark { tip, end })?;
    Ok((index, Changes::default(), IndexState::Rebuilt { reason, entries: tip.sequence.0 }))
}
