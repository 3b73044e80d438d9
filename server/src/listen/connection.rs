//! The accept loop, and the life of one connection.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use futures_util::FutureExt;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, watch};
use tower::ServiceExt;

use super::deadline::Deadlined;
use crate::limits::Limits;

/// Tells every loop to stop. A clone stops the same loops.
#[derive(Clone, Debug)]
pub struct Stop {
    told: watch::Sender<bool>,
}

impl Stop {
    /// Nothing has been told to stop yet.
    pub fn new() -> Stop {
        Stop { told: watch::Sender::new(false) }
    }

    /// Stops.
    pub fn stop(&self) {
        self.told.send_replace(true);
    }

    /// Whether it was told to stop.
    pub fn is_told(&self) -> bool {
        *self.told.borrow()
    }

    /// Returns once it was told to stop.
    pub async fn told(&self) {
        let mut told = self.told.subscribe();
        // The sender lives as long as `self`: the wait can't fail.
        let _ = told.wait_for(|told| *told).await;
    }
}

impl Default for Stop {
    fn default() -> Stop {
        Stop::new()
    }
}

/// A thing that takes connections.
pub(crate) trait Accept: Send + 'static {
    /// What a connection is.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    /// Who the other end is; handlers find it among a request's extensions.
    type Who: Clone + Send + Sync + 'static;

    /// Takes the next connection.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, Self::Who)>> + Send;
}

/// How one listener treats its connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// How many at once.
    pub(crate) connections: usize,
    /// How long one may live, if there is an end to it.
    pub(crate) lifetime: Option<Duration>,
}

/// How long to wait after an accept that failed: the usual cause is that files have run out.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// Serves connections until told to stop, then lets requests under way finish within the limits.
pub(crate) async fn serve<A: Accept>(door: A, router: Router, limits: Arc<Limits>, terms: Terms, stop: Stop) {
    let graceful = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(terms.connections));
    let told = stop.told();
    tokio::pin!(told);
    loop {
        let place = tokio::select! {
            biased;
            () = &mut told => break,
            place = room.clone().acquire_owned() => place,
        };
        // The semaphore is never closed.
        let Ok(place) = place else { break };
        let (stream, who) = tokio::select! {
            biased;
            () = &mut told => break,
            accepted = door.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be taken");
                    tokio::time::sleep(AFTER_FAILURE).await;
                    continue;
                }
            },
        };
        let router = router.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(who.clone());
            answer(router.clone(), request.map(Body::new))
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head_time)
            .max_buf_size(limits.head.max(8192))
            .serve_connection(TokioIo::new(Deadlined::new(stream, limits.write_time)), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            let ended = match terms.lifetime {
                Some(lifetime) => tokio::time::timeout(lifetime, connection).await.ok(),
                None => Some(connection.await),
            };
            match ended {
                Some(Ok(())) => {}
                Some(Err(error)) => tracing::debug!(%error, "a connection ended early"),
                None => tracing::debug!("a connection has lived too long"),
            }
            drop(place);
        });
    }
    drop(door);
    if tokio::time::timeout(limits.drain, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not finish in time and were cut off");
    }
}

/// Answers one request; a panic costs its sender the answer, and nobody else anything.
async fn answer(router: Router, request: Request<Body>) -> Result<Response, Infallible> {
    match AssertUnwindSafe(router.oneshot(request)).catch_unwind().await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(never)) => match never {},
        Err(_panic) => {
            tracing::error!("a request handler panicked");
            Ok(crate::http::problem::panicked())
        }
    }
}
