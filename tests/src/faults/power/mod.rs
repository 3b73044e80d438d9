//! Power loss: a run is recorded, and every disk that a power cut might have left of it is opened.
//!
//! `trace` reads what strace wrote, `record` makes of it changes to a `disk` and says from when on
//! each is durable, `enumerate` builds every state that POSIX allows, `check` opens it. What this
//! refuses: to count a state that was not opened, and to go on with a call that it does not know.

mod check;
mod disk;
mod enumerate;
mod record;
mod trace;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use time::OffsetDateTime;

use super::{Before, Fault, OPERATIONS, Operation};
use crate::{Output, Program, Sandbox, run};
use check::{Answer, Ground};
use disk::{Change, Disk};
use enumerate::{Enumeration, Lots, State, build};
use record::{CALLS, Recording};

/// How many of the newest changes are dropped in every combination.
const WINDOW: usize = 8;
/// Read by a message alone, and written at every opening.
const INDIFFERENT: [&str; 1] = ["pki/store/lock"];
/// Where commands run, below the sandbox.
const WORK: &str = "work";

/// How the operation is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// In the command's own process.
    Alone,
    /// By a service that is started before and stopped afterwards; all three are recorded.
    Served,
    /// It was killed when its first frame was written and not yet synced; then it is run again.
    Again,
}

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
    let operation = OPERATIONS.iter().find(|operation| operation.name == name);
    let operation = operation.unwrap_or_else(|| panic!("no operation {name}"));
    let prepared = Sandbox::of(Program::UnderTest);
    (operation.prepare)(&prepared);
    let now = OffsetDateTime::now_utc();
    let before = Before::of(&prepared).unwrap_or_else(|cause| panic!("{name}: {cause}"));
    let ground = Ground::of(&prepared.copied().dir(), now).unwrap_or_else(|cause| panic!("{name}: {cause}"));
    let recording =
        record(operation, &prepared, run).unwrap_or_else(|cause| panic!("{name}, {run:?}: {cause}"));
    let (all, moments) = Enumeration::new(&recording, &INDIFFERENT).all(WINDOW);
    let mut row = PowerRow {
        operation: operation.name,
        run,
        changes: recording.steps.len(),
        moments,
        states: all.len(),
        opened: [0, 0],
        failures: Vec::new(),
        seconds: 0.0,
    };
    let judge = Judge { operation, recording: &recording, before: &before, ground: &ground, now };
    let states = spread(all, extent.states);
    row.opened[0] = states.len();
    row.failures = each(&states, |state| judge.here(state));
    let sample = spread(states, extent.shipped);
    row.opened[1] = sample.len();
    row.failures.extend(each(&sample, |state| judge.shipped(state)));
    row.seconds = begun.elapsed().as_secs_f64();
    row
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
    /// What had been said when the power was cut.
    fn said(&self, state: &State) -> String {
        let said = self.recording.said.iter().filter(|said| said.ends <= state.at);
        said.map(|said| said.text.as_str()).collect()
    }

    fn here(&self, state: &State) -> Result<(), String> {
        let disk = build(self.recording, state);
        let given = self.operation.answer.is_some_and(|answer| self.said(state).contains(answer));
        let answer = if given { Answer::Given } else { Answer::NotYet };
        let judged = check::in_place(&disk, &self.recording.seen).and_then(|()| {
            let sandbox = left(&disk);
            check::opened(self.operation, sandbox.root(), self.ground, answer, self.now)
        });
        judged.map_err(|cause| self.tell(state, &cause))
    }

    fn shipped(&self, state: &State) -> Result<(), String> {
        let sandbox = left(&build(self.recording, state));
        let (command, stdout) = (self.operation.command.join(" "), self.said(state));
        let ended = Output { command, stdout, stderr: String::new(), code: 137 };
        let judged = super::check(self.operation, &sandbox, self.before, Fault::Kill, &ended);
        judged.map_err(|cause| self.tell(state, &format!("with the shipped program: {cause}")))
    }

    /// A failure with what makes the state again: what was lost, and what was there in part.
    fn tell(&self, state: &State, cause: &str) -> String {
        let applied: BTreeSet<usize> = state.applied.iter().copied().collect();
        let begun = |number: &usize| self.recording.steps[*number].begins <= state.at;
        let lost = (0..self.recording.steps.len()).filter(begun).filter(|number| !applied.contains(number));
        let mut text = format!("{}, power cut at line {}: {cause}", self.operation.name, state.at + 1);
        for number in lost {
            text.push_str(&format!("\n    lost: {}", self.describe(number)));
        }
        if let Some((number, cut)) = state.torn {
            text.push_str(&format!("\n    torn ({cut:?}): {}", self.describe(number)));
        }
        text
    }

    fn describe(&self, number: usize) -> String {
        let paths = self.recording.named();
        let name = |node: &usize| paths.get(node).cloned().unwrap_or_else(|| format!("node {node}"));
        match &self.recording.steps[number].change {
            Change::Write { file, offset, bytes } => {
                format!("{number} write {} bytes at {offset} of {}", bytes.len(), name(file))
            }
            Change::Length { file, length } => format!("{number} cut {} to {length} bytes", name(file)),
            Change::Mode { node, mode } => format!("{number} mode {mode:o} of {}", name(node)),
            Change::Name { folder, name: new, .. } => format!("{number} name {new} in {}", name(folder)),
            Change::Forget { folder, name: old } => format!("{number} remove {old} from {}", name(folder)),
            Change::Move { from, to, .. } => {
                format!("{number} rename {} to {} in {}", from.1, to.1, name(&to.0))
            }
        }
    }
}

