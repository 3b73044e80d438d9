//! Enrolment, and renewal by the certificate itself: `pki enroll`, `pki renew --self`.
//!
//! Neither is an [`super::Operation`], because nobody must be let in for them: the one rests on a token,
//! the other on the certificate whose key the handshake proved ([`trust::Gate::renewer`]). A token is taken
//! by the batch that records the certificate: of any number of requests at once exactly one commits, and
//! a request that is refused costs no token. Whoever asks again with the key of an enrolment whose answer was
//! lost gets the certificate that answered it.

use ca::authority::Current;
use ca::cert::{Certificate, Csr};
use ca::inventory;
use ca::keyring::issuer_certificate;
use ca::plan::{Order, Requester};
use ca::records::{IssuedRecord, Reach, RestsOn};
use ca::renew;
use ca::subject::{LeafKind, Subject};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use trust::change::Cause;
use trust::rights::{Rights, Scope};
use trust::role::Held;
use trust::token::{self, Claim, Purpose, Secret, TokenError};
use trust::{Holder, Presented, Refusal, Renewer};
use utoipa::ToSchema;

use super::issue::{Issued, reply, succeed};
use super::phrase::Phrase;
use super::trust::TrustError;
use super::view::CertificateView;
use super::{Error, project, shape};
use crate::Pki;

/// How often a redemption is decided anew because others changed what it rests on.
const ATTEMPTS: u32 = 32;
/// Where the lists of every authority lie, on the listener that was asked.
const LISTS: &str = "/chain.crl";

/// Redeems a token for enrolment with a key.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Enroll {
    /// The token's secret.
    pub secret: Phrase,
    /// A CSR, PEM. Only the key is taken from it: names and all else come from the token.
    pub csr: String,
}

impl Enroll {
    /// Where it is asked for.
    pub const PATH: &'static str = "/1.0/pki/enroll";
}

/// Asks for the successor of the certificate that the connection was made with.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RenewSelf {
    /// A CSR for the new key, PEM.
    pub csr: String,
    /// Only when two thirds of the lifetime have passed.
    pub if_due: bool,
}

impl RenewSelf {
    /// Where it is asked for.
    pub const PATH: &'static str = "/1.0/pki/renew-self";
}

/// A certificate with all that a machine without a PKI of its own needs.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Enrolled {
    /// The certificate and its chain.
    #[serde(flatten)]
    pub issued: Issued,
    /// The root, PEM: what to trust.
    pub root: String,
    /// Where the lists of the root and of every issuing CA lie, PEM: a path on the listener that was asked.
    pub lists: String,
    /// Where others find the list of the CA that signed it; `None` without `core.public_url`.
    pub crl_url: Option<String>,
}

/// What came of a renewal by the certificate itself.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SelfRenewed {
    /// Not due yet: nothing was done.
    NotDue(Box<CertificateView>),
    /// The successor.
    Renewed(Box<Enrolled>),
}

/// Redeems a token for enrolment. Blocks until it is durable.
///
/// The token is looked at before the CSR: whoever has none has nothing read that they sent.
pub(crate) fn enroll(pki: &Pki, request: &Enroll, now: OffsetDateTime) -> Result<Enrolled, Error> {
    let secret = Secret::presented(request.secret.expose());
    for _ in 0..ATTEMPTS {
        let claim = match token::claim(pki.store(), &secret, now) {
            Ok(claim) => claim,
            Err(trust::Error::Token(TokenError::NoMatch)) => return again(pki, &secret, &request.csr, now),
            Err(error) => return Err(error.into()),
        };
        match redeem(pki, &claim, &request.csr, now) {
            // Somebody else was faster, or the project was changed: the token tells.
            Err(error) if error.is_withdrawn() => {}
            done => return done,
        }
    }
    Err(trust::Error::Contended { attempts: ATTEMPTS }.into())
}

fn redeem(pki: &Pki, claim: &Claim, csr: &str, now: OffsetDateTime) -> Result<Enrolled, Error> {
    let token = claim.token();
    let Purpose::Enrol { profile, names, project, reach, days, .. } = &token.purpose else {
        return Err(no_match());
    };
    let csr = Csr::from_pem_or_der(csr.as_bytes()).map_err(ca::Error::from)?;
    let kind = match profile.as_str() {
        "client" => LeafKind::Client,
        "server" => LeafKind::Server,
        _ => return Err(Error::Word { word: profile.clone(), expected: "a profile" }),
    };
    let subject = Subject::typed(kind, token.name.as_str(), names).map_err(ca::Error::from)?;
    let allowed = project::allow(pki, project.as_str(), subject.names())?;
    let by = Requester {
        who: token.id().redeemer(),
        project: project.to_string(),
        rests_on: claim.rests_on().and_all(allowed),
        reach: *reach,
    };
    let order = Order::new(&csr, kind, subject, *days, by);
    let policy = pki.policy()?;
    let issued = pki.desk(&policy).issue_joined(&order, now, |certificate, batch| {
        let state = pki.gate().set().now()?;
        claim.join(batch, &state, certificate, now).map_err(Error::from)
    })?;
    enrolled(pki, reply(pki, &issued, now)?, &issued.signed_by())
}

