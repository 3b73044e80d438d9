//! `/1.0/operations`: the tokens that wait, which LXD has as operations.
//!
//! A token's secret is not kept, only its hash: where LXD lists the secret, `redacted` stands here.

use std::sync::Arc;

use axum::extract::{Extension, Path, RawQuery, State};
use http::StatusCode;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use trust::token::WireToken;
use trust::{Action, Presented};

use super::envelope::{Failure, Reply};
use super::{blocking, is_recursive};
use crate::http::Desk;
use crate::ops::trust::token::{TokenCreated, TokenList, TokenRevoke, TokenView};
use crate::{Pki, clock};

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
                true => operation(token, REDACTED),
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
        Some(token) => Ok(Reply::Done(operation(token, REDACTED))),
        None => Err(Failure::not_found("Operation not found")),
    };
    blocking(desk, Action::Read, work).await
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
    let operation = operation(&created.token, wire.secret.expose());
    Ok(Reply::Started { location: location(&created.token), operation })
}

fn waiting(pki: &Pki, presented: &Presented) -> Result<Vec<TokenView>, Failure> {
    let mut tokens = pki.run(TokenList {}, presented, clock::now())?;
    tokens.retain(|token| !token.expired);
    Ok(tokens)
}

fn location(token: &TokenView) -> String {
    format!("/1.0/operations/{}", token.id)
}

/// A token as LXD shows it.
fn operation(token: &TokenView, secret: &str) -> Value {
    let created = moment(token.created_at);
    let mut metadata = json!({
        "addresses": token.addresses,
        "fingerprint": token.fingerprint,
        "request": {
            "certificate": "",
            "name": token.name,
            "password": "",
            "projects": token.rights.projects,
            "restricted": token.rights.restricted,
            "token": true,
            "type": token.rights.kind,
        },
        "secret": secret,
    });
    if let (Some(end), Some(metadata)) = (token.expires_at, metadata.as_object_mut()) {
        metadata.insert("expiresAt".to_owned(), json!(moment(end)));
    }
    json!({
        "class": "token",
        "created_at": created,
        "description": "Certificate add token",
        "err": "",
        "id": token.id,
        "location": "none",
        "may_cancel": true,
        "metadata": metadata,
        "resources": null,
        "status": "Running",
        "status_code": 103,
        "updated_at": created,
    })
}

fn moment(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_default()
}
