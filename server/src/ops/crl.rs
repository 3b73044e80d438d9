//! The published lists: `pki crl show|publish`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ca::authority::Current;
use ca::keyring::KeyringError;
use ca::records::KeyPlace;
use crl::Which;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use trust::{Action, Permit};
use utoipa::ToSchema;

use super::{Error, Operation, view::CrlView};
use crate::Pki;
use crate::http::problem;

/// The lists as they are published now.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CrlShow {}

impl Operation for CrlShow {
    const NAME: &'static str = "crl-show";
    const ACTION: Action = Action::Read;
    type Reply = Vec<CrlView>;

    fn run(self, pki: &Pki, _: &Permit, now: OffsetDateTime) -> Result<Vec<CrlView>, Error> {
        pki.publisher().lists(now)?.iter().map(|list| pki.crl_view(list)).collect()
    }
}

/// Signs and places new lists of every authority whose key is here.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CrlPublish {
    /// The root's list too, if its key is here.
    pub root: bool,
}

impl Operation for CrlPublish {
    const NAME: &'static str = "crl-publish";
    const ACTION: Action = Action::Publish;
    type Reply = Vec<CrlView>;

    fn run(self, pki: &Pki, _: &Permit, now: OffsetDateTime) -> Result<Vec<CrlView>, Error> {
        let which = match self.root {
            true => Which::All,
            false => Which::Issuing,
        };
        if self.root {
            let root = Current::load(pki.store())?.root.record;
            if let KeyPlace::Elsewhere { note } = root.key {
                return Err(ca::Error::from(KeyringError::Elsewhere { key_id: root.key_id, note }).into());
            }
        }
        // A rotation that could not place everything is finished here too.
        pki.place_certificates(now)?;
        let publication = pki.publish(&which, now)?;
        first_failure(&publication)?;
        publication.lists.iter().map(|list| pki.crl_view(list)).collect()
    }
}

/// What the root's next list must say, for signing where the root's key is.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RootCrlDraft {}

/// The to-be-signed root list.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RootCrlDrafted {
    /// The root's certificate, PEM.
    pub root: String,
    /// The unsigned list, base64 DER of its TBSCertList; the CLI shows it, lints it and signs it.
    pub tbs: String,
}

impl Operation for RootCrlDraft {
    const NAME: &'static str = "root-crl-draft";
    const ACTION: Action = Action::Inspect;
    type Reply = RootCrlDrafted;

    fn run(self, pki: &Pki, _: &Permit, now: OffsetDateTime) -> Result<RootCrlDrafted, Error> {
        let draft = pki.publisher().root_draft(pki.list_validity()?, now)?;
        Ok(RootCrlDrafted { root: draft.root.to_pem(), tbs: STANDARD.encode(draft.linted.tbs()) })
    }
}

/// Places a root list that was signed elsewhere: checked for signature, issuer and a higher number.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RootCrlInstall {
    /// The signed list, PEM.
    pub pem: String,
}

impl Operation for RootCrlInstall {
    const NAME: &'static str = "root-crl-install";
    const ACTION: Action = Action::Publish;
    type Reply = CrlView;

    fn run(self, pki: &Pki, _: &Permit, now: OffsetDateTime) -> Result<CrlView, Error> {
        let installed = pki.publisher().install_root(self.pem.as_bytes(), now)?;
        pki.fill_shelf(now)?;
        first_failure(&installed.publication)?;
        let root = Current::load(pki.store())?.root.record.key_id;
        let list = installed.publication.lists.iter().find(|list| list.issuer == root);
        match list {
            Some(list) => pki.crl_view(list),
            // It was placed, or the failure above would have said so.
            None => Err(crl::Error::UnknownAuthority { issuer: root }.into()),
        }
    }
}

/// The first thing that went wrong while lists were made, as an error.
pub(crate) fn first_failure(publication: &crl::Publication) -> Result<(), Error> {
    match publication.failures.first() {
        None => Ok(()),
        Some((issuer, error)) => {
            let mut causes = vec![error.to_string()];
            causes.extend(problem::causes(error));
            Err(Error::Publish { issuer: *issuer, causes })
        }
    }
}
