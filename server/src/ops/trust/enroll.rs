//! Tokens for enrolment: `pki trust add NAME --enroll`.
//!
//! Everything that the certificate will be is decided here, by whoever makes the token; whoever redeems it
//! brings a key and nothing more. It needs both rights, to issue and to change who is trusted.

use ca::records::Reach;
use ca::subject::Subject;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use trust::change::Cause;
use trust::entry::EntryName;
use trust::rights::Rights;
use trust::token::{self, NewToken, Purpose};
use trust::{Action, Permit};
use utoipa::ToSchema;

use super::reachable::reachable;
use super::token::{TokenCreated, view};
use super::view::RightsWanted;
use super::{TrustError, demand_projects, rights, settle};
use crate::Pki;
use crate::ops::issue::ProfileName;
use crate::ops::{Error, Operation, project};

/// Makes a token that ends in a certificate: [`crate::ops::enroll::Enroll`] redeems it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TokenEnroll {
    /// The name: a client's common name, a server's first DNS name or address.
    pub name: String,
    /// What the certificate is for.
    pub profile: ProfileName,
    /// Further names as `dns:…`, `ip:…`, `email:…`, `uri:…`.
    pub names: Vec<String>,
    /// Lifetime; `None` for the profile's own.
    pub days: Option<u32>,
    /// The project it belongs to; `None` for `default`.
    pub project: Option<String>,
    /// What its entry may do; `None` if it gets none.
    pub trusted: Option<RightsWanted>,
}

impl Operation for TokenEnroll {
    const NAME: &'static str = "token-enroll";
    const ACTION: Action = Action::Trust;
    const ALSO: &'static [Action] = &[Action::Issue];
    type Reply = TokenCreated;

    fn run(self, pki: &Pki, permit: &Permit, now: OffsetDateTime) -> Result<TokenCreated, Error> {
        let project = project::meant(permit, self.project.as_deref())?;
        let subject = Subject::typed(self.profile.kind(), &self.name, &self.names);
        let subject = subject.map_err(ca::Error::from)?;
        let name: EntryName = subject.label().parse().map_err(TrustError::Name)?;
        let reachable = reachable(pki)?;
        let expires_at = pki.settings()?.remote_token_expiry().after(now).map_err(TrustError::Expiry)?;
        let cause = Cause::from(permit);
        let (token, wire) = settle(pki, || {
            // Once more when it is redeemed: the project may have been narrowed by then.
            let allowed = project::allow(pki, project.as_str(), subject.names())?;
            let state = pki.gate().set().now()?;
            let trusted = self.trusted.as_ref().map(|wanted| rights(wanted, &state)).transpose()?;
            let purpose = Purpose::Enrol {
                profile: self.profile.kind().profile().as_str().to_owned(),
                names: subject.names().iter().map(ToString::to_string).collect(),
                project: project.clone(),
                // By its signature alone it reaches no further than its project, unless its entry does.
                reach: match &trusted {
                    Some(rights) if *rights == Rights::FULL => Reach::Everything,
                    Some(_) | None => Reach::Project,
                },
                rights: trusted.clone(),
                days: self.days,
            };
            let NewToken { mut batch, wire, token, .. } =
                token::create(name.clone(), purpose, &reachable, expires_at, &cause, now, pki.random())?;
            allowed.demand(&mut batch);
            if let Some(rights) = &trusted {
                demand_projects(&mut batch, rights, &state);
            }
            Ok((Some(batch), (token, wire)))
        })?;
        let secret = wire.encode().map_err(TrustError::Wire)?.as_str().to_owned();
        Ok(TokenCreated { token: view(&token, now), secret })
    }
}
