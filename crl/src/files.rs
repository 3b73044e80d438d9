//! Where lists lie, and how they get there: each file is absent, old or new, never partial.
//!
//! Every authority's own list is `cas/KEYID.crl`, DER. The others are put together from those: `ca.crl`
//! (PEM) and `ca.crl.der` of the current issuing CA, `root.crl` (PEM), and `chain.crl` (PEM) with the
//! list of every authority that still has live certificates, the current one first, the root last.
//! An authority's own file is placed after all that it is part of: if it is the list that the records
//! name, then so are the others, whatever was interrupted.

use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ca::cert::{KeyId, PublicKey, SignedData};
use store::file::{Draft, FileError, OnExisting, Visibility, WriteOnce, make_dir, place_with};

use crate::read::TbsFields;
use crate::{CrlNumber, Error, ParsedList};

/// The most octets of a list that are read back: some twenty million entries.
const LARGEST: usize = 1 << 30;

/// Lines of PEM that are written at once.
const LINES: usize = 512;

const END: &str = "-----END X509 CRL-----\n";

/// What tells a file from the one that takes its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp(u64, u64, i64, i64);

/// The files of one directory.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    directory: PathBuf,
}

impl Files {
    pub(crate) fn new(directory: PathBuf) -> Files {
        Files { directory }
    }

    /// An authority's own list, relative to the directory.
    pub(crate) fn own_name(issuer: &KeyId) -> PathBuf {
        Path::new("cas").join(format!("{issuer}.crl"))
    }

    /// A file of the directory.
    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.directory.join(name)
    }

    /// The list in an authority's own file, DER; `None` if there is no file.
    pub(crate) fn own(&self, issuer: &KeyId) -> Result<Option<Vec<u8>>, FileError> {
        let path = self.path(Files::own_name(issuer));
        match store::file::read_limited(&path, LARGEST) {
            Ok(der) => Ok(Some(der)),
            Err(error) if error.io_kind() == Some(io::ErrorKind::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The size of an authority's own list; `None` if there is no file.
    pub(crate) fn own_size(&self, issuer: &KeyId) -> Option<u64> {
        std::fs::metadata(self.path(Files::own_name(issuer))).ok().map(|found| found.len())
    }

    /// What a file is now; `None` if there is none. A file that is written over, or put back with its old
    /// dates, has another one: the time of change can't be set.
    pub(crate) fn stamp(&self, name: &Path) -> Option<Stamp> {
        let found = std::fs::metadata(self.path(name)).ok()?;
        Some(Stamp(found.ino(), found.len(), found.ctime(), found.ctime_nsec()))
    }

    /// Whether a file holds exactly this.
    pub(crate) fn holds(&self, name: &Path, content: &[u8]) -> bool {
        store::file::read_limited(&self.path(name), LARGEST).is_ok_and(|found| found == content)
    }

    /// Everything in a file that may be a list, DER.
    pub(crate) fn lists_in(&self, name: &Path) -> Vec<Vec<u8>> {
        let Ok(bytes) = store::file::read_limited(&self.path(name), LARGEST) else { return Vec::new() };
        match std::str::from_utf8(&bytes) {
            Ok(text) => {
                let lists = text.split_inclusive(END).map(|pem| ParsedList::read(pem.as_bytes()));
                lists.flatten().map(|list| list.der().to_vec()).collect()
            }
            Err(_der) => vec![bytes],
        }
    }

    /// Places a file of this content.
    pub(crate) fn place_bytes(&self, name: &Path, content: &[u8]) -> Result<(), Error> {
        self.place(name, |out| out.write_all(content))
    }

    /// Makes the folder of the authorities' own lists.
    pub(crate) fn make_own_folder(&self) -> Result<(), Error> {
        Ok(make_dir(&self.path("cas"), Visibility::Public)?)
    }

    /// A list, DER, that is to be placed.
    pub(crate) fn der_draft<'a>(&self, name: &Path, der: &'a [u8]) -> Draft<'a> {
        self.draft(name, Box::new(move |out| out.write_all(der)))
    }

    /// Lists, PEM, one after the other, that are to be placed.
    pub(crate) fn pem_draft<'a>(&self, name: &Path, lists: Vec<&'a [u8]>) -> Draft<'a> {
        self.draft(name, Box::new(move |out| lists.iter().try_for_each(|der| write_pem(out, der))))
    }

    fn draft<'a>(&self, name: &Path, write: WriteOnce<'a>) -> Draft<'a> {
        let (visibility, on_existing) = (Visibility::Public, OnExisting::Replace);
        Draft { path: self.path(name), visibility, on_existing, write }
    }

    fn place(&self, name: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Error> {
        Ok(place_with(&self.path(name), Visibility::Public, OnExisting::Replace, write)?)
    }
}

/// SHA-256 of the to-be-signed part of a list; `None` if it is not one.
pub(crate) fn tbs_digest(der: &[u8]) -> Option<[u8; 32]> {
    Some(sha256(SignedData::from_der(der).ok()?.tbs))
}

/// The number of a list of ours that this key signed.
pub(crate) fn number_of(der: &[u8], signer: &PublicKey) -> Option<CrlNumber> {
    let signed = SignedData::from_der(der).ok()?;
    signed.verify(signer).ok()?;
    TbsFields::read(signed.tbs).ok()?.number().ok()
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut value = [0; 32];
    value.copy_from_slice(digest(&SHA256, bytes).as_ref());
    value
}

/// Writes one PEM block (RFC 7468 §9), 64 characters a line, without holding its text.
fn write_pem(out: &mut dyn Write, der: &[u8]) -> io::Result<()> {
    out.write_all(b"-----BEGIN X509 CRL-----\n")?;
    // Some hundred lines at a time: a large list has a million.
    let mut lines = vec![0; 65 * LINES];
    for octets in der.chunks(48 * LINES) {
        let mut filled = 0;
        for octets in octets.chunks(48) {
            filled += STANDARD.encode_slice(octets, &mut lines[filled..]).map_err(io::Error::other)?;
            lines[filled] = b'\n';
            filled += 1;
        }
        out.write_all(&lines[..filled])?;
    }
    out.write_all(END.as_bytes())
}

/// Lists in PEM, one after the other.
pub(crate) fn pem(lists: &[&[u8]]) -> Vec<u8> {
    let mut text = Vec::new();
    // Writing into memory does not fail.
    let _ = lists.iter().try_for_each(|der| write_pem(&mut text, der));
    text
}
