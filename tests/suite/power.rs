//! "The power may go at any moment. What I was told has happened."
//!
//! The short form opens some of the states that a power cut may leave; `tests/full` opens all of
//! them and prints the table of `docs/faults.md`. The variable `PKI_FAULTS` holds it to some
//! operations, as in `PKI_FAULTS=revoke`.

use tests::faults::{Extent, PowerRow, Run, power_cuts, power_table, sealing_power_cuts};

const OPERATIONS: [&str; 3] = ["issue-client", "revoke", "crl publish"];
/// Run alone only.
const FURTHER: [&str; 4] = ["issue-server", "release", "ca rotate", "config set"];

fn judge(rows: &[PowerRow]) {
    let failures: Vec<&str> =
        rows.iter().flat_map(|row| row.failures.iter().take(5)).map(String::as_str).collect();
    assert!(failures.is_empty(), "{}\n{}", failures.join("\n\n"), power_table(rows));
    for row in rows {
        assert!(row.states > 100 && row.opened[0] > 0, "too few states:\n{}", power_table(rows));
    }
}

#[test]
fn some_power_cuts() {
    let extent = Extent { states: 120, shipped: 2 };
    let served = power_cuts("issue-client", Run::Served, extent);
    let again = power_cuts("issue-client", Run::Again, extent);
    let alone = OPERATIONS.map(|name| power_cuts(name, Run::Alone, extent));
    let sealed = sealing_power_cuts(Run::Alone, extent);
    judge(&alone.into_iter().chain([served, again, sealed]).collect::<Vec<_>>());
}

#[test]
#[ignore = "tests/full: every state that a power cut may leave"]
#[expect(clippy::print_stdout, reason = "the table is what one runs it for")]
fn every_power_cut() {
    let wanted = std::env::var("PKI_FAULTS").ok();
    let wanted: Option<Vec<&str>> = wanted.as_deref().map(|names| names.split(',').collect());
    let extent = Extent { states: usize::MAX, shipped: 60 };
    let all = OPERATIONS.map(|name| (name, &[Run::Alone, Run::Served, Run::Again][..]));
    let further = FURTHER.map(|name| (name, &[Run::Alone][..]));
    let mut rows = Vec::new();
    if wanted.as_ref().is_none_or(|names| names.contains(&"store")) {
        rows.extend([Run::Alone, Run::Again].map(|run| sealing_power_cuts(run, extent)));
        println!("{}", power_table(&rows));
    }
    for (name, runs) in all.into_iter().chain(further) {
        if wanted.as_ref().is_some_and(|names| !names.contains(&name)) {
            continue;
        }
        for run in runs {
            rows.push(power_cuts(name, *run, extent));
            println!("{}", power_table(&rows[rows.len() - 1..]));
        }
    }
    assert!(!rows.is_empty(), "no such operation");
    println!("{}", power_table(&rows));
    judge(&rows);
}
