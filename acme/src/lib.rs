//! Speaks RFC 8555, the protocol by which certificates are obtained without a person.
//!
//! - [`client`] obtains, renews and revokes certificates at somebody else's authority.
//! - [`wire`] holds the objects of the protocol that both sides need.
//!
//! What this crate refuses: to know who serves HTTP here (a responder is told what to answer through
//! [`client::Challenges`]), to place files, to read a clock (the caller hands one in), and to speak to
//! an authority over anything but HTTPS.

pub mod client;
mod error;
pub mod wire;

pub use error::{Error, Invalid};
