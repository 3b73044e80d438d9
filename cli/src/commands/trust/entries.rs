//! `pki trust list`, `pki trust show`.

use server::ops::trust::list::{TrustList, TrustShow};

use super::view;
use crate::{
    context::Context,
    error::{CommandError, Outcome},
};

/// List who is trusted
///
/// STATUS says whether it would be let in now: an entry whose certificate has expired or was revoked is
/// still listed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pki trust list
  pki trust list --json")]
pub struct ListArgs {}

pub fn list(_: &ListArgs, context: &mut Context) -> Result<Outcome, CommandError> {
    let now = context.now();
    let entries = context.connect()?.call(TrustList {})?;
    context.output.reply(&entries, |output| {
        if entries.is_empty() {
            output.say("nobody is trusted by name");
            output.hint("`pki trust add NAME` makes a token for a client");
            return Ok(());
        }
        output.table(&view::entries(&entries, now))
    })?;
    Ok(Outcome::Done)
}

/// Show one entry whole
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pki trust show alice
  pki trust show 4a3f9c         by the beginning of a fingerprint
  pki trust show alice --pem    its certificate alone, PEM")]
pub struct ShowArgs {
    /// Its name, or the beginning of a fingerprint
    #[arg(value_name = "NAME|FINGERPRINT")]
    which: String,

    /// Print only the certificate, PEM
    #[arg(long)]
    pem: bool,
}

pub fn show(args: &ShowArgs, context: &mut Context) -> Result<Outcome, CommandError> {
    let now = context.now();
    let entry = context.connect()?.call(TrustShow { word: args.which.clone() })?;
    context.output.reply(&entry, |output| match (args.pem, &entry.certificate) {
        (true, Some(pem)) => output.raw(pem.as_bytes()),
        (true, None) => Err(CommandError::not_found(format!("{} has no certificate", entry.name))
            .hint("it is a user of this machine")),
        (false, _) => output.fields(view::fields(&entry, now)),
    })?;
    Ok(Outcome::Done)
}
