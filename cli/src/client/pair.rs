//! Our own certificate and key: made when they are first needed, and anew when they were deleted.

use std::{io::ErrorKind, path::Path};

use aws_lc_rs::rand::SystemRandom;
use ca::{
    cert::{CommonName, NameError, Serial},
    key::{KeyType, PrivateKey, self_signed_client},
    profile::Validity,
};
use server::dial::Identity;
use store::file::{FileError, OnExisting, Visibility, read_secret};
use time::{Duration, OffsetDateTime};

use super::ClientFolder;
use crate::files;
use crate::{context::Context, environment::Environment, error::CommandError};

/// How long a certificate of our own lasts, as LXD's client has it: others trust it by itself, so its end
/// would only lock the user out.
const LASTS: Duration = Duration::days(3_650);

/// A clock that is behind on the server's side must not refuse it.
const BACKDATED: Duration = Duration::MINUTE;

/// The most octets of a certificate with its chain.
const MOST: u64 = 256 << 10;

impl ClientFolder {
    /// Who we are to services: what lies in the folder, made if it is missing.
    pub fn identity(&self, context: &mut Context) -> Result<Identity, CommandError> {
        let before = exists(&self.certificate_path())? && exists(&self.key_path())?;
        let identity = self.quiet_identity(context)?;
        if !before {
            context.output.say(&format!("made {}", self.certificate_path().display()));
        }
        Ok(identity)
    }

    /// The same without a word: for whoever did not ask to be somebody.
    pub fn quiet_identity(&self, context: &Context) -> Result<Identity, CommandError> {
        ClientFolder::make(self.path())?;
        let (certificate, key) = (self.certificate_path(), self.key_path());
        // A certificate whose key is gone is of no use to anybody.
        let orphan = !exists(&key)?;
        let key = self.key(&key)?;
        if orphan || !exists(&certificate)? {
            let on_existing = if orphan { OnExisting::Replace } else { OnExisting::Refuse };
            let pem = make(&key, &context.environment)?;
            match files::write(&certificate, pem.as_bytes(), Visibility::Public, on_existing) {
                // Another command was faster, with the same key.
                Ok(()) | Err(FileError::Exists { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let chain = context.read(&certificate, MOST)?;
        let key = key.to_pem().map_err(|error| unusable(&self.key_path(), &error))?;
        Identity::from_pem(&chain, key.as_bytes()).map_err(|error| unusable(&certificate, &error))
    }

    /// The key, 0600 from birth.
    fn key(&self, path: &Path) -> Result<PrivateKey, CommandError> {
        if !exists(path)? {
            let key = PrivateKey::generate(KeyType::P384).map_err(|error| unusable(path, &error))?;
            let pem = key.to_pem().map_err(|error| unusable(path, &error))?;
            match files::write(path, pem.as_bytes(), Visibility::Secret, OnExisting::Refuse) {
                Ok(()) => return Ok(key),
                Err(FileError::Exists { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let pem = read_secret(path).map_err(CommandError::secret)?;
        PrivateKey::from_pem(&pem, None).map_err(|error| unusable(path, &error))
    }
}

fn exists(path: &Path) -> Result<bool, CommandError> {
    match path.symlink_metadata() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(CommandError::file("read", path, &error)),
    }
}

fn make(key: &PrivateKey, environment: &Environment) -> Result<String, CommandError> {
    let cannot = |error: &dyn std::error::Error| {
        CommandError::internal("cannot make the client's certificate").because(error)
    };
    let now: OffsetDateTime = environment.whole_second();
    let validity = Validity { not_before: now - BACKDATED, not_after: now + LASTS };
    let serial = Serial::random(&SystemRandom::new()).map_err(|error| cannot(&error))?;
    let name = name(environment).map_err(|error| cannot(&error))?;
    self_signed_client(key, &name, &serial, validity).map_err(|error| cannot(&error))
}

/// `USER@HOST`, as far as a certificate can carry it.
fn name(environment: &Environment) -> Result<CommonName, NameError> {
    let user = environment.variable("USER").or_else(|| environment.variable("LOGNAME"));
    let user = user.map_or("client".into(), |user| user.to_string_lossy());
    let uname = rustix::system::uname();
    let host = uname.nodename().to_string_lossy();
    format!("{user}@{host}").parse().or_else(|_too_long| "client".parse())
}

fn unusable(path: &Path, error: &dyn std::error::Error) -> CommandError {
    CommandError::usage(format!("{} cannot be used", path.display()))
        .because(error)
        .hint("move client.crt and client.key away: the next command makes new ones, which services must trust anew")
}
