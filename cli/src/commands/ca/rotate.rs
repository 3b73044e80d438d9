//! `pki ca rotate`.

use std::path::PathBuf;

use ca::key::KeyType;
use server::ops::authority::{CaRotate, Rotated};
use store::file::{OnExisting, Visibility};

use crate::{
    commands::view,
    context::Context,
    error::{CommandError, Outcome},
    files,
    issuance::key_type,
};

/// Make the next issuing CA, with a name and a key of its own
///
/// It signs from now on. What its predecessor signed stays valid, and its list stays published.
/// With --csr-out only the key is made here; the root signs where its key is (see `pki ca --help`).
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pki ca rotate
  pki ca rotate --key-type ed25519
  pki ca rotate --csr-out next.csr")]
pub struct Args {
    /// Type of the new key; without it that of the current one
    #[arg(long, value_name = "TYPE", value_parser = key_type)]
    key_type: Option<KeyType>,

    /// Make only the key, and write its CSR to this file for the root to sign
    #[arg(long, value_name = "FILE")]
    csr_out: Option<PathBuf>,
}

pub fn run(args: &Args, context: &mut Context) -> Result<Outcome, CommandError> {
    let key_type = args.key_type.map(|chosen| chosen.to_string());
    let rotated = context.connect()?.call(CaRotate { key_type, csr_only: args.csr_out.is_some() })?;
    report(&rotated, args.csr_out.as_ref(), context)
}

/// Tells what a rotation came to.
pub fn report(
    rotated: &Rotated,
    csr_out: Option<&PathBuf>,
    context: &mut Context,
) -> Result<Outcome, CommandError> {
    let now = context.now();
    match (rotated, csr_out) {
        (Rotated::Csr { pem, name_constraints, public_url }, Some(path)) => {
            let path = context.resolve(path);
            files::write(&path, pem.as_bytes(), Visibility::Public, OnExisting::Replace)?;
            context.output.reply(rotated, |_| Ok(()))?;
            context.output.say(&format!("wrote {}", path.display()));
            let names = name_constraints.iter().map(|name| format!(" --name-constraint {name}"));
            let url = public_url.iter().map(|url| format!(" --public-url {url}"));
            context.output.hint(&format!(
                "where the root's key is: `pki ca sign-issuing {} --root-cert root.crt --root-key root.key --out next.crt{}`",
                path.file_name().unwrap_or_default().display(),
                names.chain(url).collect::<String>()
            ));
            context.output.hint("then here: `pki ca install next.crt`");
        }
        (Rotated::Csr { pem, .. }, None) => {
            context.output.reply(rotated, |output| output.raw(pem.as_bytes()))?;
        }
        (Rotated::Rotated { current, previous, unpublished, warnings }, _) => {
            let both = [current.clone(), previous.clone()];
            context.output.reply(rotated, |output| output.table(&view::authorities(&both, now)))?;
            context.output.say(&format!("{} signs from now on", current.subject));
            for warning in warnings {
                context.output.warn(warning);
            }
            if !warnings.is_empty() {
                context.output.hint("the next rotation can say so: `pki ca sign-issuing … --public-url URL`");
            }
            return Ok(view::placement(unpublished, &mut context.output));
        }
    }
    Ok(Outcome::Done)
}
