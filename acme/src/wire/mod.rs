//! The objects of RFC 8555 as they travel.
//!
//! Only what is needed on top of the client library lies here: problem documents that a person can
//! read, and the signed request that creates an account.

pub mod jws;
pub mod problem;

pub use problem::Problem;
