//! The services that we know, by the names that the user gave them.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use ca::cert::{Certificate, printable};
use serde::{Deserialize, Serialize};
use server::dial::{Address, AddressError};
use store::file::{OnExisting, Visibility, remove};

use super::ClientFolder;
use crate::files::{self, tidy};
use crate::{context::Context, error::CommandError};

/// The most octets of a remote's file or of a pinned certificate.
const MOST: u64 = 64 << 10;

/// What the user calls a service: 1 to 63 letters, digits, `.`, `_` and `-`, the first a letter or digit.
/// It names files.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RemoteName(String);

impl FromStr for RemoteName {
    type Err = CommandError;

    fn from_str(text: &str) -> Result<RemoteName, CommandError> {
        const LONGEST: usize = 63;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        if begins && text.len() <= LONGEST && text.chars().all(plain) {
            return Ok(RemoteName(text.to_string()));
        }
        Err(CommandError::usage(format!("{:?} is no name for a remote", printable(text))).hint(
            "a name has up to 63 letters, digits, dots, hyphens and underscores, a letter or digit first",
        ))
    }
}

impl fmt::Display for RemoteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What makes sure that it is the right server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VerifiedBy {
    /// The authorities of `client.ca`.
    ClientCa,
    /// The very certificate that was trusted on first sight.
    Pin(Box<Certificate>),
    /// The authorities that the system trusts.
    System,
}

impl VerifiedBy {
    /// As it stands in files and in JSON.
    pub fn word(&self) -> &'static str {
        match self {
            VerifiedBy::ClientCa => "client.ca",
            VerifiedBy::Pin(_) => "pin",
            VerifiedBy::System => "system",
        }
    }
}

/// A service that we know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// What the user calls it.
    pub name: RemoteName,
    /// Where it is.
    pub address: Address,
    /// What makes sure that it is the right one.
    pub verified_by: VerifiedBy,
}

/// A remote's file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    address: String,
    verified_by: String,
}

/// A remote that is listed: one whose files are broken is still one that can be removed.
pub enum Known {
    /// Its files can't be used.
    Broken(RemoteName, CommandError),
    /// It can be used.
    Whole(Remote),
}

impl ClientFolder {
    /// Clears away what interrupted commands left half-written.
    pub fn tidy(&self) {
        for folder in ["", "checkpoints", "remotes", "servercerts"] {
            tidy(&self.path().join(folder));
        }
    }

    fn remotes_path(&self) -> PathBuf {
        self.path().join("remotes")
    }

    fn remote_path(&self, name: &RemoteName) -> PathBuf {
        self.remotes_path().join(format!("{name}.json"))
    }

    /// Where a remote's certificate lies, if it is pinned.
    pub fn pin_path(&self, name: &RemoteName) -> PathBuf {
        self.path().join("servercerts").join(format!("{name}.crt"))
    }

    /// Whether there is a remote of this name, broken or not.
    pub fn knows(&self, name: &RemoteName) -> bool {
        self.remote_path(name).symlink_metadata().is_ok()
    }

    /// Every remote, by name.
    pub fn remotes(&self, context: &Context) -> Result<Vec<Known>, CommandError> {
        let path = self.remotes_path();
        let entries = match std::fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(CommandError::file("read", &path, &error)),
        };
        let mut names: Vec<RemoteName> = entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(".json")?.parse().ok())
            .collect();
        names.sort();
        let known = |name: RemoteName| match self.read(&name, context) {
            Ok(remote) => Known::Whole(remote),
            Err(error) => Known::Broken(name, error),
        };
        Ok(names.into_iter().map(known).collect())
    }

    /// The remote of a name.
    pub fn find(&self, name: &str, context: &Context) -> Result<Remote, CommandError> {
        let name: RemoteName = name.parse()?;
        match self.knows(&name) {
            true => self.read(&name, context),
            false => Err(CommandError::not_found(format!("there is no remote {name}"))
                .hint("`pki remote list` shows those that there are, `pki remote add` adds one")),
        }
    }

    fn read(&self, name: &RemoteName, context: &Context) -> Result<Remote, CommandError> {
        let path = self.remote_path(name);
        let broken = |why: String| {
            CommandError::conflict(format!("{} cannot be used: {why}", path.display()))
                .hint(format!("`pki remote remove {name}`, then add it again"))
        };
        let written: Written =
            serde_json::from_slice(&context.read(&path, MOST)?).map_err(|error| broken(error.to_string()))?;
        let address: Address =
            written.address.parse().map_err(|error: AddressError| broken(error.to_string()))?;
        let verified_by = match written.verified_by.as_str() {
            "client.ca" => VerifiedBy::ClientCa,
            "system" => VerifiedBy::System,
            "pin" => {
                let path = self.pin_path(name);
                let pem = context.read(&path, MOST).map_err(|error| {
                    error.hint(format!("`pki remote repin {name}` asks the server for its certificate anew"))
                })?;
                let pinned = Certificate::from_pem(&pem);
                VerifiedBy::Pin(Box::new(pinned.map_err(|error| broken(format!("its pin: {error}")))?))
            }
            other => return Err(broken(format!("nothing is verified by {:?}", printable(other)))),
        };
        Ok(Remote { name: name.clone(), address, verified_by })
    }

    /// The address of a remote whose pin may be broken.
    pub fn address(&self, name: &RemoteName, context: &Context) -> Result<Address, CommandError> {
        let path = self.remote_path(name);
        let broken = || {
            CommandError::conflict(format!("{} cannot be used", path.display()))
                .hint(format!("`pki remote remove {name}`, then add it again"))
        };
        let written: Written =
            serde_json::from_slice(&context.read(&path, MOST)?).map_err(|error| broken().because(&error))?;
        written.address.parse().map_err(|error: AddressError| broken().because(&error))
    }

    /// Remembers a remote: the pin first, so that nobody ever finds a remote without its own. If it can't
    /// be remembered nothing of it is.
    pub fn remember(&self, remote: &Remote, on_existing: OnExisting) -> Result<(), CommandError> {
        let pin = self.pin_path(&remote.name);
        let before = std::fs::read(&pin).ok();
        if let VerifiedBy::Pin(certificate) = &remote.verified_by {
            ClientFolder::make(&self.path().join("servercerts"))?;
            files::write(&pin, certificate.to_pem().as_bytes(), Visibility::Public, OnExisting::Replace)?;
        }
        let placed = ClientFolder::make(&self.remotes_path()).and_then(|()| self.write(remote, on_existing));
        match (&placed, &remote.verified_by) {
            (Ok(()), VerifiedBy::Pin(_)) => {}
            // What authorities verify needs no pin.
            (Ok(()), VerifiedBy::ClientCa | VerifiedBy::System) => unpin(&pin)?,
            (Err(_), VerifiedBy::Pin(_)) => match before {
                Some(before) => files::write(&pin, &before, Visibility::Public, OnExisting::Replace)?,
                None => unpin(&pin)?,
            },
            (Err(_), VerifiedBy::ClientCa | VerifiedBy::System) => {}
        }
        placed?;
        // Whoever adds or repins it has looked: what it says of its journal from here on is what counts.
        self.forget_journal(&remote.name)
    }

    fn write(&self, remote: &Remote, on_existing: OnExisting) -> Result<(), CommandError> {
        let written = Written {
            address: remote.address.to_string(),
            verified_by: remote.verified_by.word().to_string(),
        };
        let mut text = serde_json::to_vec_pretty(&written)
            .map_err(|error| CommandError::internal("cannot write the remote as JSON").because(&error))?;
        text.push(b'\n');
        Ok(files::write(&self.remote_path(&remote.name), &text, Visibility::Public, on_existing)?)
    }

    /// Forgets a remote, its pin last.
    pub fn forget(&self, name: &RemoteName) -> Result<(), CommandError> {
        remove(&self.remote_path(name))?;
        self.forget_journal(name)?;
        unpin(&self.pin_path(name))
    }
}

