//! What the service can do: one operation a file, each a request, a reply and how it runs.
//!
//! The CLI and the service speak in these types alone. With a service running they travel as JSON
//! over its socket (`POST /1.0/pki/NAME`); without one the CLI runs the same operation in process.
//! No operation sees HTTP or a terminal.

use serde::{Serialize, de::DeserializeOwned};

pub mod acme;
pub mod audit;
pub mod authority;
pub mod config;
pub mod crl;
pub mod doctor;
pub mod info;
pub mod inventory;
pub mod issue;
pub mod revoke;
pub mod view;

/// One thing the service can do.
pub trait Operation: Serialize + DeserializeOwned + Send + 'static {
    /// Its name in the URL, `POST /1.0/pki/NAME`.
    const NAME: &'static str;
    /// What it answers.
    type Reply: Serialize + DeserializeOwned + Send + 'static;
}
