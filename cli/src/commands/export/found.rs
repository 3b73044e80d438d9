//! What lies in the directory already, and whether it is ours. Whatever is not stays where it is: LXD makes a
//! key and a certificate of its own when it first starts, and clients may have pinned them.

use std::{collections::BTreeMap, os::unix::fs::PermissionsExt, path::Path};

use ca::{
    cert::{Certificate, SignedData},
    key::PrivateKey,
};
use crl::ParsedList;
use server::ops::{
    export::Exported,
    inventory::{Show, Shown},
    view::Selector,
};
use store::file::FileError;
use zeroize::Zeroizing;

use super::{Plan, Whose, decide::KeyThere};
use crate::{
    connect::Connection,
    error::{CommandError, Kind},
    files::{Folder, Overwrite},
};

/// The most octets of a list that is read: some twenty million entries.
const LIST_LIMIT: usize = 1 << 30;
/// The most octets of a file of certificates.
const CERTIFICATES_LIMIT: usize = 1 << 20;

/// A certificate of ours that lies in place.
pub struct There {
    /// What the inventory says of it.
    pub shown: Shown,
    /// Its key, if that is there too.
    pub key: Option<PrivateKey>,
}

impl There {
    /// Whether the key is there.
    pub fn key_there(&self) -> KeyThere {
        if self.key.is_some() { KeyThere::Ours } else { KeyThere::Absent }
    }
}

/// Our authorities, by which files are known to be ours.
pub struct Ours(Vec<Certificate>);

impl Ours {
    /// Those of an answer.
    pub fn read(exported: &Exported) -> Result<Ours, CommandError> {
        let certificates = exported.authorities.iter().map(|one| &one.certificate);
        let read: Result<_, _> = certificates.map(|pem| Certificate::from_pem(pem.as_bytes())).collect();
        read.map(Ours)
            .map_err(|error| CommandError::internal("the service's answer cannot be read").because(&error))
    }

    /// Whether a file holds certificates of our authorities and nothing else.
    fn made(&self, pem: &[u8]) -> bool {
        let bundle = Certificate::pem_bundle(pem).unwrap_or_default();
        !bundle.is_empty() && bundle.iter().all(|one| self.0.iter().any(|ours| ours.der() == one.der()))
    }

    /// Whether one of our authorities signed a certificate.
    fn issued(&self, certificate: &Certificate) -> bool {
        let mut named = self.0.iter().filter(|ours| ours.subject_raw() == certificate.issuer_raw());
        named.any(|ours| certificate.verify_signed_by(ours).is_ok())
    }

    /// Whether one of our authorities signed a list.
    fn signed(&self, list: &[u8]) -> bool {
        let Ok(list) = ParsedList::read(list) else { return false };
        let Ok(signed) = SignedData::from_der(list.der()) else { return false };
        let mut named = self.0.iter().filter(|ours| ours.subject_raw() == list.issuer());
        named.any(|ours| signed.verify(ours.public_key()).is_ok())
    }
}

/// What is to be put into the files that are ours to replace: those whose content is another one.
pub fn changed<'a>(
    plan: &Plan,
    ours: &Ours,
    wanted: impl IntoIterator<Item = (&'static str, &'a [u8])>,
) -> Result<BTreeMap<&'static str, &'a [u8]>, CommandError> {
    let mut changed = BTreeMap::new();
    for (name, wanted) in wanted {
        let path = plan.folder.join(name);
        let is_list = plan.whose.list() == Some(name);
        let Some(there) = read(&path, if is_list { LIST_LIMIT } else { CERTIFICATES_LIMIT })? else {
            changed.insert(name, wanted);
            continue;
        };
        if there == wanted {
            continue;
        }
        let is_ours = if is_list { ours.signed(&there) } else { ours.made(&there) };
        if !is_ours && plan.overwrite == Overwrite::Refuse {
            return Err(foreign(&path, plan.whose));
        }
        changed.insert(name, wanted);
    }
    Ok(changed)
}

