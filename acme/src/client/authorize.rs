//! Proving the names of one order (RFC 8555 §7.5, §8).
//!
//! Challenges are published and the stage stored before the authority is told to look. Whatever was
//! published is withdrawn, however it ends.

use std::time::Duration;

use instant_acme::{AuthorizationStatus, ChallengeStatus, ChallengeType, Identifier, Order, OrderStatus};
use tokio::time::Instant;

use super::session::Session;
use super::solve::{Answer, Challenges, Method, Proof, Token};
use crate::Error;
use crate::error::Invalid;
use crate::wire::Problem;

/// What an authorization is at.
#[derive(Debug)]
pub(crate) struct Found {
    /// The name it is for.
    pub name: String,
    /// What is to be answered, if the name is still to be proved.
    pub pending: Option<Pending>,
    /// Why the name could not be proved.
    pub failure: Option<Invalid>,
}

/// A challenge that is open.
#[derive(Debug)]
pub(crate) struct Pending {
    pub proof: Proof,
    /// Whether the authority was told already.
    pub told: Told,
}

/// Whether the authority was told to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    No,
    Yes,
}

/// Every authorization of the order as it is now, in the order's order. What is open is to be proved by
/// `method`.
pub(crate) async fn authorizations(
    session: &Session,
    order: &mut Order,
    method: Method,
) -> Result<Vec<Found>, Error> {
    let count = order.state().authorizations.len();
    let mut found = Vec::with_capacity(count);
    for index in 0..count {
        // The library keeps those that were fetched: only the one at `index` costs a request.
        let one = session
            .insist("reading an authorization", async || {
                let mut all = order.authorizations();
                let mut passed = 0;
                while let Some(authorization) = all.next().await {
                    let authorization = authorization?;
                    if passed == index {
                        return read(authorization, method);
                    }
                    passed += 1;
                }
                Err(instant_acme::Error::Str("an authorization is missing"))
            })
            .await?;
        found.push(one?);
    }
    Ok(found)
}

type Read = Result<Found, Error>;

