//! `pki set` and `pki get`: settings, and the passphrase, in Multipass's manner.

use server::ops::{
    config::ConfigSet,
    local::{PassphraseSet, PassphraseShow},
    phrase::Phrase,
};

use super::config;
use crate::{
    context::Context,
    error::{CommandError, Outcome},
    passphrase,
};

/// The passphrase is no setting: only its hash is kept, and nobody reads it back.
const PASSPHRASE: &str = "local.passphrase";

/// Set a setting, or the passphrase of local users
///
/// The same as `pki config set`. `KEY=` with nothing behind it goes back to the default.
/// `local.passphrase` alone asks for it twice, unseen, and nothing is said when it is set.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pki set local.passphrase             asks for it twice
  pki set local.passphrase=            nobody is let in by it any more
  pki set core.remote_token_expiry=2d")]
pub struct SetArgs {
    /// The setting, and its new value
    #[arg(value_name = "KEY[=VALUE]")]
    pair: String,
}

pub fn set(args: &SetArgs, context: &mut Context) -> Result<Outcome, CommandError> {
    let (key, value) = match args.pair.split_once('=') {
        Some((key, value)) => (key, Some(value)),
        None => (args.pair.as_str(), None),
    };
    if key == PASSPHRASE {
        return set_passphrase(value, context);
    }
    let value = match value {
        None => {
            return Err(
                CommandError::usage(format!("what shall {key} be?")).hint(format!("pki set {key}=VALUE"))
            );
        }
        Some("") => None,
        Some(value) => Some(config::read(key, value.to_string(), context)?),
    };
    let setting = context.connect()?.call(ConfigSet { key: key.to_string(), value })?;
    config::report(&setting, context)?;
    Ok(Outcome::Done)
}

fn set_passphrase(value: Option<&str>, context: &mut Context) -> Result<Outcome, CommandError> {
    let connection = context.connect()?;
    // Whoever may not set it is told before they type it twice.
    connection.call(PassphraseShow {})?;
    let passphrase = match value {
        Some("") => None,
        Some(value) => Some(Phrase::new(value.to_string())),
        None => {
            let first = passphrase::ask_text("Please enter passphrase", &context.environment)?;
            let second = passphrase::ask_text("Please re-enter passphrase", &context.environment)?;
            if *first != *second {
                return Err(CommandError::usage("Passphrases do not match").hint("try again"));
            }
            (!first.is_empty()).then(|| first.into())
        }
    };
    let view = connection.call(PassphraseSet { passphrase })?;
    // As Multipass: nothing is said when it is done.
    context.output.reply(&view, |_| Ok(()))?;
    Ok(Outcome::Done)
}

/// Print a setting
///
/// The same as `pki config get`. Of the passphrase it says only whether there is one.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pki get core.https_address
  pki get local.passphrase")]
pub struct GetArgs {
    /// The setting
    key: String,
}

pub fn get(args: &GetArgs, context: &mut Context) -> Result<Outcome, CommandError> {
    if args.key == PASSPHRASE {
        let view = context.connect()?.call(PassphraseShow {})?;
        context.output.reply(&view, |output| output.line(if view.set { "true" } else { "false" }))?;
        return Ok(Outcome::Done);
    }
    config::get(&args.key, context)
}
