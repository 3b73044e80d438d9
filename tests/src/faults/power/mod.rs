//! Power loss: a run is recorded, and every disk that a power cut might have left of it is opened.
//!
//! `trace` reads what strace wrote, `record` makes of it changes to a `disk` and says from when on
//! each is durable, `enumerate` builds every state that POSIX allows, `check` opens it. What this
//! refuses: to count a state that was not opened, and to go on with a call that it does not know.

mod check;
mod disk;
mod enumerate;
mod record;
mod run;
mod sealing;
mod trace;

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use time::OffsetDateTime;

use super::{Before, Fault, Operation, operation};
use crate::{Output, Program, Sandbox};
use check::{Answer, Ground};
use disk::{Change, Disk};
use enumerate::{Enumeration, Lots, State, build};
use record::Recording;
use run::Command;

pub use run::Run;
pub use sealing::{sealing_power_cuts, serve_commits};

/// How many of the newest changes are dropped in every combination.
const WINDOW: usize = 8;
/// Read by a message alone, and written at every opening.
const INDIFFERENT: [&str; 1] = ["pki/store/lock"];
/// How many states are opened.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// At most so many in this process.
    pub states: usize,
    /// At most so many through the shipped program and OpenSSL.
    pub shipped: usize,
}

/// What came of one operation.
#[derive(Clone, Debug)]
pub struct PowerRow {
    /// The operation's name.
    pub operation: &'static str,
    /// How it was run.
    pub run: Run,
    /// Changes to the disk.
    pub changes: usize,
    /// Moments at which the power was cut.
    pub moments: usize,
    /// Different states that may be left.
    pub states: usize,
    /// How many of them were opened here, and through the shipped program.
    pub opened: [usize; 2],
    /// What did not hold.
    pub failures: Vec<String>,
    /// Seconds it took.
    pub seconds: f64,
}

/// Records an operation, by its name, and opens what power cuts leave of it.
///
/// # Panics
/// If there is no such operation, or if it fails without a power cut.
pub fn power_cuts(name: &str, run: Run, extent: Extent) -> PowerRow {
    let begun = Instant::now();
    let operation = operation(name);
    let prepared = Sandbox::of(Program::UnderTest);
    (operation.prepare)(&prepared);
    let now = OffsetDateTime::now_utc();
    let before = Before::of(&prepared).unwrap_or_else(|cause| panic!("{name}: {cause}"));
    let ground = Ground::of(&prepared.copied().dir(), now).unwrap_or_else(|cause| panic!("{name}: {cause}"));
    let command = Command { program: Program::UnderTest.path(), arguments: operation.arguments() };
    let recording = command.record(&prepared, run).unwrap_or_else(|cause| panic!("{name}, {run:?}: {cause}"));
    let judge = Judge { operation, recording: &recording, before: &before, ground: &ground, now };
    let (mut row, states) = open_all(operation.name, run, &recording, extent, |state| judge.here(state));
    let sample = spread(states, extent.shipped);
    row.opened[1] = sample.len();
    row.failures.extend(each(&sample, |state| judge.shipped(state)));
    row.seconds = begun.elapsed().as_secs_f64();
    row
}

/// Opens the states of a recording, all or as many as are wanted, and returns those with what came of it.
fn open_all(
    name: &'static str,
    run: Run,
    recording: &Recording,
    extent: Extent,
    judge: impl Fn(&State) -> Result<(), String> + Sync,
) -> (PowerRow, Vec<State>) {
    let begun = Instant::now();
    let (all, moments) = Enumeration::new(recording, &INDIFFERENT).all(WINDOW);
    let number = all.len();
    let states = spread(all, extent.states);
    let failures = each(&states, |state| judge(state).map_err(|cause| tell(name, recording, state, &cause)));
    let row = PowerRow {
        operation: name,
        run,
        changes: recording.steps.len(),
        moments,
        states: number,
        opened: [states.len(), 0],
        failures,
        seconds: begun.elapsed().as_secs_f64(),
    };
    (row, states)
}

/// At most so many of the states, drawn by lot.
fn spread(mut states: Vec<State>, most: usize) -> Vec<State> {
    let mut lots = Lots(7);
    while states.len() > most {
        let one = lots.next() as usize % states.len();
        states.swap_remove(one);
    }
    states
}

