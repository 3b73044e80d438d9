//! `pki`, the program: turns words into operations and replies into words.
//!
//! [`main`] parses the arguments, runs one command and returns its exit code; it never ends the
//! process itself. A command lives in one file of `commands/`, with its arguments and their help.
//! Everything that needs the PKI goes through `connect`: a running service's socket, or the same
//! operations in process. This crate refuses to know how anything is signed or stored.

mod archive;
mod args;
mod batch;
mod client;
mod commands;
mod connect;
mod context;
mod duration;
mod enrolled;
mod environment;
mod error;
mod exec;
mod files;
mod hygiene;
mod issuance;
mod logging;
mod output;
mod passphrase;
mod pem;
mod provision;
pub mod reading;
pub mod reference;
mod root_key;
mod signals;
mod timer;

use std::{ffi::OsString, process::ExitCode};

use clap::{CommandFactory, FromArgMatches, error::ErrorKind};

use args::{Cli, Global};
use context::Context;
pub use environment::Environment;
pub use error::EXIT_CODES;
use error::{CommandError, Outcome};
pub use output::Stream;
use output::{Format, Manner, Output, Paint, Talk};

/// Runs one command: the first argument is the program's name.
pub fn main(args: impl IntoIterator<Item = OsString>, environment: Environment) -> ExitCode {
    hygiene::keep_secrets_in();
    let args: Vec<OsString> = args.into_iter().collect();
    let parsed = Cli::command().try_get_matches_from(&args).and_then(|matches| {
        let words = words(&matches);
        Cli::from_arg_matches(&matches).map(|cli| (cli, words))
    });
    let code = match parsed {
        Ok((cli, words)) => run(cli, &words, environment),
        Err(error) => explain(&error, &args, &environment),
    };
    ExitCode::from(code)
}

/// The words that call a command, like `trust add`.
fn words(matches: &clap::ArgMatches) -> String {
    let mut words = Vec::new();
    let mut next = matches.subcommand();
    while let Some((word, below)) = next {
        words.push(word);
        next = below.subcommand();
    }
    words.join(" ")
}

fn run(cli: Cli, words: &str, environment: Environment) -> u8 {
    let output = Output::of_the_process(manner(&cli.global, &environment));
    logging::start(&cli.global, &environment);
    let mut context = Context { environment, global: cli.global, output };
    let ended = cli.command.run(&mut context).and_then(|outcome| {
        context.output.flush()?;
        Ok(outcome)
    });
    match ended {
        Ok(outcome) => outcome.exit_code(),
        Err(error) => {
            context.output.failed(words, &error);
            error.kind.exit_code()
        }
    }
}

/// Shows help, the version, or what is wrong with the arguments.
fn explain(error: &clap::Error, args: &[OsString], environment: &Environment) -> u8 {
    let asked_for = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    // The arguments did not parse, so the choices among them are looked for by hand.
    let global = Global {
        json: args.iter().any(|arg| arg == "--json"),
        color: args
            .windows(2)
            .find_map(|pair| (pair[0] == "--color").then(|| pair[1].to_str()?.parse().ok()).flatten())
            .or_else(|| args.iter().find_map(|arg| arg.to_str()?.strip_prefix("--color=")?.parse().ok()))
            .unwrap_or_default(),
        ..Global::default()
    };
    let manner = manner(&global, environment);
    let mut output = Output::of_the_process(manner);
    if asked_for {
        let text = match manner.data_paint {
            Paint::On => error.render().ansi().to_string(),
            Paint::Off => error.render().to_string(),
        };
        let _ = output.raw(text.as_bytes()).and_then(|()| output.flush());
        return Outcome::Done.exit_code();
    }
    let failure = usage_error(error);
    output.error(&failure);
    failure.kind.exit_code()
}

/// Clap's words in our form: the sentence, then the tip and the usage as hints.
fn usage_error(error: &clap::Error) -> CommandError {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return CommandError::usage("a command is missing").hint("`pki --help` lists them");
    }
    let text = error.render().to_string();
    let mut paragraphs = text.split("\n\n").map(|paragraph| {
        paragraph.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
    });
    let sentence = paragraphs.next().unwrap_or_default();
    let mut failure = CommandError::usage(sentence.trim_start_matches("error: "));
    for paragraph in paragraphs {
        if let Some(tip) = paragraph.strip_prefix("tip: ") {
            failure = failure.hint(tip);
        } else if let Some(usage) = paragraph.strip_prefix("Usage: ") {
            failure = failure.hint(format!("usage: {usage}"));
        } else if paragraph.starts_with('[') {
            failure.message = format!("{} {paragraph}", failure.message);
        } else if !paragraph.is_empty() {
            let hint = paragraph.trim_end_matches('.');
            let more = hint.strip_prefix("For more information, try '--help'").map(|_| "`--help` says more");
            failure = failure.hint(more.unwrap_or(hint));
        }
    }
    failure
}

fn manner(global: &Global, environment: &Environment) -> Manner {
    let paint = |stream: Stream| match (global.color, stream) {
        (args::Color::Always, _) => Paint::On,
        (args::Color::Never, _) | (args::Color::Auto, Stream::Other) => Paint::Off,
        (args::Color::Auto, Stream::Terminal { .. }) => {
            let dumb = environment.variable("TERM").is_some_and(|terminal| terminal == "dumb");
            // https://no-color.org: set and not empty.
            if dumb || environment.variable("NO_COLOR").is_some() { Paint::Off } else { Paint::On }
        }
    };
    Manner {
        format: if global.json { Format::Json } else { Format::Human },
        talk: if global.quiet { Talk::Quiet } else { Talk::Usual },
        data: environment.output,
        speech: environment.speech,
        data_paint: paint(environment.output),
        speech_paint: paint(environment.speech),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refuse(args: &[&str]) -> CommandError {
        let matches = Cli::command().try_get_matches_from(args);
        usage_error(&matches.unwrap_err())
    }

    #[test]
    fn the_command_tree_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn usage_errors_are_sentences_with_hints() {
        let error = refuse(&["pki", "lst"]);
        assert_eq!(error.message, "unrecognized subcommand 'lst'");
        assert!(error.hints.iter().any(|hint| hint.contains("'list'")), "{error:?}");
        let error = refuse(&["pki", "revoke"]);
        assert!(
            error.message.starts_with("the following required arguments were not provided:"),
            "{error:?}"
        );
        assert!(error.hints.iter().any(|hint| hint.starts_with("usage: pki revoke")), "{error:?}");
        for error in
            [refuse(&["pki"]), refuse(&["pki", "crl"]), refuse(&["pki", "list", "--expiring", "soon"])]
        {
            assert!(!error.message.is_empty() && !error.hints.is_empty(), "{error:?}");
            assert!(!error.message.ends_with('.') && !error.message.contains('\n'), "{error:?}");
        }
    }
}
