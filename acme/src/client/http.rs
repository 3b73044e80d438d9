//! The HTTPS that an authority is spoken to with, under the client library.
//!
//! It adds what the library's own client lacks: a deadline on every request, a bound on every answer,
//! several roots (or the system's), `Retry-After` kept for the retry policy, and error answers that are
//! no problem documents turned into ones. It refuses plain HTTP and follows no redirect: RFC 8555 §6.1
//! knows none, and a redirect would send signed requests where the directory did not say.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, DATE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER, USER_AGENT};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use instant_acme::{BodyWrapper, BytesResponse, HttpClient};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::Limits;
use crate::wire::Problem;

/// Whom to trust when an authority shows its own certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Roots {
    /// The roots this system trusts.
    #[default]
    System,
    /// Exactly the certificates in this PEM text.
    Pem(String),
}

/// Why a request to an authority brought no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The answer broke off.
    #[error("the answer from {url} broke off")]
    Body {
        /// The URL asked.
        url: String,
        /// The cause.
        #[source]
        source: hyper::Error,
    },
    /// No connection, or no TLS.
    #[error("can't reach {url}")]
    Connect {
        /// The URL asked.
        url: String,
        /// The cause.
        #[source]
        source: hyper_util::client::legacy::Error,
    },
    /// Nothing, or not all of it, came in time.
    #[error("no complete answer from {url} within {} s", deadline.as_secs())]
    Deadline {
        /// The URL asked.
        url: String,
        /// The time allowed.
        deadline: Duration,
    },
    /// The authority named a URL that is not HTTPS.
    #[error("{url} is not an https URL")]
    NotHttps {
        /// The URL.
        url: String,
    },
    /// The roots given hold no certificate that can be used.
    #[error("the root certificates given for the authority can't be used: {reason}")]
    Roots {
        /// What is wrong.
        reason: String,
    },
    /// A redirect, which is not followed.
    #[error("{url} redirects to {location}, which is not followed: give the final URL")]
    Redirect {
        /// The URL asked.
        url: String,
        /// Where it points.
        location: String,
    },
    /// The system's roots can't be read.
    #[error("this system's root certificates can't be read")]
    SystemRoots {
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// TLS can't be set up here.
    #[error("TLS can't be set up")]
    Tls {
        /// The cause.
        #[source]
        source: rustls::Error,
    },
    /// The answer is larger than a sound authority's.
    #[error("the answer from {url} is larger than {limit} octets")]
    TooLarge {
        /// The URL asked.
        url: String,
        /// The bound.
        limit: usize,
    },
}

impl Failure {
    /// Whether the same request may do better in a moment.
    pub fn passing(&self) -> bool {
        match self {
            Failure::Body { .. } | Failure::Deadline { .. } => true,
            Failure::Connect { source, .. } => !is_tls(source),
            Failure::NotHttps { .. }
            | Failure::Redirect { .. }
            | Failure::Roots { .. }
            | Failure::SystemRoots { .. }
            | Failure::Tls { .. }
            | Failure::TooLarge { .. } => false,
        }
    }

    /// What the user can check.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Failure::Connect { source, .. } if is_tls(source) => {
                Some("if the authority has a root of its own, give it with --ca-root")
            }
            Failure::Connect { .. } | Failure::Deadline { .. } => {
                Some("check the URL, DNS and the way out to the authority")
            }
            Failure::SystemRoots { .. } => Some("install ca-certificates, or give --ca-root"),
            Failure::Body { .. }
            | Failure::NotHttps { .. }
            | Failure::Redirect { .. }
            | Failure::Roots { .. }
            | Failure::Tls { .. }
            | Failure::TooLarge { .. } => None,
        }
    }
}

/// Whether TLS itself failed, a bad certificate most of all: asking again would not help.
fn is_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<rustls::Error>() {
            return true;
        }
        // An io::Error passes over what it wraps in source().
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        cause = match wrapped {
            Some(inner) => Some(inner as &(dyn std::error::Error + 'static)),
            None => error.source(),
        };
    }
    false
}

