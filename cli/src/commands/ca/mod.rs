//! `pki ca list|rotate|sign-issuing|install|revoke|root-offline`.

use clap::Subcommand;
use server::ops::authority::CaList;

use super::view;
use crate::{
    context::Context,
    error::{CommandError, Outcome},
};

mod install;
mod revoke;
mod root_offline;
mod rotate;
mod sign_issuing;

/// Look after the authorities: the root and the issuing CAs
#[derive(Debug, clap::Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "\
A rotation with the root's key elsewhere, in three steps:
  here       pki ca rotate --csr-out next.csr
  elsewhere  pki ca sign-issuing next.csr --root-cert root.crt --root-key root.key --out next.crt
  here       pki ca install next.crt"
)]
pub struct Args {
    #[command(subcommand)]
    command: Sub,
}

#[derive(Debug, Subcommand)]
enum Sub {
    /// List every generation
    List,
    Rotate(rotate::Args),
    SignIssuing(sign_issuing::Args),
    Install(install::Args),
    Revoke(revoke::Args),
    RootOffline(root_offline::Args),
}

pub fn run(args: Args, context: &mut Context) -> Result<Outcome, CommandError> {
    match args.command {
        Sub::List => list(context),
        Sub::Rotate(args) => rotate::run(&args, context),
        Sub::SignIssuing(args) => sign_issuing::run(&args, context),
        Sub::Install(args) => install::run(&args, context),
        Sub::Revoke(args) => revoke::run(&args, context),
        Sub::RootOffline(args) => root_offline::run(&args, context),
    }
}

fn list(context: &mut Context) -> Result<Outcome, CommandError> {
    let now = context.now();
    let authorities = context.connect()?.call(CaList {})?;
    context.output.reply(&authorities, |output| output.table(&view::authorities(&authorities, now)))?;
    Ok(Outcome::Done)
}
