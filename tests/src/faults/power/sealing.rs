//! The store alone, with segments so small that every other commit seals one: under a power cut a
//! segment and its successor may each be there or not.

use std::io::Write;
use std::path::Path;

use store::{Batch, Class, Create, Key, OpenOptions, Store};

use super::enumerate::{State, build};
use super::record::Recording;
use super::run::{Command, Run};
use super::{Extent, PowerRow, left, open_all, said};
use crate::{Program, Sandbox};

/// Commits that lie there before, and those that are recorded.
const COMMITS: [u64; 2] = [3, 4];

fn options() -> OpenOptions {
    let mut options = OpenOptions::new(Create::IfAbsent);
    options.limits.segment = 700;
    options
}

fn change(number: u64) -> Batch {
    let mut batch = Batch::new(Class::Ledger, 0, "tester", format!("change {number}"));
    batch.put(record(number), number.to_be_bytes().to_vec());
    batch.put(Key::new("newest"), vec![number as u8; 400]);
    batch
}

fn record(number: u64) -> Key {
    Key::new("record").part(number.to_string())
}

/// What the program `store-under-test` does: so many further commits to the store of `directory`, each
/// told on standard output once it was answered.
pub fn serve_commits(directory: &Path, number: u64) -> Result<(), Box<dyn std::error::Error>> {
    let (store, report) = Store::open(&directory.join("store"), options())?;
    for number in report.head.0 + 1..=report.head.0 + number {
        store.commit(change(number))?;
        let mut out = std::io::stdout().lock();
        writeln!(out, "{number}")?;
        out.flush()?;
    }
    store.close();
    Ok(())
}

/// Records commits that seal segments, and opens what power cuts leave of them.
///
/// # Panics
/// If the commits fail without a power cut.
pub fn sealing_power_cuts(run: Run, extent: Extent) -> PowerRow {
    let prepared = Sandbox::of(Program::UnderTest);
    std::fs::create_dir(prepared.dir()).expect("a new folder");
    let program = Program::UnderTest.path().with_file_name("store-under-test");
    let [before, recorded] = COMMITS.map(|number| number.to_string());
    let mut first = std::process::Command::new(&program);
    prepared.surround(&mut first);
    crate::run(first.arg(before)).success();
    let arguments = [recorded.as_str()];
    let recording = Command { program, arguments: &arguments }.record(&prepared, run);
    let recording = recording.unwrap_or_else(|cause| panic!("{run:?}: {cause}"));
    open_all("store: segments sealed", run, &recording, extent, |state| opened(&recording, state, run)).0
}

/// What was told is there; what was not is there whole or not at all; and it goes on.
fn opened(recording: &Recording, state: &State, run: Run) -> Result<(), String> {
    let sandbox = left(&build(recording, state));
    let path = sandbox.dir().join("store");
    let told = said(recording, state).lines().last().and_then(|line| line.parse().ok()).unwrap_or(COMMITS[0]);
    let refuse = |error: store::Error| format!("{error:?}");
    let (store, report) = Store::open(&path, options()).map_err(refuse)?;
    let head = report.head.0;
    // The frame of the killed run may stand too, though nobody was told.
    let most = match run == Run::Again && told == COMMITS[0] {
        true => told + 2,
        false => told + 1,
    };
    if head < told || head > most {
        return Err(format!("{told} was told, the head is {head}"));
    }
    for number in 1..=COMMITS.iter().sum::<u64>() + 1 {
        let found = store.get(&record(number)).map_err(refuse)?.map(|stored| stored.value);
        if found != (number <= head).then(|| number.to_be_bytes().to_vec()) {
            return Err(format!("record {number} is {found:?} with head {head}"));
        }
    }
    let newest = store.get(&Key::new("newest")).map_err(refuse)?.map(|stored| stored.value);
    if newest != Some(vec![head as u8; 400]) {
        return Err(format!("the newest is {newest:?} with head {head}"));
    }
    store.commit(change(head + 1)).map_err(refuse)?;
    store.verify().map_err(refuse)?;
    drop(store);
    let again = Store::open(&path, options()).map_err(refuse)?.1.head.0;
    match again == head + 1 {
        true => Ok(()),
        false => Err(format!("{} was committed, the head is {again}", head + 1)),
    }
}
