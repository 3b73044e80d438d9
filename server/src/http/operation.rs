//! One operation over the socket: JSON in, JSON out, a [`Problem`] when it fails.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use http::{Method, StatusCode, Uri};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use trust::{Action, Presented, Refusal as Refused};

use super::{Desk, HTTPS_HEADER, VERSION, VERSION_HEADER};
use crate::clock;
use crate::limits::{Limits, Sender};
use crate::listen::Caller;
use crate::ops::local::Authenticate;
use crate::ops::{self, Operation};
use crate::problem::{Problem, ProblemKind};

/// Why a request never became an operation.
pub(crate) enum Refusal {
    /// The body was not sent in time.
    BodyTimedOut,
    /// The body broke off.
    BodyBroken(String),
    /// The body is too large.
    BodyTooLarge(usize),
    /// The service runs as many operations as it will.
    Busy,
    /// The body is not what the operation asks for.
    Malformed {
        /// What the parser says.
        reason: String,
        /// The version of whoever asked, if it said one.
        asker: Option<String>,
    },
    /// The operation panicked.
    Panicked,
    /// There is no such operation.
    Unknown(String),
    /// Operations are POSTed.
    WrongMethod(Method),
}

impl Refusal {
    pub(crate) fn problem(self) -> (StatusCode, Problem) {
        let refused =
            |kind, message: String, hint: Option<String>| Problem { kind, message, causes: Vec::new(), hint };
        match self {
            Refusal::BodyTimedOut => (
                StatusCode::REQUEST_TIMEOUT,
                refused(ProblemKind::Invalid, "the request was not sent in time".to_owned(), None),
            ),
            Refusal::BodyBroken(reason) => (
                StatusCode::BAD_REQUEST,
                refused(ProblemKind::Invalid, format!("the request broke off: {reason}"), None),
            ),
            Refusal::BodyTooLarge(limit) => (
                StatusCode::PAYLOAD_TOO_LARGE,
                refused(ProblemKind::Invalid, format!("the request is larger than {limit} octets"), None),
            ),
            Refusal::Busy => (
                StatusCode::SERVICE_UNAVAILABLE,
                refused(
                    ProblemKind::Unavailable,
                    "the service has too much to do at the moment".to_owned(),
                    Some("try again in a moment".to_owned()),
                ),
            ),
            Refusal::Malformed { reason, asker } => (
                StatusCode::BAD_REQUEST,
                refused(
                    ProblemKind::Invalid,
                    format!("the request can't be read: {reason}"),
                    asker.filter(|asker| asker != VERSION).map(|asker| {
                        format!("this service is version {VERSION}, the command {asker}: restart the service")
                    }),
                ),
            ),
            Refusal::Panicked => (
                StatusCode::INTERNAL_SERVER_ERROR,
                refused(
                    ProblemKind::Internal,
                    "the operation stopped at a defect of this program".to_owned(),
                    Some("the service's log has the place; please report it".to_owned()),
                ),
            ),
            Refusal::Unknown(path) => (
                StatusCode::NOT_FOUND,
                refused(
                    ProblemKind::NotFound,
                    format!("the service (version {VERSION}) knows no operation at {path}"),
                    None,
                ),
            ),
            Refusal::WrongMethod(method) => (
                StatusCode::METHOD_NOT_ALLOWED,
                refused(ProblemKind::Invalid, format!("operations are POSTed, this is a {method}"), None),
            ),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let busy = matches!(self, Refusal::Busy);
        let (status, problem) = self.problem();
        let response = json(status, &problem);
        if busy { try_again(response, 1) } else { response }
    }
}

/// Runs the operation that a request asks for.
pub(crate) async fn answer<O: Operation>(
    State(desk): State<Desk>,
    Extension(presented): Extension<Arc<Presented>>,
    request: Request,
) -> Result<Response, Refusal> {
    let sender = match request.extensions().get() {
        Some(decided) => *decided,
        None if desk.pki.lets_in(&presented, clock::now()) => Sender::Admitted,
        // A user of this machine whom nobody knows yet; the network's strangers don't come this far.
        None => Sender::Anyone,
    };
    let operation: O = parse(request, &desk.limits, sender).await?;
    let place = place(desk.rooms.of(O::ACTION))?;
    let running = tokio::task::spawn_blocking(move || {
        let now = clock::now();
        let answer = desk.pki.welcome(&presented, now);
        let answer = answer.and_then(|()| desk.pki.run(operation, &presented, now));
        let elsewhere = match &answer {
            Err(ops::Error::Refused(Refused::NotAuthenticated | Refused::UserRemoved { .. })) => {
                desk.pki.https_way()
            }
            _ => None,
        };
        drop(place);
        (answer, elsewhere)
    });
    let (answer, elsewhere) = match running.await {
        Ok((answer, elsewhere)) => (Ok(answer), elsewhere),
        Err(panicked) => (Err(panicked), None),
    };
    let mut response = told(answer)?;
    // A user whom the socket refuses may be let in by a certificate.
    if let Some(way) = elsewhere.and_then(|way| HeaderValue::try_from(way.to_string()).ok()) {
        response.headers_mut().insert(HTTPS_HEADER, way);
    }
    Ok(response)
}

/// Lets in a user of this machine who knows the passphrase: the one thing that nobody must be let in for.
pub(crate) async fn authenticate(
    State(desk): State<Desk>,
    Extension(presented): Extension<Arc<Presented>>,
    request: Request,
) -> Result<Response, Refusal> {
    let Authenticate { passphrase } = parse(request, &desk.limits, Sender::Anyone).await?;
    let place = place(desk.rooms.of(Action::Trust))?;
    let running = tokio::task::spawn_blocking(move || {
        let (clock, now) = (std::time::Instant::now(), clock::now());
        let answer = desk.pki.authenticate(&presented, &passphrase, clock, now);
        if let Err(error) = &answer {
            desk.pki.note_refusal(&presented, error, Authenticate::NAME, now);
        }
        drop(place);
        answer
    });
    answered(running).await
}

/// Lets in whoever shows a certificate and knows the passphrase. Whoever shows none is told as little as
/// anywhere.
pub(crate) async fn authenticate_caller(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Refusal> {
    let Authenticate { passphrase } = parse(request, &desk.limits, Sender::Anyone).await?;
    let place = place(desk.rooms.of(Action::Trust))?;
    let running = tokio::task::spawn_blocking(move || {
        let (clock, now) = (std::time::Instant::now(), clock::now());
        let answer = match &*caller.presented {
            Presented::Certificate(holder) => {
                desk.pki.authenticate_holder(holder, &caller.ends(), &passphrase, clock, now)
            }
            other => desk.pki.authenticate(other, &passphrase, clock, now),
        };
        if let Err(error) = &answer {
            desk.pki.note_refusal(&caller.presented, error, Authenticate::NAME, now);
        }
        drop(place);
        answer
    });
    answered(running).await
}

/// What came of an operation that ran, as an answer.
pub(crate) async fn answered<T: Serialize>(
    running: tokio::task::JoinHandle<Result<T, ops::Error>>,
) -> Result<Response, Refusal> {
    told(running.await)
}

fn told<T: Serialize>(
    ran: Result<Result<T, ops::Error>, tokio::task::JoinError>,
) -> Result<Response, Refusal> {
    match ran {
        Ok(Ok(reply)) => Ok(json(StatusCode::OK, &reply)),
        Ok(Err(error)) => {
            let response = json(super::problem::status_of(&error), &super::problem::problem(&error));
            Ok(match super::problem::retry_after(&error) {
                Some(seconds) => try_again(response, seconds),
                None => response,
            })
        }
        Err(_panicked) => Err(Refusal::Panicked),
    }
}

/// Says when to try again: nothing was done (RFC 9110 §10.2.3).
pub(crate) fn try_again(mut response: Response, seconds: u64) -> Response {
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    response
}

/// There is no such operation.
pub(crate) async fn unknown(uri: Uri) -> Refusal {
    Refusal::Unknown(uri.path().escape_debug().to_string())
}

/// The path is right, the method is not.
pub(crate) async fn wrong_method(method: Method) -> Refusal {
    Refusal::WrongMethod(method)
}

/// A place among the operations that run.
pub(crate) fn place(room: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Refusal> {
    room.clone().try_acquire_owned().map_err(|_full| Refusal::Busy)
}

/// Reads a request's body within the limits, and what it says.
pub(crate) async fn parse<T: serde::de::DeserializeOwned>(
    request: Request,
    limits: &Limits,
    sender: Sender,
) -> Result<T, Refusal> {
    let asker = version(request.headers());
    let body = read(request.into_body(), limits.body_of(sender), limits.body_time).await?;
    serde_json::from_slice(&body).map_err(|error| Refusal::Malformed { reason: error.to_string(), asker })
}

async fn read(body: Body, limit: usize, patience: Duration) -> Result<Bytes, Refusal> {
    match tokio::time::timeout(patience, Limited::new(body, limit).collect()).await {
        Err(_elapsed) => Err(Refusal::BodyTimedOut),
        Ok(Ok(read)) => Ok(read.to_bytes()),
        Ok(Err(error)) if error.downcast_ref::<LengthLimitError>().is_some() => {
            Err(Refusal::BodyTooLarge(limit))
        }
        Ok(Err(error)) => Err(Refusal::BodyBroken(error.to_string())),
    }
}

fn version(headers: &HeaderMap) -> Option<String> {
    let version = headers.get(VERSION_HEADER)?.to_str().ok()?;
    (version.len() <= 64).then(|| version.to_owned())
}

/// A problem as an answer.
pub(crate) fn failed(problem: &Problem) -> Response {
    json(super::problem::status(problem.kind), problem)
}

fn json<T: Serialize>(status: StatusCode, value: &T) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => {
            let mut response = Response::new(Body::from(body));
            *response.status_mut() = status;
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            with_version(response)
        }
        // No reply has a map with keys that are not text: serde_json can't fail on one.
        Err(error) => {
            tracing::error!(%error, "an answer could not be written as JSON");
            super::problem::panicked()
        }
    }
}

/// Says our version.
pub(crate) fn with_version(mut response: Response) -> Response {
    response.headers_mut().insert(VERSION_HEADER, HeaderValue::from_static(VERSION));
    response
}

#[cfg(test)]
mod tests;
