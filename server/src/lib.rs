//! Listens, authenticates, runs operations and periodic jobs.

mod archive;
pub mod challenge;
pub mod clock;
mod counters;
pub mod dial;
pub mod fleet;
pub mod http;
pub mod jobs;
pub mod layout;
pub mod limits;
pub mod listen;
pub mod ops;
pub mod own;
pub mod peer;
pub mod pki;
pub mod problem;
pub mod serve;
pub mod settings;
#[cfg(test)]
mod testing;
pub mod tls;
pub mod up;

pub use pki::Pki;
