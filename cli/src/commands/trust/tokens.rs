//! `pki trust list-tokens`, `pki trust revoke-token`.

use server::ops::trust::token::{TokenList, TokenRevoke};

use super::view;
use crate::{
    context::Context,
    error::{CommandError, Outcome},
};

/// List the tokens that nobody has redeemed yet
///
/// The tokens themselves can't be shown again: only a hash of each is kept.
#[derive(Debug, clap::Args)]
pub struct ListArgs {}

pub fn list(_: &ListArgs, context: &mut Context) -> Result<Outcome, CommandError> {
    let now = context.now();
    let tokens = context.connect()?.call(TokenList {})?;
    context.output.reply(&tokens, |output| {
        if tokens.is_empty() {
            output.say("no tokens");
            return Ok(());
        }
        output.table(&view::tokens(&tokens, now))
    })?;
    Ok(Outcome::Done)
}

/// Take a token back
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pki trust revoke-token alice
  pki trust revoke-token 1f3a9c02     by the beginning of its id")]
pub struct RevokeArgs {
    /// The name of its client, or the beginning of its id
    #[arg(value_name = "NAME|ID")]
    which: String,
}

pub fn revoke(args: &RevokeArgs, context: &mut Context) -> Result<Outcome, CommandError> {
    let revoked = context.connect()?.call(TokenRevoke { word: args.which.clone() })?;
    context.output.reply(&revoked, |output| {
        output.say(&format!("the token for {} is worth nothing any more", revoked.name));
        Ok(())
    })?;
    Ok(Outcome::Done)
}
