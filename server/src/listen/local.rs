//! The Unix socket: for users of this machine, whom the kernel names.
//!
//! The socket is made in a directory that only we may enter, given its mode there, and then renamed
//! into its place: at no moment can anybody else reach it. That rename also replaces a stale socket;
//! a socket that is answered is never replaced.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream as StdStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use tokio::net::{UnixListener, UnixStream};
use trust::Presented;

use super::Error;
use super::connection::Accept;

/// A bound socket; it is taken away when this is dropped.
pub(crate) struct LocalSocket {
    listener: UnixListener,
    path: PathBuf,
    inode: u64,
}

/// Who may open the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SocketMode {
    /// Everybody: the decision keeps out whoever is not trusted.
    Everyone,
    /// Its owner and the group with this id.
    Group(u32),
    /// Its owner.
    Owner,
}

/// Opens the socket at `path` to everybody.
pub(crate) fn open_to_everyone(path: &Path) -> io::Result<()> {
    // What is no socket is not ours.
    match fs::symlink_metadata(path)?.file_type().is_socket() {
        true => fs::set_permissions(path, fs::Permissions::from_mode(0o666)),
        false => Err(io::Error::other("it is no socket")),
    }
}

impl LocalSocket {
    /// Binds `path`. The caller holds the store's lock: no other service of this directory lives.
    pub(crate) fn bind(path: &Path, mode: SocketMode) -> Result<LocalSocket, Error> {
        let failed = |source| Error::Socket { path: path.to_owned(), source };
        make_way(path)?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let nursery = Nursery::make(parent, path).map_err(failed)?;
        let made = nursery.path.join("s");
        let reach = reach(&made).map_err(failed)?;
        let listener = UnixListener::bind(&reach.path).map_err(failed)?;
        let mode = match mode {
            SocketMode::Everyone => 0o666,
            SocketMode::Owner => 0o600,
            SocketMode::Group(gid) => match std::os::unix::fs::chown(&made, None, Some(gid)) {
                Ok(()) => 0o660,
                Err(error) => {
                    tracing::info!(gid, %error, "the socket stays its owner's: it can't be given to the group");
                    0o600
                }
            },
        };
        fs::set_permissions(&made, fs::Permissions::from_mode(mode)).map_err(failed)?;
        let inode = fs::symlink_metadata(&made).map_err(failed)?.ino();
        fs::rename(&made, path).map_err(failed)?;
        Ok(LocalSocket { listener, path: path.to_owned(), inode })
    }
}

impl Drop for LocalSocket {
    fn drop(&mut self) {
        // Only our own: a successor may have put its socket there.
        if fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Accept for LocalSocket {
    type Arrived = UnixStream;
    type Stream = UnixStream;
    type Who = Arc<Presented>;

    async fn accept(&self) -> io::Result<UnixStream> {
        Ok(self.listener.accept().await?.0)
    }

    fn origin(_: &UnixStream) -> Option<IpAddr> {
        None
    }

    async fn establish(&self, stream: UnixStream) -> io::Result<(UnixStream, Arc<Presented>)> {
        let uid = stream.peer_cred()?.uid();
        Ok((stream, Arc::new(Presented::Local(crate::peer::user(uid)))))
    }

    async fn dismissed(&self, _: &Arc<Presented>) {
        std::future::pending().await
    }
}

/// Makes sure that a socket may take the place `path`.
fn make_way(path: &Path) -> Result<(), Error> {
    let failed = |source| Error::Socket { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(failed(source)),
        Ok(found) if !found.file_type().is_socket() => Err(Error::NotASocket { path: path.to_owned() }),
        Ok(_) => match StdStream::connect(&reach(path).map_err(failed)?.path) {
            Ok(_) => Err(Error::SocketBusy { path: path.to_owned() }),
            // Nobody listens: its process is dead.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
            Err(source) => Err(failed(source)),
        },
    }
}

/// A directory for the birth of a socket; it is removed when this is dropped.
struct Nursery {
    path: PathBuf,
}

impl Nursery {
    /// Where `socket` is made. Only one service at a time makes it, so that what is there was left by one that
    /// was killed; what somebody else put there is not touched.
    fn make(parent: &Path, socket: &Path) -> io::Result<Nursery> {
        let name = socket.file_name().unwrap_or_default().to_string_lossy();
        let path = parent.join(format!(".socket-{name}"));
        let ours =
            |found: &fs::Metadata| found.is_dir() && found.uid() == rustix::process::geteuid().as_raw();
        if fs::symlink_metadata(&path).is_ok_and(|found| ours(&found)) {
            drop(Nursery { path: path.clone() });
        }
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Nursery { path })
    }
}

impl Drop for Nursery {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.path.join("s"));
        let _ = fs::remove_dir(&self.path);
    }
}

