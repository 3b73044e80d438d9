//! Finds the PKI: a running service's socket, or the directory itself. One code path for both: the
//! same operations, the same replies.
//!
//! `--remote` names a service elsewhere, over HTTPS. Without it, the order: `--dir`, else PKI_DIR, else the system's service if its socket is there, else the
//! user's own directory. Where a service listens it is used; where none does, the owner of the
//! directory, and nobody else, opens the store and runs the operation in process. Whom the socket of this
//! machine refuses may be let in by their certificate, over HTTPS. While another
//! command holds the store we wait (`--wait`), and switch to the socket if a service comes up.

mod by_certificate;
mod fetch;
mod local;
mod lxd;
mod socket;
mod way;

pub use local::{ask, asks_for_passphrase, open};
pub use lxd::{Redemption, Standing};
pub use socket::Service;
pub use way::not_reached;

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use server::{
    Pki,
    http::problem::problem,
    ops::{Error, Operation},
    pki::OpenMode,
    serve::Early,
};

use crate::{
    client::{self, ClientFolder},
    context::Context,
    environment::Environment,
    error::{CommandError, Kind},
    passphrase,
};

/// The system service's socket.
const SYSTEM_SOCKET: &str = "/run/pki/pki.socket";

/// Where the PKI is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A directory; its service, if one runs, listens inside.
    Directory(PathBuf),
    /// The system's service.
    System(PathBuf),
}

/// A way to the PKI.
pub enum Connection {
    /// Opened by this process.
    Here(local::Here),
    /// A running service, of this machine or another.
    Service(Service),
}

impl Connection {
    /// Runs an operation.
    pub fn call<O: Operation>(&self, operation: O) -> Result<O::Reply, CommandError> {
        match self {
            Connection::Here(here) => here.call(operation),
            Connection::Service(service) => service.call(operation),
        }
    }
}

impl Context {
    /// Where the PKI is, by the arguments and the environment.
    pub fn location(&self) -> Result<Location, CommandError> {
        if let Some(remote) = &self.global.remote {
            return Err(CommandError::usage(format!(
                "this command works on the files of a PKI, and those of {} are elsewhere",
                ca::cert::printable(remote)
            ))
            .hint("run it on the machine that holds them"));
        }
        if let Some(dir) = &self.global.dir {
            return Ok(Location::Directory(self.resolve(dir)));
        }
        if let Some(dir) = self.environment.variable("PKI_DIR") {
            return Ok(Location::Directory(self.resolve(Path::new(dir))));
        }
        let system = Path::new(SYSTEM_SOCKET);
        if system.exists() {
            return Ok(Location::System(system.to_path_buf()));
        }
        own_directory(&self.environment).map(Location::Directory)
    }

    /// The directory of a PKI that may still have to be made.
    pub fn new_directory(&self) -> Result<PathBuf, CommandError> {
        self.directory()
    }

    /// The PKI's directory, for commands that work on files.
    pub fn directory(&self) -> Result<PathBuf, CommandError> {
        match self.location()? {
            Location::Directory(directory) => Ok(directory),
            Location::System(socket) => Err(CommandError::new(
                Kind::Denied,
                format!("the system's service holds the PKI ({})", socket.display()),
            )
            .hint(
                "name the directory with --dir, or work as its user: `sudo -u pki pki … --dir /var/lib/pki`",
            )),
        }
    }

