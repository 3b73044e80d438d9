//! Records revocations and answers "is it revoked?": by the lists it publishes (RFC 5280 §5), and by
//! the set in memory that the service itself asks.
//!
//! A revocation counts here from the moment its commit returned ([`RevokedSet::find`]); publishing
//! it is a second step that may fail and be repeated. What this crate refuses to know: who may revoke,
//! and what the clock says.

mod build;
mod check;
mod copies;
mod der;
mod encode;
mod entry;
mod error;
mod files;
mod flight;
mod kept;
mod list;
mod number;
mod placing;
mod publication;
mod publish;
mod put_back;
mod read;
mod reason;
mod revocation;
mod revoke;
mod root;
mod schedule;
mod set;
mod sync;
mod verify;

pub use check::{CheckError, check};
pub use copies::Copies;
pub use encode::{ListHead, Scope, to_be_signed};
pub use entry::Entry;
pub use error::Error;
pub use flight::Flight;
pub use list::RevokedList;
pub use number::{CrlNumber, NumberError};
pub use publication::{Publication, Published, Validity, Which};
pub use publish::Publisher;
pub use put_back::{Overtaken, raise_numbers};
pub use read::ReadError;
pub use reason::{Reason, ReasonError};
pub use revocation::{Decision, Refusal, Request, Revocation};
pub use revoke::{Outcome, Revoked, Target, plan, release, revoke, revoke_found, revoke_into};
pub use root::{InstallError, Installed, RootCrlDraft};
pub use schedule::{ListRecord, Observation, Placed, Plan, Standing};
pub use set::{RevokedSet, RevokedSnapshot};
pub use verify::{ListFinding, ListReport, ParsedList, VerifyError, verify};
