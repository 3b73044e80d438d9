//! Who we are and where: `pki info`.

use serde::{Deserialize, Serialize};
use trust::Action;

use super::{
    Operation,
    view::{AuthorityView, CrlView},
};

/// Asks who answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Info {}

/// Who answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InfoReply {
    /// Version of the program that answered.
    pub version: String,
    /// The directory it holds.
    pub directory: String,
    /// Whether a service answered (rather than the command itself).
    pub service: bool,
    /// Process id of whoever answered.
    pub pid: u32,
    /// The address of the public listener, if one is up.
    pub public_address: Option<String>,
    /// `core.public_url`.
    pub public_url: Option<String>,
    /// The current root and issuing CA.
    pub authorities: Vec<AuthorityView>,
    /// The published lists.
    pub lists: Vec<CrlView>,
    /// Certificates ever issued.
    pub issued: u64,
    /// Sequence of the newest journal entry.
    pub sequence: u64,
}

impl Operation for Info {
    const NAME: &'static str = "info";
    const ACTION: Action = Action::Read;
    type Reply = InfoReply;
}
