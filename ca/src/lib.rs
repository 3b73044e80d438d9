//! Turns a request and a profile into a signed, recorded certificate.

pub mod cert;
pub mod key;
