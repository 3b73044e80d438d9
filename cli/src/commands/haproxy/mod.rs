//! `pki haproxy render|check|sync|status`.

use clap::Subcommand;

use crate::{
    context::Context,
    error::{CommandError, Outcome},
};

mod check;
mod render;
mod tell;

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
    /// Bring every running HAProxy to what it should be, and prove it
    ///
    /// Revocations first, then certificates, over the sockets of haproxy.instances; a reload by the
    /// master's socket where that does not help. The service does the same by itself at every change.
    #[command(after_help = "\
Exit code 1 if a step failed; it says which.

Examples:
  pki config set haproxy.instances '/run/haproxy/admin.sock master=/run/haproxy-master.sock'
  pki haproxy sync")]
    Sync,
    /// Show what every running HAProxy has: certificates, revocations, lists, backends
    #[command(after_help = "\
Exit code 1 if one can't be reached, or has something else than it should.

Examples:
  pki haproxy status
  pki haproxy status --json | jq '.[].certificates[] | select(.on_disk != .served)'")]
    Status,
}

pub fn run(args: Args, context: &mut Context) -> Result<Outcome, CommandError> {
    match args.command {
        Sub::Render(args) => render::run(args, context),
        Sub::Check(args) => check::run(&args, context),
        Sub::Sync => tell::sync(context),
        Sub::Status => tell::status(context),
    }
}
