//! `pki`: hands the process's arguments and environment to [`cli::main`].

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main(std::env::args_os(), cli::Environment::of_the_process())
}
