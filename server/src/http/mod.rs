//! The route table, all of it: what the socket, the HTTPS listener and the public listener answer.
//!
//! A route exists because an operation stands in the table below; nothing is routed by pattern.

pub(crate) mod backup;
mod browser;
mod enroll;
mod lxd;
mod metrics;
pub mod openapi;
pub(crate) mod operation;
pub mod problem;
pub(crate) mod public;
mod told;

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn_with_state, map_response};
use axum::routing::{get, post};
use tokio::sync::Semaphore;
use trust::Action;

use self::told::Told;
use crate::Pki;
use crate::counters::Listener;
use crate::limits::Limits;
use crate::ops::local::Authenticate;
use crate::ops::{self, Operation};

/// The header by which both ends say their version.
pub const VERSION_HEADER: &str = "pki-version";
/// The header by which the socket tells a user it refuses where a certificate may let them in: [`crate::pki::HttpsWay`].
pub const HTTPS_HEADER: &str = "pki-https";
/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Where a streaming backup is asked for: [`ops::backup::BackupRequest`] as JSON, the archive as answer.
pub const BACKUP_PATH: &str = "/1.0/pki/backup";

/// Where an operation is asked for.
pub fn path<O: Operation>() -> String {
    format!("/1.0/pki/{}", O::NAME)
}

/// One line of the route table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Which listener: `socket`, `https` or `public`.
    pub listener: &'static str,
    /// The methods, e.g. `POST`.
    pub methods: &'static str,
    /// The path, e.g. `/1.0/pki/issue`.
    pub path: String,
    /// Who may ask.
    pub access: Access,
}

/// Who may ask for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody.
    Anyone,
    /// Whoever is permitted this.
    Permitted(Action),
    /// Whoever shows the certificate that it is about and is permitted `own`, and whoever is permitted `other`.
    Holder {
        /// What the holder must be permitted, for the certificate alone.
        own: Action,
        /// What everybody else must be.
        other: Action,
    },
    /// Everybody who is let in.
    Trusted,
}

/// What the handlers of the socket share. Every layer of a router has a copy, and makes more with each request.
#[derive(Clone)]
pub(crate) struct Desk(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) pki: Pki,
    pub(crate) limits: Arc<Limits>,
    pub(crate) rooms: Rooms,
}

