//! The service: opens its doors, does its periodic work, and stops when it is told.

mod clients;
mod door;
pub(crate) mod early;
mod fleet;
mod follow;
mod notify;

use std::ffi::OsString;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::counters::Listener;
use crate::http::{Desk, socket_router};
use crate::limits::Limits;
use crate::listen::{self, LocalSocket, SocketMode, Stop, Terms};
use crate::tls::Versions;
use crate::{Pki, clock, jobs, ops};
use door::Door;
use follow::Followers;

pub use early::Early;

/// How to serve.
#[derive(Debug, Default)]
pub struct ServeOptions {
    /// Where the sockets go; none means the one in the directory.
    pub sockets: Vec<PathBuf>,
    /// systemd's `NOTIFY_SOCKET`, if there is one.
    pub notify: Option<OsString>,
    /// What peers may take of us.
    pub limits: Limits,
    /// Which versions of TLS the HTTPS listener speaks.
    pub versions: Versions,
    /// What has served the published files until now.
    pub early: Option<Early>,
}

/// What is being served, once it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serving {
    /// The sockets.
    pub sockets: Vec<PathBuf>,
    /// The public listener.
    pub public: Option<SocketAddr>,
    /// The HTTPS listener.
    pub https: Option<SocketAddr>,
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
    pki.make_room_for_clients();
    let mode = pki.socket_mode().map_err(Box::new)?;
    let sockets = paths.iter().map(|path| LocalSocket::bind(path, mode)).collect::<Result<Vec<_>, _>>()?;
    let seen = pki.store().head();
    pki.shelf().open();
    pki.fill_shelf(clock::now()).map_err(Box::new)?;
    let settings = pki.settings().map_err(Box::new)?;
    let (followers, seats) = Followers::new(&settings);
    let desk = Desk::new(pki.clone(), limits.clone());
    let public_door = door::PublicDoor(pki.clone());
    let wanted = *seats.public.borrow();
    let public = match options.early.and_then(|early| early.hand_over(wanted)) {
        Some(listener) => Some(listener),
        None => open(&public_door, wanted).await?,
    };
    early::remember_or_warn(&pki, wanted);
    let https_door = door::HttpsDoor::new(desk.clone(), options.versions, seats.admissions);
    let https = open(&https_door, *seats.https.borrow()).await?;
    let serving = Serving {
        sockets: paths,
        public: public.as_ref().map(door::PublicDoor::address),
        https: https.as_ref().map(door::HttpsDoor::address),
    };
    if let Some(address) = serving.public {
        // Before the first job runs: a renewal asks who answers its challenge.
        pki.set_public_state(ListenerState::Listening(address));
    }

    let mut tasks = tokio::task::JoinSet::new();
    for socket in sockets {
        let terms = Terms {
            connections: limits.local_connections,
            of_one_origin: limits.local_connections,
            lifetime: None,
        };
        let router = socket_router(desk.clone());
        let open = pki.counters().open(Listener::Socket).clone();
        tasks.spawn(listen::serve(socket, router, limits.clone(), terms, open, stop.clone()));
    }
    tasks.spawn(door::keep(public_door, public, seats.public, limits.clone(), stop.clone()));
    tasks.spawn(door::keep(https_door, https, seats.https, limits.clone(), stop.clone()));
    tasks.spawn(jobs::run(pki.clone(), &jobs::TABLE, stop.clone()));
    tasks.spawn(clients::follow(pki.clone(), stop.clone()));
    tasks.spawn(fleet::keep(pki.clone(), seats.proxies, stop.clone()));
    let (follower, told) = (pki.clone(), stop.clone());
    tasks.spawn_blocking(move || followers.follow(&follower, seen, &told));

    if mode != SocketMode::Everyone {
        let (local, paths, told) = (pki.clone(), serving.sockets.clone(), stop.clone());
        tasks.spawn_blocking(move || open_when_due(&local, &paths, &told));
    }

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
    // Whoever was refused since the last sum is in the journal too.
    let summed = tokio::task::spawn_blocking(move || pki.sum_up_refusals(clock::now())).await;
    if let Ok(Err(error)) = summed {
        tracing::error!(error = crate::http::problem::in_words(&error), "refusals could not be summed up");
    }
    Ok(())
}

/// Opens the sockets to everybody once the first other user has come, or nobody is waited for any more.
fn open_when_due(pki: &Pki, paths: &[PathBuf], stop: &Stop) {
    const LOOK: Duration = Duration::from_millis(250);
    let mut seen = pki.store().head();
    while !stop.is_told() {
        match pki.socket_mode() {
            Ok(SocketMode::Everyone) => {
                for path in paths {
                    if let Err(error) = listen::open_to_everyone(path) {
                        tracing::error!(socket = %path.display(), %error, "the socket can't be opened to others");
                    }
                }
                return;
            }
            Ok(SocketMode::Group(_) | SocketMode::Owner) => {}
            Err(error) => tracing::error!(%error, "who may open the socket is not known"),
        }
        while !stop.is_told() && pki.store().head() <= seen {
            pki.store().wait(seen, LOOK);
        }
        seen = pki.store().head();
    }
}

/// Opens a door for the first time, where one is wanted.
async fn open<D: Door>(door: &D, wanted: Option<SocketAddr>) -> Result<Option<D::Listener>, Error> {
    match wanted {
        Some(address) => Ok(Some(door.bind(address).await?)),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests;
