//! `pki remote add|list|show|remove|repin`.

use clap::Subcommand;

use crate::{
    context::Context,
    error::{CommandError, Outcome},
};

mod add;
mod contact;
mod known;
mod repin;
mod view;

/// Look after the services of other machines that `pki --remote` works with
///
/// A service is verified by the authorities of ~/.config/pki/client.ca or of the system; one that they do
/// not know is trusted on first sight, after its fingerprint was compared, and then only with that very
/// certificate. The service in turn knows us by ~/.config/pki/client.crt, which is made when it is first
/// needed, and trusts it for a token that `pki trust add NAME` makes there.
#[derive(Debug, clap::Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "\
Examples:
  pki remote add office TOKEN
  pki remote add office ca.example.org
  pki --remote office list
  pki remote repin office"
)]
pub struct Args {
    #[command(subcommand)]
    command: Sub,
}

#[derive(Debug, Subcommand)]
enum Sub {
    Add(add::Args),
    List(known::ListArgs),
    Show(known::ShowArgs),
    Remove(known::RemoveArgs),
    Repin(repin::Args),
}

pub fn run(args: Args, context: &mut Context) -> Result<Outcome, CommandError> {
    if context.global.remote.is_some() {
        return Err(CommandError::usage("`pki remote` works with what this machine knows")
            .hint("leave --remote away; the remote's name is an argument"));
    }
    match args.command {
        Sub::Add(args) => add::run(&args, context),
        Sub::List(args) => known::list(&args, context),
        Sub::Show(args) => known::show(&args, context),
        Sub::Remove(args) => known::remove(&args, context),
        Sub::Repin(args) => repin::run(&args, context),
    }
}
