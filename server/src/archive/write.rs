//! Writing an archive.

use std::io::{Read, Write};
use std::iter;
use std::path::PathBuf;

use age::secrecy::SecretString;
use ca::key::ScryptCost;
use store::file::Visibility;
use tar::{Builder, EntryType, Header};
use time::OffsetDateTime;

use super::Error;

/// What goes into an archive.
pub(crate) struct Member {
    /// Where, relative to the directory.
    pub(crate) path: PathBuf,
    /// For whom.
    pub(crate) visibility: Visibility,
    /// What.
    pub(crate) source: Source,
}

/// Where a member's octets come from.
pub(crate) enum Source {
    /// From memory.
    Bytes(Vec<u8>),
    /// It is a directory.
    Directory,
    /// From something that was opened; exactly so many octets.
    Reader(Box<dyn Read + Send>, u64),
}

/// How hard a passphrase is to try: scrypt's N is 2 to this power.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work(pub(crate) u8);

impl Work {
    /// Sixteen times the work of a key: an archive leaves the machine. For a usual key that is what age
    /// uses, about a second, and 256 MiB for that second.
    pub(crate) fn beside(key: ScryptCost) -> Work {
        Work(key.log_n.saturating_add(4))
    }
}

/// Writes `members` to `out`, encrypted to `passphrase`.
pub(crate) fn pack(
    out: impl Write,
    passphrase: &SecretString,
    work: Work,
    members: impl Iterator<Item = Result<Member, Error>>,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let failed = |source| Error::Io { act: "written", source };
    let mut recipient = age::scrypt::Recipient::new(passphrase.clone());
    recipient.set_work_factor(work.0);
    let encryptor = age::Encryptor::with_recipients(iter::once(&recipient as &dyn age::Recipient))
        .map_err(|error| failed(std::io::Error::other(error)))?;
    let mut tar = Builder::new(encryptor.wrap_output(out).map_err(failed)?);
    let time = u64::try_from(now.unix_timestamp()).unwrap_or(0);
    for member in members {
        append(&mut tar, member?, time)?;
    }
    let mut out = tar.into_inner().and_then(|sealed| sealed.finish()).map_err(failed)?;
    out.flush().map_err(failed)
}

fn append(tar: &mut Builder<impl Write>, member: Member, time: u64) -> Result<(), Error> {
    let mut header = Header::new_gnu();
    header.set_mtime(time);
    let secret = match member.visibility {
        Visibility::Secret => true,
        Visibility::Public => false,
    };
    let failed = |source| Error::Io { act: "written", source };
    match member.source {
        Source::Directory => {
            header.set_entry_type(EntryType::Directory);
            header.set_mode(if secret { 0o700 } else { 0o755 });
            header.set_size(0);
            tar.append_data(&mut header, &member.path, std::io::empty()).map_err(failed)
        }
        Source::Bytes(bytes) => {
            header.set_mode(if secret { 0o600 } else { 0o644 });
            header.set_size(bytes.len() as u64);
            tar.append_data(&mut header, &member.path, bytes.as_slice()).map_err(failed)
        }
        Source::Reader(reader, length) => {
            header.set_mode(if secret { 0o600 } else { 0o644 });
            header.set_size(length);
            let mut exact = Exact { reader, left: length };
            tar.append_data(&mut header, &member.path, &mut exact).map_err(|source| Error::Member {
                path: member.path,
                act: "put into the archive",
                source,
            })
        }
    }
}

/// Exactly so many octets: a file that became shorter is an error, not a shifted archive.
struct Exact {
    reader: Box<dyn Read + Send>,
    left: u64,
}

impl Read for Exact {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let most = usize::try_from(self.left).map_or(buf.len(), |left| left.min(buf.len()));
        if most == 0 {
            return Ok(0);
        }
        match self.reader.read(&mut buf[..most])? {
            0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
            read => {
                self.left -= read as u64;
                Ok(read)
            }
        }
    }
}
