//! What can go wrong.

use std::fmt;
use std::io;

/// Why no certificate was obtained.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The port for the challenge is taken or not allowed.
    #[error("can't listen for the challenge on {address}")]
    Listener {
        /// The address that was asked for.
        address: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

/// Names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names(pub Vec<String>);

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}
