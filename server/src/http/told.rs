//! Every request is counted, and has a line in the log: who asked, for what, how it ended, how long it took.
//!
//! A line at the level `info` for whatever may change something, at `debug` for the rest. No body, no header
//! and no query is in it: secrets travel there.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::Method;
use tracing::Level;
use trust::Presented;

use crate::Pki;
use crate::counters::{Counters, Listener};
use crate::listen::Caller;

/// The longest piece of a path that is logged: it is the peer's words.
const LONGEST: usize = 200;

/// Where lines and counts go.
#[derive(Clone)]
pub(super) struct Told {
    counters: Arc<Counters>,
    listener: Listener,
}

impl Told {
    /// Those of a listener.
    pub(super) fn of(pki: &Pki, listener: Listener) -> Told {
        Told { counters: Arc::clone(pki.counters()), listener }
    }
}

/// Passes a request on, and tells of it.
pub(super) async fn tell(State(told): State<Told>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let is_change = !matches!(method, Method::GET | Method::HEAD);
    let wanted = match is_change {
        true => tracing::enabled!(Level::INFO),
        false => tracing::enabled!(Level::DEBUG),
    };
    let peer = wanted.then(|| peer(&request));
    let response = next.run(request).await;
    let status = response.status().as_u16();
    told.counters.requests.count(told.listener, &path, status);
    if let Some(peer) = peer {
        let (listener, microseconds) = (told.listener.as_str(), began.elapsed().as_micros());
        let path: String = path.chars().take(LONGEST).flat_map(char::escape_debug).collect();
        match is_change {
            true => tracing::info!(listener, peer, %method, path, status, microseconds, "request"),
            false => tracing::debug!(listener, peer, %method, path, status, microseconds, "request"),
        }
    }
    response
}

/// Who asks, as far as the listener knows it.
fn peer(request: &Request) -> String {
    let known = request.extensions();
    if let Some(caller) = known.get::<Caller>() {
        return format!("{} from {}", named(&caller.presented), caller.remote);
    }
    if let Some(presented) = known.get::<Arc<Presented>>() {
        return named(presented);
    }
    known
        .get::<SocketAddr>()
        .map_or_else(|| "somebody".to_owned(), |remote| format!("somebody from {remote}"))
}

fn named(presented: &Presented) -> String {
    match presented {
        Presented::Certificate(holder) => format!("certificate {}", holder.fingerprint()),
        Presented::InProcess => "the service".to_owned(),
        Presented::Local(user) => format!("uid {}", user.uid),
        Presented::Nobody => "nobody".to_owned(),
        Presented::Person(person) => format!("person {}", ca::cert::printable(person.name())),
    }
}
