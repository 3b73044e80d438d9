//! Every disk that a power cut may leave: at each moment of a recording, what is durable is there, and
//! of what is not any part may be.
//!
//! The newest changes that nothing has made durable yet are dropped in every combination (the
//! window); older ones are all there, all gone, or a few combinations drawn by lot, always the same.
//! The write under way is torn at the borders of its 512-byte sectors, or the file is as long as it
//! would be and holds zeros, garbage or old frames there.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::disk::{Change, Content, Disk, Node, write};
use super::record::{Recording, digest};

/// What a disk writes at once or not at all.
const SECTOR: u64 = 512;
/// At most so many borders of one write are tried, evenly spread.
const BORDERS: usize = 8;
/// Combinations drawn by lot, at each moment, of the changes that are older than the window, and of all.
const DRAWN: usize = 3;

/// How a write reached the disk in part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Cut {
    /// So many bytes of it, and nothing behind.
    Before(usize),
    /// All but so many bytes at its beginning, which are as they were before.
    After(usize),
    /// The file grew, and zeros lie there.
    Zeros,
    /// The file grew, and anything lies there.
    Garbage,
    /// The file grew, and what it held earlier lies there once more.
    Stale,
}

/// A change, and in what part it is there.
pub(super) type Torn = (usize, Cut);

/// One disk that may be left.
#[derive(Clone, Debug)]
pub(super) struct State {
    /// The moment, as a line of the trace.
    pub(super) at: usize,
    /// The changes that reached the disk, in their order.
    pub(super) applied: Vec<usize>,
    /// One of them that did so in part.
    pub(super) torn: Option<Torn>,
}

/// Builds disks and tells them apart.
pub(super) struct Enumeration<'r> {
    recording: &'r Recording,
    /// Files whose content nobody relies on: their changes are always there.
    indifferent: BTreeSet<Node>,
    hashes: HashMap<(Node, Vec<usize>, Option<Torn>), u64>,
    tried: HashSet<(Vec<usize>, Option<Torn>, usize)>,
    found: HashSet<(u64, usize)>,
    states: Vec<State>,
    /// Moments at which the power was cut.
    pub(super) moments: usize,
}

