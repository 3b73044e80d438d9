//! What the service can do: one operation a file, each a request, a reply and how it runs.
//!
//! The CLI and the service speak in these types alone. With a service running they travel as JSON
//! over its socket (`POST /1.0/pki/NAME`); without one the CLI runs the same operation in process.
//! No operation sees HTTP or a terminal.

use ::trust::{Action, Permit};
use serde::{Serialize, de::DeserializeOwned};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::Pki;

pub mod acme;
pub mod audit;
pub mod authority;
pub mod backup;
pub mod config;
pub mod crl;
pub mod doctor;
pub mod enroll;
pub mod error;
pub mod export;
pub mod haproxy;
pub mod info;
pub mod inventory;
pub mod issue;
pub mod local;
pub mod metrics;
pub mod phrase;
mod project;
pub(crate) mod redeem;
pub mod revoke;
mod select;
mod shape;
pub mod trust;
pub mod view;

pub use error::Error;

/// One thing the service can do.
pub trait Operation: Serialize + DeserializeOwned + ToSchema + Send + 'static {
    /// Its name in the URL, `POST /1.0/pki/NAME`.
    const NAME: &'static str;
    /// What a peer must be permitted for it.
    const ACTION: Action;
    /// What a peer must be permitted besides, where one permission is not enough.
    const ALSO: &'static [Action] = &[];
    /// What it answers.
    type Reply: Serialize + DeserializeOwned + ToSchema + Send + 'static;

    /// Does it. Blocks until it is durable: from async code call it inside `spawn_blocking`.
    ///
    /// `permit` says who asks; callers come in by [`Pki::run`], which decides that.
    fn run(self, pki: &Pki, permit: &Permit, now: OffsetDateTime) -> Result<Self::Reply, Error>;
}
