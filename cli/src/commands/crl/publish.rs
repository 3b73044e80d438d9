//! `pki crl publish`.

use server::ops::crl::CrlPublish;

use crate::{
    commands::view,
    context::Context,
    error::{CommandError, Outcome},
};

/// Sign and place new lists
///
/// The service does so by itself; this is for after a failure, and for the root's list when its key
/// is kept elsewhere.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pki crl publish                                 the issuing CAs' lists
  pki crl publish --root                          the root's list too
  pki crl publish --root --root-key /mnt/root.key the root's list, with its key from a medium")]
pub struct Args {
    /// The root's list too
    #[arg(long)]
    root: bool,
}

pub fn run(args: &Args, context: &mut Context) -> Result<Outcome, CommandError> {
    let now = context.now();
    let lists = context.connect()?.call(CrlPublish { root: args.root })?;
    context.output.reply(&lists, |output| output.table(&view::lists(&lists, now)))?;
    Ok(Outcome::Done)
}
