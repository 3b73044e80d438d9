//! `pki passwd`.

use std::path::PathBuf;

use ca::{hierarchy::change_passphrase, key::Passphrase, keyring::Keyring};
use serde::Serialize;
use server::{Pki, ops::Error, pki::OpenMode};

use crate::{
    connect,
    context::Context,
    error::{CommandError, Outcome},
    passphrase,
};

/// Change, set or remove the passphrase of the CA's keys
///
/// Every key that is here is written again, each in one step; interrupted, the same command again
/// finishes. The service must not run meanwhile: it needs the new passphrase at its next start.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pki passwd                                                asks for the old one and the new one
  pki passwd --passphrase-file old --new-passphrase-file new
  pki passwd --remove")]
pub struct Args {
    /// File that holds the new passphrase, on one line; without it the terminal is asked
    #[arg(long, value_name = "FILE")]
    new_passphrase_file: Option<PathBuf>,

    /// Leave the keys without a passphrase
    #[arg(long, conflicts_with = "new_passphrase_file")]
    remove: bool,
}

/// What `--json` says.
#[derive(Serialize)]
struct Changed {
    keys: usize,
    encrypted: bool,
}

pub fn run(args: &Args, context: &mut Context) -> Result<Outcome, CommandError> {
    let directory = context.directory()?;
    connect::refuse_service(&directory, context)
        .map_err(|refused| refused.hint("then start it again with the new passphrase"))?;
    let given = passphrase::given(context)?;
    let open = |passphrase: Option<Passphrase>, context: &mut Context| {
        connect::patiently(&directory, context, |context| {
            connect::open(&directory, passphrase.clone(), OpenMode::Command, context)
        })
    };
    let mut pki = open(given, context)?;
    if pki.needs_passphrase().map_err(told)? {
        // Nobody else has to wait while the user types.
        drop(pki);
        let old = passphrase::ask("old passphrase of the CA's keys", &context.environment)?;
        pki = open(Some(old), context)?;
    }
    let new = match (&args.new_passphrase_file, args.remove) {
        (_, true) => None,
        (Some(path), false) => Some(passphrase::of_keys(&passphrase::read_file(&context.resolve(path))?)?),
        (None, false) => {
            Some(passphrase::of_keys(&passphrase::ask_new("the CA's keys", &context.environment)?)?)
        }
    };
    let encrypted = new.is_some();
    let keys = change(&pki, new, context).map_err(told)?;
    drop(pki);
    context.output.reply(&Changed { keys, encrypted }, |output| {
        let keys = super::view::count(keys as u64, "key is", "keys are");
        output.say(&match encrypted {
            true => format!("{keys} under the new passphrase"),
            false => format!("{keys} without a passphrase"),
        });
        Ok(())
    })?;
    Ok(Outcome::Done)
}

fn change(pki: &Pki, new: Option<Passphrase>, context: &Context) -> Result<usize, Error> {
    let new = Keyring::new(pki.keyring().directory(), new, context.environment.scrypt);
    let who = server::peer::own().to_string();
    Ok(change_passphrase(pki.store(), pki.keyring(), &new, &who, context.whole_second())?)
}

fn told(error: Error) -> CommandError {
    server::http::problem::problem(&error).into()
}
