//! `GET /1.0/metrics`: the metrics as Prometheus asks for them.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::response::Response;
use http::header::{CONTENT_TYPE, HeaderValue};
use serde_json::json;
use trust::{Action, Presented};

use super::openapi::Document;
use super::operation::{self, Refusal};
use super::{Access, Desk, problem};
use crate::clock;
use crate::ops::metrics::Metrics;

/// Where it is asked.
pub(crate) const PATH: &str = "/1.0/metrics";
/// What it answers.
const MEDIA: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Answers whoever may read them.
pub(crate) async fn answer(
    State(desk): State<Desk>,
    Extension(presented): Extension<Arc<Presented>>,
) -> Result<Response, Refusal> {
    let place = operation::place(desk.rooms.of(Action::Metrics))?;
    let running = tokio::task::spawn_blocking(move || {
        let answer = desk.pki.run(Metrics {}, &presented, clock::now());
        drop(place);
        answer
    });
    match running.await {
        Ok(Ok(metrics)) => {
            let mut response = Response::new(Body::from(metrics.text));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA));
            Ok(operation::with_version(response))
        }
        Ok(Err(error)) => Ok(operation::failed(&problem::problem(&error))),
        Err(_panicked) => Err(Refusal::Panicked),
    }
}

/// Describes it.
pub(super) fn describe(document: &mut Document) {
    let answers = json!({
        "200": {"description": "The metrics.", "content": {"text/plain": {"schema": {"type": "string"}}}},
        "default": {
            "description": "It failed. Whoever is not let in over HTTPS hears so in LXD's form.",
            "content": {"application/json": {"schema": {"anyOf": [
                {"$ref": "#/components/schemas/Problem"},
                {"$ref": "#/components/schemas/Envelope"},
            ]}}},
        },
    });
    let text = "The metrics, in Prometheus' text format, version 0.0.4.";
    let access = Access::Permitted(Action::Metrics);
    let described = document.endpoint("metrics-text", "service", access, text, answers);
    document.add("get", PATH, described);
}
