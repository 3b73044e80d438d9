//! Measures `pki`, as it lies beside this program; `tests/bench` builds both and calls it.

use std::process::ExitCode;

fn main() -> ExitCode {
    tests::bench::main(std::env::args().skip(1))
}
