//! What a browser is told to do with our answers: show nothing of them as a page, nowhere.
//!
//! The API is for programs, yet a browser that holds the operator's certificate is answered too. An answer
//! may carry what somebody else wrote (a name, an error), so it is never to be taken for a page, nor shown
//! within one of another site. No Strict-Transport-Security (RFC 6797): it would hold for the whole host, and
//! the revocation list is fetched from it by plain HTTP.

use axum::response::Response;
use http::header::{
    CONTENT_SECURITY_POLICY, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};

/// Adds the headers to an answer.
pub(super) async fn forbid(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'; sandbox"),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}
