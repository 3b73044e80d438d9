//! `pki ca revoke`.

use server::ops::authority::CaRevoke;

use crate::{
    commands::view,
    context::Context,
    error::{CommandError, Outcome},
};

/// Revoke an issuing CA on the root's list
///
/// Everything it signed is worthless from then on. The current one can't be revoked: rotate first.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit code 9: revoked and enforced here, but the root's list waits for the root's key
(`pki crl publish --root --root-key FILE`).

Example:
  pki ca list
  pki ca revoke 3f9c01aa --reason cACompromise")]
pub struct Args {
    /// The authority's key identifier, or the beginning of it (8 digits or more)
    #[arg(value_name = "KEY-ID")]
    key_id: String,

    /// Why, in the words of RFC 5280
    #[arg(long, value_name = "REASON")]
    reason: Option<String>,
}

pub fn run(args: &Args, context: &mut Context) -> Result<Outcome, CommandError> {
    let now = context.now();
    let revoked =
        context.connect()?.call(CaRevoke { key_id: args.key_id.clone(), reason: args.reason.clone() })?;
    let row = std::slice::from_ref(&revoked.authority);
    context.output.reply(&revoked, |output| output.table(&view::authorities(row, now)))?;
    if revoked.already {
        context.output.say("it was revoked before");
    }
    Ok(view::publication(&revoked.publication, &mut context.output))
}
