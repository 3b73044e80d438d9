//! Obtains, renews and revokes certificates at somebody else's authority (RFC 8555).

pub mod http;
mod limits;
pub mod renew;
pub mod retry;
pub mod solve;

pub use http::Roots;
pub use limits::Limits;
pub use solve::{Board, Challenges, Standalone, Token};
