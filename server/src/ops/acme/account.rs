//! The accounts at ACME authorities: `pki acme account show|contact|roll-key|deactivate|forget`.
//!
//! What is shown is what is stored; nobody is asked for it.

use ::acme::client::model::{AccountRecord, End};
use ::acme::client::{self, Authority, Client, Roots};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use trust::{Action, Permit};
use utoipa::ToSchema;

use super::{drive, moment};
use crate::Pki;
use crate::ops::{Error, Operation};

/// Lists the accounts.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AcmeAccounts {}

/// Changes one account.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AcmeAccountChange {
    /// Directory URL of its authority; may be left out while there is one account alone.
    pub ca_url: Option<String>,
    /// Key id of the external account it is bound to, if there are several at this authority.
    pub eab_kid: Option<String>,
    /// PEM of the only roots to trust for the authority's own HTTPS; as for the last order if `None`.
    pub ca_root: Option<String>,
    /// What is to become of it.
    pub change: AccountChange,
}

/// What is to become of an account.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AccountChange {
    /// The authority writes to this e-mail address from now on.
    Contact(String),
    /// It is ended at the authority.
    Deactivate,
    /// It was ended, and room is made for another.
    Forget,
    /// It gets another key.
    RollKey,
}

/// An account at an ACME authority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AcmeAccountView {
    /// Directory URL of the authority.
    pub ca_url: String,
    /// Key id of the external account it is bound to.
    pub eab_kid: Option<String>,
    /// Its own URL; `None` until the authority has answered.
    pub url: Option<String>,
    /// Where the authority may write to.
    pub contact: Option<String>,
    /// When the terms of service were agreed to.
    #[serde(with = "time::serde::rfc3339")]
    pub agreed: OffsetDateTime,
    /// Thumbprint of its public key (RFC 7638), base64url.
    pub key: String,
    /// How it stands.
    pub state: AccountState,
}

/// How an account stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AccountState {
    /// The authority was asked for another key and has not answered: the next order asks which it knows.
    ChangingKey,
    /// It was ended.
    Deactivated,
    /// The authority was asked to end it, and has not answered.
    Deactivating,
    /// The authority was asked for it, and has not answered.
    Opening,
    /// It is in use.
    Valid,
}

impl AccountState {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            AccountState::ChangingKey => "changing key",
            AccountState::Deactivated => "deactivated",
            AccountState::Deactivating => "deactivating",
            AccountState::Opening => "opening",
            AccountState::Valid => "valid",
        }
    }
}

impl Operation for AcmeAccounts {
    const NAME: &'static str = "acme-accounts";
    const ACTION: Action = Action::Inspect;
    type Reply = Vec<AcmeAccountView>;

    fn run(self, pki: &Pki, permit: &Permit, _now: OffsetDateTime) -> Result<Vec<AcmeAccountView>, Error> {
        let client = drive::client(pki, &permit.peer().to_string())?;
        client::accounts(pki.store())?.iter().map(|record| view(pki, &client, record)).collect()
    }
}

impl Operation for AcmeAccountChange {
    const NAME: &'static str = "acme-account-change";
    const ACTION: Action = Action::Obtain;
    type Reply = AcmeAccountView;

    fn run(self, pki: &Pki, permit: &Permit, _now: OffsetDateTime) -> Result<AcmeAccountView, Error> {
        let client = drive::client(pki, &permit.peer().to_string())?;
        let found = find(pki, self.ca_url.as_deref(), self.eab_kid.as_deref())?;
        let roots = self.ca_root.map(Roots::Pem);
        let authority = authority(pki, &client, &found, roots)?;
        match self.change {
            AccountChange::Contact(email) => {
                let contact = drive::parse_contact(&email)?;
                drive::block_on(pki, client.change_contact(&authority, &contact))??;
            }
            AccountChange::Deactivate => drive::block_on(pki, client.deactivate(&authority))??,
            AccountChange::RollKey => drive::block_on(pki, client.roll_key(&authority))??,
            // It is shown as it was.
            AccountChange::Forget => {
                let last = view(pki, &client, &found)?;
                client.forget_account(&authority)?;
                return Ok(last);
            }
        }
        view(pki, &client, &find(pki, Some(&found.directory), found.kid.as_deref())?)
    }
}

/// The one account that is meant.
fn find(pki: &Pki, url: Option<&str>, kid: Option<&str>) -> Result<AccountRecord, Error> {
    let directory = url.map(str::parse::<client::DirectoryUrl>).transpose()?.map(|url| url.to_string());
    let mut all = client::accounts(pki.store())?;
    all.retain(|account| {
        directory.as_ref().is_none_or(|directory| *directory == account.directory)
            && kid.is_none_or(|kid| account.kid.as_deref() == Some(kid))
    });
    match all.len() {
        0 => Err(::acme::Error::NoAccount { directory }.into()),
        1 => Ok(all.remove(0)),
        count => Err(::acme::Error::WhichAccount { count }.into()),
    }
}

/// The authority of an account. Whom to trust there was said at the last order, or for the service itself.
fn authority(
    pki: &Pki,
    client: &Client,
    record: &AccountRecord,
    roots: Option<Roots>,
) -> Result<Authority, Error> {
    let mut authority =
        Authority { directory: record.directory.parse()?, roots: Roots::System, external: None };
    if let Some(kid) = &record.kid {
        authority.external = client.stored_external(&authority, kid)?;
    }
    if let Some(roots) = roots {
        authority.roots = roots;
        return Ok(authority);
    }
    let wish = pki.settings()?.acme().filter(|wish| wish.ca_url == record.directory);
    let obtained = client::certificates(pki.store())?;
    let obtained = obtained.into_iter().find(|stored| stored.record.directory == record.directory);
    authority.roots = match (wish, obtained) {
        (Some(wish), _) => drive::roots(wish.ca_root.as_deref())?,
        (None, Some(obtained)) => obtained.record.roots.map_or(Roots::System, Roots::Pem),
        (None, None) => Roots::System,
    };
    Ok(authority)
}

fn view(pki: &Pki, client: &Client, record: &AccountRecord) -> Result<AcmeAccountView, Error> {
    let authority = authority(pki, client, record, Some(Roots::System))?;
    Ok(AcmeAccountView {
        ca_url: record.directory.clone(),
        eab_kid: record.kid.clone(),
        url: record.url.clone(),
        contact: record.contact.clone(),
        agreed: moment(record.agreed)?,
        key: client.thumbprint(&authority, record)?,
        state: match (&record.end, &record.url, &record.sealed_next) {
            (Some(End::Done), _, _) => AccountState::Deactivated,
            (Some(End::Asked), _, _) => AccountState::Deactivating,
            (None, None, _) => AccountState::Opening,
            (None, Some(_), Some(_)) => AccountState::ChangingKey,
            (None, Some(_), None) => AccountState::Valid,
        },
    })
}
