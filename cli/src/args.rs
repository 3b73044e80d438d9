//! The command tree. A command's own arguments and help text are in its file of `commands/`.

use std::{path::PathBuf, str::FromStr, time::Duration};

use clap::{Args, Parser};

use crate::{commands::Command, duration};

/// A private certificate authority that one person can run
///
/// pki makes a root and an issuing CA, issues client and server certificates, revokes them at once,
/// publishes the revocation lists, and obtains certificates from public ACME authorities.
/// Every command works through the running service (`pki serve`) if there is one, and on the
/// directory itself if there is none.
#[derive(Debug, Parser)]
#[command(
    name = "pki",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = "Begin with `pki up`: it creates what is missing and serves it.",
    after_long_help = EXIT_HELP
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// The PKI's directory
    ///
    /// Without it: the variable PKI_DIR, else the system's service at /run/pki/pki.socket if there
    /// is one, else $XDG_DATA_HOME/pki or ~/.local/share/pki.
    #[arg(long, global = true, value_name = "DIR")]
    pub dir: Option<PathBuf>,

    /// The service of another machine, by the name that `pki remote add` gave it
    ///
    /// The command runs there, over HTTPS, with the client certificate of ~/.config/pki.
    #[arg(long, global = true, value_name = "NAME")]
    pub remote: Option<String>,

    /// Print one JSON document instead of text
    #[arg(long, global = true)]
    pub json: bool,

    /// How long to wait for another process that holds the PKI, like 30s or 5m
    #[arg(long, global = true, value_name = "TIME", default_value = "30s", value_parser = duration::parse)]
    pub wait: Duration,

    /// Print results, warnings and errors alone: no talk, no hints
    #[arg(short, long, global = true)]
    pub quiet: bool,

    /// File that holds the passphrase of the CA's keys
    ///
    /// It holds one line. Without it: the systemd credential `pki-passphrase`, else a prompt on
    /// the terminal when a passphrase is needed. It is never taken from the command line or from an
    /// environment variable, where others can read it.
    #[arg(long, global = true, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,

    /// When to use colours: auto, always or never
    ///
    /// `auto` means on a terminal, unless NO_COLOR is set.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", hide_default_value = true)]
    pub color: Color,

    /// Log to standard error what goes on (-vv for more)
    ///
    /// The variable PKI_LOG chooses in detail, like `info,store=debug`.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

impl Default for Global {
    fn default() -> Global {
        Global {
            dir: None,
            remote: None,
            json: false,
            wait: Duration::from_secs(30),
            quiet: false,
            passphrase_file: None,
            color: Color::Auto,
            verbose: 0,
        }
    }
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Color {
    /// Also in files and pipes.
    Always,
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Not at all.
    Never,
}

impl FromStr for Color {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Color, &'static str> {
        match text {
            "always" => Ok(Color::Always),
            "auto" => Ok(Color::Auto),
            "never" => Ok(Color::Never),
            _ => Err("expected auto, always or never"),
        }
    }
}

const EXIT_HELP: &str = "\
Begin with `pki up`: it creates what is missing and serves it.

Exit codes:
  0  done
  1  the answer is no: verify refused, doctor found an error, rows of a batch failed
  2  wrong arguments, or a request against policy
  3  no such certificate, authority, file or PKI
  4  it exists already, is ambiguous, or its state does not allow it
  5  this user may not
  6  another process holds the PKI, for now
  7  an ACME authority, a remote or the network failed
  8  the disk failed, or a defect of pki
  9  done and in force here, but what others see of it is not all in place yet";
