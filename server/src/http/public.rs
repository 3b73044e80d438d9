//! What anyone may fetch by plain HTTP: CA certificates, lists, and the answers to ACME challenges.
//!
//! What is served is swapped as a whole when new files are published: a request can name nothing but what
//! lies on the shelf. Small files lie there in memory; of large ones only the open file does, which stays what
//! it was when another takes its name, and is read piece by piece ([`content`]).
//!
//! While the store is still being opened the files of the directory are served by themselves ([`early_router`]):
//! whoever asks for anything else is told to come back.
//!
//! Media types: PEM is `application/x-pem-file` (certificates and lists alike: `x-x509-ca-cert`
//! would make browsers offer to trust it), DER is `application/pkix-cert` and `application/pkix-crl`
//! (RFC 2585 §4).

mod content;
mod shelf;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, LAST_MODIFIED, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use http::{Method, StatusCode};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use super::told::{self, Told};
use super::{Access, Route};
use crate::Pki;
use crate::clock;
use crate::counters::Listener;

use content::Content;

pub(crate) use shelf::{Filling, Shelf};

/// The files at the top.
pub(crate) const TOP: [&str; 6] = ["ca.crl", "ca.crt", "chain.crl", "chain.crt", "root.crl", "root.crt"];
/// What a file in PEM is.
pub(crate) const PEM: &str = "application/x-pem-file";
/// What a certificate in DER is (RFC 2585 §4.1).
pub(crate) const DER_CERTIFICATE: &str = "application/pkix-cert";
/// What a list in DER is (RFC 2585 §4.2).
pub(crate) const DER_LIST: &str = "application/pkix-crl";

/// Where ACME authorities look (RFC 8555 §8.3).
const CHALLENGES: &str = "/.well-known/acme-challenge/";
/// The longest a cache may keep anything: a revocation must be seen soon.
const MOST_AGE: i64 = 60;

/// A file as it is served.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    content: Content,
    media: &'static str,
    etag: HeaderValue,
    modified: Option<OffsetDateTime>,
    next_update: Option<OffsetDateTime>,
}

impl Published {
    /// A file; `next_update` is that of the list in it, if it is one.
    pub(crate) fn new(
        content: impl Into<Content>,
        media: &'static str,
        modified: Option<OffsetDateTime>,
        next_update: Option<OffsetDateTime>,
    ) -> Published {
        let content = content.into();
        let etag = format!("\"{}\"", content.tag());
        Published {
            content,
            media,
            etag: HeaderValue::try_from(etag).unwrap_or(HeaderValue::from_static("\"\"")),
            modified,
            next_update,
        }
    }

    /// The same file, with another nextUpdate.
    fn until(self, next_update: Option<OffsetDateTime>) -> Published {
        Published { next_update, ..self }
    }

    /// The same file, changed later than what was served before it: a date in whole seconds must not name
    /// two of them.
    fn after(self, before: &Published) -> Published {
        let second = |file: &Published| file.modified.map(OffsetDateTime::unix_timestamp);
        match (second(before), second(&self)) {
            (Some(then), Some(now)) if now <= then && self.etag != before.etag => {
                Published { modified: before.modified.map(|then| then + time::Duration::SECOND), ..self }
            }
            _ => self,
        }
    }

    #[cfg(test)]
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.content.whole().unwrap()).unwrap()
    }

    fn max_age(&self, now: OffsetDateTime) -> i64 {
        let left = self.next_update.map_or(MOST_AGE, |next| (next - now).whole_seconds());
        left.clamp(0, MOST_AGE)
    }
}