/// A sandbox that holds what was left; in memory, where there is such a place: thousands are made.
fn left(disk: &Disk) -> Sandbox {
    let sandbox = Sandbox::in_memory(Program::UnderTest);
    disk.write(sandbox.root()).expect("room for a state");
    sandbox
}

/// Runs the operation under strace on a copy of the prepared directory.
fn record(operation: &Operation, prepared: &Sandbox, how: Run) -> Result<Recording, String> {
    let sandbox = prepared.copied();
    let root = sandbox.root().canonicalize().map_err(|error| error.to_string())?;
    let before = Disk::read(&root)?;
    let trace = traced(operation, &sandbox, how)?;
    if how != Run::Again {
        return Recording::of(before, &[trace], &root, WORK);
    }
    // The disk as the killed process left it in memory: everything up to the frame, nothing synced.
    let whole = Recording::of(before.clone(), std::slice::from_ref(&trace), &root, WORK)?;
    let frame = |change: &Change| matches!(change, Change::Write { bytes, .. } if bytes.starts_with(b"PKIF"));
    let written = whole.steps.iter().find(|step| frame(&step.change)).ok_or("no frame is written")?.begins;
    let applied = (0..whole.steps.len()).filter(|number| whole.steps[*number].begins <= written).collect();
    let cut = State { at: written, applied, torn: None };
    for folder in ["home", "pki", WORK] {
        std::fs::remove_dir_all(root.join(folder)).map_err(|error| error.to_string())?;
    }
    build(&whole, &cut).write(&root).map_err(|error| error.to_string())?;
    let lines: Vec<&str> = trace.lines().take(written + 1).collect();
    let again = traced(operation, &sandbox, Run::Alone)?;
    Recording::of(before, &[lines.join("\n"), again], &root, WORK)
}

/// The trace of a run that came to its end.
fn traced(operation: &Operation, sandbox: &Sandbox, how: Run) -> Result<String, String> {
    let logs = tempfile::tempdir().map_err(|error| error.to_string())?;
    let log = logs.path().join("trace");
    let mut command = std::process::Command::new("strace");
    sandbox.surround(&mut command);
    command.args(["-f", "-y", "-xx", "-qq", "-s", "100000000", "-o"]).arg(&log);
    command.arg(format!("-etrace={}", CALLS.split_whitespace().collect::<String>()));
    let script = match how {
        Run::Alone | Run::Again => "umask 022; \"$@\"",
        Run::Served => SERVED,
    };
    command.args(["sh", "-c", script, "sh"]).arg(sandbox.command::<&str>([]).get_program());
    command.args(operation.command);
    let ended = run(&mut command);
    if ended.code != 0 || !operation.answer.is_none_or(|answer| ended.stdout.contains(answer)) {
        return Err(format!("it fails without a power cut: {ended}"));
    }
    read(&log)
}

/// The service runs while the command does. What it says is not the command's answer.
const SERVED: &str = "\
umask 022
\"$1\" serve > /dev/null 2>&1 &
service=$!
tries=0
until [ -S \"$PKI_DIR/pki.socket\" ]; do
  tries=$((tries + 1)); [ $tries -lt 600 ] || exit 97
  sleep 0.1
done
\"$@\"; code=$?
kill -TERM $service
wait $service || exit 98
exit $code
";

fn read(path: &Path) -> Result<String, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("no trace: {error}"))?;
    String::from_utf8(bytes).map_err(|_| "the trace is no text".to_owned())
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
