//! The reference in `docs/reference/`, rendered from the command tree, the exit codes and the
//! settings, so that it cannot drift from the program. A test compares what is checked in.

use std::fmt::Write;

use clap::{Arg, Command, CommandFactory};
use server::settings::Setting;

use crate::{args::Cli, error::EXIT_CODES};

/// `docs/reference/commands.md`: every command with its options.
pub fn commands() -> String {
    let mut tree = Cli::command().term_width(96);
    tree.build();
    let mut text = String::from(
        "# Commands\n\nRendered from the program (`pki reference commands`); do not edit.\n\n\
         Every command takes the [global options](#global-options). Exit codes are in [exit-codes.md](exit-codes.md).\n",
    );
    let globals: Vec<&Arg> = tree.get_arguments().filter(|arg| arg.is_global_set()).collect();
    text.push_str("\n## Global options\n");
    options(&mut text, &globals);
    for command in visible(&tree) {
        describe(&mut text, command, &format!("pki {}", command.get_name()), 2);
    }
    text
}

/// `docs/reference/exit-codes.md`.
pub fn exit_codes() -> String {
    let mut text = String::from(
        "# Exit codes\n\nRendered from the program (`pki reference exit-codes`); do not edit.\n\n\
         | code | name | meaning |\n|---|---|---|\n",
    );
    for (code, name, meaning) in EXIT_CODES {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| {code} | {name} | {meaning} |");
    }
    text.push_str(
        "\nWith `--json` an error is one JSON object on standard error: `error`, with its `kind`, `message`, `causes` and \
         `hints`, and `exit_code`. A wrong passphrase is 5.\n",
    );
    text
}

/// `docs/reference/settings.md`.
pub fn settings() -> String {
    let mut text = String::from(
        "# Settings\n\nRendered from the program (`pki reference settings`); do not edit.\n\n\
         `pki config list` shows what is in force, `pki config set KEY VALUE` and `pki config unset KEY` change it at once.\n\n\
         | setting | value | default | meaning |\n|---|---|---|---|\n",
    );
    for setting in Setting::ALL {
        let default =
            setting.default().value().map_or_else(|| "off".to_string(), |value| format!("`{value}`"));
        let _ =
            writeln!(text, "| `{}` | {} | {default} | {} |", setting.name(), setting.kind(), setting.help());
    }
    text
}

fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|child| !child.is_hide_set() && child.get_name() != "help")
}

fn describe(text: &mut String, command: &Command, name: &str, level: usize) {
    let _ = write!(text, "\n{} {name}\n\n", "#".repeat(level.min(4)));
    let about = command.get_long_about().or(command.get_about());
    if let Some(about) = about {
        let _ = writeln!(text, "{about}");
    }
    let usage = command.clone().render_usage().to_string();
    let _ = write!(text, "\n```text\n{}\n```\n", usage.trim_start_matches("Usage: "));
    let own: Vec<&Arg> = command
        .get_arguments()
        .filter(|arg| !arg.is_global_set() && !arg.is_hide_set() && arg.get_id() != "help")
        .collect();
    options(text, &own);
    if let Some(after) = command.get_after_long_help().or(command.get_after_help()) {
        let _ = write!(text, "\n```text\n{after}\n```\n");
    }
    for child in visible(command) {
        describe(text, child, &format!("{name} {}", child.get_name()), level + 1);
    }
}

fn options(text: &mut String, arguments: &[&Arg]) {
    if arguments.is_empty() {
        return;
    }
    text.push('\n');
    for argument in arguments {
        let about =
            argument.get_long_help().or(argument.get_help()).map(ToString::to_string).unwrap_or_default();
        let about = one_paragraph(&about);
        let defaults: Vec<String> =
            argument.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
        let shows = !defaults.is_empty() && argument.get_action().takes_values();
        let default = if shows { format!(" (default: `{}`)", defaults.join(",")) } else { String::new() };
        let _ = writeln!(text, "- `{}` {about}{default}", signature(argument));
    }
}

/// Paragraphs as sentences of one.
fn one_paragraph(text: &str) -> String {
    let paragraphs = text.split("\n\n").map(|paragraph| {
        let words = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
        words.trim_end_matches('.').to_string()
    });
    paragraphs.collect::<Vec<_>>().join(". ")
}

/// How an argument is typed: `-q, --quiet`, `--out <DIR>`, `<NAME>`.
fn signature(argument: &Arg) -> String {
    let shown = argument.to_string();
    match (argument.get_short(), argument.get_long()) {
        (Some(short), Some(long)) => format!(
            "-{short}, {}",
            shown.replacen(&format!("-{short}"), &format!("--{long}"), usize::from(!shown.starts_with("--")))
        ),
        (Some(_), None) | (None, Some(_) | None) => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_in_the_reference() {
        let text = commands();
        for name in
            ["pki issue-client", "pki ca rotate", "pki acme issue", "pki config set", "pki audit verify"]
        {
            assert!(text.contains(&format!(" {name}\n")), "{name}");
        }
        assert!(text.contains("- `-q, --quiet` "), "{text}");
        assert!(text.contains("- `--days <N>` "), "{text}");
        assert!(exit_codes().contains("| 9 | not published |"));
        assert!(settings().contains("`core.public_url`"));
    }
}
