//! The doors of the service: the Unix socket for this machine's users, HTTPS for whoever shows a
//! certificate, and the public listener.
//!
//! Each has its own accept loop, because a peer has to be asked who it is before its first request
//! is read, and because one slow peer must never hold up the others.

mod connection;
mod deadline;
mod error;
mod holder;
mod https;
mod local;
mod neighbour;
mod origins;
mod proxied;
mod public;
mod rest;

pub use connection::Stop;
pub(crate) use connection::{Accept, Terms, serve};
pub use error::Error;
pub(crate) use https::{Caller, HttpsListener};
pub(crate) use local::{LocalSocket, SocketMode, open_to_everyone};
pub use local::{Reach, reach};
pub(crate) use neighbour::neighbour;
pub(crate) use origins::network;
pub(crate) use public::PublicListener;
