//! `pki ca root-offline`.

use std::path::PathBuf;

use ca::cert::Fingerprint;
use server::ops::{authority::CaRootOffline, info::Info};
use store::file::{OnExisting, Visibility};

use crate::{
    commands::view,
    context::Context,
    error::{CommandError, Kind, Outcome},
    files,
};

/// Take the root's key away from this machine
///
/// Copies the key to a file on another medium, reads the copy back, signs a root list for a year, and
/// only then removes the key here. The key stays as it is: encrypted if it was.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Afterwards the root's list is renewed with
  pki crl publish --root --root-key FILE
and the issuing CA with `pki ca rotate --csr-out`, `sign-issuing`, `install`.

Example:
  pki ca root-offline --out /mnt/usb/root.key")]
pub struct Args {
    /// Where the key goes
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub fn run(args: &Args, context: &mut Context) -> Result<Outcome, CommandError> {
    let now = context.now();
    let out = context.resolve(&args.out);
    let connection = context.connect()?;
    let directory = PathBuf::from(connection.call(Info {})?.directory);
    ca::hierarchy::outside(&directory, &out)
        .map_err(|error| CommandError::usage(error.to_string()).hint("name a file on another medium"))?;
    let source = directory.join("keys/root.key");
    let key = store::file::read_secret(&source).map_err(|error| {
        let failure = CommandError::from(error);
        match failure.kind {
            Kind::NotFound => CommandError::not_found("the root's key is not here")
                .hint("`pki ca list` says where each key is"),
            _ => failure,
        }
    })?;
    if let Some(folder) = out.parent() {
        files::tidy(folder);
    }
    // An interrupted run may have copied it already.
    let copied_before = out.exists() && store::file::read_secret(&out).is_ok_and(|found| *found == *key);
    if !copied_before {
        files::write(&out, &key, Visibility::Secret, OnExisting::Refuse)?;
    }
    let copied = store::file::read_secret(&out)?;
    if *copied != *key {
        return Err(CommandError::internal(format!(
            "{} does not hold what was written to it",
            out.display()
        ))
        .hint("use another medium; the key is still here"));
    }
    let key_file_digest = Fingerprint::of(&copied).to_string();
    let root = connection.call(CaRootOffline { key_file_digest })?;
    let row = std::slice::from_ref(&root);
    context.output.reply(&root, |output| output.table(&view::authorities(row, now)))?;
    context.output.say(&format!("the root's key is in {} alone now", out.display()));
    context.output.hint("keep a second copy in another place: without this key no issuing CA can follow");
    Ok(Outcome::Done)
}
