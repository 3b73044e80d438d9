//! Which certificate a word on the command line means: a file, or a name or serial for the service to find.

use std::path::Path;

use ca::cert::Certificate;
use server::ops::view::Selector;

use crate::{
    context::Context,
    error::{CommandError, Kind},
};

/// The largest certificate file that is read: a chain of a dozen with room to spare.
pub const CERTIFICATE_FILE_LIMIT: u64 = 256 * 1024;

const FILE_ENDINGS: [&str; 4] = [".crt", ".pem", ".cer", ".der"];

/// A word with a `/` or a certificate's file ending is a file; everything else is a name or a serial.
pub fn select(word: &str, context: &Context) -> Result<Selector, CommandError> {
    let lower = word.to_ascii_lowercase();
    if word.contains('/') || FILE_ENDINGS.iter().any(|ending| lower.ends_with(ending)) {
        let path = Path::new(word);
        return Ok(Selector::Pem(read_certificate(path, context)?.to_pem()));
    }
    Ok(Selector::Word(word.to_string()))
}

/// Reads the first certificate of a file, PEM or DER.
pub fn read_certificate(path: &Path, context: &Context) -> Result<Certificate, CommandError> {
    let mut bundle = read_certificates(path, context)?;
    Ok(bundle.swap_remove(0))
}

/// Reads every certificate of a file, PEM or DER; at least one.
pub fn read_certificates(path: &Path, context: &Context) -> Result<Vec<Certificate>, CommandError> {
    let bytes = context.read(path, CERTIFICATE_FILE_LIMIT).map_err(|error| match error.kind {
        Kind::NotFound => error.hint("a word with `/`, .crt, .pem, .cer or .der is taken for a file"),
        _ => error,
    })?;
    let refuse = |error: &dyn std::error::Error| {
        CommandError::usage(format!("{} holds no certificate", path.display()))
            .because(error)
            .hint("expected a certificate in PEM or DER")
    };
    if bytes.first() == Some(&0x30) {
        return Ok(vec![Certificate::from_der(&bytes).map_err(|error| refuse(&error))?]);
    }
    let bundle = Certificate::pem_bundle(&bytes).map_err(|error| refuse(&error))?;
    if bundle.is_empty() {
        return Err(CommandError::usage(format!("{} holds no certificate", path.display()))
            .hint("expected a certificate in PEM or DER"));
    }
    Ok(bundle)
}
