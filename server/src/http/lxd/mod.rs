//! LXD's API for trust, as far as its client `lxc` needs it: `/`, `/1.0`, `/1.0/certificates` and
//! `/1.0/operations`, with LXD's envelope, fields and messages.
//!
//! Nothing is decided here: requests become the operations that the commands run as well, or what alone
//! somebody unknown may ask for: to redeem a token ([`crate::ops::redeem`]), or to be let in by the
//! passphrase. Of LXD's API nothing else is promised: `api_extensions` names what clients may count on, and
//! no more.

mod about;
mod certificates;
mod cross_site;
mod described;
mod entrance;
mod envelope;
mod events;
mod failure;
mod operations;
mod shapes;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::{Method, StatusCode};
use trust::Action;

pub(super) use described::describe;
pub(super) use events::LISTENERS;

use self::envelope::Failure;
use super::operation::{self, Refusal};
use super::{Access, BACKUP_PATH, Desk, Route, backup, enroll, metrics, openapi, public};
use crate::Pki;
use crate::ops::enroll::{Enroll, RenewSelf};

/// Where the operations lie that both the socket and HTTPS answer.
const OURS: &str = "/1.0/pki/";

/// Where the passphrase is tried.
const AUTHENTICATE: &str = "/1.0/pki/authenticate";

/// Where events are told.
const EVENTS: &str = "/1.0/events";

/// Who may replace a certificate: see [`crate::ops::trust::replace`].
const REPLACING: Access = Access::Holder { own: Action::Read, other: Action::Trust };

/// LXD's part of the route table.
pub(super) fn routes() -> Vec<Route> {
    let route = |methods: &'static str, path: &str, access| Route {
        listener: "https",
        methods,
        path: path.to_owned(),
        access,
    };
    let (read, trust) = (Access::Permitted(Action::Read), Access::Permitted(Action::Trust));
    vec![
        route("GET", "/", Access::Anyone),
        route("GET", "/1.0", Access::Anyone),
        route("GET", "/1.0/certificates", read),
        route("GET", EVENTS, Access::Permitted(Action::Inspect)),
        // Whoever is not let in may redeem a token, try the passphrase, or renew the certificate that they show,
        // and nothing else.
        route("POST", "/1.0/certificates", Access::Anyone),
        route("POST", Enroll::PATH, Access::Anyone),
        route("POST", RenewSelf::PATH, Access::Anyone),
        route("GET", "/1.0/certificates/{fingerprint}", read),
        route("PUT, PATCH", "/1.0/certificates/{fingerprint}", REPLACING),
        route("DELETE", "/1.0/certificates/{fingerprint}", trust),
        route("GET", "/1.0/operations", trust),
        route("GET, DELETE", "/1.0/operations/{id}", trust),
        route("GET", "/1.0/operations/{id}/wait", trust),
        route("POST", AUTHENTICATE, Access::Anyone),
    ]
}

/// What the HTTPS listener answers: LXD's API, the operations of the socket, and the public files.
pub(super) fn router(operations: Router<Desk>, desk: Desk) -> Router {
    operations
        .route(BACKUP_PATH, post(backup::answer))
        .route(openapi::PATH, get(openapi::answer))
        .route(metrics::PATH, get(metrics::answer))
        .route(Enroll::PATH, post(enroll::by_token))
        .route(RenewSelf::PATH, post(enroll::itself))
        .route("/", get(about::root))
        .route("/1.0", get(about::server))
        .route("/1.0/certificates", get(certificates::list).post(certificates::add))
        .route(
            "/1.0/certificates/{fingerprint}",
            get(certificates::show)
                .put(certificates::replace)
                .patch(certificates::update)
                .delete(certificates::remove),
        )
        .route(EVENTS, get(events::listen))
        .route(AUTHENTICATE, post(operation::authenticate_caller))
        .route("/1.0/operations", get(operations::list))
        .route("/1.0/operations/{id}", get(operations::show).delete(operations::cancel))
        .route("/1.0/operations/{id}/wait", get(operations::wait))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(desk.clone(), entrance::enter))
        .with_state(desk)
}

/// A public file, or nothing.
async fn unknown(State(desk): State<Desk>, request: Request) -> Response {
    let path = request.uri().path();
    if public::is_public(path) {
        return public::answer(State(desk.pki.clone()), request).await;
    }
    match path.starts_with(OURS) {
        true => operation::unknown(request.uri().clone()).await.into_response(),
        false => Failure::not_found("not found").into_response(),
    }
}

async fn wrong_method(method: Method, request: Request) -> Response {
    match request.uri().path().starts_with(OURS) {
        true => operation::wrong_method(method).await.into_response(),
        false => Failure::new(StatusCode::METHOD_NOT_ALLOWED, "method not allowed").into_response(),
    }
}

/// Does what blocks in a thread for that, in a place among those who do the like.
async fn blocking<T: Send + 'static>(
    desk: Desk,
    action: Action,
    work: impl FnOnce(&Pki) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let place = operation::place(desk.rooms.of(action)).map_err(Failure::from)?;
    let running = tokio::task::spawn_blocking(move || {
        let answer = work(&desk.pki);
        drop(place);
        answer
    });
    running.await.unwrap_or_else(|_panicked| Err(Refusal::Panicked.into()))
}

/// Whether a query asks for the objects themselves, not only where they are.
fn is_recursive(query: Option<&str>) -> bool {
    parameter(query, "recursion").is_some_and(|value| value != "0" && !value.is_empty())
}

/// What a query says of something.
fn parameter<'a>(query: Option<&'a str>, name: &str) -> Option<&'a str> {
    query?.split('&').find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recursion_is_asked_for_by_a_number() {
        for (query, wanted) in [
            (None, false),
            (Some("recursion=1"), true),
            (Some("project=default&recursion=1"), true),
            (Some("recursion=0"), false),
            (Some("recursion="), false),
            (Some("norecursion=1"), false),
            (Some("recursion1"), false),
        ] {
            assert_eq!(is_recursive(query), wanted, "{query:?}");
        }
    }
}
