//! What went wrong, as whoever asked is told: the one shape of failure on the socket.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A failed operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    /// What kind it is: decides HTTP status and exit code.
    pub kind: ProblemKind,
    /// What happened, to what. Lower case, one sentence without a full stop.
    pub message: String,
    /// Why, outermost cause first.
    pub causes: Vec<String>,
    /// What the user can do about it.
    pub hint: Option<String>,
}

/// The kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProblemKind {
    /// Several things match, or the state does not allow it.
    Conflict,
    /// Not this peer.
    Denied,
    /// Another authority or the network failed us.
    External,
    /// Our own fault, or the disk's.
    Internal,
    /// The request is malformed or against policy.
    Invalid,
    /// There is no such thing.
    NotFound,
    /// Come back later.
    Unavailable,
}
