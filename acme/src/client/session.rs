//! One talk with one authority: its HTTPS, its directory, and the loop that sends a request again.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Request};
use instant_acme::BodyWrapper;
use serde_json::Value;

use super::authority::{Authority, Directory};
use super::http::{Failure, Http};
use super::retry::{Policy, Trouble, Verdict};
use super::{DirectoryUrl, Limits};
use crate::Error;
use crate::wire::Problem;

/// Why one try of a request failed.
#[derive(Debug)]
pub(crate) enum Fault {
    Http(Failure),
    Library(instant_acme::Error),
    Problem(Problem),
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Fault {
        Fault::Http(failure)
    }
}

impl From<instant_acme::Error> for Fault {
    fn from(error: instant_acme::Error) -> Fault {
        match error {
            instant_acme::Error::Api(problem) => Fault::Problem(Problem::from(&problem)),
            instant_acme::Error::Other(cause) => match cause.downcast::<Failure>() {
                Ok(failure) => Fault::Http(*failure),
                Err(cause) => Fault::Library(instant_acme::Error::Other(cause)),
            },
            other => Fault::Library(other),
        }
    }
}

impl Fault {
    fn trouble(&self) -> Trouble {
        match self {
            Fault::Http(failure) if failure.passing() => Trouble::Network,
            Fault::Http(_) | Fault::Library(_) => Trouble::Final,
            Fault::Problem(problem) => Trouble::of(problem),
        }
    }

    /// Whether the authority may have done what was asked, though we did not hear of it.
    pub(crate) fn may_have_been_heard(&self) -> bool {
        matches!(self.trouble(), Trouble::Network | Trouble::Server)
    }

    fn told(self, doing: &'static str) -> Error {
        match self {
            Fault::Http(source) => Error::Http { doing, source },
            Fault::Library(source) => Error::Library { doing, source },
            Fault::Problem(problem) => Error::Authority { doing, problem },
        }
    }

    fn in_words(&self) -> String {
        match self {
            Fault::Http(failure) => failure.to_string(),
            Fault::Library(error) => error.to_string(),
            Fault::Problem(problem) => problem.to_string(),
        }
    }
}

/// The talk.
pub(crate) struct Session {
    pub(crate) url: DirectoryUrl,
    pub(crate) http: Http,
    pub(crate) policy: Policy,
    pub(crate) directory: Directory,
}

impl Session {
    /// Reads the directory.
    pub(crate) async fn open(authority: &Authority, limits: Limits) -> Result<Session, Error> {
        const DOING: &str = "reading the directory";
        let url = authority.directory.clone();
        let http =
            Http::new(&authority.roots, limits).map_err(|source| Error::Http { doing: DOING, source })?;
        let policy = Policy::from(limits);
        let body = insist(&http, policy, DOING, async || {
            let answer = http.exchange(request(Method::GET, url.as_str(), None)?).await?;
            checked(answer).map(|(body, _headers)| body)
        })
        .await?;
        let directory = Directory::read(&url, &body)?;
        Ok(Session { url, http, policy, directory })
    }

    /// Does `attempt` until it succeeds or the policy ends it.
    pub(crate) async fn insist<T, E: Into<Fault>>(
        &self,
        doing: &'static str,
        attempt: impl AsyncFnMut() -> Result<T, E>,
    ) -> Result<T, Error> {
        insist(&self.http, self.policy, doing, attempt).await
    }

    /// A fresh nonce (RFC 8555 §7.2).
    pub(crate) async fn nonce(&self) -> Result<String, Fault> {
        let answer = self.http.exchange(request(Method::HEAD, &self.directory.new_nonce, None)?).await?;
        let (_body, headers) = checked(answer)?;
        let nonce = headers.get("replay-nonce").and_then(|nonce| nonce.to_str().ok());
        nonce.map(str::to_owned).ok_or_else(|| Fault::Library("no nonce in the answer to newNonce".into()))
    }

    /// Posts a signed request that the client library does not make.
    pub(crate) async fn post(&self, url: &str, jws: &Value) -> Result<(Bytes, http::HeaderMap), Fault> {
        checked(self.http.exchange(request(Method::POST, url, Some(jws))?).await?)
    }
}

async fn insist<T, E: Into<Fault>>(
    http: &Http,
    policy: Policy,
    doing: &'static str,
    mut attempt: impl AsyncFnMut() -> Result<T, E>,
) -> Result<T, Error> {
    let (mut nonces, mut others) = (0u32, 0u32);
    loop {
        let fault: Fault = match attempt().await {
            Ok(done) => return Ok(done),
            Err(fault) => fault.into(),
        };
        let trouble = fault.trouble();
        let tries = match trouble {
            Trouble::BadNonce => &mut nonces,
            Trouble::Final | Trouble::Network | Trouble::RateLimited | Trouble::Server => &mut others,
        };
        *tries += 1;
        match policy.verdict(trouble, *tries, http.take_retry_after()) {
            Verdict::Again(pause) => {
                tracing::debug!(doing, ?trouble, tries = *tries, ?pause, reason = fault.in_words(), "again");
                if pause > Duration::ZERO {
                    tokio::time::sleep(pause).await;
                }
            }
            Verdict::Later(wait) => return Err(Error::Later { doing, wait, problem: fault.in_words() }),
            Verdict::GiveUp => return Err(fault.told(doing)),
        }
    }
}

fn request(method: Method, url: &str, jws: Option<&Value>) -> Result<Request<BodyWrapper<Bytes>>, Fault> {
    let request = Request::builder().method(method).uri(url);
    let request = match jws {
        Some(jws) => request
            .header(CONTENT_TYPE, "application/jose+json")
            .body(BodyWrapper::from(jws.to_string().into_bytes())),
        None => request.body(BodyWrapper::default()),
    };
    request.map_err(|error| Fault::Library(error.into()))
}

fn checked(answer: http::Response<Bytes>) -> Result<(Bytes, http::HeaderMap), Fault> {
    let (parts, body) = answer.into_parts();
    match parts.status.is_success() {
        true => Ok((body, parts.headers)),
        false => Err(Fault::Problem(Problem::from_body(parts.status.as_u16(), &body))),
    }
}