/// A way to a socket that fits into a socket address.
#[derive(Debug)]
pub struct Reach {
    /// The path to connect to or to bind, while this lives.
    pub path: PathBuf,
    /// Keeps the directory open that `path` leads through.
    _directory: Option<OwnedFd>,
}

/// The most octets a socket's path may have: `sun_path` less its final zero (unix(7)).
const LONGEST: usize = 107;

/// The way to the socket at `path`: the path itself if it fits, else through its open directory.
pub fn reach(path: &Path) -> io::Result<Reach> {
    if path.as_os_str().len() <= LONGEST {
        return Ok(Reach { path: path.to_owned(), _directory: None });
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path names no socket"));
    };
    let directory =
        rustix::fs::open(parent, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let short = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd())).join(name);
    if short.as_os_str().len() > LONGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the socket's name is too long"));
    }
    Ok(Reach { path: short, _directory: Some(directory) })
}

#[cfg(test)]
mod tests {
    use trust::LocalUser;

    use super::*;

    #[tokio::test]
    async fn the_socket_is_for_its_owner_alone_and_goes_away() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pki.socket");
        let socket = LocalSocket::bind(&path, SocketMode::Owner).unwrap();
        assert_eq!(fs::symlink_metadata(&path).unwrap().mode() & 0o7777, 0o600);
        assert!(matches!(LocalSocket::bind(&path, SocketMode::Owner), Err(Error::SocketBusy { .. })));
        drop(socket);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_file_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pki.socket");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        drop(LocalSocket::bind(&path, SocketMode::Owner).unwrap());
        fs::write(&path, "precious").unwrap();
        assert!(matches!(LocalSocket::bind(&path, SocketMode::Owner), Err(Error::NotASocket { .. })));
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }

    #[tokio::test]
    async fn what_a_killed_service_left_is_cleared_away_and_what_others_put_there_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pki.socket");
        let left = dir.path().join(".socket-pki.socket");
        fs::create_dir(&left).unwrap();
        drop(std::os::unix::net::UnixListener::bind(left.join("s")).unwrap());
        drop(LocalSocket::bind(&path, SocketMode::Owner).unwrap());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        let elsewhere = tempfile::tempdir().unwrap();
        fs::write(elsewhere.path().join("s"), "precious").unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), &left).unwrap();
        assert!(matches!(LocalSocket::bind(&path, SocketMode::Owner), Err(Error::Socket { .. })));
        assert_eq!(fs::read(elsewhere.path().join("s")).unwrap(), b"precious");
    }

    #[tokio::test]
    async fn a_long_path_is_reached() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("d".repeat(120));
        fs::create_dir(&deep).unwrap();
        let path = deep.join("pki.socket");
        let socket = LocalSocket::bind(&path, SocketMode::Owner).unwrap();
        let far = reach(&path).unwrap();
        let (arrived, connected) = tokio::join!(socket.accept(), UnixStream::connect(&far.path));
        connected.unwrap();
        let accepted = socket.establish(arrived.unwrap()).await;
        let uid = rustix::process::getuid().as_raw();
        let (_, presented) = accepted.unwrap();
        assert!(matches!(&*presented, Presented::Local(LocalUser { uid: found, .. }) if *found == uid));
    }
}