/// An HTTP date (RFC 9110 §5.6.7).
fn http_date(at: OffsetDateTime) -> Option<HeaderValue> {
    const FORM: &[BorrowedFormatItem<'static>] = format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    HeaderValue::try_from(at.to_offset(time::UtcOffset::UTC).format(FORM).ok()?).ok()
}

/// The public listener's part of the route table.
pub(crate) fn routes() -> Vec<Route> {
    let route =
        |path: String| Route { listener: "public", methods: "GET, HEAD", path, access: Access::Anyone };
    let mut routes: Vec<Route> = TOP.iter().map(|name| route(format!("/{name}"))).collect();
    routes.push(route("/ca/{keyid}.crt".to_owned()));
    routes.push(route("/crl/{keyid}/0.crl".to_owned()));
    routes.push(route(format!("{CHALLENGES}{{token}}")));
    routes
}

/// The same with the media type of each file and what it is: for the description of the API.
pub(crate) fn described() -> Vec<(String, &'static str, &'static str)> {
    let mut described: Vec<_> = [
        ("/ca.crl", PEM, "The newest list of the issuing CA in force."),
        ("/ca.crt", PEM, "The certificate of the issuing CA in force."),
        ("/chain.crl", PEM, "The newest list of every authority."),
        ("/chain.crt", PEM, "The certificates of the issuing CAs and of the root."),
        ("/root.crl", PEM, "The newest list of the root."),
        ("/root.crt", PEM, "The certificate of the root."),
        ("/ca/{keyid}.crt", DER_CERTIFICATE, "The certificate of the authority with this key, DER."),
        ("/crl/{keyid}/0.crl", DER_LIST, "The newest list of the authority with this key, DER."),
    ]
    .map(|(path, media, text)| (path.to_owned(), media, text))
    .to_vec();
    let challenge = "The answer to an HTTP-01 challenge (RFC 8555 §8.3).";
    described.push((format!("{CHALLENGES}{{token}}"), "application/octet-stream", challenge));
    described
}

/// What the public listener answers.
pub(crate) fn router(pki: Pki) -> Router {
    let told = from_fn_with_state(Told::of(&pki, Listener::Public), told::tell);
    Router::new().fallback(answer).layer(told).with_state(pki)
}

/// Whether a path is one of the public listener's.
pub(crate) fn is_public(path: &str) -> bool {
    let named = path.strip_prefix('/').is_some_and(|name| TOP.contains(&name));
    named || ["/ca/", "/crl/", CHALLENGES].iter().any(|folder| path.starts_with(folder))
}

/// What it answers while the store is still being opened: what lies on this shelf.
pub(crate) fn early_router(shelf: Arc<Shelf>) -> Router {
    Router::new().fallback(answer_early).with_state(shelf)
}

async fn answer_early(State(shelf): State<Arc<Shelf>>, request: Request) -> Response {
    match (shelf.find(request.uri().path()), request.method()) {
        (Some(file), &Method::GET | &Method::HEAD) => {
            file_response(&file, request.method(), request.headers(), clock::now())
        }
        (Some(_) | None, _) => not_yet("the service is starting, try again in a moment\n"),
    }
}

/// Answers with what lies on the shelf.
pub(crate) async fn answer(State(pki): State<Pki>, request: Request) -> Response {
    let path = request.uri().path();
    let found = match path.strip_prefix(CHALLENGES) {
        Some(token) => pki.challenges().answer(token).map(|answer| {
            let mut response = plain(StatusCode::OK, answer);
            let octets = HeaderValue::from_static("application/octet-stream");
            response.headers_mut().insert(CONTENT_TYPE, octets);
            (response, None)
        }),
        None => pki.shelf().find(path).map(|file| (Response::new(Body::empty()), Some(file))),
    };
    let Some((response, file)) = found else {
        return plain(StatusCode::NOT_FOUND, "there is nothing here\n".to_owned());
    };
    match *request.method() {
        Method::GET | Method::HEAD => {}
        _ => {
            let mut refused = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n".to_owned());
            refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refused;
        }
    }
    match file {
        Some(file) => file_response(&file, request.method(), request.headers(), clock::now()),
        None => response,
    }
}

fn file_response(file: &Published, method: &Method, asked: &HeaderMap, now: OffsetDateTime) -> Response {
    if !file.content.is_intact() {
        // Somebody has written over it. It is placed anew, and then served again.
        return not_yet("this file is about to be replaced, try again in a moment\n");
    }
    let modified = file.modified.filter(|modified| *modified <= now).and_then(http_date);
    let known = is_known(asked, file, modified.as_ref());
    let body = match *method {
        Method::HEAD => Body::empty(),
        _ if known => Body::empty(),
        _ => file.content.body(),
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(ETAG, file.etag.clone());
    if let Ok(cache) = HeaderValue::try_from(format!("public, max-age={}", file.max_age(now))) {
        headers.insert(CACHE_CONTROL, cache);
    }
    if let Some(modified) = modified {
        headers.insert(LAST_MODIFIED, modified);
    }
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(file.media));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(file.content.length()));
    response
}

/// Whether whoever asks has this very file. A tag decides alone where there is one (RFC 9110 §13.1.3).
///
/// A date counts only if it is the one we gave. The RFC lets a later one count too, but a date that the
/// client took from its own clock may be ahead of ours, and would keep a revocation from it.
fn is_known(asked: &HeaderMap, file: &Published, modified: Option<&HeaderValue>) -> bool {
    if asked.contains_key(IF_NONE_MATCH) {
        return asked.get_all(IF_NONE_MATCH).iter().any(|value| matches_etag(value, &file.etag));
    }
    modified.is_some() && asked.get(IF_MODIFIED_SINCE) == modified
}

