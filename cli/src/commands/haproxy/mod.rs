//! `pki haproxy render|check`.

use clap::Subcommand;

use crate::{
    context::Context,
    error::{CommandError, Outcome},
};

mod check;
mod render;

/// Configure HAProxy in front, and keep it fresh
#[derive(Debug, clap::Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Args {
    #[command(subcommand)]
    command: Sub,
}

#[derive(Debug, Subcommand)]
enum Sub {
    Render(render::Args),
    Check(check::Args),
}

pub fn run(args: Args, context: &mut Context) -> Result<Outcome, CommandError> {
    match args.command {
        Sub::Render(args) => render::run(args, context),
        Sub::Check(args) => check::run(&args, context),
    }
}
