//! The passphrase of a backup, and the way it takes from the PKI to a file.

use std::io::Write;

use server::{
    http::BACKUP_PATH,
    ops::backup::{BackupRequest, Phrase},
};

use crate::{connect::Connection, context::Context, error::CommandError, passphrase};

/// The passphrase for a new backup: from `--passphrase-file`, else asked for twice.
pub fn new_passphrase(context: &Context) -> Result<Phrase, CommandError> {
    let text = match &context.global.passphrase_file {
        Some(path) => passphrase::read_file(&context.resolve(path))?,
        None => passphrase::ask_new("the backup", &context.environment)?,
    };
    Ok(Phrase::new(text.to_string()))
}

/// The passphrase of a backup: from `--passphrase-file`, else asked for.
pub fn passphrase(context: &Context) -> Result<Phrase, CommandError> {
    let text = match &context.global.passphrase_file {
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
