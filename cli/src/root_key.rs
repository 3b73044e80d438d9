//! The root's private key from a medium: read where it is used, never copied.

use std::path::Path;

use ca::{
    cert::Certificate,
    key::{PrivateKey, PrivateKeyError},
};

use crate::{context::Context, error::CommandError, passphrase};

/// Reads the root's key and checks that it belongs to `root`.
///
/// An encrypted one is opened by `--passphrase-file` or the credential, else the terminal is asked.
pub fn read(path: &Path, root: &Certificate, context: &Context) -> Result<PrivateKey, CommandError> {
    let shown = path.display();
    let pem = store::file::read_secret(&context.resolve(path)).map_err(CommandError::secret)?;
    let given = passphrase::given(context)?;
    let key = match PrivateKey::from_pem(&pem, given.as_ref()) {
        Err(PrivateKeyError::PassphraseNeeded) => {
            let asked = passphrase::ask(&format!("passphrase of {shown}"), &context.environment)?;
            PrivateKey::from_pem(&pem, Some(&asked))
        }
        read => read,
    };
    let key = key.map_err(|error| unusable(path, &error))?;
    if key.public_key().digest() != root.public_key().digest() {
        return Err(CommandError::usage(format!("{shown} is not the key of {}", root.subject_display()))
            .hint("`pki ca list` names the roots; check that key and certificate belong together"));
    }
    Ok(key)
}

/// A private key that cannot be used.
pub fn unusable(path: &Path, error: &PrivateKeyError) -> CommandError {
    let failure =
        CommandError::usage(format!("the private key {} cannot be used", path.display())).because(error);
    match error {
        PrivateKeyError::PassphraseNeeded | PrivateKeyError::WrongPassphrase => {
            failure.hint("give its passphrase in a file, with --passphrase-file")
        }
        _ => failure.hint("expected a private key in PEM: PKCS#8, SEC1 or PKCS#1"),
    }
}
