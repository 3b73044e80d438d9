//! `/1.0/events`: what happens, as it happens, over a WebSocket, as `lxc monitor` reads it.
//!
//! Everything told is in the journal already; whoever may not read that ([`Action::Inspect`]) is told nothing,
//! and whoever loses what let them in is cut off before the next event. There are as many listeners as
//! [`LISTENERS`] at once; one that takes nothing for a while goes.

mod told;

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseCode, CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Extension, RawQuery, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::StatusCode;
use http::header::{HeaderValue, UPGRADE};
use store::Sequence;
use tokio::sync::OwnedSemaphorePermit;
use trust::{Action, Presented};

use self::told::Kind;
use super::envelope::Failure;
use super::parameter;
use crate::http::operation::Refusal;
use crate::http::{Desk, operation};
use crate::listen::Caller;
use crate::{Pki, clock};

/// How many may listen at once.
pub(in crate::http) const LISTENERS: usize = 64;
/// How often a listener is asked whether it lives, and whether it is still let in by the clock.
const PULSE: Duration = Duration::from_secs(10);
/// How long a listener may take nothing.
const PATIENCE: Duration = Duration::from_secs(10);
/// Octets of what a listener may say, which is passed over: it may ask whether we live, or say farewell.
const LONGEST: usize = 16 * 1024;
/// Entries of the journal read at once.
const PAGE: usize = 256;

/// Begins to tell events.
pub(super) async fn listen(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let permit = desk.pki.permit(&caller.presented, Action::Inspect, clock::now());
    if let Err(error) = permit {
        desk.pki.note_refusal(&caller.presented, &error, "GET /1.0/events", clock::now());
        return Failure::from(error).into_response();
    }
    let kinds = match kinds(query.as_deref()) {
        Ok(kinds) => kinds,
        Err(failure) => return failure.into_response(),
    };
    let Ok(upgrade) = upgrade else {
        let needed =
            Failure::new(StatusCode::UPGRADE_REQUIRED, "events are told over a WebSocket of version 13");
        let mut answer = needed.into_response();
        answer.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
        return answer;
    };
    let Ok(place) = operation::place(&desk.rooms.events) else {
        return Failure::from(Refusal::Busy).into_response();
    };
    // What is committed from here on is told.
    let listener = Listener {
        pki: desk.pki.clone(),
        presented: Arc::clone(&caller.presented),
        kinds,
        seen: desk.pki.store().head(),
    };
    upgrade.max_message_size(LONGEST).max_frame_size(LONGEST).on_upgrade(async move |socket| {
        let ended = listener.serve(socket, place).await;
        tracing::debug!(remote = %caller.remote, ?ended, "somebody listens no more");
    })
}

/// What is asked for: everything, unless it says.
fn kinds(query: Option<&str>) -> Result<BTreeSet<Kind>, Failure> {
    match parameter(query, "type").filter(|wanted| !wanted.is_empty()) {
        None => Ok(Kind::ALL.into()),
        Some(wanted) => {
            wanted.replace("%2C", ",").split(',').map(Kind::named).collect::<Option<_>>().ok_or_else(|| {
                Failure::invalid("there are events of the types lifecycle, logging and operation")
            })
        }
    }
}

/// Somebody who is told.
struct Listener {
    pki: Pki,
    presented: Arc<Presented>,
    kinds: BTreeSet<Kind>,
    seen: Sequence,
}

impl Listener {
    async fn serve(mut self, mut socket: WebSocket, _place: OwnedSemaphorePermit) -> io::Result<()> {
        let mut heads = self.pki.heads();
        let stop = self.pki.stop();
        let mut pulse = tokio::time::interval(PULSE);
        loop {
            tokio::select! {
                biased;
                () = stop.told() => return farewell(&mut socket, close_code::AWAY).await,
                // A ping is answered by the library.
                said = socket.recv() => match said {
                    Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Text(_) | Message::Binary(_))) => {}
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return Ok(()),
                },
                changed = heads.changed() => {
                    // Whoever tells of heads has ended: so does the service.
                    if changed.is_err() {
                        return farewell(&mut socket, close_code::AWAY).await;
                    }
                    if !self.pass_on(&mut socket).await? {
                        return farewell(&mut socket, close_code::POLICY).await;
                    }
                }
                _ = pulse.tick() => {
                    if !self.is_permitted() {
                        return farewell(&mut socket, close_code::POLICY).await;
                    }
                    send(&mut socket, Message::Ping(Bytes::new())).await?;
                }
            }
        }
    }

    /// Tells what was committed since; `false` once the listener may not know.
    async fn pass_on(&mut self, socket: &mut WebSocket) -> io::Result<bool> {
        loop {
            let (pki, seen) = (self.pki.clone(), self.seen);
            let read = tokio::task::spawn_blocking(move || pki.store().follow(seen, PAGE)).await;
            let entries = read.map_err(io::Error::other)?.map_err(io::Error::other)?;
            // After the entries were read: by them it may have lost what let it in.
            if !self.is_permitted() {
                return Ok(false);
            }
            let Some(last) = entries.last() else { return Ok(true) };
            self.seen = last.sequence;
            for event in entries.iter().filter_map(|entry| told::event(entry)) {
                if self.kinds.contains(&event.kind) {
                    send(socket, Message::text(event.text())).await?;
                }
            }
        }
    }

    fn is_permitted(&self) -> bool {
        self.pki.permit(&self.presented, Action::Inspect, clock::now()).is_ok()
    }
}

async fn farewell(socket: &mut WebSocket, code: CloseCode) -> io::Result<()> {
    send(socket, Message::Close(Some(CloseFrame { code, reason: Utf8Bytes::default() }))).await
}

async fn send(socket: &mut WebSocket, message: Message) -> io::Result<()> {
    match tokio::time::timeout(PATIENCE, socket.send(message)).await {
        Ok(sent) => sent.map_err(io::Error::other),
        Err(_elapsed) => Err(io::ErrorKind::TimedOut.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_known_or_refused() {
        let count = |query| kinds(query).map(|kinds| kinds.len()).ok();
        assert_eq!(count(None), Some(3));
        assert_eq!(count(Some("type=")), Some(3));
        assert_eq!(count(Some("project=default&type=lifecycle")), Some(1));
        assert_eq!(count(Some("type=lifecycle,operation")), Some(2));
        assert_eq!(count(Some("type=lifecycle%2Clogging")), Some(2));
        assert_eq!(count(Some("type=ovn")), None);
    }
}
