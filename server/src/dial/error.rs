//! Why there is no connection to a service.

use std::io;
use std::time::Duration;

use ca::cert::Fingerprint;

use super::{Address, Shown};
use crate::tls::ConfigError;

/// Why a service could not be spoken to. Nothing was sent to it.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// None of what should verify servers can be used.
    #[error("none of the authorities that should verify the server can be used")]
    Authorities,
    /// It is not the server that was pinned.
    #[error("the certificate of {address} has changed: it was {pinned}, it is {}", shown.fingerprint())]
    Changed {
        /// Where it leads.
        address: Address,
        /// What it showed before.
        pinned: Fingerprint,
        /// What it shows now.
        shown: Box<Shown>,
    },
    /// TLS could not be set up.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Something listens there that we can't speak with.
    #[error("the TLS handshake with {address} failed")]
    Handshake {
        /// Where it leads.
        address: Address,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It takes too long.
    #[error("{address} did not answer within {} s", within.as_secs())]
    Late {
        /// Where it leads.
        address: Address,
        /// How long was waited.
        within: Duration,
    },
    /// It shows a certificate and does not hold its key.
    #[error("{address} does not prove that it holds the key of its certificate")]
    Unproven {
        /// Where it leads.
        address: Address,
    },
    /// Nothing is there.
    #[error("can't connect to {address}")]
    Unreached {
        /// Where it leads.
        address: Address,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The authorities that are trusted for it do not verify it.
    #[error("the certificate of {address} is not verified")]
    Unverified {
        /// Where it leads.
        address: Address,
        /// Why.
        #[source]
        source: io::Error,
    },
}
