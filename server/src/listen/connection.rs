//! The accept loop, and the life of one connection.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use futures_util::FutureExt;
use hyper::Request;
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, watch};
use tower::ServiceExt;

use super::deadline::Deadlined;
use super::origins::Origins;
use super::rest::{Ended, Rest};
use crate::counters::Gauge;
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
pub(crate) trait Accept: Send + Sync + 'static {
    /// What has just come in, before anything was read from it.
    type Arrived: Send + 'static;
    /// What a connection is.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    /// Who the other end is; handlers find it among a request's extensions.
    type Who: Clone + Send + Sync + 'static;

    /// Takes the next connection.
    fn accept(&self) -> impl Future<Output = io::Result<Self::Arrived>> + Send;

    /// Where it comes from, if connections of one origin are counted.
    fn origin(arrived: &Self::Arrived) -> Option<IpAddr>;

    /// Makes a connection of it: where there is a handshake, it happens here, and holds up nobody else.
    fn establish(
        &self,
        arrived: Self::Arrived,
    ) -> impl Future<Output = io::Result<(Self::Stream, Self::Who)>> + Send;

    /// Returns once the other end has lost what let it in; its connection is closed then.
    fn dismissed(&self, who: &Self::Who) -> impl Future<Output = ()> + Send;
}

/// How one listener treats its connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// How many at once.
    pub(crate) connections: usize,
    /// How many at once from one address.
    pub(crate) of_one_origin: usize,
    /// How long one may live, if there is an end to it.
    pub(crate) lifetime: Option<Duration>,
}

/// How long to wait after an accept that failed: the usual cause is that files have run out.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// Serves connections until told to stop, then lets requests under way finish within the limits. Those that
/// are open are counted in `open`.
pub(crate) async fn serve<A: Accept>(
    door: A,
    router: Router,
    limits: Arc<Limits>,
    terms: Terms,
    open: Gauge,
    stop: Stop,
) {
    let graceful = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(terms.connections));
    let origins = Origins::default();
    let door = Arc::new(door);
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
        let arrived = tokio::select! {
            biased;
            () = &mut told => break,
            accepted = door.accept() => match accepted {
                Ok(arrived) => arrived,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be taken");
                    tokio::time::sleep(AFTER_FAILURE).await;
                    continue;
                }
            },
        };
        let Ok(origin) = origins.enter(A::origin(&arrived), terms.of_one_origin) else {
            tracing::debug!("too many connections from one address");
            continue;
        };
        let life = Life { door: door.clone(), router: router.clone(), limits: limits.clone(), terms };
        let (watcher, stop, inside) = (graceful.watcher(), stop.clone(), open.enter());
        tokio::spawn(async move {
            life.live(arrived, watcher, stop).await;
            drop((place, origin, inside));
        });
    }
    drop(door);
    if tokio::time::timeout(limits.drain, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not finish in time and were cut off");
    }
}

/// What one connection needs for its life.
struct Life<A> {
    door: Arc<A>,
    router: Router,
    limits: Arc<Limits>,
    terms: Terms,
}

impl<A: Accept> Life<A> {
    async fn live(self, arrived: A::Arrived, watcher: Watcher, stop: Stop) {
        let established = tokio::select! {
            () = stop.told() => return,
            established = tokio::time::timeout(self.limits.handshake_time, self.door.establish(arrived)) => established,
        };
        let (stream, who) = match established {
            Ok(Ok(established)) => established,
            Ok(Err(error)) => return tracing::debug!(%error, "a handshake failed"),
            Err(_elapsed) => return tracing::debug!("a handshake took too long"),
        };
        let (router, identity, limits) = (self.router, who.clone(), self.limits.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(identity.clone());
            answer(router.clone(), request, limits.clone())
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head_time)
            .max_buf_size(self.limits.head.max(8192))
            .serve_connection(TokioIo::new(Deadlined::new(stream, self.limits.write_time)), service)
            .with_upgrades();
        tokio::pin!(connection);
        let lifetime = async {
            match self.terms.lifetime {
                Some(lifetime) => tokio::time::sleep(lifetime).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(lifetime);
        let patience = tokio::select! {
            ended = connection.as_mut() => return tell(ended),
            () = &mut lifetime => return tracing::debug!("a connection has lived too long"),
            () = self.door.dismissed(&who) => {
                tracing::debug!("a connection lost what let it in");
                Some(self.limits.farewell)
            }
            () = stop.told() => None,
        };
        // The answer under way is still given (it may be to the very request that locked its sender out);
        // no further request is read, and an idle connection is closed at once.
        connection.as_mut().graceful_shutdown();
        let cut = async {
            match patience {
                Some(patience) => tokio::time::sleep(patience).await,
                // Whoever stops the loop waits as long as the limits say.
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = connection => tell(ended),
            () = lifetime => tracing::debug!("a connection has lived too long"),
            () = cut => tracing::debug!("an answer to a peer that is let in no more was cut off"),
        }
        // While it lives, the loop waits for this connection.
        drop(watcher);
    }
}

fn tell(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Answers one request, and reads what it left of the body.
async fn answer(
    router: Router,
    request: Request<Incoming>,
    limits: Arc<Limits>,
) -> Result<Response, Infallible> {
    if request.body().is_end_stream() {
        return Ok(run(router, request.map(|_nothing| Body::empty())).await);
    }
    let (head, body) = request.into_parts();
    let rest = Rest::of(&head, body);
    let mut response = run(router, Request::from_parts(head, Body::new(rest.lend()))).await;
    if rest.read(&limits).await == Ended::Short {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

/// Runs the handler of a request; a panic costs its sender the answer, and nobody else anything.
async fn run(router: Router, request: Request<Body>) -> Response {
    match AssertUnwindSafe(router.oneshot(request)).catch_unwind().await {
        Ok(Ok(response)) => response,
        Ok(Err(never)) => match never {},
        Err(_panic) => {
            tracing::error!("a request handler panicked");
            crate::http::problem::panicked()
        }
    }
}