impl<'r> Enumeration<'r> {
    pub(super) fn new(recording: &'r Recording, indifferent: &[&str]) -> Enumeration<'r> {
        Enumeration {
            recording,
            indifferent: indifferent.iter().filter_map(|path| recording.before.find(path)).collect(),
            hashes: HashMap::new(),
            tried: HashSet::new(),
            found: HashSet::new(),
            states: Vec::new(),
            moments: 0,
        }
    }

    /// Every state, each different disk once for each answer that had been given.
    pub(super) fn all(mut self, window: usize) -> (Vec<State>, usize) {
        let steps = &self.recording.steps;
        let mut moments: BTreeSet<usize> = BTreeSet::from([0]);
        moments.extend(steps.iter().flat_map(|step| [Some(step.begins), step.durable]).flatten());
        moments.extend(self.recording.said.iter().map(|said| said.ends));
        for at in moments {
            self.moments += 1;
            self.moment(at, window);
        }
        (self.states, self.moments)
    }

    fn moment(&mut self, at: usize, window: usize) {
        let (mut fixed, mut open) = (Vec::new(), Vec::new());
        for (number, step) in self.recording.steps.iter().enumerate().filter(|(_, step)| step.begins <= at) {
            let lasts = step.durable.is_some_and(|durable| durable <= at);
            let indifferent = step.change.file().is_some_and(|file| self.indifferent.contains(&file));
            match lasts || indifferent {
                true => fixed.push(number),
                false => open.push(number),
            }
        }
        let mut lots = Lots(at as u64 + 1);
        let (older, newest) = open.split_at(open.len().saturating_sub(window));
        let mut before: Vec<Vec<usize>> = vec![older.to_vec(), Vec::new()];
        before.extend((0..DRAWN).map(|_| lots.some(older)));
        for older in &before {
            for mask in 0..1usize << newest.len() {
                let chosen =
                    newest.iter().enumerate().filter(|(bit, _)| mask & 1 << bit != 0).map(|(_, one)| *one);
                self.add(at, fixed.iter().chain(older).copied().chain(chosen), None);
            }
        }
        for _ in 0..DRAWN {
            let some = lots.some(&open);
            self.add(at, fixed.iter().chain(&some).copied(), None);
        }
        // The newest one may have reached the disk in part.
        let Some((&last, rest)) = open.split_last() else { return };
        if self.recording.steps[last].begins != at {
            return;
        }
        for cut in self.cuts(last) {
            for others in [rest.to_vec(), Vec::new(), lots.some(rest)] {
                let applied = fixed.iter().chain(&others).copied().chain([last]);
                self.add(at, applied, Some((last, cut)));
            }
        }
    }

    /// The ways in which a change can be there in part.
    fn cuts(&self, step: usize) -> Vec<Cut> {
        let Change::Write { offset, bytes, .. } = &self.recording.steps[step].change else {
            return Vec::new();
        };
        let first = (offset / SECTOR + 1) * SECTOR - offset;
        let borders: Vec<usize> = (0..)
            .map(|number| first + number * SECTOR)
            .take_while(|border| *border < bytes.len() as u64)
            .map(|border| border as usize)
            .collect();
        let step = borders.len().div_ceil(BORDERS).max(1);
        let borders = borders.into_iter().step_by(step);
        let torn = borders.flat_map(|border| [Cut::Before(border), Cut::After(border)]);
        torn.chain([Cut::Zeros, Cut::Garbage, Cut::Stale]).collect()
    }

    fn add(&mut self, at: usize, applied: impl Iterator<Item = usize>, torn: Option<Torn>) {
        let mut applied: Vec<usize> = applied.collect();
        applied.sort_unstable();
        let said = self.recording.said.iter().filter(|said| said.ends <= at).count();
        if !self.tried.insert((applied.clone(), torn, said)) {
            return;
        }
        let state = State { at, applied, torn };
        let hash = self.hash(&state);
        if self.found.insert((hash, said)) {
            self.states.push(state);
        }
    }

    /// The hash of all that the disk would hold.
    fn hash(&mut self, state: &State) -> u64 {
        let (disk, bytes) = names(self.recording, state);
        let mut paths = disk.paths();
        paths.sort();
        let mut hasher = DefaultHasher::new();
        for (path, node) in paths {
            path.hash(&mut hasher);
            match &disk.0[node] {
                Content::Folder { mode, .. } => mode.hash(&mut hasher),
                Content::File { mode, .. } => {
                    mode.hash(&mut hasher);
                    if self.indifferent.contains(&node) {
                        continue;
                    }
                    let steps = bytes.get(&node).cloned().unwrap_or_default();
                    let torn = state.torn.filter(|(step, _)| steps.contains(step));
                    let recording = self.recording;
                    let hash = *self
                        .hashes
                        .entry((node, steps.clone(), torn))
                        .or_insert_with(|| digest(&content(recording, node, &steps, torn)));
                    hash.hash(&mut hasher);
                }
            }
        }
        hasher.finish()
    }
}

/// The disk of a state, whole.
pub(super) fn build(recording: &Recording, state: &State) -> Disk {
    let (mut disk, bytes) = names(recording, state);
    for (node, steps) in bytes {
        let new = content(recording, node, &steps, state.torn.filter(|(step, _)| steps.contains(step)));
        if let Content::File { bytes, .. } = &mut disk.0[node] {
            *bytes = Arc::new(new);
        }
    }
    disk
}

/// Names and modes of a state; for each file whose bytes changed, the steps that did it.
fn names(recording: &Recording, state: &State) -> (Disk, HashMap<Node, Vec<usize>>) {
    let mut disk = recording.before.clone();
    let mut bytes: HashMap<Node, Vec<usize>> = HashMap::new();
    for &number in &state.applied {
        let change = &recording.steps[number].change;
        match change.file() {
            Some(file) => bytes.entry(file).or_default().push(number),
            None => disk.apply(change),
        }
    }
    (disk, bytes)
}

/// The bytes of a file after some of the changes to it.
fn content(recording: &Recording, node: Node, steps: &[usize], torn: Option<Torn>) -> Vec<u8> {
    let mut bytes = match &recording.before.0[node] {
        Content::File { bytes, .. } => bytes.as_ref().clone(),
        Content::Folder { .. } => Vec::new(),
    };
    for &number in steps {
        let cut = torn.filter(|(step, _)| *step == number).map(|(_, cut)| cut);
        match (&recording.steps[number].change, cut) {
            (Change::Length { length, .. }, _) => {
                bytes.resize(usize::try_from(*length).unwrap_or(usize::MAX), 0);
            }
            (Change::Write { offset, bytes: new, .. }, None) => write(&mut bytes, *offset, new),
            (Change::Write { offset, bytes: new, .. }, Some(cut)) => tear(&mut bytes, *offset, new, cut),
            (Change::Mode { .. } | Change::Name { .. } | Change::Forget { .. } | Change::Move { .. }, _) => {}
        }
    }
    bytes
}

fn tear(bytes: &mut Vec<u8>, offset: u64, new: &[u8], cut: Cut) {
    match cut {
        Cut::Before(length) => write(bytes, offset, &new[..length]),
        Cut::After(length) => write(bytes, offset + length as u64, &new[length..]),
        Cut::Zeros => write(bytes, offset, &vec![0; new.len()]),
        Cut::Garbage => {
            let mut lots = Lots(offset + new.len() as u64);
            let garbage: Vec<u8> = new.iter().map(|_| (lots.next() >> 32) as u8).collect();
            write(bytes, offset, &garbage);
        }
        Cut::Stale => {
            let from = bytes.len().saturating_sub(new.len());
            let mut stale = bytes[from..].to_vec();
            stale.resize(new.len(), 0);
            write(bytes, offset, &stale);
        }
    }
}

/// Lots that fall the same way every time (SplitMix64).
pub(super) struct Lots(pub(super) u64);

impl Lots {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ word >> 31
    }

    /// Each of them with even odds.
    fn some(&mut self, steps: &[usize]) -> Vec<usize> {
        steps.iter().copied().filter(|_| self.next() & 1 == 1).collect()
    }
}
