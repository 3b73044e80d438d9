//! `pki crl show|publish|verify`.

use clap::Subcommand;
use server::ops::crl::CrlShow;

use super::view;
use crate::{
    context::Context,
    error::{CommandError, Outcome},
};

mod publish;
mod verify;

/// Show, publish and verify revocation lists
#[derive(Debug, clap::Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Args {
    #[command(subcommand)]
    command: Sub,
}

#[derive(Debug, Subcommand)]
enum Sub {
    /// Show the lists as they are published
    Show,
    Publish(publish::Args),
    Verify(verify::Args),
}

pub fn run(args: Args, context: &mut Context) -> Result<Outcome, CommandError> {
    match args.command {
        Sub::Show => show(context),
        Sub::Publish(args) => publish::run(&args, context),
        Sub::Verify(args) => verify::run(&args, context),
    }
}

fn show(context: &mut Context) -> Result<Outcome, CommandError> {
    let now = context.now();
    let lists = context.connect()?.call(CrlShow {})?;
    context.output.reply(&lists, |output| output.table(&view::lists(&lists, now)))?;
    Ok(Outcome::Done)
}
