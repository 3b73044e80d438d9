//! `pki completions`.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::{
    args::Cli,
    context::Context,
    error::{CommandError, Outcome},
};

/// Print a shell's completion script
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pki completions bash > /etc/bash_completion.d/pki
  pki completions zsh > ~/.zfunc/_pki
  pki completions fish > ~/.config/fish/completions/pki.fish")]
pub struct Args {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

pub fn run(args: &Args, context: &mut Context) -> Result<Outcome, CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "pki", &mut script);
    context.output.raw(&script)?;
    Ok(Outcome::Done)
}
