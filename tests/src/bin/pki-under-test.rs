//! `pki` with a cheap scrypt, so that tests with many passphrases take seconds. Nothing else differs.

use std::process::ExitCode;

fn main() -> ExitCode {
    let environment =
        cli::Environment { scrypt: ca::key::ScryptCost::CHEAP, ..cli::Environment::of_the_process() };
    cli::main(std::env::args_os(), environment)
}
