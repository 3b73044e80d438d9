//! The user's client folder, `$XDG_CONFIG_HOME/pki` or `~/.config/pki`: who we are to services, which
//! services we know, and by what we know them.
//!
//! | file | what it is |
//! |---|---|
//! | `client.crt`, `client.key` | what we show to services; made when it is first needed, and anew when it is deleted |
//! | `client.ca` | authorities that verify services; put there by hand |
//! | `remotes/NAME.json` | a service that we know: where it is and what verifies it |
//! | `servercerts/NAME.crt` | the certificate of a service that nothing verifies but that we trusted it on first sight |
//!
//! A remote has a file of its own, so that commands that run at the same time can't lose each other's.

mod journal;
mod pair;
mod remotes;

use std::path::{Path, PathBuf};

use server::{
    dial::{Authorities, Dialer, Identity, Verification},
    tls::Versions,
};
use store::file::{Visibility, make_dir};

pub use remotes::{Known, Remote, RemoteName, VerifiedBy};

use crate::{context::Context, environment::Environment, error::CommandError};

/// Where distributions keep the authorities that they trust, if SSL_CERT_FILE names no other file.
const SYSTEM_ROOTS: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// The most octets of a file of authorities: a distribution's has some 250 KiB.
const MOST_AUTHORITIES: u64 = 4 << 20;

/// The user's client folder.
#[derive(Clone, Debug)]
pub struct ClientFolder {
    path: PathBuf,
}

impl ClientFolder {
    /// Where it is (XDG Base Directory Specification); it need not be there.
    pub fn of(environment: &Environment) -> Result<ClientFolder, CommandError> {
        let absolute = |name| environment.variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let config =
            absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config")));
        match config {
            Some(config) => Ok(ClientFolder { path: config.join("pki") }),
            None => Err(CommandError::usage(
                "where is the client's folder? neither XDG_CONFIG_HOME nor HOME is set",
            )
            .hint("set HOME to the user's home")),
        }
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What we show to services.
    pub fn certificate_path(&self) -> PathBuf {
        self.path.join("client.crt")
    }

    /// Its key.
    pub fn key_path(&self) -> PathBuf {
        self.path.join("client.key")
    }

    /// The authorities that verify services.
    pub fn authorities_path(&self) -> PathBuf {
        self.path.join("client.ca")
    }

    /// The authorities of `client.ca`; `None` if there is no such file.
    pub fn authorities(&self, context: &Context) -> Result<Option<Authorities>, CommandError> {
        let path = self.authorities_path();
        if !path.exists() {
            return Ok(None);
        }
        let pem = context.read(&path, MOST_AUTHORITIES)?;
        match Authorities::from_pem(&pem) {
            Some(authorities) => Ok(Some(authorities)),
            None => Err(CommandError::usage(format!("{} holds no authority's certificate", path.display()))
                .hint("put the PEM of the authority there that signs the servers', or take the file away")),
        }
    }

    /// How a remote is verified.
    pub fn verification(&self, remote: &Remote, context: &Context) -> Result<Verification, CommandError> {
        match &remote.verified_by {
            VerifiedBy::ClientCa => match self.authorities(context)? {
                Some(authorities) => Ok(Verification::Authorities(authorities)),
                None => Err(CommandError::not_found(format!(
                    "{} is gone, which verified {}",
                    self.authorities_path().display(),
                    remote.name
                ))
                .hint(format!(
                    "put it back, or `pki remote repin {}` trusts the server by its certificate",
                    remote.name
                ))),
            },
            VerifiedBy::System => match system_authorities(context)? {
                Some(authorities) => Ok(Verification::Authorities(authorities)),
                None => {
                    Err(CommandError::not_found("the system has no authorities that verify servers any more")
                        .hint(format!("install ca-certificates, or `pki remote repin {}`", remote.name)))
                }
            },
            VerifiedBy::Pin(certificate) => Ok(Verification::Pin(certificate.fingerprint())),
        }
    }

    /// Makes a folder of ours, for the user alone. One that is there stays as it is: it may have been made
    /// by hand, to put `client.ca` into it.
    fn make(path: &Path) -> Result<(), CommandError> {
        if path.is_dir() {
            return Ok(());
        }
        Ok(make_dir(path, Visibility::Secret)?)
    }
}

/// The authorities that the system trusts; `None` if it has none.
pub fn system_authorities(context: &Context) -> Result<Option<Authorities>, CommandError> {
    let named = context.environment.variable("SSL_CERT_FILE").map(PathBuf::from);
    let found = match named {
        Some(named) => Some(context.resolve(&named)),
        None => SYSTEM_ROOTS.iter().map(PathBuf::from).find(|path| path.exists()),
    };
    let Some(path) = found else { return Ok(None) };
    Ok(Authorities::from_pem(&context.read(&path, MOST_AUTHORITIES)?))
}

/// Which versions of TLS this command speaks: the environment says so, and what it says is said loudly.
pub fn versions(context: &mut Context) -> Versions {
    let value = context.environment.variable(Versions::VARIABLE).and_then(|value| value.to_str());
    let versions = Versions::asked(value);
    if versions == Versions::Insecure {
        context.output.warn(&format!("INSECURE: {}=1 lets this command speak TLS 1.2", Versions::VARIABLE));
    }
    versions
}

/// The way to a remote that we know.
pub fn dialer(name: &str, context: &mut Context) -> Result<(RemoteName, Dialer), CommandError> {
    let folder = ClientFolder::of(&context.environment)?;
    let remote = folder.find(name, context)?;
    let verification = folder.verification(&remote, context)?;
    let identity: Identity = folder.identity(context)?;
    let versions = versions(context);
    Ok((remote.name, Dialer::new(remote.address, Some(identity), verification, versions)))
}