/// Removes a pin, if there is one; its folder need not be there.
fn unpin(pin: &Path) -> Result<(), CommandError> {
    if pin.symlink_metadata().is_ok() {
        remove(pin)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remotes_name_is_plain_and_names_a_file() {
        for name in ["office", "ca.example.org", "a", "7", "Site_2-b", &"a".repeat(63)] {
            assert_eq!(name.parse::<RemoteName>().unwrap().to_string(), name);
        }
        for name in ["", ".", "..", ".a", "-a", "_a", "a/b", "a:b", "a b", "ä", "a\n", &"a".repeat(64)] {
            assert!(name.parse::<RemoteName>().is_err(), "{name:?}");
        }
    }

    fn certificate() -> Certificate {
        use ca::{
            cert::Serial,
            key::{KeyType, PrivateKey, self_signed_client},
            profile::Validity,
        };
        let key = PrivateKey::generate(KeyType::P256).unwrap();
        let not_before = time::macros::datetime!(2026-01-01 0:00 UTC);
        let validity = Validity { not_before, not_after: not_before + time::Duration::DAY };
        let serial = Serial::from_bytes(&[7; 16]).unwrap();
        let pem = self_signed_client(&key, &"server".parse().unwrap(), &serial, validity).unwrap();
        Certificate::from_pem(pem.as_bytes()).unwrap()
    }

    #[test]
    fn what_cannot_be_remembered_leaves_the_pin_of_before() {
        let directory = tempfile::tempdir().unwrap();
        let folder = ClientFolder { path: directory.path().to_path_buf() };
        let remote = |verified_by| Remote {
            name: "office".parse().unwrap(),
            address: "localhost".parse().unwrap(),
            verified_by,
        };
        let (first, second) = (certificate(), certificate());
        let pinned = |certificate: &Certificate| VerifiedBy::Pin(Box::new(certificate.clone()));
        // A file where the folder of the remotes belongs.
        std::fs::write(folder.remotes_path(), "").unwrap();
        folder.remember(&remote(pinned(&first)), OnExisting::Refuse).unwrap_err();
        let pin = folder.pin_path(&"office".parse().unwrap());
        assert!(!pin.exists());
        std::fs::remove_file(folder.remotes_path()).unwrap();
        folder.remember(&remote(pinned(&first)), OnExisting::Refuse).unwrap();
        // Another command was faster with the name.
        folder.remember(&remote(pinned(&second)), OnExisting::Refuse).unwrap_err();
        assert_eq!(std::fs::read_to_string(&pin).unwrap(), first.to_pem());
        folder.remember(&remote(pinned(&second)), OnExisting::Replace).unwrap();
        assert_eq!(std::fs::read_to_string(&pin).unwrap(), second.to_pem());
        folder.remember(&remote(VerifiedBy::System), OnExisting::Replace).unwrap();
        assert!(!pin.exists());
        folder.forget(&"office".parse().unwrap()).unwrap();
        assert_eq!(std::fs::read_dir(folder.remotes_path()).unwrap().count(), 0);
    }
}
