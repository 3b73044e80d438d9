//! Listens, authenticates, runs operations and periodic jobs.

pub mod ops;
pub mod problem;
