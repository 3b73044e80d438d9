//! `pki release`.

use server::ops::revoke::Release;

use super::{selector::select, view};
use crate::{
    context::Context,
    error::{CommandError, Outcome},
};

/// Lift a certificateHold
///
/// Only a certificate revoked with `--reason certificateHold` can be released.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pki revoke alice --reason certificateHold
  pki release alice")]
pub struct Args {
    /// Name, serial, fingerprint or file
    #[arg(value_name = "NAME|SERIAL|FILE")]
    which: String,
}

pub fn run(args: &Args, context: &mut Context) -> Result<Outcome, CommandError> {
    let now = context.now();
    let selector = select(&args.which, context)?;
    let released = context.connect()?.call(Release { selector })?;
    let row = std::slice::from_ref(&released.certificate);
    context.output.reply(&released, |output| output.table(&view::certificates(row, now)))?;
    Ok(view::publication(&released.publication, &mut context.output))
}
