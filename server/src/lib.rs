//! Listens, authenticates, runs operations and periodic jobs.

pub mod challenge;
pub mod clock;
pub mod http;
pub mod layout;
pub mod ops;
pub mod pki;
pub mod problem;
pub mod settings;

pub use pki::Pki;
