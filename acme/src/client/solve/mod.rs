//! How the authority is shown that we hold a name (RFC 8555 §8).
//!
//! One way so far, [`http_01`]. The order only ever asks for a token to be published and withdrawn; who
//! serves it is the caller's: the service's public listener through its [`Board`], or a
//! [`Standalone`] listener for the length of one order.

pub mod board;
pub mod http_01;

pub use board::{Board, Challenges, Token};
pub use http_01::Standalone;
