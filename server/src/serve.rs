//! The service: opens its doors, does its periodic work, and stops when it is told.

mod door;
mod notify;

use std::ffi::OsString;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use store::Sequence;
use tokio::sync::watch;

use crate::http::{Desk, socket_router};
use crate::limits::Limits;
use crate::listen::{self, LocalSocket, PublicListener, Stop, Terms};
use crate::{Pki, clock, jobs, ops};

/// How to serve.
#[derive(Clone, Debug, Default)]
pub struct ServeOptions {
    /// Where the sockets go; none means the one in the directory.
    pub sockets: Vec<PathBuf>,
    /// systemd's `NOTIFY_SOCKET`, if there is one.
    pub notify: Option<OsString>,
    /// What peers may take of us.
    pub limits: Limits,
}

/// What is being served, once it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serving {
    /// The sockets.
    pub sockets: Vec<PathBuf>,
    /// The public listener.
    pub public: Option<SocketAddr>,
}

/// Why the service could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A listener could not be opened.
    #[error(transparent)]
    Listen(#[from] listen::Error),
    /// systemd could not be told.
    #[error("the service manager can't be told at {socket:?}")]
    Notify {
        /// `NOTIFY_SOCKET`.
        socket: OsString,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The PKI could not be read.
    #[error(transparent)]
    Operation(#[from] Box<ops::Error>),
}

/// What has become of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenerState {
    /// It could not be opened; it is tried again.
    Failed {
        /// Where it should be.
        address: SocketAddr,
        /// Why it is not, outermost cause first.
        causes: Vec<String>,
    },
    /// It is up.
    Listening(SocketAddr),
    /// It is not wanted, or no service runs.
    Off,
}

/// How long the follower sleeps at most before it looks whether it should stop.
const FOLLOW: Duration = Duration::from_millis(250);

/// Serves until `shutdown` is ready. `ready` is called once every door is open.
///
/// # Errors
/// When a door can't be opened at the start. Later failures are logged, tried again, and found by
/// `pki doctor`.
pub async fn serve(
    pki: Pki,
    options: ServeOptions,
    shutdown: impl Future<Output = ()>,
    ready: impl FnOnce(&Serving),
) -> Result<(), Error> {
    let paths = match options.sockets.is_empty() {
        true => vec![pki.layout().socket()],
        false => options.sockets,
    };
    let limits = Arc::new(options.limits);
    let stop = Stop::new();
    pki.set_stop(stop.clone());
    let sockets = paths.iter().map(|path| LocalSocket::bind(path)).collect::<Result<Vec<_>, _>>()?;
    let seen = pki.store().head();
    pki.shelf().open();
    pki.fill_shelf(clock::now()).map_err(Box::new)?;
    let wanted = pki.settings().map_err(Box::new)?.public_address();
    let public = match wanted {
        Some(address) => Some(PublicListener::bind(address).await?),
        None => None,
    };
    let serving = Serving { sockets: paths, public: public.as_ref().map(PublicListener::address) };
    if let Some(address) = serving.public {
        // Before the first job runs: a renewal asks who answers its challenge.
        pki.set_public_state(ListenerState::Listening(address));
    }

    let desk = Desk::new(pki.clone(), limits.clone());
    let mut tasks = tokio::task::JoinSet::new();
    for socket in sockets {
        let terms = Terms {
            connections: limits.local_connections,
            of_one_origin: limits.local_connections,
            lifetime: None,
        };
        let router = socket_router(desk.clone());
        tasks.spawn(listen::serve(socket, router, limits.clone(), terms, stop.clone()));
    }
    let (sender, receiver) = watch::channel(wanted);
    let door = door::PublicDoor(pki.clone());
    tasks.spawn(door::keep(door, public, receiver, limits.clone(), stop.clone()));
    tasks.spawn(jobs::run(pki.clone(), &jobs::TABLE, stop.clone()));
    let (follower, told) = (pki.clone(), stop.clone());
    tasks.spawn_blocking(move || follow(&follower, seen, &told, &sender));

    let notify = options.notify.as_deref();
    let tell = |state: &str| notify::tell(notify, state);
    tell("READY=1")
        .map_err(|source| Error::Notify { socket: notify.unwrap_or_default().to_owned(), source })?;
    ready(&serving);
    shutdown.await;
    let _ = tell("STOPPING=1");
    stop.stop();
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "a part of the service broke");
        }
    }
    Ok(())
}

/// Follows the store: what was set acts at once.
fn follow(pki: &Pki, mut seen: Sequence, stop: &Stop, wanted: &watch::Sender<Option<SocketAddr>>) {
    const PAGE: usize = 256;
    let settings = store::Key::new("setting").children();
    while !stop.is_told() {
        if pki.store().wait(seen, FOLLOW) <= seen {
            continue;
        }
        let entries = match pki.store().follow(seen, PAGE) {
            Ok(entries) => entries,
            Err(error) => {
                tracing::error!(%error, "the store can't be followed");
                std::thread::sleep(FOLLOW);
                continue;
            }
        };
        let Some(last) = entries.last() else { continue };
        seen = last.sequence;
        let touched = entries
            .iter()
            .flat_map(|entry| entry.writes.iter().flatten())
            .any(|(key, _)| settings.contains(key));
        if !touched {
            continue;
        }
        match pki.settings() {
            Ok(settings) => {
                let address = settings.public_address();
                wanted.send_if_modified(|held| std::mem::replace(held, address) != address);
            }
            Err(error) => tracing::error!(%error, "the settings can't be read"),
        }
    }
}

#[cfg(test)]
mod tests;
