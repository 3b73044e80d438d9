//! Who shows an authority that we hold a name: the listeners that are there, the HAProxys before them, or a
//! listener for the length of the order.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ::acme::client::solve::{dns_01, proof::done};
use ::acme::client::{Answer, Challenges, Dns, Doing, Method, Proof, Standalone, Webroot};

use super::drive::Job;
use crate::challenge::ChallengeBoard;
use crate::fleet::challenges::{self, Told};
use crate::http::problem::in_words;
use crate::ops::Error;
use crate::serve::ListenerState;
use crate::{Pki, clock};

/// Where a standalone listener binds unless told otherwise.
const HTTP_ADDRESS: &str = ::acme::client::solve::http_01::DEFAULT_ADDRESS;

/// Whoever proves the names of a job. What can't work is an error here, before any order is placed.
pub(super) async fn responder(pki: &Pki, job: &Job) -> Result<Box<dyn Challenges>, Error> {
    let method = job.method;
    match method {
        Method::Http01 => match &job.webroot {
            Some(folder) => Ok(Box::new(Webroot::new(folder)?)),
            None => Ok(Box::new(http(pki, job.http_address.as_deref()).await?)),
        },
        Method::TlsAlpn01 => match pki.https_state() {
            ListenerState::Listening(_) => Ok(Box::new(pki.tls_challenges().clone())),
            ListenerState::Failed { .. } | ListenerState::Off => Err(Error::NoListener { method }),
        },
        Method::Dns01 => {
            let (provider, resolvers) = pki.settings()?.acme_provider(pki.sealing()?)?;
            let dns = Dns::new(provider, resolvers, dns_01::PORT, Arc::new(clock::now));
            Ok(Box::new(dns.map_err(|source| Error::Resolvers { source })?))
        }
    }
}

/// The file is served by every listener of ours, and by every HAProxy that we keep in step. Where only the HTTPS
/// listener is up, another program may send the authority there from port 80 (authorities follow a redirect, and
/// ask for no certificate then); if port 80 is free we take it.
async fn http(pki: &Pki, address: Option<&str>) -> Result<Http, Error> {
    let up = |state| matches!(state, ListenerState::Listening(_));
    let told = challenges::show(pki)?;
    let fronts = told.len();
    let (answering, failed): (Vec<_>, Vec<_>) = told.into_iter().partition(|one| one.outcome.is_ok());
    failed.iter().for_each(warn);
    let listens = up(pki.public_state()) || up(pki.https_state());
    let standalone = match address {
        Some(address) => Some(Standalone::bind(address).await?),
        None if up(pki.public_state()) || !answering.is_empty() => None,
        None => {
            match (Standalone::bind(HTTP_ADDRESS).await, failed.into_iter().find_map(|one| one.outcome.err()))
            {
                (Ok(standalone), _) => Some(standalone),
                (Err(error), _) if up(pki.https_state()) => {
                    tracing::debug!(%error, "port 80 is somebody else's: the HTTPS listener answers alone");
                    None
                }
                // Port 80 is its.
                (Err(_), Some(error)) => return Err(error.into()),
                (Err(error), None) => return Err(error.into()),
            }
        }
    };
    let listens = if listens || standalone.is_some() { Listens::Yes } else { Listens::No };
    Ok(Http { pki: pki.clone(), standalone, fronts, listens, posted: AtomicBool::new(false) })
}

/// An order goes on without one that does not answer: whoever is sent there would find port 80 closed as well,
/// and one that starts meanwhile reads the file.
fn warn(told: &Told) {
    if let Err(error) = &told.outcome {
        let (instance, error) = (&told.instance, in_words(error));
        tracing::warn!(%instance, error, "HAProxy does not answer challenges");
    }
}

/// Whether a listener of ours answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listens {
    Yes,
    No,
}

/// Answers HTTP-01 on all listeners, and by HAProxy.
struct Http {
    pki: Pki,
    standalone: Option<Standalone>,
    /// How many HAProxys are told.
    fronts: usize,
    listens: Listens,
    /// Whether they have something that must go.
    posted: AtomicBool,
}

impl Http {
    fn board(&self) -> &ChallengeBoard {
        self.pki.challenges()
    }

    /// Tells every HAProxy what is on the board.
    fn show(&self) -> io::Result<()> {
        let told = challenges::show(&self.pki).map_err(io::Error::other)?;
        told.iter().for_each(warn);
        let answering = told.iter().any(|one| one.outcome.is_ok());
        match told.into_iter().find_map(|one| one.outcome.err()) {
            Some(error) if !answering && self.listens == Listens::No => Err(io::Error::other(error)),
            Some(_) | None => Ok(()),
        }
    }
}

impl Challenges for Http {
    fn method(&self) -> Method {
        Method::Http01
    }

    fn publish<'a>(&'a self, proof: &'a Proof) -> Doing<'a> {
        Box::pin(async move {
            if let Some(standalone) = &self.standalone {
                standalone.board().publish(proof).await?;
            }
            match &proof.answer {
                Answer::Http { token, key_authorization }
                    if self.board().post(token.as_str(), key_authorization) =>
                {
                    Ok(())
                }
                Answer::Http { .. } | Answer::Dns { .. } | Answer::TlsAlpn { .. } => {
                    Err(io::Error::from(io::ErrorKind::InvalidInput))
                }
            }
        })
    }

    /// All at once: a hundred names cost one file and a few commands.
    fn seen<'a>(&'a self, _published: &'a [Proof]) -> Doing<'a> {
        if self.fronts == 0 {
            return done(Ok(()));
        }
        self.posted.store(true, Ordering::Relaxed);
        done(self.show())
    }

    fn withdraw(&self, proof: &Proof) {
        if let Some(standalone) = &self.standalone {
            standalone.board().withdraw(proof);
        }
        if let Answer::Http { token, .. } = &proof.answer {
            self.board().withdraw(token.as_str());
        }
    }
}

/// What was withdrawn is taken from every HAProxy at the end, all at once. What can't be goes with the next look.
impl Drop for Http {
    fn drop(&mut self) {
        if self.posted.load(Ordering::Relaxed)
            && let Err(error) = self.show()
        {
            tracing::warn!(error = in_words(&error), "HAProxy still answers a challenge");
        }
    }
}
