//! Requests that a page of somebody else's had a browser make.
//!
//! A browser that holds the operator's certificate shows it to us whatever page it is that asks, and sends
//! the request before it asks whether it may read the answer. It says where a request comes from, though, and
//! no page can keep it from doing so: by `Origin` (RFC 6454 §7) and `Sec-Fetch-Site` (W3C Fetch Metadata §2.3).
//! Whatever could change something, or opens a websocket, is refused when either names another site. `pki`,
//! `lxc` and curl send neither.

use http::header::{HOST, HeaderMap, HeaderName, ORIGIN, UPGRADE};
use http::uri::Authority;
use http::{Method, Uri};

/// Where a browser says how the page that asks stands to us.
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What whoever is refused is told.
pub(super) const REFUSED: &str = "a page of another site asked for this: only our own pages may";

/// Whether a request has to be refused because of where it comes from.
pub(super) fn is_cross_site(method: &Method, uri: &Uri, headers: &HeaderMap) -> bool {
    let changes = !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    // What reads may be asked for by a link; the browser keeps the answer from the page. A websocket it
    // does not.
    (changes || headers.contains_key(UPGRADE)) && !is_ours(uri, headers)
}

/// Whether everything that the headers say of a page names our own site. They may say nothing.
fn is_ours(uri: &Uri, headers: &HeaderMap) -> bool {
    let site = headers.get_all(&SITE).iter().all(|site| matches!(site.as_bytes(), b"none" | b"same-origin"));
    let mut origins = headers.get_all(ORIGIN).iter().peekable();
    if !site || origins.peek().is_none() {
        return site;
    }
    let mut hosts = headers.get_all(HOST).iter();
    let named = hosts.next().and_then(|host| host.to_str().ok());
    let Some(host) = uri.authority().map(Authority::as_str).or(named) else { return false };
    let Some(ours) = host_and_port(host) else { return false };
    hosts.next().is_none()
        && origins.all(|origin| {
            let origin = origin.to_str().ok().and_then(|origin| origin.strip_prefix("https://"));
            origin.and_then(host_and_port).is_some_and(|from| from == ours)
        })
}

/// A host, as it is compared, and the port that is meant (RFC 6454 §4).
fn host_and_port(text: &str) -> Option<(String, u16)> {
    const HTTPS: u16 = 443;
    let authority: Authority = text.parse().ok()?;
    let port = match authority.port() {
        Some(port) => port.as_str().parse().ok()?,
        None => HTTPS,
    };
    (!text.contains('@')).then(|| (authority.host().to_ascii_lowercase(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(method: &str, said: &[(&'static str, &str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in said {
            headers.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        is_cross_site(&method.parse().unwrap(), &Uri::from_static("/1.0/certificates"), &headers)
    }

    #[test]
    fn programs_say_nothing_and_our_own_pages_where_they_are() {
        let host = ("host", "pki.internal:8443");
        for said in [
            &[][..],
            &[host],
            &[host, ("sec-fetch-site", "none")],
            &[host, ("sec-fetch-site", "same-origin"), ("origin", "https://pki.internal:8443")],
            &[host, ("origin", "https://PKI.internal:8443")],
            &[("host", "pki.internal"), ("origin", "https://pki.internal:443")],
            &[("host", "[::1]:8443"), ("origin", "https://[::1]:8443")],
        ] {
            for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
                assert!(!refused(method, said), "{method} {said:?}");
            }
        }
    }

    #[test]
    fn whatever_changes_something_is_refused_to_other_sites() {
        let host = ("host", "pki.internal:8443");
        for said in [
            &[host, ("sec-fetch-site", "cross-site")][..],
            &[host, ("sec-fetch-site", "same-site")],
            &[host, ("sec-fetch-site", "")],
            &[host, ("sec-fetch-site", "Same-Origin")],
            &[host, ("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")],
            &[host, ("sec-fetch-site", "cross-site"), ("origin", "https://pki.internal:8443")],
            &[host, ("sec-fetch-site", "same-origin"), ("origin", "https://evil.example")],
            &[host, ("origin", "https://evil.example")],
            &[host, ("origin", "http://pki.internal:8443")],
            &[host, ("origin", "https://pki.internal")],
            &[host, ("origin", "https://pki.internal:8444")],
            &[host, ("origin", "https://pki.internal:8443.evil.example")],
            &[host, ("origin", "https://pki.internal:8443@evil.example")],
            &[host, ("origin", "https://evil.example@pki.internal:8443")],
            &[host, ("origin", "https://pki.internal:8443"), ("origin", "https://evil.example")],
            &[host, ("origin", "null")],
            &[host, ("origin", "")],
            &[("origin", "https://pki.internal:8443")],
            &[host, ("host", "evil.example"), ("origin", "https://pki.internal:8443")],
        ] {
            for method in ["POST", "PUT", "PATCH", "DELETE", "TRACE", "POKE"] {
                assert!(refused(method, said), "{method} {said:?}");
            }
            for method in ["GET", "HEAD", "OPTIONS"] {
                assert!(!refused(method, said), "{method} {said:?}");
            }
            let mut socket = said.to_vec();
            socket.push(("upgrade", "websocket"));
            assert!(refused("GET", &socket), "{socket:?}");
        }
    }
}
