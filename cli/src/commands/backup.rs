//! `pki backup`.

use std::path::PathBuf;

use serde::Serialize;
use server::ops::backup::{BackupRequest, PrivateKeys};
use store::file::{OnExisting, Visibility};

use crate::{
    archive,
    context::Context,
    error::{CommandError, Outcome},
    files,
};

/// Write everything into one encrypted file
///
/// The backup is consistent, also while the service runs, and encrypted with a passphrase in the age
/// format. It holds the private keys unless --no-keys is given; keys that are encrypted stay encrypted
/// inside.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pki backup /mnt/usb/pki.age
  pki backup pki.age --backup-passphrase-file pass
  pki restore pki.age --dir /srv/pki")]
pub struct Args {
    /// Where it goes
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    options: archive::Options,

    /// Leave the private keys out: what is restored can show everything and sign nothing
    #[arg(long)]
    no_keys: bool,

    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
}

/// What `--json` says.
#[derive(Serialize)]
struct Written {
    file: PathBuf,
    size: u64,
    keys: PrivateKeys,
}

pub fn run(args: &Args, context: &mut Context) -> Result<Outcome, CommandError> {
    let file = context.resolve(&args.file);
    let on_existing = if args.force { OnExisting::Replace } else { OnExisting::Refuse };
    if !args.force && file.symlink_metadata().is_ok() {
        return Err(CommandError::conflict(format!("{} exists already", file.display()))
            .hint("choose another file, or replace it with --force"));
    }
    if let Some(folder) = file.parent() {
        files::tidy(folder);
    }
    let keys = if args.no_keys { PrivateKeys::LeftOut } else { PrivateKeys::Included };
    let passphrase = archive::new_passphrase(&args.options, context)?;
    let connection = context.connect()?;
    let request = BackupRequest { passphrase, keys };
    // What went wrong inside is worth more than that the file was not written.
    let mut failure = None;
    let placed = store::file::place_with(&file, Visibility::Secret, on_existing, |out| {
        connection.backup(&request, out).map_err(|error| {
            failure = Some(error);
            std::io::Error::other("the backup broke off")
        })
    });
    match (failure, placed) {
        (Some(error), _) => return Err(error),
        (None, placed) => placed?,
    }
    let size = std::fs::metadata(&file).map_err(|error| CommandError::file("read", &file, &error))?.len();
    let written = Written { file, size, keys };
    context.output.reply(&written, |output| {
        output.fields([
            ("backup", written.file.display().to_string()),
            ("size", format!("{} octets", written.size)),
            ("keys", if args.no_keys { "left out" } else { "included" }.to_string()),
        ])
    })?;
    context.output.hint("without its passphrase a backup is worth nothing: keep it elsewhere");
    Ok(Outcome::Done)
}