/// A client for one authority; cheap to clone.
#[derive(Clone)]
pub struct Http {
    client: Client<HttpsConnector<HttpConnector>, BodyWrapper<Bytes>>,
    limits: Limits,
    /// What the newest answer asked for.
    retry_after: Arc<Mutex<Option<Duration>>>,
}

impl Http {
    /// A client that trusts `roots`.
    pub fn new(roots: &Roots, limits: Limits) -> Result<Http, Failure> {
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|source| Failure::Tls { source })?;
        let config = match roots {
            Roots::System => builder
                .with_native_roots()
                .map_err(|source| Failure::SystemRoots { source })?
                .with_no_client_auth(),
            Roots::Pem(pem) => builder.with_root_certificates(read_roots(pem)?).with_no_client_auth(),
        };
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(limits.connect));
        tcp.set_nodelay(true);
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_only()
            .enable_http1()
            .wrap_connector(tcp);
        Ok(Http {
            client: Client::builder(TokioExecutor::new()).build(connector),
            limits,
            retry_after: Arc::default(),
        })
    }

    /// What the newest answer asked for in `Retry-After` (RFC 8555 §6.6, §7.5.1), once.
    pub fn take_retry_after(&self) -> Option<Duration> {
        self.retry_after.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Sends one request; the answer's body is complete and within the bounds.
    pub async fn exchange(&self, request: Request<BodyWrapper<Bytes>>) -> Result<Response<Bytes>, Failure> {
        let url = request.uri().to_string();
        require_https(request.uri())?;
        let deadline = self.limits.request;
        match tokio::time::timeout(deadline, self.exchange_at_leisure(request, &url)).await {
            Ok(outcome) => outcome,
            Err(_elapsed) => Err(Failure::Deadline { url, deadline }),
        }
    }

    async fn exchange_at_leisure(
        &self,
        mut request: Request<BodyWrapper<Bytes>>,
        url: &str,
    ) -> Result<Response<Bytes>, Failure> {
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(AGENT));
        let head = request.method() == Method::HEAD;
        let answer = self
            .client
            .request(request)
            .await
            .map_err(|source| Failure::Connect { url: url.to_owned(), source })?;
        let (mut parts, mut body) = answer.into_parts();
        if parts.status.is_redirection() {
            let location = parts.headers.get(LOCATION).and_then(|to| to.to_str().ok());
            return Err(Failure::Redirect {
                url: url.to_owned(),
                location: location.unwrap_or("nowhere").chars().take(200).collect(),
            });
        }
        let limit = match parts.headers.get(CONTENT_TYPE) {
            Some(kind) if kind.as_bytes().starts_with(PEM_CHAIN.as_bytes()) => self.limits.chain,
            Some(_) | None => self.limits.body,
        };
        let mut read = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|source| Failure::Body { url: url.to_owned(), source })?;
            if let Ok(data) = frame.into_data() {
                if read.len() + data.len() > limit {
                    return Err(Failure::TooLarge { url: url.to_owned(), limit });
                }
                read.extend_from_slice(&data);
            }
        }
        *self.retry_after.lock().unwrap_or_else(PoisonError::into_inner) = retry_after(&parts.headers);
        let mut read = read.freeze();
        if parts.status.is_client_error() || parts.status.is_server_error() {
            read = with_status(parts.status, &read);
        } else if head && parts.status == StatusCode::NO_CONTENT {
            // RFC 8555 §7.2 says that HEAD newNonce SHOULD be 200; the library insists on it.
            parts.status = StatusCode::OK;
        }
        Ok(Response::from_parts(parts, read))
    }
}

impl HttpClient for Http {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>> {
        let http = self.clone();
        Box::pin(async move {
            // The library does not look at the status of what it GETs and HEADs.
            let signed = request.method() == Method::POST;
            let answer =
                http.exchange(request).await.map_err(|failure| instant_acme::Error::Other(failure.into()))?;
            let failed = answer.status().is_client_error() || answer.status().is_server_error();
            if failed && !signed {
                return Err(instant_acme::Error::Api(serde_json::from_slice(answer.body())?));
            }
            let (parts, body) = answer.into_parts();
            Ok(BytesResponse::from(Response::from_parts(parts, Full::new(body))))
        })
    }
}

