//! Who may ask for anything: decided for every request, before its body is read.
//!
//! Whoever is not let in gets the same answer everywhere, also where there is nothing. The operations
//! decide once more when they run: what was let in here may have been removed since.

use std::sync::Arc;

use axum::extract::{Extension, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method};
use trust::{Presented, Refusal};

use super::cross_site::{self, is_cross_site};
use super::envelope::Failure;
use super::{AUTHENTICATE, OURS};
use crate::clock;
use crate::http::{Desk, operation, problem, public};
use crate::limits::Sender;
use crate::listen::Caller;
use crate::ops;
use crate::ops::enroll::{Enroll, RenewSelf};

/// By which a client of LXD says that it will not do as a stranger.
const AUTHENTICATED: &str = "x-lxd-authenticated";

/// Lets a request through or refuses it.
pub(super) async fn enter(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    mut request: Request,
    next: Next,
) -> Response {
    request.extensions_mut().insert(Arc::clone(&caller.presented));
    let path = request.uri().path();
    if is_cross_site(request.method(), request.uri(), request.headers()) {
        desk.pki.counters().refusals.count("cross-site");
        tracing::warn!(remote = %caller.remote, path = %path.escape_debug(), "a page of another site asked");
        return match path.starts_with(OURS) {
            true => operation::failed(&problem::refused(cross_site::REFUSED)),
            false => Failure::forbidden(cross_site::REFUSED).into_response(),
        };
    }
    if is_open(request.method(), path) && !insists(request.headers()) {
        return next.run(request).await;
    }
    match admit(&desk, &caller).await {
        Ok(()) => {
            request.extensions_mut().insert(Sender::Admitted);
            next.run(request).await
        }
        Err(error) => {
            let asked = format!("{} {path}", request.method());
            desk.pki.note_refusal(&caller.presented, &error, &asked, clock::now());
            tell(&caller, &error, path);
            match path.starts_with(OURS) {
                true => operation::failed(&problem::problem(&error)),
                false => Failure::from(error).into_response(),
            }
        }
    }
}

/// Decides, and once more if an administrator has just added to `clients.pem`.
async fn admit(desk: &Desk, caller: &Caller) -> Result<(), ops::Error> {
    match (desk.pki.judge(&caller.presented, clock::now()), &*caller.presented) {
        (Err(ops::Error::Refused(Refusal::Stranger)), Presented::Certificate(_))
            if desk.pki.clients_have_changed() => {}
        (decided, _) => return decided,
    }
    let (pki, presented) = (desk.pki.clone(), Arc::clone(&caller.presented));
    let looked = tokio::task::spawn_blocking(move || {
        if let Err(error) = pki.follow_clients(clock::now()) {
            tracing::error!(error = problem::in_words(&error), "clients.pem is not followed");
        }
        pki.judge(&presented, clock::now())
    });
    looked.await.unwrap_or(Err(ops::Error::Refused(Refusal::Stranger)))
}

/// What anybody may ask for.
fn is_open(method: &Method, path: &str) -> bool {
    match *method {
        Method::GET | Method::HEAD => path == "/" || path == "/1.0" || public::is_public(path),
        // These decide for themselves: by a token, a passphrase, or the certificate that is shown.
        Method::POST => ["/1.0/certificates", AUTHENTICATE, Enroll::PATH, RenewSelf::PATH].contains(&path),
        _ => false,
    }
}

fn insists(headers: &HeaderMap) -> bool {
    headers.get(AUTHENTICATED).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"))
}

/// Strangers come and go: only who showed a certificate is worth a line at the usual level.
fn tell(caller: &Caller, error: &ops::Error, path: &str) {
    let (remote, path) = (caller.remote, path.escape_debug());
    let reason = match error {
        ops::Error::Refused(refusal) => refusal.to_string(),
        error => problem::in_words(error),
    };
    match &*caller.presented {
        Presented::Certificate(holder) => {
            tracing::info!(%remote, %path, fingerprint = %holder.fingerprint(), reason, "refused");
        }
        Presented::InProcess | Presented::Local(_) | Presented::Nobody | Presented::Person(_) => {
            tracing::debug!(%remote, %path, reason, "refused");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_may_ask_for_these_and_nothing_else() {
        for (method, path, open) in [
            (Method::GET, "/", true),
            (Method::HEAD, "/1.0", true),
            (Method::GET, "/ca.crl", true),
            (Method::GET, "/.well-known/acme-challenge/token", true),
            (Method::POST, "/1.0/certificates", true),
            (Method::POST, "/1.0/pki/authenticate", true),
            (Method::GET, "/1.0/pki/authenticate", false),
            (Method::POST, "/1.0/pki/enroll", true),
            (Method::POST, "/1.0/pki/renew-self", true),
            (Method::GET, "/1.0/pki/enroll", false),
            (Method::POST, "/1.0/pki/renew", false),
            (Method::GET, "/1.0/certificates", false),
            (Method::PUT, "/1.0", false),
            (Method::POST, "/", false),
            (Method::POST, "/ca.crl", false),
            (Method::POST, "/1.0/certificates/", false),
            (Method::GET, "/1.0/", false),
            (Method::GET, "//", false),
            (Method::GET, "/1.0/operations", false),
            (Method::POST, "/1.0/pki/list", false),
            (Method::GET, "/nowhere", false),
            (Method::OPTIONS, "/", false),
        ] {
            assert_eq!(is_open(&method, path), open, "{method} {path}");
        }
    }
}
