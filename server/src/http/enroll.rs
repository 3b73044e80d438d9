//! What somebody may ask for who is not let in: to be enrolled by a token, or to renew the certificate that
//! the connection was made with ([`crate::ops::enroll`]).
//!
//! A request is one CSR: what is larger is refused before it is read. Which of all bad tokens one is, nobody
//! is told.

use std::time::Instant;

use axum::extract::{Extension, Request, State};
use axum::response::Response;
use trust::Action;
use trust::token::Secret;

use super::operation::{Refusal, answered, parse, place};
use super::{Desk, problem};
use crate::clock;
use crate::limits::Sender;
use crate::listen::Caller;
use crate::ops::Error;
use crate::ops::enroll::{Enroll, RenewSelf, enroll, renew_self};

/// Enrols whoever has a token.
pub(super) async fn by_token(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Refusal> {
    let request: Enroll = parse(request, &desk.limits, Sender::Anyone).await?;
    let secret = Secret::presented(request.secret.expose());
    let work = move |pki: &crate::Pki, caller: &Caller| {
        let enrolling = || enroll(pki, &request, clock::now());
        pki.redeeming(&caller.ends(), Some(&secret), Instant::now(), enrolling)
    };
    run(desk, caller, work, "enroll").await
}

/// Renews the certificate that the connection was made with.
pub(super) async fn itself(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Refusal> {
    let request: RenewSelf = parse(request, &desk.limits, Sender::Anyone).await?;
    let work =
        move |pki: &crate::Pki, caller: &Caller| renew_self(pki, &caller.presented, &request, clock::now());
    run(desk, caller, work, "renew-self").await
}

async fn run<T: serde::Serialize + Send + 'static>(
    desk: Desk,
    caller: Caller,
    work: impl FnOnce(&crate::Pki, &Caller) -> Result<T, Error> + Send + 'static,
    asked: &'static str,
) -> Result<Response, Refusal> {
    let place = place(desk.rooms.of(Action::Issue))?;
    let running = tokio::task::spawn_blocking(move || {
        let answer = work(&desk.pki, &caller);
        match &answer {
            Ok(_) => tracing::info!(remote = %caller.remote, asked, "done"),
            Err(error) => {
                tracing::warn!(remote = %caller.remote, asked, reason = problem::in_words(error), "refused");
                desk.pki.note_refusal(&caller.presented, error, asked, clock::now());
            }
        }
        drop(place);
        answer
    });
    answered(running).await
}