    /// Connects: to the service if one listens, else to the directory itself.
    pub fn connect(&mut self) -> Result<Connection, CommandError> {
        if let Some(remote) = self.global.remote.clone() {
            if self.global.dir.is_some() {
                return Err(
                    CommandError::usage("--dir and --remote name two PKIs").hint("leave one of them away")
                );
            }
            let (name, dialer) = client::dialer(&remote, self)?;
            let service = Service::over_https(dialer, Some(name.clone()), self)?;
            ClientFolder::of(&self.environment)?.follow_journal(&name, &service, self)?;
            return Ok(Connection::Service(service));
        }
        let directory = match self.location()? {
            Location::System(socket) => {
                return match socket::Service::connect(&socket, self)? {
                    Some(service) => by_certificate::nearest(service, &socket, self).map(Connection::Service),
                    None => Err(CommandError::new(
                        Kind::Unavailable,
                        format!("the system's service does not answer at {}", socket.display()),
                    )
                    .hint("`systemctl status pki` says why; --dir names another PKI")),
                };
            }
            Location::Directory(directory) => directory,
        };
        let socket = directory.join("pki.socket");
        let began = Instant::now();
        let mut waiting = local::Waiting::new();
        loop {
            if let Some(service) = socket::Service::connect(&socket, self)? {
                return by_certificate::nearest(service, &socket, self).map(Connection::Service);
            }
            match local::try_open(&directory, self)? {
                local::Tried::Open(pki) => {
                    return Ok(Connection::Here(local::Here::new(directory, *pki, self)));
                }
                local::Tried::Locked { pid } => {
                    if began.elapsed() >= self.global.wait {
                        return Err(local::held(&directory, pid, self.global.wait));
                    }
                    waiting.pause(pid, self.global.wait);
                }
            }
        }
    }
}

/// Opens or makes a PKI for this process alone: refuses where a service runs, waits for commands.
pub fn patiently<T>(
    directory: &Path,
    context: &mut Context,
    mut act: impl FnMut(&mut Context) -> Result<T, Error>,
) -> Result<T, CommandError> {
    let began = Instant::now();
    let mut waiting = local::Waiting::new();
    loop {
        refuse_service(directory, context)?;
        match act(context) {
            Ok(done) => return Ok(done),
            Err(Error::Store(store::Error::Locked { pid, .. })) => {
                if began.elapsed() >= context.global.wait {
                    return Err(local::held(directory, pid, context.global.wait));
                }
                waiting.pause(pid, context.global.wait);
            }
            Err(error) => return Err(problem(&error).into()),
        }
    }
}

/// Refuses a directory that a service runs on.
pub fn refuse_service(directory: &Path, context: &Context) -> Result<(), CommandError> {
    match socket::Service::connect(&directory.join("pki.socket"), context)? {
        None => Ok(()),
        Some(_) => Err(CommandError::conflict(format!("a service runs on {}", directory.display()))
            .hint("stop it first: Ctrl-C where it runs, or `systemctl stop pki`; `pki info` says which process it is")),
    }
}

/// Opens a directory for a service. Meanwhile what lies there for everybody is served.
pub fn open_to_serve(directory: &Path, context: &mut Context) -> Result<(Pki, Option<Early>), CommandError> {
    local::check_owner(directory)?;
    refuse_service(directory, context)?;
    let early = Early::begin(directory);
    let mut passphrase = passphrase::given(context)?;
    let pki = patiently(directory, context, |context| {
        let opened = local::open(directory, passphrase.clone(), OpenMode::Service, context);
        match opened {
            // A service signs by itself: it needs the passphrase now.
            Err(error) if local::asks_for_passphrase(&error, &context.environment) => {
                passphrase = local::ask(&context.environment).or(passphrase.take());
                local::open(directory, passphrase.clone(), OpenMode::Service, context)
            }
            opened => opened,
        }
    })?;
    Ok((pki, early))
}

/// The user's own directory (XDG Base Directory Specification).
fn own_directory(environment: &Environment) -> Result<PathBuf, CommandError> {
    let data = environment.variable("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    if let Some(data) = data {
        return Ok(data.join("pki"));
    }
    match environment.variable("HOME").map(PathBuf::from).filter(|path| path.is_absolute()) {
        Some(home) => Ok(home.join(".local/share/pki")),
        None => Err(CommandError::usage("where is the PKI? neither PKI_DIR nor HOME is set")
            .hint("name its directory with --dir")),
    }
}

#[cfg(test)]
mod tests;
