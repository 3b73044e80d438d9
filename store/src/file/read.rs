//! Reading files: bounded always, secrets only where nobody else can read them.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::FileError;
use super::place::describe;

/// The largest secret that is read: an RSA-4096 key in PEM has 3 KiB.
const MAX_SECRET: usize = 1 << 20;

/// Reads a key or passphrase that lies in a file of our own.
///
/// Refuses a symbolic link, anything but a regular file, one that the group or others may read or
/// write, and one above 1 MiB.
pub fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let (file, stat) = open_regular(path, OFlags::NOFOLLOW)?;
    let mode = stat.st_mode & 0o7777;
    if mode & 0o077 != 0 {
        return Err(FileError::Exposed { path: path.to_owned(), mode });
    }
    read_whole(file, &stat, path)
}

/// Reads a secret that the service manager hands over in a file of its own making.
///
/// As [`read_secret`], but without its look at links and mode: systemd links its credentials and
/// lets the service in by an access list, which shows as a group that may read.
pub fn read_credential(path: &Path) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let (file, stat) = open_regular(path, OFlags::empty())?;
    read_whole(file, &stat, path)
}

/// Reads a file, pipe or device that anybody may have written, up to `limit` bytes.
pub fn read_limited(path: &Path, limit: usize) -> Result<Vec<u8>, FileError> {
    let file = File::open(path).map_err(FileError::io("open", path))?;
    let mut bytes = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(FileError::io("read", path))?;
    if bytes.len() > limit {
        return Err(FileError::TooLarge { path: path.to_owned(), limit });
    }
    Ok(bytes)
}

fn open_regular(path: &Path, more: OFlags) -> Result<(File, rustix::fs::Stat), FileError> {
    // NONBLOCK: opening a FIFO must not wait for its writer.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | more;
    let file = match rustix::fs::openat(CWD, path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::LOOP) => {
            return Err(FileError::Irregular { path: path.to_owned(), found: describe(FileType::Symlink) });
        }
        Err(error) => return Err(FileError::io("open", path)(error)),
    };
    let stat = rustix::fs::fstat(&file).map_err(FileError::io("look at", path))?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok((file, stat)),
        other => Err(FileError::Irregular { path: path.to_owned(), found: describe(other) }),
    }
}

fn read_whole(file: File, stat: &rustix::fs::Stat, path: &Path) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let too_large = || FileError::TooLarge { path: path.to_owned(), limit: MAX_SECRET };
    let size = usize::try_from(stat.st_size).map_err(|_| too_large())?;
    if size > MAX_SECRET {
        return Err(too_large());
    }
    // Room for all of it from the start: a buffer that grows leaves copies behind that nobody wipes.
    let mut bytes = Zeroizing::new(Vec::with_capacity(size + 1));
    file.take(size as u64 + 1).read_to_end(&mut bytes).map_err(FileError::io("read", path))?;
    if bytes.len() > size {
        let grew = std::io::Error::other("it grew while it was read");
        return Err(FileError::Io { operation: "read", path: path.to_owned(), source: grew });
    }
    Ok(bytes)
}
