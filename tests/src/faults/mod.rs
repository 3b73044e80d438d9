//! Faults on purpose: an operation is stopped at every call that changes the disk, and the PKI must be whole.
//!
//! `operation` is the table of operations; a new one is one row. `trace` runs an operation under
//! strace: once to record its calls, then once for each call with a fault injected at it. `check`
//! opens what is left and holds it against the invariants I1–I5. `matrix` does this for many points
//! and makes the table in `docs/faults.md`. `power` replays a recorded run into every disk that a power cut
//! may leave.
//!
//! It refuses to count a point as tested whose fault did not happen: such points are told apart as
//! not reached.

mod check;
mod matrix;
mod operation;
mod power;
mod trace;

pub use check::{Before, check};
pub use matrix::{Matrix, Row, table};
pub use operation::{OPERATIONS, Operation};
pub use power::{Extent, PowerRow, Run, power_cuts, power_table, sealing_power_cuts, serve_commits};
pub use trace::{Fault, Point, Recording, record};