fn read(handle: instant_acme::AuthorizationHandle<'_>, method: Method) -> Result<Read, instant_acme::Error> {
    // Bound anew: the library borrows a challenge for as long as its handle is said to live.
    let mut authorization = handle;
    let name = authorization.identifier().to_string();
    let bare = bare(authorization.identifier().identifier);
    let status = authorization.status;
    let failure =
        authorization.challenges.iter().find_map(|challenge| challenge.error.as_ref()).map(Problem::from);
    Ok(match status {
        AuthorizationStatus::Valid => Ok(Found { name, pending: None, failure: None }),
        AuthorizationStatus::Pending => {
            let offered: Vec<String> =
                authorization.challenges.iter().map(|offer| kind(&offer.r#type)).collect();
            let Some(challenge) = authorization.challenge(method.challenge()) else {
                let offered = offered.join(", ");
                return Ok(Err(Error::ChallengeType { name, method, offered }));
            };
            let told = match challenge.status {
                ChallengeStatus::Pending => Told::No,
                ChallengeStatus::Processing | ChallengeStatus::Valid | ChallengeStatus::Invalid => Told::Yes,
            };
            let key = challenge.key_authorization();
            let answer = match method {
                Method::Dns01 => Answer::Dns { value: key.dns_value() },
                Method::Http01 => {
                    let Some(token) = Token::new(&challenge.token) else {
                        return Err(instant_acme::Error::Str("the challenge's token is malformed"));
                    };
                    Answer::Http { token, key_authorization: key.as_str().to_owned() }
                }
                Method::TlsAlpn01 => Answer::TlsAlpn { digest: key.digest().as_ref().to_vec() },
            };
            let proof = Proof { name: bare, answer };
            let pending = Some(Pending { proof, told });
            Ok(Found { name, pending, failure: None })
        }
        AuthorizationStatus::Invalid
        | AuthorizationStatus::Revoked
        | AuthorizationStatus::Expired
        | AuthorizationStatus::Deactivated => {
            let problem = failure.unwrap_or_else(|| Problem {
                detail: Some(format!("its authorization is {status:?}").to_lowercase()),
                ..Problem::default()
            });
            Ok(Found { name: name.clone(), pending: None, failure: Some(Invalid { name, problem }) })
        }
    })
}

/// A name without the `*.` of a wildcard.
fn bare(identifier: &Identifier) -> String {
    match identifier {
        Identifier::Dns(name) => name.clone(),
        Identifier::Ip(address) => address.to_string(),
        other => format!("{other:?}"),
    }
}

fn kind(kind: &ChallengeType) -> String {
    match kind {
        ChallengeType::Http01 => "http-01".to_owned(),
        ChallengeType::Dns01 => "dns-01".to_owned(),
        ChallengeType::TlsAlpn01 => "tls-alpn-01".to_owned(),
        ChallengeType::DeviceAttest01 => "device-attest-01".to_owned(),
        ChallengeType::Unknown(other) => other.chars().take(40).collect(),
        _ => "another".to_owned(),
    }
}

/// Tells the authority to look at the challenge of the authorization at `index` (RFC 8555 §7.5.1).
pub(crate) async fn tell(
    session: &Session,
    order: &mut Order,
    index: usize,
    method: Method,
) -> Result<(), Error> {
    let told = session
        .insist("the challenge", async || {
            let mut all = order.authorizations();
            let mut passed = 0;
            while let Some(authorization) = all.next().await {
                let mut authorization = authorization?;
                if passed == index {
                    let challenge = authorization.challenge(method.challenge());
                    return match challenge {
                        Some(mut challenge) => challenge.set_ready().await,
                        None => Err(instant_acme::Error::Str("the challenge is gone")),
                    };
                }
                passed += 1;
            }
            Err(instant_acme::Error::Str("an authorization is missing"))
        })
        .await;
    match told {
        // An earlier try was heard and its answer lost, or validation has failed already: the order
        // tells, and says more.
        Err(Error::Authority { problem, .. }) if !problem.is("accountDoesNotExist") => {
            tracing::debug!(%problem, "the challenge was not taken");
            Ok(())
        }
        other => other,
    }
}

/// Looks at the order until its status is another than `status`, or `patience` is over.
pub(crate) async fn look_again(
    session: &Session,
    order: &mut Order,
    doing: &'static str,
    status: OrderStatus,
    moved: Instant,
    patience: Duration,
) -> Result<(), Error> {
    let mut looks = 0;
    let mut asked = None;
    loop {
        let pause = match asked {
            Some(asked) if asked > patience => {
                let problem = "the order is under way".to_owned();
                return Err(Error::Later { doing, wait: asked, problem });
            }
            Some(asked) => session.policy.backoff(looks).max(asked),
            None => FIRST_LOOK.saturating_mul(1 << looks.min(8)).min(session.policy.longest_pause),
        };
        if moved.elapsed() + pause > patience {
            return Err(Error::TimedOut { doing, waited: moved.elapsed() });
        }
        tokio::time::sleep(pause).await;
        looks += 1;
        session.insist(doing, async || order.refresh().await.map(|_state| ())).await?;
        if order.state().status != status {
            return Ok(());
        }
        asked = session.http.take_retry_after();
    }
}

/// A quick authority has validated or issued by then.
const FIRST_LOOK: Duration = Duration::from_millis(100);

/// What was published, withdrawn when this is dropped.
pub(crate) struct Published<'a> {
    challenges: &'a dyn Challenges,
    proofs: Vec<Proof>,
}

impl<'a> Published<'a> {
    pub(crate) fn new(challenges: &'a dyn Challenges) -> Published<'a> {
        Published { challenges, proofs: Vec::new() }
    }

    pub(crate) async fn publish(&mut self, name: &str, pending: &Pending) -> Result<(), Error> {
        // Noted first: what fails half way is taken back too.
        self.proofs.push(pending.proof.clone());
        let published = self.challenges.publish(&pending.proof).await;
        published.map_err(|source| Error::Challenge { name: name.to_owned(), source })
    }

    /// Returns once an authority would see all of it.
    pub(crate) async fn seen(&self, names: &str) -> Result<(), Error> {
        let seen = self.challenges.seen(&self.proofs).await;
        seen.map_err(|source| Error::Challenge { name: names.to_owned(), source })
    }
}

impl Drop for Published<'_> {
    fn drop(&mut self) {
        for proof in &self.proofs {
            self.challenges.withdraw(proof);
        }
    }
}
