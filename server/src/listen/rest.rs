//! What is left of a request's body once the request is answered.
//!
//! Much is answered without its body: whoever is not let in, a path that leads nowhere, a method that is not
//! meant. Clients send their bodies all the same, often a moment behind the head, and hyper closes a connection on
//! which the body has not come when the answer is ready. A client that goes on to use it, as it may after an
//! answer that does not say otherwise, then writes into a connection that is gone, and can't tell whether its
//! next request was done (RFC 9112 §9.3, §9.6). So what is left is read and thrown away before the answer is
//! given, as long as it is little and comes soon; if not, the answer says that the connection closes.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::EXPECT;
use hyper::http::request::Parts;

use crate::limits::Limits;

/// A body that is lent to whoever answers.
pub(super) struct Rest(Arc<Mutex<State>>);

struct State {
    body: Incoming,
    /// Whether the client waits to be told that its body is wanted (RFC 9110 §10.1.1).
    is_held_back: bool,
}

/// How a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// All of it was read: the connection may be used again.
    Whole,
    /// Some of it may still come.
    Short,
}

/// The body, for whoever answers.
pub(super) struct Lent(Arc<Mutex<State>>);

impl Rest {
    /// The body of a request with this head.
    pub(super) fn of(head: &Parts, body: Incoming) -> Rest {
        let is_held_back = head.headers.contains_key(EXPECT);
        Rest(Arc::new(Mutex::new(State { body, is_held_back })))
    }

    /// Lends it.
    pub(super) fn lend(&self) -> Lent {
        Lent(Arc::clone(&self.0))
    }

    /// Reads what is left of it.
    pub(super) async fn read(self, limits: &Limits) -> Ended {
        let mut left = Lent(self.0);
        if left.is_end_stream() {
            return Ended::Whole;
        }
        if left.0.lock().unwrap_or_else(PoisonError::into_inner).is_held_back {
            return Ended::Short;
        }
        let reading = async {
            let mut octets = 0;
            while let Some(frame) = left.frame().await {
                // What broke off is followed by nothing.
                let Ok(frame) = frame else { return Ended::Short };
                octets += frame.data_ref().map_or(0, Bytes::len);
                if octets > limits.rest {
                    return Ended::Short;
                }
            }
            Ended::Whole
        };
        tokio::time::timeout(limits.rest_time, reading).await.unwrap_or(Ended::Short)
    }
}

impl Body for Lent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // hyper tells the client now that its body is wanted.
        state.is_held_back = false;
        Pin::new(&mut state.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).body.size_hint()
    }
}
