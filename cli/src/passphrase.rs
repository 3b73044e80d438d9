//! Where passphrases come from: a file, a systemd credential, the terminal. Never the command line,
//! never an environment variable.

use std::path::{Path, PathBuf};

use ca::key::Passphrase;
use zeroize::Zeroizing;

use crate::{
    context::Context,
    environment::Environment,
    error::{CommandError, Kind},
    output::Stream,
};

/// The credential's name, as in `LoadCredential=pki-passphrase:FILE`.
const CREDENTIAL: &str = "pki-passphrase";

/// The passphrase of the CA's keys that was given without asking anyone, if any.
pub fn given(context: &Context) -> Result<Option<Passphrase>, CommandError> {
    if let Some(path) = &context.global.passphrase_file {
        return of_keys(&read_file(&context.resolve(path))?).map(Some);
    }
    let Some(credentials) = context.environment.variable("CREDENTIALS_DIRECTORY") else { return Ok(None) };
    let path = PathBuf::from(credentials).join(CREDENTIAL);
    if !path.exists() {
        return Ok(None);
    }
    of_keys(&only_line(&store::file::read_credential(&path)?, &path)?).map(Some)
}

/// The one line of a file that nobody else can read.
pub fn read_file(path: &Path) -> Result<Zeroizing<String>, CommandError> {
    only_line(&store::file::read_secret(path).map_err(CommandError::secret)?, path)
}

/// Asks on the terminal.
pub fn ask(prompt: &str, environment: &Environment) -> Result<Passphrase, CommandError> {
    of_keys(&ask_text(prompt, environment)?)
}

/// A passphrase as keys take it.
pub fn of_keys(text: &str) -> Result<Passphrase, CommandError> {
    Passphrase::from_line(text.as_bytes()).map_err(|error| {
        CommandError::usage("the passphrase cannot be used").because(&error).hint("choose another one")
    })
}

/// Asks on the terminal for text that nobody sees.
pub fn ask_text(prompt: &str, environment: &Environment) -> Result<Zeroizing<String>, CommandError> {
    if environment.input == Stream::Other {
        return Err(CommandError::usage(format!("{prompt}: there is no terminal to ask on"))
            .hint("give it in a file that only you can read, with --passphrase-file"));
    }
    rpassword::prompt_password(format!("{prompt}: ")).map(Zeroizing::new).map_err(|error| {
        CommandError::new(Kind::Usage, "cannot read a passphrase from the terminal")
            .because(&error)
            .hint("give it in a file that only you can read, with --passphrase-file")
    })
}

/// Asks for a new passphrase, twice.
pub fn ask_new(what: &str, environment: &Environment) -> Result<Zeroizing<String>, CommandError> {
    let first = ask_text(&format!("new passphrase for {what}"), environment)?;
    if first.is_empty() {
        return Err(CommandError::usage("the passphrase is empty").hint("type at least one character"));
    }
    let second = ask_text("the same again", environment)?;
    if *first != *second {
        return Err(CommandError::usage("the two passphrases differ").hint("try again"));
    }
    Ok(first)
}

/// The one line that a file holds. More than one is most likely the wrong file.
fn only_line(bytes: &[u8], path: &Path) -> Result<Zeroizing<String>, CommandError> {
    let refuse = |error: &dyn std::error::Error| {
        CommandError::usage(format!("{} holds no passphrase", path.display()))
            .because(error)
            .hint("expected one line of text")
    };
    let passphrase = Passphrase::from_line(bytes).map_err(|error| refuse(&error))?;
    let text = std::str::from_utf8(passphrase.as_bytes()).map_err(|error| refuse(&error))?;
    Ok(Zeroizing::new(text.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passphrase_is_one_line_of_text() {
        let path = Path::new("f");
        for bytes in [&b"secret"[..], b"secret\n", b"secret\r\n"] {
            assert_eq!(*only_line(bytes, path).unwrap(), "secret");
        }
        for bytes in [&b""[..], b"\n", b"\r\nx", b"secret\nmore\n", b"\xff\n"] {
            assert!(only_line(bytes, path).is_err());
        }
        assert_eq!(*only_line(b" a b \n", path).unwrap(), " a b ");
    }
}
