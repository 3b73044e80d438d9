//! Keeps the public listener where the setting says.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::PublicState;
use crate::Pki;
use crate::http::{problem, public};
use crate::limits::Limits;
use crate::listen::{self, PublicListener, Stop, Terms};

/// How long to wait before a busy address is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// Serves on `first`, and moves whenever `wanted` changes, until told to stop.
///
/// The new address is bound before the old one is let go: one that can't be had is logged and tried
/// again, and meanwhile the lists stay served where they were.
pub(super) async fn keep(
    pki: Pki,
    first: Option<PublicListener>,
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
            (None, Some(address)) => bind(address).await.map(Some).map_err(|error| (address, error)),
            (None, None) => Ok(None),
        };
        let mut again = None;
        pki.set_public_state(match state {
            Ok(Some(listener)) => {
                let bound = listener.address();
                tracing::info!(address = %bound, "the public listener is open");
                let its_stop = Stop::new();
                if let Some((_, before)) = open.replace((bound, its_stop.clone())) {
                    before.stop();
                }
                let terms = Terms { connections: limits.public_connections, lifetime: Some(limits.lifetime) };
                let router = public::router(pki.clone());
                serving.spawn(listen::serve(listener, router, limits.clone(), terms, its_stop));
                PublicState::Listening(bound)
            }
            Ok(None) => PublicState::Off,
            Err((address, error)) => {
                again = Some(AGAIN);
                tracing::error!(%error, "the public listener is shut");
                let mut causes = vec![error.to_string()];
                causes.extend(problem::causes(&error));
                PublicState::Failed { address, causes }
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
    pki.set_public_state(PublicState::Off);
    while serving.join_next().await.is_some() {}
}

/// Whether two addresses can't be listened on at once.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let everywhere = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && (one.ip() == other.ip() || everywhere)
}

/// Binds; our own listener before may take a moment to let the port go.
async fn bind(address: SocketAddr) -> Result<PublicListener, listen::Error> {
    const TRIES: u32 = 20;
    let mut tries = 0;
    loop {
        match PublicListener::bind(address).await {
            Err(listen::Error::Busy { .. }) if tries < TRIES => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            ended => return ended,
        }
    }
}
