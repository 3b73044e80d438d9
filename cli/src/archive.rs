//! The passphrase of a backup, and the way it takes from the PKI to a file.

use std::{io::Write, path::PathBuf};

use server::{
    http::BACKUP_PATH,
    ops::backup::{BackupRequest, Phrase},
};

use crate::{connect::Connection, context::Context, error::CommandError, passphrase};

/// Where a backup's passphrase comes from.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Options {
    /// File that holds the backup's own passphrase, on one line
    ///
    /// Without it --passphrase-file is taken, and without that the terminal is asked.
    #[arg(long, value_name = "FILE")]
    pub backup_passphrase_file: Option<PathBuf>,
}

/// The passphrase for a new backup: from a file, else asked for twice.
pub fn new_passphrase(options: &Options, context: &Context) -> Result<Phrase, CommandError> {
    let text = match options.backup_passphrase_file.as_ref().or(context.global.passphrase_file.as_ref()) {
        Some(path) => passphrase::read_file(&context.resolve(path))?,
        None => passphrase::ask_new("the backup", &context.environment)?,
    };
    Ok(Phrase::new(text.to_string()))
}

/// The passphrase of a backup: from a file, else asked for.
pub fn passphrase(options: &Options, context: &Context) -> Result<Phrase, CommandError> {
    let text = match options.backup_passphrase_file.as_ref().or(context.global.passphrase_file.as_ref()) {
        Some(path) => passphrase::read_file(&context.resolve(path))?,
        None => passphrase::ask_text("passphrase of the backup", &context.environment)?,
    };
    Ok(Phrase::new(text.to_string()))
}

impl Connection {
    /// Streams a backup into `out`.
    pub fn backup(&self, request: &BackupRequest, out: &mut dyn Write) -> Result<(), CommandError> {
        match self {
            Connection::Here(here) => here.backup(request, out),
            Connection::Service(service) => service.download(BACKUP_PATH, request, out),
        }
    }
}