/// The certificate and the key that are there, if they are ours. `pending` is the key of an issuance that has
/// not finished: it may have been placed before its certificate.
pub fn leaf(
    plan: &Plan,
    ours: &Ours,
    pending: Option<&str>,
    connection: &Connection,
) -> Result<Option<There>, CommandError> {
    let folder = Folder::open(&plan.folder)?;
    let stem = plan.whose.stem();
    let (certificate_name, key_name) = (format!("{stem}.crt"), format!("{stem}.key"));
    let key = folder.read(&key_name)?;
    let is_pending =
        key.as_ref().is_some_and(|key| pending.is_some_and(|own| own.as_bytes() == key.as_slice()));
    let refuse = |name: &str| match plan.overwrite {
        Overwrite::Allow => Ok(None),
        Overwrite::Refuse => Err(foreign(&plan.folder.join(name), plan.whose)),
    };
    let Some(certificate) = folder.read(&certificate_name)? else {
        return match key {
            Some(_) if !is_pending => refuse(&key_name),
            Some(_) | None => Ok(None),
        };
    };
    let Some(shown) = known(&certificate, ours, connection)? else { return refuse(&certificate_name) };
    let key = match key {
        Some(pem) if !is_pending => match belonging(&pem, &shown) {
            Some(key) => Some(key),
            None => return refuse(&key_name),
        },
        Some(_) | None => None,
    };
    Ok(Some(There { shown, key }))
}

/// What the inventory knows of the first certificate of a file; `None` if it is not one that we issued.
fn known(pem: &[u8], ours: &Ours, connection: &Connection) -> Result<Option<Shown>, CommandError> {
    let first = Certificate::pem_bundle(pem).ok().and_then(|bundle| bundle.into_iter().next());
    // An authority's certificate is nobody's own.
    let Some(first) = first.filter(|first| !first.is_ca() && ours.issued(first)) else { return Ok(None) };
    match connection.call(Show { selector: Selector::Pem(first.to_pem()) }) {
        Ok(shown) => Ok(shown.into_iter().next()),
        Err(error) if error.kind == Kind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A key that belongs to a certificate.
fn belonging(pem: &Zeroizing<Vec<u8>>, shown: &Shown) -> Option<PrivateKey> {
    let key = PrivateKey::from_pem(pem, None).ok()?;
    let certificate = Certificate::from_pem(shown.pem.as_bytes()).ok()?;
    (key.public_key().digest() == certificate.public_key().digest()).then_some(key)
}

/// Whether others may read a secret file; its mode if so.
pub fn exposed(path: &Path) -> Option<u32> {
    let mode = path.symlink_metadata().ok()?.permissions().mode() & 0o7777;
    (mode & 0o077 != 0).then_some(mode)
}

/// A file; `None` if there is none.
pub fn read(path: &Path, limit: usize) -> Result<Option<Vec<u8>>, CommandError> {
    // What is not a file is not waited for: a FIFO may never have a writer.
    match path.symlink_metadata() {
        Ok(found) if found.is_file() || found.is_symlink() => {}
        Ok(_) => {
            return Err(CommandError::conflict(format!("{} is not a file", path.display()))
                .hint("move it out of the way"));
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(CommandError::file("look at", path, &error)),
    }
    match store::file::read_limited(path, limit) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.io_kind() == Some(std::io::ErrorKind::NotFound) => Ok(None),
        // Whatever is so large is none of ours.
        Err(FileError::TooLarge { .. }) => Ok(Some(Vec::new())),
        Err(error) => Err(error.into()),
    }
}

fn foreign(path: &Path, whose: Whose) -> CommandError {
    let made = match whose {
        Whose::Client => {
            "`lxc` makes client.crt and client.key itself when it first needs them: servers that trust them have to be told of the new ones"
        }
        Whose::Server => {
            "LXD makes server.crt and server.key itself when it first starts: clients that pinned them have to learn the new certificate"
        }
    };
    CommandError::conflict(format!("{} is not ours", path.display()))
        .hint("keep a copy if you need it; --force replaces it")
        .hint(made)
}
