//! Tokens: `pki trust add NAME`, `pki trust list-tokens`, `pki trust revoke-token`.
//!
//! A token is handed out once, when it is made; of its secret nothing is kept that could be shown again.

use std::fmt;

use serde::{Deserialize, Serialize};
use store::Versioned;
use time::OffsetDateTime;
use trust::change::Cause;
use trust::entry::EntryName;
use trust::rights::{ProjectName, Rights, Scope};
use trust::token::{self, NewToken, Purpose, Token, TokenId};
use trust::{Action, Permit};
use utoipa::ToSchema;

use super::reachable::reachable;
use super::view::RightsWanted;
use super::{TrustError, demand_projects, rights, settle};
use crate::Pki;
use crate::ops::{Error, Operation, shape};

/// Makes a token: whoever redeems it with a certificate is trusted from then on, by this name and with
/// these rights.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TokenCreate {
    /// The name of the client.
    pub name: String,
    /// What it may do, and where.
    pub rights: RightsWanted,
}

/// A token, the only time that it can be had.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct TokenCreated {
    /// What it is known by from now on.
    pub token: TokenView,
    /// What the client gets: base64 over JSON, with the fields of LXD's.
    pub secret: String,
}

impl fmt::Debug for TokenCreated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCreated").field("token", &self.token).finish_non_exhaustive()
    }
}

/// A token that waits, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenView {
    /// What it is known by: a UUID, as LXD's operations have.
    pub id: String,
    /// The name of the client.
    pub name: String,
    /// `trust`, or `enrol` for one that also gets a certificate of ours.
    pub purpose: String,
    /// What its holder will be allowed; for an enrolment without an entry, what the certificate reaches.
    #[serde(flatten)]
    pub rights: RightsWanted,
    /// What certificate it ends in, if it is for an enrolment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrolment: Option<EnrolmentView>,
    /// SHA-256 of the server's certificate that the client will pin.
    pub fingerprint: String,
    /// Where the client will look for the service, the external address first.
    pub addresses: Vec<String>,
    /// Who made it.
    pub created_by: String,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// Until when it can be redeemed; `None` for ever.
    #[serde(with = "time::serde::rfc3339::option")]
    pub expires_at: Option<OffsetDateTime>,
    /// Whether that is past.
    pub expired: bool,
}

/// What a token for enrolment ends in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EnrolmentView {
    /// `client` or `server`.
    pub profile: String,
    /// The alternative names, as `dns:…`, `ip:…`, `email:…`, `uri:…`.
    pub names: Vec<String>,
    /// The project that the certificate will belong to.
    pub project: String,
    /// Its lifetime in days; `None` for the profile's own.
    pub days: Option<u32>,
    /// Whether it will have an entry.
    pub trusted: bool,
}

impl Operation for TokenCreate {
    const NAME: &'static str = "token-create";
    const ACTION: Action = Action::Trust;
    type Reply = TokenCreated;

    fn run(self, pki: &Pki, permit: &Permit, now: OffsetDateTime) -> Result<TokenCreated, Error> {
        let name: EntryName = self.name.parse().map_err(TrustError::Name)?;
        let reachable = reachable(pki)?;
        let expires_at = pki.settings()?.remote_token_expiry().after(now).map_err(TrustError::Expiry)?;
        let cause = Cause::from(permit);
        let new = settle(pki, || {
            let state = pki.gate().set().now()?;
            let rights = rights(&self.rights, &state)?;
            let purpose = Purpose::Trust { rights: rights.clone() };
            let NewToken { mut batch, wire, token, .. } =
                token::create(name.clone(), purpose, &reachable, expires_at, &cause, now, pki.random())?;
            demand_projects(&mut batch, &rights, &state);
            Ok((Some(batch), (token, wire)))
        })?;
        let (token, wire) = new;
        let secret = wire.encode().map_err(TrustError::Wire)?.as_str().to_owned();
        Ok(TokenCreated { token: view(&token, now), secret })
    }
}

/// The tokens that wait, the oldest first; expired ones among them until they are forgotten.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TokenList {}

impl Operation for TokenList {
    const NAME: &'static str = "token-list";
    const ACTION: Action = Action::Trust;
    type Reply = Vec<TokenView>;

    fn run(self, pki: &Pki, _: &Permit, now: OffsetDateTime) -> Result<Vec<TokenView>, Error> {
        Ok(token::list(pki.store())?.iter().map(|token| view(&token.record, now)).collect())
    }
}

/// Takes a token back: nobody is let in by it any more.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TokenRevoke {
    /// Its id or the beginning of it, or the name of its client if no other token has that.
    pub word: String,
}

impl Operation for TokenRevoke {
    const NAME: &'static str = "token-revoke";
    const ACTION: Action = Action::Trust;
    type Reply = TokenView;

    fn run(self, pki: &Pki, permit: &Permit, now: OffsetDateTime) -> Result<TokenView, Error> {
        let cause = Cause::from(permit);
        settle(pki, || {
            let token = select(pki, &self.word)?;
            let shown = view(&token.record, now);
            Ok((Some(token::revoke(&token, &cause, now)), shown))
        })
    }
}

/// The one token that a word means.
fn select(pki: &Pki, word: &str) -> Result<Versioned<Token>, Error> {
    // Four digits at least: less is more likely to be a name.
    const SHORTEST: usize = 4;
    let begins = |id: &TokenId| word.len() >= SHORTEST && id.to_string().starts_with(word);
    let mut fitting: Vec<_> = token::list(pki.store())?
        .into_iter()
        .filter(|token| token.record.name.as_str() == word || begins(&token.record.id()))
        .collect();
    let word = ca::cert::printable(word);
    match (fitting.pop(), fitting.as_slice()) {
        (None, _) => Err(TrustError::NoToken { word }.into()),
        (Some(one), []) => Ok(one),
        (Some(last), others) => {
            let candidates = others
                .iter()
                .chain([&last])
                .map(|token| format!("{} ({})", token.record.name, token.record.id()));
            Err(TrustError::Ambiguous { word, candidates: candidates.collect() }.into())
        }
    }
}

/// Shows a token.
pub(super) fn view(token: &Token, now: OffsetDateTime) -> TokenView {
    let (purpose, rights) = match &token.purpose {
        Purpose::Trust { rights } => ("trust", rights.clone()),
        Purpose::Enrol { project, rights, .. } => {
            let own = || Rights::client(Scope::project(ProjectName::clone(project)));
            ("enrol", rights.clone().unwrap_or_else(own))
        }
    };
    let enrolment = match &token.purpose {
        Purpose::Trust { .. } => None,
        Purpose::Enrol { profile, names, project, rights, days, .. } => Some(EnrolmentView {
            profile: profile.clone(),
            names: names.clone(),
            project: project.to_string(),
            days: *days,
            trusted: rights.is_some(),
        }),
    };
    TokenView {
        enrolment,
        id: token.id().to_string(),
        name: token.name.to_string(),
        purpose: purpose.to_owned(),
        rights: RightsWanted::from(&rights),
        fingerprint: token.server.to_string(),
        addresses: token.addresses.clone(),
        created_by: token.created_by.clone(),
        created_at: shape::moment(token.created_at),
        expires_at: token.ends(),
        expired: token.is_expired(now),
    }
}