/// Judges states on two processors.
fn each(states: &[State], judge: impl Fn(&State) -> Result<(), String> + Sync) -> Vec<String> {
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(state) = states.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(cause) = judge(state) {
                failures.lock().expect("no thread panics with it").push(cause);
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    failures.into_inner().expect("no thread panics with it")
}

struct Judge<'a> {
    operation: &'static Operation,
    recording: &'a Recording,
    before: &'a Before,
    ground: &'a Ground,
    now: OffsetDateTime,
}

impl Judge<'_> {
    fn here(&self, state: &State) -> Result<(), String> {
        let disk = build(self.recording, state);
        let said = said(self.recording, state);
        let given = self.operation.answer.is_some_and(|answer| said.contains(answer));
        let answer = if given { Answer::Given } else { Answer::NotYet };
        check::in_place(&disk, &self.recording.seen)?;
        let sandbox = left(&disk);
        check::opened(self.operation, sandbox.root(), self.ground, answer, self.now)
    }

    fn shipped(&self, state: &State) -> Result<(), String> {
        let sandbox = left(&build(self.recording, state));
        let (command, stdout) = (self.operation.arguments().join(" "), said(self.recording, state));
        let ended = Output { command, stdout, stderr: String::new(), code: 137 };
        let judged = super::check(self.operation, &sandbox, self.before, Fault::Kill, &ended);
        judged.map_err(|cause| {
            tell(self.operation.name, self.recording, state, &format!("with the shipped program: {cause}"))
        })
    }
}

/// What had been said when the power was cut.
fn said(recording: &Recording, state: &State) -> String {
    let said = recording.said.iter().filter(|said| said.ends <= state.at);
    said.map(|said| said.text.as_str()).collect()
}

/// A failure with what makes the state again: what was lost, and what was there in part.
fn tell(name: &str, recording: &Recording, state: &State, cause: &str) -> String {
    let applied: BTreeSet<usize> = state.applied.iter().copied().collect();
    let begun = |number: &usize| recording.steps[*number].begins <= state.at;
    let lost = (0..recording.steps.len()).filter(begun).filter(|number| !applied.contains(number));
    let mut text = format!("{name}, power cut at line {}: {cause}", state.at + 1);
    for number in lost {
        text.push_str(&format!("\n    lost: {}", describe(recording, number)));
    }
    if let Some((number, cut)) = state.torn {
        text.push_str(&format!("\n    torn ({cut:?}): {}", describe(recording, number)));
    }
    text
}

fn describe(recording: &Recording, number: usize) -> String {
    let paths = recording.named();
    let name = |node: &usize| paths.get(node).cloned().unwrap_or_else(|| format!("node {node}"));
    match &recording.steps[number].change {
        Change::Write { file, offset, bytes } => {
            format!("{number} write {} bytes at {offset} of {}", bytes.len(), name(file))
        }
        Change::Length { file, length } => format!("{number} cut {} to {length} bytes", name(file)),
        Change::Mode { node, mode } => format!("{number} mode {mode:o} of {}", name(node)),
        Change::Name { folder, name: new, .. } => format!("{number} name {new} in {}", name(folder)),
        Change::Forget { folder, name: old } => format!("{number} remove {old} from {}", name(folder)),
        Change::Move { from, to, .. } => format!("{number} rename {} to {} in {}", from.1, to.1, name(&to.0)),
    }
}

/// A sandbox that holds what was left; in memory, where there is such a place: thousands are made.
fn left(disk: &Disk) -> Sandbox {
    let sandbox = Sandbox::in_memory(Program::UnderTest);
    disk.write(sandbox.root()).expect("room for a state");
    sandbox
}

/// The rows as a markdown table.
pub fn power_table(rows: &[PowerRow]) -> String {
    let mut text = String::from(
        "| operation | run | changes | moments | states | opened | through `pki` and OpenSSL | failed | seconds |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let how = match row.run {
            Run::Alone => "alone",
            Run::Served => "by a service",
            Run::Again => "killed before its sync, again",
        };
        let [opened, shipped] = row.opened;
        text.push_str(&format!(
            "| {} | {how} | {} | {} | {} | {opened} | {shipped} | {} | {:.0} |\n",
            row.operation,
            row.changes,
            row.moments,
            row.states,
            row.failures.len(),
            row.seconds
        ));
    }
    text
}
