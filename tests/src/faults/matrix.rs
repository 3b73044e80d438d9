//! Many points of many operations, on two processors at once, and the table that comes of it.

use std::sync::Mutex;
use std::time::Instant;

use crate::{Program, Sandbox};

use super::strike::{Struck, record, strike};
use super::{Before, Fault, Operation, Point, check, operation};

/// How often a point is tried whose call is not made.
const TRIES: usize = 4;

/// How many points of an operation are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matrix {
    /// Every one.
    Whole,
    /// At most so many, evenly spread.
    Spread(usize),
    /// Every call of this name.
    At(&'static str),
}

/// What came of one operation under one fault.
#[derive(Clone, Debug)]
pub struct Row {
    /// The operation's name.
    pub operation: &'static str,
    /// The fault.
    pub fault: Fault,
    /// Calls at which it can happen, the hidden ones included.
    pub calls: usize,
    /// Points where it happened.
    pub struck: usize,
    /// Points that were chosen, but the call was not made in any of several runs.
    pub missed: Vec<Point>,
    /// Calls that cannot be struck in this way.
    pub hidden: Vec<Point>,
    /// What did not hold, with its point.
    pub failures: Vec<String>,
    /// Seconds it took.
    pub seconds: f64,
}

impl Matrix {
    /// Strikes an operation, by its name, with each of the faults.
    ///
    /// # Panics
    /// If there is no such operation, or if it fails without a fault.
    pub fn of(self, name: &str, faults: &[Fault]) -> Vec<Row> {
        let operation = operation(name);
        let prepared = Sandbox::of(Program::UnderTest);
        (operation.prepare)(&prepared);
        let before = Before::of(&prepared).unwrap_or_else(|cause| panic!("{name}: {cause}"));
        let recordings = if self == Matrix::Whole { 4 } else { 2 };
        let recording =
            record(operation, &prepared, recordings).unwrap_or_else(|cause| panic!("{name}: {cause}"));
        faults
            .iter()
            .map(|fault| {
                let points = recording.points_of(*fault);
                let hidden = recording.hidden_of(*fault);
                let calls = points.len() + hidden.len();
                let begun = Instant::now();
                let (struck, missed, failures) =
                    strike_all(operation, &prepared, &before, *fault, self.chosen(points));
                let seconds = begun.elapsed().as_secs_f64();
                Row {
                    operation: operation.name,
                    fault: *fault,
                    calls,
                    struck,
                    missed,
                    hidden,
                    failures,
                    seconds,
                }
            })
            .collect()
    }

    fn chosen(self, points: Vec<Point>) -> Vec<Point> {
        match self {
            Matrix::Whole => points,
            Matrix::At(call) => points.into_iter().filter(|point| point.call == call).collect(),
            Matrix::Spread(most) if points.len() <= most => points,
            Matrix::Spread(most) => {
                (0..most).map(|place| points[(2 * place + 1) * points.len() / (2 * most)].clone()).collect()
            }
        }
    }
}

fn strike_all(
    operation: &Operation,
    prepared: &Sandbox,
    before: &Before,
    fault: Fault,
    points: Vec<Point>,
) -> (usize, Vec<Point>, Vec<String>) {
    let left = Mutex::new(points);
    let found = Mutex::new((0, Vec::new(), Vec::new()));
    let next = || left.lock().expect("no thread panics with it").pop();
    let work = || {
        while let Some(point) = next() {
            let struck = (0..TRIES).any(|_| {
                let sandbox = prepared.copied();
                let (ended, struck) = strike(operation, &sandbox, fault, &point);
                if struck == Struck::Elsewhere {
                    return false;
                }
                if let Err(cause) = check(operation, &sandbox, before, fault, &ended) {
                    let run = format!("{}, {} at {point}", operation.name, fault.name());
                    let mut found = found.lock().expect("no thread panics with it");
                    found.2.push(format!("{run}: {cause}\nthe struck run:\n{ended}"));
                }
                struck == Struck::There
            });
            let mut found = found.lock().expect("no thread panics with it");
            match struck {
                true => found.0 += 1,
                false => found.1.push(point),
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    found.into_inner().expect("no thread panics with it")
}

/// The rows as a markdown table.
pub fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| operation | fault | calls | struck | not reached | failed | seconds |\n|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        text.push_str(&format!(
            "| {} | {} | {} | {} | {} | {} | {:.0} |\n",
            row.operation,
            row.fault.name(),
            row.calls,
            row.struck,
            row.hidden.len() + row.missed.len(),
            row.failures.len(),
            row.seconds
        ));
    }
    let (calls, struck) = rows.iter().fold((0, 0), |sum, row| (sum.0 + row.calls, sum.1 + row.struck));
    text.push_str(&format!("\n{calls} calls, {struck} struck.\n"));
    let not_reached =
        |row: &Row| row.hidden.iter().chain(&row.missed).map(Point::to_string).collect::<Vec<_>>();
    for row in rows.iter().filter(|row| !not_reached(row).is_empty()) {
        text.push_str(&format!("{}, {}: {}\n", row.operation, row.fault.name(), not_reached(row).join("; ")));
    }
    text
}
