//! Operations over HTTP.

pub mod problem;
