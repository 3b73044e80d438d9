//! `pki restore`.

use std::path::PathBuf;

use server::{
    http::problem::problem,
    ops::backup::{PrivateKeys, restore},
};

use crate::{
    archive, connect,
    context::{Context, moment},
    error::{CommandError, Outcome},
};

/// Bring a PKI back from a backup
///
/// Into the directory that --dir names (or PKI_DIR, or your own), which must be absent or empty: an
/// existing PKI is never touched. The numbers of revocation lists move ahead by themselves, so that no
/// client sees one twice.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Certificates issued after the backup was made are unknown to the restored PKI. They can still be
revoked, from their files.

Examples:
  pki restore /mnt/usb/pki.age --dir /srv/pki
  pki restore pki.age --backup-passphrase-file pass")]
pub struct Args {
    /// The backup
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    options: archive::Options,
}

pub fn run(args: &Args, context: &mut Context) -> Result<Outcome, CommandError> {
    let directory = context.directory()?;
    let file = context.resolve(&args.file);
    let archive = std::fs::File::open(&file).map_err(|error| CommandError::file("open", &file, &error))?;
    connect::refuse_service(&directory, context)?;
    let passphrase = archive::passphrase(&args.options, context)?;
    let now = context.whole_second();
    let restored =
        restore(std::io::BufReader::new(archive), &passphrase, &directory, &server::peer::own(), now)
            .map_err(|error| CommandError::from(problem(&error)))?;
    let manifest = &restored.manifest;
    for folder in &restored.removed {
        let folder = folder.display();
        context
            .output
            .say(&format!("removed {folder}, which a restore that was interrupted had left, keys and all"));
    }
    context.output.reply(manifest, |output| {
        output.fields([
            ("directory", directory.display().to_string()),
            ("backup of", moment(manifest.made_at)),
            ("journal", format!("{} entries", manifest.sequence)),
            ("made by", format!("pki {}", manifest.version)),
        ])
    })?;
    if manifest.keys == PrivateKeys::LeftOut {
        context
            .output
            .hint("this backup was made with --no-keys: nothing can be signed until the keys are back");
    }
    context.output.hint("`pki doctor` says whether all is well, `pki serve` runs the service");
    Ok(Outcome::Done)
}