/// The certificate that this token and this key got before; as if there were no token for anybody else.
fn again(pki: &Pki, secret: &Secret, csr: &str, now: OffsetDateTime) -> Result<Enrolled, Error> {
    let csr = Csr::from_pem_or_der(csr.as_bytes()).map_err(|_told_to_nobody| no_match())?;
    let redeemer = secret.id().redeemer();
    let found = inventory::by_key(pki.store(), &csr.public_key().digest())?;
    let mut answered = found.into_iter().map(|found| found.record);
    let record = answered.find(|record| record.requester == redeemer && !record.is_expired(now));
    let record = record.ok_or_else(no_match)?;
    if pki.revoked().find(&record.issuer, &record.serial)?.is_some() {
        return Err(no_match());
    }
    let der = record.der.as_deref().ok_or_else(no_match)?;
    let certificate = Certificate::from_der(der).map_err(ca::Error::from)?;
    let issued = Issued {
        certificate: shape::read(&record, Some(&certificate), None, now),
        pem: certificate.to_pem(),
        chain: shape::chain(&certificate, &shape::issuer(pki, &record.issuer)?),
        repeated: true,
        warnings: Vec::new(),
    };
    enrolled(pki, issued, &record.issuer)
}

fn no_match() -> Error {
    trust::Error::from(TokenError::NoMatch).into()
}

fn enrolled(pki: &Pki, issued: Issued, issuer: &ca::cert::KeyId) -> Result<Enrolled, Error> {
    let root = issuer_certificate(&Current::load(pki.store())?.root.record).map_err(ca::Error::from)?;
    Ok(Enrolled {
        root: root.certificate().to_pem(),
        lists: LISTS.to_owned(),
        crl_url: pki.policy()?.distribution.crl_url(issuer),
        issued,
    })
}

/// Renews the certificate that a connection was made with. Blocks until it is durable.
pub(crate) fn renew_self(
    pki: &Pki,
    presented: &Presented,
    request: &RenewSelf,
    now: OffsetDateTime,
) -> Result<SelfRenewed, Error> {
    let Presented::Certificate(holder) = presented else { return Err(Error::Refused(Refusal::Nobody)) };
    let renewer = may_renew(pki, holder, now)?;
    let record = renewer.record();
    if request.if_due && now < renew::due(record) {
        return Ok(SelfRenewed::NotDue(Box::new(shape::certificate(pki, record, now)?)));
    }
    let csr = Csr::from_pem_or_der(request.csr.as_bytes()).map_err(ca::Error::from)?;
    match succession(&pki.held_by(renewer.rests_on()), &renewer, record, &csr, now) {
        Err(error) if error.is_withdrawn() => {
            // Whoever may not any more is told that, and not what changed.
            may_renew(pki, holder, now)?;
            Err(error)
        }
        done => done,
    }
}

fn succession(
    pki: &Pki,
    renewer: &Renewer,
    record: &IssuedRecord,
    csr: &Csr,
    now: OffsetDateTime,
) -> Result<SelfRenewed, Error> {
    let who = renewer.peer().to_string();
    // The successor has the predecessor's reach, project and entry; there is nothing to add to them.
    let by = Requester {
        who: who.clone(),
        project: record.project.clone(),
        rests_on: RestsOn::nothing(),
        reach: Reach::Everything,
    };
    let nothing = Rights::client(Scope::Projects(std::collections::BTreeSet::new()));
    let cause = Cause { who, may_give: Held::Rights(nothing), rests_on: renewer.rests_on().clone() };
    let issued = succeed(pki, record, Some(csr), by, renewer.peer(), &cause, now)?;
    let issuer = issued.certificate.issuer.parse().map_err(|_never| Error::Nameless)?;
    Ok(SelfRenewed::Renewed(Box::new(enrolled(pki, issued, &issuer)?)))
}

/// Whoever proved the key of a certificate of ours may know what is wrong with it.
fn may_renew(pki: &Pki, holder: &Holder, now: OffsetDateTime) -> Result<Renewer, Error> {
    match pki.gate().renewer(holder, now) {
        Err(trust::Error::Refused(refusal @ Refusal::Stranger)) => Err(Error::Refused(refusal)),
        Err(trust::Error::Refused(refusal)) => Err(TrustError::NotItself(refusal).into()),
        asked => Ok(asked?),
    }
}

#[cfg(test)]
mod tests;
