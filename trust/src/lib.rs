//! Decides whether a peer may do a thing.
//!
//! One question, [`decide`], and one proof of its answer, [`Permit`]: an operation takes a permit, and
//! nothing outside this crate can make one. Today a peer is a user of this machine, and only the
//! owner of the directory and root are let in. Whoever is not named here is refused; there is no
//! default that permits. What this crate refuses to know: how certificates are issued.

mod local;
mod permit;

pub use local::user_name;
pub use permit::{Action, Denied, Peer, Permit, decide};
