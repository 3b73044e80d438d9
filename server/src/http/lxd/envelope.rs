//! The object that every answer of LXD's API is: `sync`, `async` or `error`.
//!
//! All fields are always there, as LXD 5.0 has it: its clients decode them without asking.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CONTENT_TYPE, ETAG, HeaderValue, LOCATION};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::http::operation::{try_again, with_version};
use crate::http::problem;

/// What an answer says.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reply {
    /// It is done; this is what there is to know.
    Done(Value),
    /// As [`Reply::Done`], with the version of what is shown (RFC 9110 §8.8.3).
    Shown { metadata: Value, tag: String },
    /// It is done, and there is something new.
    Created { location: String },
    /// There is an operation now, which goes on.
    Started { location: String, operation: Value },
}

impl Reply {
    /// It is done, and this is the result.
    pub(super) fn done<T: Serialize>(result: &T) -> Reply {
        Reply::Done(json!(result))
    }
}

/// Why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) status: StatusCode,
    pub(super) message: String,
    /// In how many seconds to try again, if that helps.
    pub(super) again: Option<u64>,
}

impl Failure {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Failure {
        Failure { status, message: message.into(), again: None }
    }

    pub(super) fn forbidden(message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::FORBIDDEN, message)
    }

    pub(super) fn invalid(message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::BAD_REQUEST, message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::NOT_FOUND, message)
    }
}

/// What every answer is.
#[derive(Serialize, ToSchema)]
pub(super) struct Envelope<'a> {
    /// `sync`, `async` or `error`.
    r#type: &'a str,
    /// `Success`, `Operation created`, or empty.
    status: &'a str,
    /// 200, 100, or 0 for an error.
    status_code: u16,
    /// Where the operation is, if there is one.
    operation: &'a str,
    /// The HTTP status of an error, else 0.
    error_code: u16,
    /// What went wrong, or empty.
    error: &'a str,
    /// What was asked for.
    metadata: &'a Value,
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let done = Envelope {
            r#type: "sync",
            status: "Success",
            status_code: 200,
            operation: "",
            error_code: 0,
            error: "",
            metadata: &Value::Null,
        };
        match &self {
            Reply::Done(metadata) => answer(StatusCode::OK, &Envelope { metadata, ..done }),
            Reply::Shown { metadata, tag } => {
                let mut response = answer(StatusCode::OK, &Envelope { metadata, ..done });
                if let Ok(tag) = HeaderValue::try_from(tag.as_str()) {
                    response.headers_mut().insert(ETAG, tag);
                }
                response
            }
            Reply::Created { location } => at(location, answer(StatusCode::CREATED, &done)),
            Reply::Started { location, operation } => {
                let started = Envelope {
                    r#type: "async",
                    status: "Operation created",
                    status_code: 100,
                    operation: location,
                    metadata: operation,
                    ..done
                };
                at(location, answer(StatusCode::ACCEPTED, &started))
            }
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let failed = Envelope {
            r#type: "error",
            status: "",
            status_code: 0,
            operation: "",
            error_code: self.status.as_u16(),
            error: &self.message,
            metadata: &Value::Null,
        };
        let response = answer(self.status, &failed);
        match self.again {
            Some(seconds) => try_again(response, seconds),
            None => response,
        }
    }
}

fn at(location: &str, mut response: Response) -> Response {
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

fn answer(status: StatusCode, envelope: &Envelope<'_>) -> Response {
    match serde_json::to_vec(envelope) {
        Ok(body) => {
            let mut response = Response::new(Body::from(body));
            *response.status_mut() = status;
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            with_version(response)
        }
        // There is no map in it whose keys are not text: serde_json can't fail on one.
        Err(error) => {
            tracing::error!(%error, "an answer could not be written as JSON");
            problem::panicked()
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn parts(response: Response) -> (u16, Option<String>, Value) {
        let location = response.headers().get(LOCATION).map(|at| at.to_str().unwrap().to_owned());
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, location, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn every_answer_has_every_field_as_lxd_has_it() {
        let (status, _, done) = parts(Reply::Done(json!(["/1.0"])).into_response()).await;
        assert_eq!(status, 200);
        assert_eq!(
            done,
            json!({"type": "sync", "status": "Success", "status_code": 200, "operation": "",
                   "error_code": 0, "error": "", "metadata": ["/1.0"]})
        );
        let location = "/1.0/certificates/ab".to_owned();
        let (status, at, created) =
            parts(Reply::Created { location: location.clone() }.into_response()).await;
        assert_eq!((status, at, &created["type"]), (201, Some(location), &json!("sync")));
        let location = "/1.0/operations/1".to_owned();
        let started = Reply::Started { location: location.clone(), operation: json!({"id": "1"}) };
        let (status, at, started) = parts(started.into_response()).await;
        assert_eq!((status, at), (202, Some(location.clone())));
        assert_eq!(
            started,
            json!({"type": "async", "status": "Operation created", "status_code": 100,
                   "operation": location, "error_code": 0, "error": "", "metadata": {"id": "1"}})
        );
        let (status, _, failed) = parts(Failure::forbidden("not authorized").into_response()).await;
        assert_eq!(status, 403);
        assert_eq!(
            failed,
            json!({"type": "error", "status": "", "status_code": 0, "operation": "",
                   "error_code": 403, "error": "not authorized", "metadata": null})
        );
    }
}
