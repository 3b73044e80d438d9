//! `pki trust remove`.

use server::ops::trust::remove::TrustRemove;

use crate::{
    commands::{selector::select, view},
    context::Context,
    error::{CommandError, Kind, Outcome},
};

/// Trust somebody no more, at once
///
/// When the command returns, the client is refused on new connections and on those that are open, and
/// stays refused: under a renewed certificate, with a token, whoever signed it. Only `pki trust add`
/// lets it in again. A certificate that has no entry is denied by its file.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pki trust remove alice
  pki trust remove 4a3f9c                by the beginning of a fingerprint
  pki trust remove alice --revoke        and revoke its certificate, if it is one of ours
  pki trust remove stranger.crt          also if it has no entry")]
pub struct Args {
    /// Its name, the beginning of a fingerprint, or a certificate's file
    #[arg(value_name = "NAME|FINGERPRINT|FILE")]
    which: String,

    /// Revoke its certificates too, as far as they are ours
    #[arg(long)]
    revoke: bool,

    /// Why it is revoked, in the words of RFC 5280
    #[arg(long, value_name = "REASON", requires = "revoke")]
    reason: Option<String>,
}

pub fn run(args: &Args, context: &mut Context) -> Result<Outcome, CommandError> {
    let which = select(&args.which, context)?;
    let remove = TrustRemove { which, revoke: args.revoke, reason: args.reason.clone() };
    let removed = context.connect()?.call(remove).map_err(|error| match error.kind {
        Kind::NotFound => CommandError { hints: Vec::new(), ..error }
            .hint("`pki trust list` shows who is trusted")
            .hint("a certificate that has no entry is denied by its file"),
        _ => error,
    })?;
    context.output.reply(&removed, |output| {
        for serial in &removed.revoked {
            output.line(&format!("revoked {serial}"))?;
        }
        Ok(())
    })?;
    context.output.say(&format!("{} is not trusted any more", removed.name));
    if args.revoke && removed.revoked.is_empty() {
        context.output.warn("nothing was revoked: none of its certificates is ours");
    }
    Ok(match &removed.publication {
        Some(publication) => view::publication(publication, &mut context.output),
        None => Outcome::Done,
    })
}
