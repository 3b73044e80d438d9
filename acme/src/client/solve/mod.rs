//! How an authority is shown that we hold a name (RFC 8555 §8).
//!
//! The order only ever asks for proofs to be published and withdrawn ([`Challenges`]); who shows them is
//! the caller's: the service's listeners, a [`Standalone`] listener for the length of one order, a web server
//! with a folder that we may write into ([`Webroot`]), or whoever changes a zone for us ([`Dns`]).

pub mod board;
pub mod dns_01;
pub mod http_01;
pub mod proof;
pub mod tls_alpn_01;
pub mod webroot;

pub use board::{Board, Token};
pub use dns_01::Dns;
pub use http_01::Standalone;
pub use proof::{Answer, Challenges, Doing, Method, Proof, UnknownMethod};
pub use tls_alpn_01::TlsBoard;
pub use webroot::Webroot;