/// Whether an `If-None-Match` names our tag; the comparison is the weak one (RFC 9110 §13.1.2).
fn matches_etag(value: &HeaderValue, etag: &HeaderValue) -> bool {
    let (Ok(value), Ok(etag)) = (value.to_str(), etag.to_str()) else { return false };
    value.split(',').map(str::trim).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

/// It will be there: try again (RFC 9110 §15.6.4).
fn not_yet(text: &str) -> Response {
    let mut response = plain(StatusCode::SERVICE_UNAVAILABLE, text.to_owned());
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

fn plain(status: StatusCode, text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(seconds).unwrap()
    }

    fn ask(headers: &[(&str, &str)], file: &Published, now: i64) -> Response {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(http::HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap());
        }
        file_response(file, &Method::GET, &map, at(now))
    }

    #[test]
    fn the_tag_decides_whether_a_file_is_sent() {
        let file = Published::new(b"list".to_vec(), PEM, Some(at(784_111_777)), None);
        let first = ask(&[], &file, 784_111_777);
        assert_eq!(first.status(), StatusCode::OK);
        assert_eq!(first.headers()[LAST_MODIFIED], "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(first.headers()[CONTENT_TYPE], PEM);
        let tag = first.headers()[ETAG].to_str().unwrap().to_owned();
        for known in [tag.clone(), format!("\"other\", {tag}"), format!("W/{tag}"), "*".to_owned()] {
            let second = ask(&[("if-none-match", &known)], &file, 0);
            assert_eq!(second.status(), StatusCode::NOT_MODIFIED, "{known}");
            assert_eq!(second.headers()[ETAG].to_str().unwrap(), tag);
            assert!(!second.headers().contains_key(CONTENT_LENGTH));
        }
        let other = Published::new(b"newer".to_vec(), PEM, None, None);
        assert_eq!(ask(&[("if-none-match", &tag)], &other, 0).status(), StatusCode::OK);
    }

    #[test]
    fn the_date_that_we_gave_stands_for_the_tag_where_none_is_sent() {
        let then = 784_111_777;
        let file = Published::new(b"list".to_vec(), PEM, Some(at(then)), None);
        let asked = |headers: &[(&str, &str)]| ask(headers, &file, then + 100).status();
        let ours = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(asked(&[("if-modified-since", ours)]), StatusCode::NOT_MODIFIED);
        for other in ["Sun, 06 Nov 1994 08:49:36 GMT", "Sun, 06 Nov 1994 08:50:00 GMT", "yesterday", ""] {
            assert_eq!(asked(&[("if-modified-since", other)]), StatusCode::OK, "{other}");
        }
        // A tag wins, whichever way.
        let both = [("if-modified-since", ours), ("if-none-match", "\"other\"")];
        assert_eq!(asked(&both), StatusCode::OK);
        // A date that is still to come is not given, and not taken either.
        let early = ask(&[("if-modified-since", ours)], &file, then - 1);
        assert_eq!(early.status(), StatusCode::OK);
        assert!(!early.headers().contains_key(LAST_MODIFIED));
    }

    #[test]
    fn two_files_of_one_second_have_two_dates() {
        let then = 784_111_777;
        let first = Published::new(b"first".to_vec(), PEM, Some(at(then)), None);
        let second = Published::new(b"second".to_vec(), PEM, Some(at(then)), None).after(&first);
        let ours = [("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT")];
        assert_eq!(ask(&ours, &first, then).status(), StatusCode::NOT_MODIFIED);
        assert_eq!(ask(&ours, &second, then).status(), StatusCode::OK);
        assert_eq!(ask(&ours, &second, then + 9).status(), StatusCode::OK);
        let third = Published::new(b"third".to_vec(), PEM, Some(at(then)), None).after(&second);
        assert_eq!(ask(&ours, &third, then + 9).status(), StatusCode::OK);
    }

    #[test]
    fn a_cache_keeps_a_list_a_minute_and_never_past_its_end() {
        let file = Published::new(Vec::new(), DER_LIST, None, Some(at(1_000)));
        let cache = |now| ask(&[], &file, now).headers()[CACHE_CONTROL].to_str().unwrap().to_owned();
        assert_eq!(cache(0), "public, max-age=60");
        assert_eq!(cache(980), "public, max-age=20");
        assert_eq!(cache(2_000), "public, max-age=0");
    }
}
