//! What a user can do about an error, where there is something to be done.

use ca::constraints::NameConstraints;
use ca::key::PrivateKeyError;
use ca::keyring::KeyringError;

use super::trusting;
use crate::ops::Error;
use crate::pki::DirectoryError;
use crate::{archive, settings};

const DOCTOR: &str = "`pki doctor` says more";
const DAMAGED: &str = "nothing was changed: keep the directory as it is, and restore the last backup beside it with `pki restore FILE --dir NEW`";
const PASSPHRASE: &str = "give the passphrase by --passphrase-file FILE, the systemd credential `pki-passphrase`, or at a terminal";

pub(super) fn hint(error: &Error) -> Option<String> {
    let hint = match error {
        _ if error.is_withdrawn() => "nothing was changed: try again",
        Error::Setting(settings::Error::Unknown { nearest: Some(nearest), .. }) => {
            return Some(format!("did you mean {nearest}?"));
        }
        Error::Setting(settings::Error::Invalid { setting, .. }) => return Some(setting.help().to_owned()),
        Error::Directory(DirectoryError::Foreign { owner, .. }) => {
            return Some(format!("sudo -u '{owner}' pki …"));
        }
        Error::Store(store::Error::Locked { pid: Some(pid), .. }) => {
            return Some(format!("wait for process {pid}, or talk to the service if it is one"));
        }
        Error::Setting(settings::Error::Unknown { nearest: None, .. }) => {
            "`pki config list` shows every setting"
        }
        Error::Setting(settings::Error::Store(error)) | Error::Store(error) => store_hint(error),
        Error::Setting(settings::Error::NoProvider | settings::Error::Provider(_)) => {
            "set acme.provider, and what it needs by `pki config set acme.provider.environment - < FILE`"
        }
        Error::Setting(settings::Error::InClear { .. }) => "set it by `pki config set`",
        Error::Resolvers { .. } => "look at /etc/resolv.conf, or set acme.provider.resolvers",
        Error::Hook(_) => "it must be executable, and writable by its owner alone",
        Error::NoListener { .. } => {
            "set core.https_address and run the service, or prove the names in another way"
        }
        Error::File(_)
        | Error::Seal(_)
        | Error::Served(_)
        | Error::Setting(settings::Error::Sealed { .. }) => DOCTOR,
        Error::Listen(_) => "nothing was changed: choose another address, or stop what listens there",
        Error::Directory(DirectoryError::Broken { .. }) => {
            "restore it with `pki restore` into another directory; nothing was changed here"
        }
        Error::Directory(DirectoryError::Exists { .. }) => "`pki info --dir DIR` shows it",
        Error::Directory(DirectoryError::Missing { .. }) => {
            "`pki up` makes one and serves it, `pki init` only makes it"
        }
        Error::Directory(DirectoryError::Unfinished { .. }) => "`pki init` or `pki up` finishes it",
        Error::Directory(DirectoryError::Unreadable { .. }) => "look at the directory's owner and mode",
        Error::Acme(error) => return error.advice(),
        Error::Bundle(error) => super::proxy::hint(error),
        Error::Runtime { .. } | Error::Time { .. } => DOCTOR,
        Error::RelativePath { .. } => "give the whole path",
        Error::Stopping => "run it again when the service is back",
        Error::Archive(archive::Error::Decrypt(_)) => "is it the right passphrase, and the whole file?",
        Error::Archive(archive::Error::Occupied { .. }) => {
            "name a directory that is absent or empty with --dir"
        }
        Error::Authority { .. } => {
            "`pki ca list` shows the authorities; an issuing CA is revoked with `pki ca revoke KEYID`"
        }
        Error::NoList { .. } | Error::Publish { .. } => "`pki crl publish` tries again",
        Error::Ca(ca::Error::OtherConstraints { wanted, .. }) => return Some(sign_again(wanted)),
        Error::Ca(error) => return ca_hint(error).map(str::to_owned),
        Error::Crl(error) => return crl_hint(error).map(str::to_owned),
        Error::Trust(error) => return trusting::hint_of_trust(error).map(str::to_owned),
        Error::TrustChange(error) => trusting::hint(error),
        Error::NoProject { .. } => "`pki project create` makes one",
        Error::NotHeld { .. } => "only a certificateHold can be released",
        Error::NotValid { .. } => "issue a new one",
        Error::Crowded => "try again in a moment",
        Error::Archive(_)
        | Error::Denied(_)
        | Error::Forbidden(_)
        | Error::Limit { .. }
        | Error::NameNotAllowed(_)
        | Error::Nameless
        | Error::OtherProject(_)
        | Error::ProjectName(_)
        | Error::Refused(_)
        | Error::TooOften(_)
        | Error::Word { .. } => {
            return None;
        }
    };
    Some(hint.to_owned())
}

