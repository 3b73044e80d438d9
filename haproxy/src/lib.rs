//! What HAProxy in front of us needs: so far the files it reads certificates from.
//!
//! What this crate refuses to know: how certificates are issued.

pub mod bundle;
mod error;

pub use error::Error;
