//! Keeps a listener where its setting says.

mod https;
mod public;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::ListenerState;
use crate::counters::Gauge;
use crate::http::problem;
use crate::limits::Limits;
use crate::listen::{self, Accept, Stop, Terms};

pub(super) use https::HttpsDoor;
pub(super) use public::PublicDoor;

/// How long to wait before a busy address is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// A kind of listener that has an address of its own.
pub(super) trait Door: Send + Sync + 'static {
    /// What it is once it is bound.
    type Listener: Accept;
    /// What it is called in the log.
    const NAME: &'static str;

    /// Binds it.
    fn bind(&self, address: SocketAddr)
    -> impl Future<Output = Result<Self::Listener, listen::Error>> + Send;

    /// What it is bound to.
    fn address(listener: &Self::Listener) -> SocketAddr;

    /// What it answers.
    fn router(&self) -> Router;

    /// How it treats connections.
    fn terms(limits: &Limits) -> Terms;

    /// Where its open connections are counted.
    fn open(&self) -> Gauge;

    /// Tells everybody what has become of it.
    fn tell(&self, state: ListenerState);
}

/// Serves on `first`, and moves whenever `wanted` changes, until told to stop.
///
/// The new address is bound before the old one is let go: one that can't be had is logged and tried
/// again, and meanwhile everything stays served where it was.
pub(super) async fn keep<D: Door>(
    door: D,
    first: Option<D::Listener>,
    mut wanted: watch::Receiver<Option<SocketAddr>>,
    limits: Arc<Limits>,
    stop: Stop,
) {
    let mut open: Option<(SocketAddr, Stop)> = None;
    let mut serving = JoinSet::new();
    let mut ready = first;
    loop {
        let address = *wanted.borrow_and_update();
        // One that overlaps with the new one (the same port on every address) has to go first.
        if let Some((_, before)) = open.take_if(|(old, _)| address.is_none_or(|new| overlap(*old, new))) {
            before.stop();
        }
        let state = match (ready.take(), address) {
            (Some(listener), _) => Ok(Some(listener)),
            (None, Some(address)) => bind(&door, address).await.map(Some).map_err(|error| (address, error)),
            (None, None) => Ok(None),
        };
        let mut again = None;
        door.tell(match state {
            Ok(Some(listener)) => {
                let bound = D::address(&listener);
                tracing::info!(address = %bound, "the {} is open", D::NAME);
                let its_stop = Stop::new();
                if let Some((_, before)) = open.replace((bound, its_stop.clone())) {
                    before.stop();
                }
                let terms = D::terms(&limits);
                serving.spawn(listen::serve(
                    listener,
                    door.router(),
                    limits.clone(),
                    terms,
                    door.open(),
                    its_stop,
                ));
                ListenerState::Listening(bound)
            }
            Ok(None) => ListenerState::Off,
            Err((address, error)) => {
                again = Some(AGAIN);
                tracing::error!(%error, "the {} is shut", D::NAME);
                let mut causes = vec![error.to_string()];
                causes.extend(problem::causes(&error));
                ListenerState::Failed { address, causes }
            }
        });
        let pause = async {
            match again {
                Some(again) => tokio::time::sleep(again).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = stop.told() => break,
            changed = wanted.changed() => if changed.is_err() { stop.told().await; break },
            () = pause => {}
        }
    }
    if let Some((_, before)) = open {
        before.stop();
    }
    door.tell(ListenerState::Off);
    while serving.join_next().await.is_some() {}
}

/// Whether two addresses can't be listened on at once.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let everywhere = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && (one.ip() == other.ip() || everywhere)
}

/// Binds; our own listener before may take a moment to let the port go.
async fn bind<D: Door>(door: &D, address: SocketAddr) -> Result<D::Listener, listen::Error> {
    const TRIES: u32 = 20;
    let mut tries = 0;
    loop {
        match door.bind(address).await {
            Err(listen::Error::Busy { .. }) if tries < TRIES => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            ended => return ended,
        }
    }
}