fn require_https(url: &Uri) -> Result<(), Failure> {
    match url.scheme_str() {
        Some("https") if url.host().is_some() => Ok(()),
        Some(_) | None => Err(Failure::NotHttps { url: url.to_string() }),
    }
}

fn read_roots(pem: &str) -> Result<RootCertStore, Failure> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|cause| Failure::Roots { reason: cause.to_string() })?;
        roots.add(certificate).map_err(|cause| Failure::Roots { reason: cause.to_string() })?;
    }
    match roots.is_empty() {
        true => Err(Failure::Roots { reason: "there is no PEM certificate in it".to_owned() }),
        false => Ok(roots),
    }
}

/// The body of a failed answer as a problem document that carries its status, whatever it was.
fn with_status(status: StatusCode, body: &[u8]) -> Bytes {
    if let Ok(serde_json::Value::Object(mut document)) = serde_json::from_slice(body) {
        document.entry("status").or_insert(status.as_u16().into());
        return serde_json::Value::Object(document).to_string().into();
    }
    let problem = Problem::from_body(status.as_u16(), body);
    serde_json::json!({ "detail": problem.detail, "status": status.as_u16() }).to_string().into()
}

/// Seconds, or a date that is read against the answer's own `Date` (RFC 9110 §10.2.3): no clock of
/// ours comes into it.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = |text: &str| OffsetDateTime::parse(&text.replace("GMT", "+0000"), &Rfc2822).ok();
    let then = date(value)?;
    let now = date(headers.get(DATE)?.to_str().ok()?)?;
    Some(Duration::try_from(then - now).unwrap_or(Duration::ZERO))
}

const AGENT: &str = concat!("pki/", env!("CARGO_PKG_VERSION"), " instant-acme/0.8");
const PEM_CHAIN: &str = "application/pem-certificate-chain";

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(http::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_against_the_answers_own() {
        assert_eq!(retry_after(&headers(&[(RETRY_AFTER, " 7 ")])), Some(Duration::from_secs(7)));
        let dated = headers(&[
            (RETRY_AFTER, "Fri, 31 Dec 1999 23:59:59 GMT"),
            (DATE, "Fri, 31 Dec 1999 23:59:29 GMT"),
        ]);
        assert_eq!(retry_after(&dated), Some(Duration::from_secs(30)));
        let past = headers(&[
            (RETRY_AFTER, "Fri, 31 Dec 1999 23:59:59 GMT"),
            (DATE, "Sat, 01 Jan 2000 23:59:29 GMT"),
        ]);
        assert_eq!(retry_after(&past), Some(Duration::ZERO));
        assert_eq!(retry_after(&headers(&[(RETRY_AFTER, "soon")])), None);
    }

    #[test]
    fn every_failed_answer_becomes_a_problem_with_its_status() {
        let read = |bytes: Bytes| serde_json::from_slice::<instant_acme::Problem>(&bytes).unwrap();
        let page = read(with_status(StatusCode::BAD_GATEWAY, b"<html>no backend</html>"));
        assert_eq!((page.status, page.detail.as_deref()), (Some(502), Some("<html>no backend</html>")));
        let problem = read(with_status(StatusCode::TOO_MANY_REQUESTS, br#"{"detail":"slow down"}"#));
        assert_eq!((problem.status, problem.detail.as_deref()), (Some(429), Some("slow down")));
    }

    #[test]
    fn only_https_is_spoken() {
        for url in ["http://ca.example/dir", "/dir", "ftp://ca.example/"] {
            assert!(matches!(require_https(&url.parse().unwrap()), Err(Failure::NotHttps { .. })), "{url}");
        }
        require_https(&"https://ca.example/dir".parse().unwrap()).unwrap();
    }

    #[test]
    fn roots_without_a_certificate_are_refused() {
        let outcome = Http::new(&Roots::Pem("no certificate".to_owned()), Limits::default());
        assert!(matches!(outcome.err(), Some(Failure::Roots { .. })));
    }
}
