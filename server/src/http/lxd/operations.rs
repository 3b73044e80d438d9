//! `/1.0/operations`: the tokens that wait, which LXD has as operations.
//!
//! A token's secret is not kept, only its hash: where LXD lists the secret, `redacted` stands here.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Extension, Path, RawQuery, State};
use http::StatusCode;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use trust::token::WireToken;
use trust::{Action, Presented};

use super::envelope::{Failure, Reply};
use super::shapes::{OperationObject, Standing};
use super::{blocking, is_recursive, parameter};
use crate::http::Desk;
use crate::ops::trust::token::{TokenCreated, TokenList, TokenRevoke, TokenView};
use crate::{Pki, clock};

/// How often whoever waits looks whether something was committed.
const LOOK: Duration = Duration::from_millis(100);
/// For ever: no connection lives as long.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// What stands in the place of a secret that nobody knows any more.
const REDACTED: &str = "redacted";

/// The tokens that wait, by their status.
pub(super) async fn list(
    State(desk): State<Desk>,
    Extension(presented): Extension<Arc<Presented>>,
    RawQuery(query): RawQuery,
) -> Result<Reply, Failure> {
    let recursive = is_recursive(query.as_deref());
    let work = move |pki: &Pki| {
        let waiting = waiting(pki, &presented)?;
        let shown: Vec<Value> = waiting
            .iter()
            .map(|token| match recursive {
                true => json!(waits(token)),
                false => json!(location(token)),
            })
            .collect();
        let mut by_status = Map::new();
        if !shown.is_empty() {
            by_status.insert("running".to_owned(), Value::Array(shown));
        }
        Ok(Reply::Done(Value::Object(by_status)))
    };
    blocking(desk, Action::Read, work).await
}

/// One of them.
pub(super) async fn show(
    State(desk): State<Desk>,
    Extension(presented): Extension<Arc<Presented>>,
    Path(id): Path<String>,
) -> Result<Reply, Failure> {
    let work = move |pki: &Pki| match waiting(pki, &presented)?.iter().find(|token| token.id == id) {
        Some(token) => Ok(Reply::done(&waits(token))),
        None => Err(Failure::not_found("Operation not found")),
    };
    blocking(desk, Action::Read, work).await
}

/// Waits until one of them can't be redeemed any more, as long as whoever asks is let in.
///
/// When the time runs out the answer is how it stands then. So it is when the service stops.
pub(super) async fn wait(
    State(desk): State<Desk>,
    Extension(presented): Extension<Arc<Presented>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Reply, Failure> {
    let patience = patience(query.as_deref())?;
    let find = |id: String| {
        let presented = Arc::clone(&presented);
        let work = move |pki: &Pki| Ok(waiting(pki, &presented)?.into_iter().find(|token| token.id == id));
        blocking(desk.clone(), Action::Read, work)
    };
    let stop = desk.pki.stop();
    // Read before the token is: what is committed in between is looked at again.
    let mut seen = desk.pki.store().head();
    let Some(token) = find(id.clone()).await? else { return Err(Failure::not_found("Operation not found")) };
    let ended = async {
        loop {
            tokio::time::sleep(LOOK).await;
            let head = desk.pki.store().head();
            let is_past = token.expires_at.is_some_and(|end| end <= clock::now());
            if is_past || (head != seen && find(id.clone()).await?.is_none()) {
                return Ok::<Standing, Failure>(Standing::Cancelled);
            }
            seen = head;
        }
    };
    let standing = tokio::select! {
        standing = ended => standing?,
        () = tokio::time::sleep(patience) => Standing::Running,
        () = stop.told() => Standing::Running,
    };
    Ok(Reply::done(&OperationObject::of(&token, REDACTED, standing)))
}

/// How long somebody wants to wait; for ever, below nought and without a word.
fn patience(query: Option<&str>) -> Result<Duration, Failure> {
    match parameter(query, "timeout").filter(|value| !value.is_empty()).map(str::parse::<i64>) {
        None => Ok(LONGEST),
        Some(Ok(seconds)) => Ok(u64::try_from(seconds).map_or(LONGEST, Duration::from_secs).min(LONGEST)),
        Some(Err(_)) => Err(Failure::invalid("the timeout must be a number of seconds")),
    }
}

/// Takes one back.
pub(super) async fn cancel(
    State(desk): State<Desk>,
    Extension(presented): Extension<Arc<Presented>>,
    Path(id): Path<String>,
) -> Result<Reply, Failure> {
    let work = move |pki: &Pki| {
        // By the whole id alone: what a command may abbreviate, a program must not.
        if !waiting(pki, &presented)?.iter().any(|token| token.id == id) {
            return Err(Failure::not_found("Operation not found"));
        }
        pki.run(TokenRevoke { word: id }, &presented, clock::now())?;
        Ok(Reply::Done(json!({})))
    };
    blocking(desk, Action::Trust, work).await
}

/// What is answered to whoever made a token: the only time that its secret is told.
pub(super) fn started(created: &TokenCreated) -> Result<Reply, Failure> {
    let unreadable = |_| Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "the token can't be read");
    let wire = WireToken::decode(&created.secret).map_err(unreadable)?;
    let operation = json!(OperationObject::of(&created.token, wire.secret.expose(), Standing::Running));
    Ok(Reply::Started { location: location(&created.token), operation })
}

fn waiting(pki: &Pki, presented: &Presented) -> Result<Vec<TokenView>, Failure> {
    let mut tokens = pki.run(TokenList {}, presented, clock::now())?;
    tokens.retain(|token| !token.expired);
    Ok(tokens)
}

/// A token that waits.
fn waits(token: &TokenView) -> OperationObject<'_> {
    OperationObject::of(token, REDACTED, Standing::Running)
}

fn location(token: &TokenView) -> String {
    format!("/1.0/operations/{}", token.id)
}

/// A time as LXD writes it.
pub(super) fn moment(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_in_seconds_and_below_nought_for_ever() {
        for (query, wanted) in [
            (None, Some(LONGEST)),
            (Some("timeout=-1"), Some(LONGEST)),
            (Some("timeout="), Some(LONGEST)),
            (Some("timeout=0"), Some(Duration::ZERO)),
            (Some("project=default&timeout=10"), Some(Duration::from_secs(10))),
            (Some("timeout=9223372036854775807"), Some(LONGEST)),
            (Some("timeout=9223372036854775808"), None),
            (Some("timeout=soon"), None),
        ] {
            assert_eq!(patience(query).ok(), wanted, "{query:?}");
        }
    }
}