/// What the root's machine has to be asked for instead.
fn sign_again(wanted: &NameConstraints) -> String {
    let options: Vec<String> =
        wanted.permitted().iter().map(|name| format!(" --name-constraint {name}")).collect();
    match options.is_empty() {
        true => "sign the request again, without --name-constraint".to_owned(),
        false => {
            format!(
                "sign the request again where the root's key is: `pki ca sign-issuing …{}`",
                options.concat()
            )
        }
    }
}

/// What to do where there are too few threads.
pub const THREADS: &str =
    "raise the limit on this user's threads: `ulimit -u`, or TasksMax= of the unit; nothing was changed";

/// A store that can't be opened can't be looked into by `pki doctor` either.
fn store_hint(error: &store::Error) -> &'static str {
    match error {
        store::Error::Damaged { .. } | store::Error::Missing { .. } | store::Error::Absent { .. } => DAMAGED,
        store::Error::Format { .. } => {
            "use the version of pki that wrote it, or a later one; nothing was changed"
        }
        store::Error::Failed { .. } => {
            "look at the disk, then restart the service; until then nothing is changed, and lists and answers are served"
        }
        store::Error::Full { .. } => "make room on the disk: revocations still go through on the last of it",
        store::Error::Threads { .. } => THREADS,
        store::Error::Io { .. } | store::Error::File(_) => {
            "look at the owner and mode of what it names, and at the disk"
        }
        _ => DOCTOR,
    }
}

/// What to do where it was the disk that failed a change.
fn disk_hint(error: &store::Error) -> Option<&'static str> {
    matches!(error, store::Error::Failed { .. } | store::Error::Full { .. }).then(|| store_hint(error))
}

fn ca_hint(error: &ca::Error) -> Option<&'static str> {
    match error {
        ca::Error::Ambiguous { .. } => Some("name one by its serial number, or all of them with --all"),
        ca::Error::BlockedKey { .. } | ca::Error::Revoked { .. } => Some("make a new key"),
        ca::Error::CurrentAuthority { .. } => Some("`pki ca rotate` puts another in its place first"),
        ca::Error::InsideDirectory { .. } => Some("name a file on another medium"),
        ca::Error::Keyring(error) => keyring_hint(error),
        ca::Error::NotInitialised => Some("`pki up` makes a PKI and serves it, `pki init` only makes it"),
        ca::Error::RecordsMissing { .. } => Some("restore the directory from a backup"),
        ca::Error::NotFound { .. } => Some("`pki list` shows what there is"),
        ca::Error::Store(error) => disk_hint(error),
        _ => None,
    }
}

fn crl_hint(error: &crl::Error) -> Option<&'static str> {
    match error {
        crl::Error::Keyring { source, .. } => keyring_hint(source),
        crl::Error::Store(error) => disk_hint(error),
        crl::Error::Reason(_) => Some("the reasons are those of RFC 5280 §5.3.1"),
        _ => None,
    }
}

fn keyring_hint(error: &KeyringError) -> Option<&'static str> {
    match error {
        KeyringError::Locked { .. } => Some(PASSPHRASE),
        KeyringError::Key { source: PrivateKeyError::WrongPassphrase, .. } => Some(PASSPHRASE),
        KeyringError::File(store::file::FileError::Exists { .. }) => {
            Some("a key is never overwritten: name another file")
        }
        KeyringError::Elsewhere { .. } => {
            Some("where the root's key is: `pki ca sign-issuing`, `pki crl publish --root --root-key FILE`")
        }
        _ => None,
    }
}
