//! Turns a request and a profile into a signed, recorded certificate.
//!
//! [`cert`] and [`key`] are values: certificates, requests, names, keys. The rest is an authority:
//! [`profile`] says what a kind of certificate may be, [`template`] writes the bytes, [`lint`] reads them
//! again and refuses what breaks a rule, [`signer`] signs what was linted and nothing else, [`plan`]
//! decides, [`issue`] commits, [`inventory`] finds again. [`hierarchy`] makes and rotates the authorities,
//! [`adopt`] takes over one that others made.
//!
//! It knows no HTTP, no terminal and no clock, and never asks who is asking: whoever calls was permitted.

pub mod adopt;
pub mod authority;
pub mod blocked;
pub mod cert;
pub mod constraints;
pub mod distribution;
mod error;
pub mod followed;
pub mod hierarchy;
pub mod index_txt;
pub mod inventory;
pub mod issue;
pub mod issuer;
pub mod key;
pub mod keyring;
pub mod lint;
pub mod plan;
pub mod profile;
pub mod records;
pub mod renew;
pub mod signer;
pub mod subject;
pub mod tally;
pub mod template;

#[cfg(test)]
mod interop_tests;
#[cfg(test)]
mod issue_tests;
#[cfg(test)]
mod testing;

pub use error::Error;
