//! Faults on purpose: an operation is stopped at every call that changes the disk, and the PKI must be whole.
//!
//! `operations`, `succession`, `admission`, `elsewhere` and `ordering` are tables of operations; a new one is one row. `proof` has what they judge by.
//! `strike` runs an operation under
//! strace: a few times to record its calls, then once for each call with a fault injected at it; `trace` tells
//! the calls apart. `check`
//! opens what is left and holds it against the invariants I1–I5. `matrix` does this for many points
//! and makes the table in `docs/faults.md`. `power` replays a recorded run into every disk that a power cut
//! may leave.
//!
//! It refuses to count a point as tested whose fault did not happen: such points are told apart as
//! not reached.

mod admission;
mod check;
mod elsewhere;
mod matrix;
mod operation;
mod operations;
mod ordering;
mod power;
mod proof;
mod strike;
mod succession;
mod trace;

pub use check::{Before, check};
pub use matrix::{Matrix, Row, table};
pub use operation::{Doing, Operation};
pub use power::{Extent, PowerRow, Run, power_cuts, power_table, sealing_power_cuts, serve_commits};
pub use strike::record;
pub use trace::{Fault, Name, Point, Recording};

/// Every operation that the matrix covers.
pub fn all_operations() -> impl Iterator<Item = &'static Operation> {
    let certificates = operations::OPERATIONS.iter().chain(&succession::OPERATIONS);
    certificates.chain(&admission::OPERATIONS).chain(&elsewhere::OPERATIONS).chain(&ordering::OPERATIONS)
}

/// The operation of this name.
///
/// # Panics
/// If there is none.
pub fn operation(name: &str) -> &'static Operation {
    let found = all_operations().find(|operation| operation.name == name);
    found.unwrap_or_else(|| panic!("no operation {name}"))
}
