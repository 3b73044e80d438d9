//! Obtains, renews and revokes certificates at somebody else's authority (RFC 8555).
//!
//! [`Client::obtain`] drives one order from stage to stage ([`model::Stage`], [`order::next`]); what it
//! returns has been checked ([`check`]) and is stored until [`Client::settle`] says that it was placed,
//! so that a crash in between costs no second order. [`Client::revoke`] asks for the opposite.
//! [`renew`] says when it is time again. An account is made by the first order; what becomes of it later
//! ([`Client::roll_key`], [`Client::change_contact`], [`Client::deactivate`]) is `life.rs`.
//!
//! Futures here block while the store commits: drive them on a runtime of their own, in a thread that
//! may block.

mod account;
mod adopt;
mod authority;
mod authorize;
mod certificates;
pub mod check;
pub mod http;
mod life;
mod limits;
pub mod model;
mod names;
mod obtain;
pub mod order;
mod orders;
pub mod renew;
pub mod retry;
mod revoke;
mod session;
pub mod solve;
mod wanted;

use std::fmt;
use std::sync::Arc;

use ca::cert::EmailAddress;
use store::Store;
use store::seal::SealingKey;
use time::OffsetDateTime;

pub use account::Gate;
pub use authority::{Authority, DirectoryUrl, ExternalAccount};
pub use certificates::{certificate, certificates};
pub use http::Roots;
pub use life::accounts;
pub use limits::Limits;
pub use names::Names;
pub use obtain::Obtained;
pub use revoke::Revoked;
pub use solve::{Answer, Board, Challenges, Dns, Doing, Method, Proof, Standalone, TlsBoard, Token, Webroot};
pub use wanted::wanted;

use crate::Error;

/// Tells the time: this crate reads no clock.
pub type Clock = Arc<dyn Fn() -> OffsetDateTime + Send + Sync>;

/// Speaks to authorities for one store.
pub struct Client {
    store: Store,
    sealing: Arc<SealingKey>,
    clock: Clock,
    limits: Limits,
    gate: Gate,
    who: String,
}

/// Whether the user agreed to the authority's terms of service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terms {
    /// He did.
    Agreed,
    /// He did not: an account that exists is used, none is made.
    NotAgreed,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Application {
    /// At which authority.
    pub authority: Authority,
    /// For which names.
    pub names: Names,
    /// The account's contact.
    pub contact: Option<EmailAddress>,
    /// Whether an account may be made.
    pub terms: Terms,
}

/// What the user should hear besides the outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The authority had forgotten our account; a new one was made.
    AccountLost {
        /// The authority.
        directory: String,
    },
    /// A stored order could not be continued; another was placed.
    BegunAnew {
        /// The names.
        names: String,
    },
    /// A stage became durable.
    Reached(Reached),
}

/// The stages of an order, as they become durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reached {
    /// The order is placed.
    Created,
    /// Challenges are published, the authority will be told next.
    Answering,
    /// Key and request are stored, finalize will be sent next.
    Finalizing,
    /// The certificate is here and checked.
    Issued,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::AccountLost { directory } => {
                write!(f, "{directory} no longer knew our account; a new one was made")
            }
            Note::BegunAnew { names } => {
                write!(f, "the stored order for {names} could not be continued; another was placed")
            }
            Note::Reached(Reached::Created) => f.write_str("order placed"),
            Note::Reached(Reached::Answering) => f.write_str("challenges published"),
            Note::Reached(Reached::Finalizing) => f.write_str("names validated, certificate requested"),
            Note::Reached(Reached::Issued) => f.write_str("certificate received and checked"),
        }
    }
}

impl Client {
    /// A client that keeps its accounts and orders in `store`, secrets sealed with `sealing`. All clients
    /// of one process share a `gate`. `who` is the name in the audit trail.
    pub fn new(
        store: Store,
        sealing: Arc<SealingKey>,
        clock: Clock,
        limits: Limits,
        gate: Gate,
        who: &str,
    ) -> Client {
        Client { store, sealing, clock, limits, gate, who: who.to_owned() }
    }

    /// The bounds in force.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Commits; a conflict means that another run is at the same thing.
    fn commit(&self, batch: store::Batch, names: &str) -> Result<(), Error> {
        match self.store.commit(batch) {
            Ok(_sequence) => Ok(()),
            Err(store::Error::Conflict { .. }) => Err(Error::Busy { names: names.to_owned() }),
            Err(other) => Err(Error::Store(other)),
        }
    }
}
