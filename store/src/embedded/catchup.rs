//! The index at open: compared with the journal, caught up, or thrown away and built again.

use std::path::Path;

use super::clean::Claim;
use super::committer::slot;
use super::frame::{self, RawEntry};
use super::index::{Index, Mark, Sum, encode_slot};
use super::journal::{Journal, Walk};
use super::layout::Limits;
use super::segment::{HEADER, Position};
use crate::chain::decode_body;
use crate::{Error, Tip, Version};

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
    Usable(Index, Mark),
    Useless(String),
}

/// Opens the index and looks at its mark. Nothing is written yet.
pub(crate) fn open(path: &Path, limits: &Limits) -> Opened {
    if !path.exists() {
        return Opened::Useless("there was none".to_owned());
    }
    let opened = Index::open(path, limits.index_cache).and_then(|index| Ok((index.mark()?, index)));
    match opened {
        Ok((Some(mark), index)) => Opened::Usable(index, mark),
        Ok((None, _)) => Opened::Useless("it does not say how far it follows the journal".to_owned()),
        Err(Error::Index { reason, .. }) => Opened::Useless(reason),
        Err(other) => Opened::Useless(other.to_string()),
    }
}

/// Brings the index to the journal's end. `claim` is what an orderly close said about it.
pub(crate) fn bring_up(
    journal: &Journal,
    opened: Opened,
    claim: Option<Claim>,
    (tip, end): (Tip, Position),
    limits: &Limits,
) -> Result<(Index, Mark, IndexState), Error> {
    let reason = match opened {
        Opened::Useless(reason) => reason,
        Opened::Usable(index, mark) => match catch_up(journal, &index, mark, claim, (tip, end), limits) {
            Ok(Ok((mark, IndexState::Ready))) => return Ok((index, mark, IndexState::Ready)),
            Ok(Ok((mark, state))) => return Ok((index, mark, state)),
            Ok(Err(reason)) => reason,
            Err(error) => error.to_string(),
        },
    };
    rebuild(journal, (tip, end), limits, reason)
}

/// Either the index at the journal's end, or why it must be built again.
type CaughtUp = Result<(Mark, IndexState), String>;

fn catch_up(
    journal: &Journal,
    index: &Index,
    mark: Mark,
    claim: Option<Claim>,
    (tip, end): (Tip, Position),
    limits: &Limits,
) -> Result<CaughtUp, Error> {
    // A clean close vouches for it; else everything is read once, for sled may have lost a part.
    if claim != Some(Claim(mark.tip.sequence)) && index.sum()? != mark.sum {
        return Ok(Err("its records are not those that were written".to_owned()));
    }
    if mark.tip.sequence == tip.sequence {
        return Ok(match mark.tip == tip {
            true => Ok((Mark { end, ..mark }, IndexState::Ready)),
            false => Err("it follows another journal".to_owned()),
        });
    }
    let mut now = mark;
    journal.walk(mark.end, end, |at, prefix, payload| {
        let damaged = |reason| Error::damaged(&journal.layout.segment(at.segment), at.offset, reason);
        let mut changes = Changes::new();
        for entry in frame::entries(prefix, payload).map_err(damaged)? {
            now.tip = entry.continues(&now.tip).map_err(damaged)?;
            for (key, value) in slots(&entry, at, limits).map_err(damaged)? {
                changes.insert(key, value);
            }
        }
        for (key, new) in &changes {
            now.sum.change(key, index.raw(key)?.as_deref(), new.as_deref());
        }
        now.end = Position { segment: at.segment, offset: at.offset + prefix.size() };
        let changes: Vec<_> = changes.iter().map(|(key, new)| (key.as_slice(), new.clone())).collect();
        index.apply(&changes, now)?;
        Ok(Walk::On)
    })?;
    Ok(match now.tip == tip {
        true => Ok((now, IndexState::CaughtUp { entries: tip.sequence.0 - mark.tip.sequence.0 })),
        false => Err("it does not lead to the journal's end".to_owned()),
    })
}

/// What the index will hold for each key; of two writes to one key the later wins.
type Changes = std::collections::BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// A key and the index entry it gets; `None` if it loses it.
type Change = (Vec<u8>, Option<Vec<u8>>);

/// What an entry does to the index.
fn slots(entry: &RawEntry<'_>, frame: Position, limits: &Limits) -> Result<Vec<Change>, String> {
    let version = Version(crate::Sequence(entry.header.sequence));
    let Some((body_at, body)) = entry.body else { return Ok(Vec::new()) };
    let encode = |(offset, value): (usize, &[u8])| {
        encode_slot(version, &slot(value, frame, body_at + offset as u64, limits.inline_value))
    };
    Ok(decode_body(body)?.into_iter().map(|write| (write.key.to_vec(), write.value.map(encode))).collect())
}

/// How much a rebuild gathers before it writes, in bytes of keys and values.
const REBUILD_BYTES: usize = 8 << 20;

fn write_sorted(index: &Index, sum: &mut Sum, changes: Changes) -> Result<(), Error> {
    for (key, new) in changes {
        let old = index.replace(&key, new.as_deref())?;
        sum.change(&key, old.as_deref(), new.as_deref());
    }
    Ok(())
}

/// Builds the index from the whole journal, in little memory.
fn rebuild(
    journal: &Journal,
    (tip, end): (Tip, Position),
    limits: &Limits,
    reason: String,
) -> Result<(Index, Mark, IndexState), Error> {
    let path = journal.layout.index();
    match std::fs::remove_dir_all(&path) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        // Something else has the name: a file that was put there.
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => crate::file::remove(&path)?,
        Err(error) => return Err(Error::io("remove", &path)(error)),
    }
    let index = Index::open(&path, limits.index_cache)?;
    let (mut sum, mut now) = (Sum::default(), Tip::START);
    // In the order of keys, which sled takes several times faster than that of the history.
    let (mut changes, mut bytes) = (Changes::new(), 0);
    journal.walk(Position { segment: 1, offset: HEADER }, end, |at, prefix, payload| {
        let damaged = |reason| Error::damaged(&journal.layout.segment(at.segment), at.offset, reason);
        for entry in frame::entries(prefix, payload).map_err(damaged)? {
            now = entry.continues(&now).map_err(damaged)?;
            for (key, value) in slots(&entry, at, limits).map_err(damaged)? {
                bytes += key.len() + value.as_ref().map_or(0, Vec::len);
                changes.insert(key, value);
            }
        }
        if bytes > REBUILD_BYTES {
            write_sorted(&index, &mut sum, std::mem::take(&mut changes))?;
            bytes = 0;
        }
        Ok(Walk::On)
    })?;
    write_sorted(&index, &mut sum, changes)?;
    if now != tip {
        let path = journal.layout.segment(end.segment);
        return Err(Error::damaged(&path, HEADER, "the segments do not continue each other"));
    }
    let mark = Mark { tip, end, sum };
    index.apply(&[], mark)?;
    Ok((index, mark, IndexState::Rebuilt { reason, entries: tip.sequence.0 }))
}