impl std::ops::Deref for Desk {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// Places among the operations that run. Whoever looks, and whoever revokes, has places of its own: on a
/// slow disk all others are soon taken by those who wait for it.
pub(crate) struct Rooms {
    changes: Arc<Semaphore>,
    reads: Arc<Semaphore>,
    revocations: Arc<Semaphore>,
    /// Those who are told events take no place of any operation.
    pub(crate) events: Arc<Semaphore>,
}

impl Rooms {
    /// The places of those who do this.
    pub(crate) fn of(&self, action: Action) -> &Arc<Semaphore> {
        match action {
            Action::Inspect | Action::Metrics | Action::Read => &self.reads,
            Action::Publish | Action::Revoke => &self.revocations,
            Action::Authority
            | Action::Backup
            | Action::Configure
            | Action::Issue
            | Action::Obtain
            | Action::Trust => &self.changes,
        }
    }
}

impl Desk {
    pub(crate) fn new(pki: Pki, limits: Arc<Limits>) -> Desk {
        let places = |count| Arc::new(Semaphore::new(count));
        let rooms = Rooms {
            changes: places(limits.operations),
            reads: places(limits.reads),
            revocations: places(limits.revocations),
            events: places(lxd::LISTENERS),
        };
        Desk(Arc::new(Shared { pki, limits, rooms }))
    }
}

macro_rules! operations {
    ($($operation:ty,)*) => {
        fn operation_routes() -> Vec<Route> {
            vec![$(Route {
                listener: "socket",
                methods: "POST",
                path: path::<$operation>(),
                access: Access::Permitted(<$operation as Operation>::ACTION),
            }),*]
        }

        /// Adds every one of them to the description of the API.
        fn describe_operations(document: &mut openapi::Document) {
            $(document.operation::<$operation>();)*
        }

        fn operation_router() -> Router<Desk> {
            Router::new()$(.route(&path::<$operation>(), post(operation::answer::<$operation>)))*
        }
    };
}

operations! {
    ops::acme::account::AcmeAccountChange,
    ops::acme::account::AcmeAccounts,
    ops::acme::AcmeIssue,
    ops::acme::AcmeList,
    ops::acme::AcmeRenew,
    ops::acme::AcmeRevoke,
    ops::audit::Audit,
    ops::audit::AuditVerify,
    ops::audit::JournalHead,
    ops::authority::CaInstall,
    ops::authority::CaList,
    ops::authority::CaRevoke,
    ops::authority::CaRootOffline,
    ops::authority::CaRotate,
    ops::config::ConfigList,
    ops::config::ConfigSet,
    ops::crl::CrlPublish,
    ops::crl::CrlShow,
    ops::crl::RootCrlDraft,
    ops::crl::RootCrlInstall,
    ops::doctor::Doctor,
    ops::export::Export,
    ops::haproxy::HaproxyRender,
    ops::haproxy::HaproxyStatus,
    ops::haproxy::HaproxySync,
    ops::info::Info,
    ops::inventory::List,
    ops::inventory::Show,
    ops::inventory::Verify,
    ops::issue::Issue,
    ops::issue::IssueMany,
    ops::issue::IssueTrusted,
    ops::issue::Renew,
    ops::metrics::Metrics,
    ops::local::PassphraseSet,
    ops::local::PassphraseShow,
    ops::revoke::Release,
    ops::revoke::Revoke,
    ops::revoke::RevokeMany,
    ops::trust::add::TrustAdd,
    ops::trust::add::TrustAddUser,
    ops::trust::authority::AuthorityForget,
    ops::trust::authority::AuthorityImport,
    ops::trust::authority::AuthorityList,
    ops::trust::edit::TrustEdit,
    ops::trust::enroll::TokenEnroll,
    ops::trust::group::GroupCreate,
    ops::trust::group::GroupEdit,
    ops::trust::group::GroupList,
    ops::trust::group::GroupRemove,
    ops::trust::group::GroupShow,
    ops::trust::group::PersonAllow,
    ops::trust::group::PersonDeny,
    ops::trust::list::TrustList,
    ops::trust::list::TrustShow,
    ops::trust::project::ProjectCreate,
    ops::trust::project::ProjectList,
    ops::trust::project::ProjectRemove,
    ops::trust::project::ProjectShow,
    ops::trust::remove::TrustRemove,
    ops::trust::token::TokenCreate,
    ops::trust::token::TokenList,
    ops::trust::token::TokenRevoke,
}

/// Every route of every listener.
pub fn routes() -> Vec<Route> {
    let mut routes = operation_routes();
    routes.push(Route {
        listener: "socket",
        methods: "POST",
        path: path::<Authenticate>(),
        access: Access::Anyone,
    });
    routes.push(Route {
        listener: "socket",
        methods: "POST",
        path: BACKUP_PATH.to_owned(),
        access: Access::Permitted(Action::Backup),
    });
    routes.push(Route {
        listener: "socket",
        methods: "GET",
        path: openapi::PATH.to_owned(),
        access: Access::Trusted,
    });
    routes.push(Route {
        listener: "socket",
        methods: "GET",
        path: metrics::PATH.to_owned(),
        access: Access::Permitted(Action::Metrics),
    });
    routes.extend(lxd::routes());
    routes.extend(public::routes());
    routes
}

/// What the HTTPS listener answers. All that the socket does, it does too, for those who are let in.
pub(crate) fn https_router(desk: Desk) -> Router {
    let told = from_fn_with_state(Told::of(&desk.pki, Listener::Https), told::tell);
    lxd::router(operation_router(), desk).layer(map_response(browser::forbid)).layer(told)
}

/// What the socket answers.
pub(crate) fn socket_router(desk: Desk) -> Router {
    operation_router()
        .route(&path::<Authenticate>(), post(operation::authenticate))
        .route(openapi::PATH, get(openapi::answer))
        .route(metrics::PATH, get(metrics::answer))
        .route(BACKUP_PATH, post(backup::answer))
        .fallback(operation::unknown)
        .method_not_allowed_fallback(operation::wrong_method)
        .layer(from_fn_with_state(Told::of(&desk.pki, Listener::Socket), told::tell))
        .with_state(desk)
}
