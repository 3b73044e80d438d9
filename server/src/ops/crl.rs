//! The published lists: `pki crl show|publish`.

use serde::{Deserialize, Serialize};
use trust::Action;

use super::{Operation, view::CrlView};

/// The lists as they are published now.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CrlShow {}

impl Operation for CrlShow {
    const NAME: &'static str = "crl-show";
    const ACTION: Action = Action::Read;
    type Reply = Vec<CrlView>;
}

/// Signs and places new lists of every authority whose key is here.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CrlPublish {
    /// The root's list too, if its key is here.
    pub root: bool,
}

impl Operation for CrlPublish {
    const NAME: &'static str = "crl-publish";
    const ACTION: Action = Action::Publish;
    type Reply = Vec<CrlView>;
}

/// What the root's next list must say, for signing where the root's key is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RootCrlDraft {}

/// The to-be-signed root list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RootCrlDrafted {
    /// The root's certificate, PEM.
    pub root: String,
    /// The unsigned list, base64 DER of its TBSCertList; the CLI shows it, lints it and signs it.
    pub tbs: String,
}

impl Operation for RootCrlDraft {
    const NAME: &'static str = "root-crl-draft";
    const ACTION: Action = Action::Read;
    type Reply = RootCrlDrafted;
}

/// Places a root list that was signed elsewhere: checked for signature, issuer and a higher number.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RootCrlInstall {
    /// The signed list, PEM.
    pub pem: String,
}

impl Operation for RootCrlInstall {
    const NAME: &'static str = "root-crl-install";
    const ACTION: Action = Action::Publish;
    type Reply = CrlView;
}
