//! "Whatever stops it, nothing that was answered is lost, and I can say it again."
//!
//! The short form strikes a few evenly spread points of every operation. The whole matrix
//! (`tests/full`) strikes every one and prints the table of `docs/faults.md`; the variable
//! `PKI_FAULTS` holds both to some operations, as in `PKI_FAULTS=issue-client,revoke`.

use tests::faults::{Doing, Fault, Matrix, Operation, Row, all_operations, table};

const FAULTS: [Fault; 3] = [Fault::Kill, Fault::SyncFails, Fault::DiskFull];

/// The operations that are asked for.
fn wanted() -> Vec<&'static Operation> {
    let names = std::env::var("PKI_FAULTS").ok();
    let names: Option<Vec<&str>> = names.as_deref().map(|names| names.split(',').collect());
    let is_wanted =
        |operation: &&Operation| names.as_ref().is_none_or(|names| names.contains(&operation.name));
    let wanted: Vec<_> = all_operations().filter(is_wanted).collect();
    assert!(!wanted.is_empty(), "no such operation");
    wanted
}

fn judge(rows: &[Row]) {
    let failures: Vec<&str> = rows.iter().flat_map(|row| &row.failures).map(String::as_str).collect();
    assert!(failures.is_empty(), "{}\n{}", failures.join("\n\n"), table(rows));
}

#[test]
fn a_few_points_of_every_operation() {
    let mut rows = Vec::new();
    // What is done at an authority has a test of its own.
    let held = |operation: &&&Operation| !matches!(operation.doing, Doing::Ordered { .. });
    for (number, operation) in wanted().iter().filter(held).enumerate() {
        // A service has to be started.
        let slow = matches!(operation.doing, Doing::Served(_));
        let other = if number % 2 == 0 { Fault::SyncFails } else { Fault::DiskFull };
        rows.extend(Matrix::Spread(if slow { 1 } else { 2 }).of(operation.name, &[Fault::Kill, other]));
    }
    // A single point may be a call that the index's own thread makes in one run and not in the next.
    for operation in wanted().iter().filter(held) {
        let struck: usize =
            rows.iter().filter(|row| row.operation == operation.name).map(|row| row.struck).sum();
        assert!(struck > 0, "{}: no fault happened", operation.name);
    }
    judge(&rows);
}

/// The same certificate, and one alone, at whichever call the command was killed.
#[test]
fn an_issuance_is_finished_by_the_same_command_wherever_it_was_killed() {
    let rows = Matrix::Whole.of("issue-client", &[Fault::Kill]);
    // The index's own threads write when they like: not every run makes these calls.
    assert!(rows.iter().all(|row| row.calls > 40 && row.struck + 3 >= row.calls), "{}", table(&rows));
    judge(&rows);
}

/// Each step of an order is a commit: at whichever of them the service is killed, the authority sees one account
/// and one order, and the account keeps a key that it knows.
#[test]
fn an_order_is_finished_once_wherever_the_service_was_killed() {
    for (name, least) in [("acme issue by a service", 6), ("acme account roll-key by a service", 2)] {
        let rows = Matrix::At("fdatasync").of(name, &[Fault::Kill]);
        assert!(rows.iter().all(|row| row.struck >= least), "{}", table(&rows));
        judge(&rows);
    }
}

#[test]
#[ignore = "tests/full: every call of every operation"]
#[expect(clippy::print_stdout, reason = "the table is what one runs it for")]
fn every_point_of_every_operation() {
    let mut rows = Vec::new();
    for operation in wanted() {
        rows.extend(Matrix::Whole.of(operation.name, &FAULTS));
    }
    println!("{}", table(&rows));
    judge(&rows);
}
