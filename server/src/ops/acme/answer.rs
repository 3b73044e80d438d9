//! Who shows an authority that we hold a name: the listeners that are there, or one for the length of the
//! order.

use std::io;
use std::sync::Arc;

use ::acme::client::solve::dns_01;
use ::acme::client::{Answer, Challenges, Dns, Doing, Method, Proof, Standalone};

use crate::challenge::ChallengeBoard;
use crate::ops::Error;
use crate::serve::ListenerState;
use crate::{Pki, clock};

/// Where a standalone listener binds unless told otherwise.
const HTTP_ADDRESS: &str = ::acme::client::solve::http_01::DEFAULT_ADDRESS;

/// Whoever proves names by `method`. What can't work is an error here, before any order is placed.
pub(super) async fn responder(
    pki: &Pki,
    method: Method,
    http_address: Option<&str>,
) -> Result<Box<dyn Challenges>, Error> {
    match method {
        Method::Http01 => Ok(Box::new(http(pki, http_address).await?)),
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

/// The file is served by every listener of ours. Where only the HTTPS listener is up, another program may
/// send the authority there from port 80 (authorities follow a redirect, and ask for no certificate then);
/// if port 80 is free we take it.
async fn http(pki: &Pki, address: Option<&str>) -> Result<Http, Error> {
    let up = |state| matches!(state, ListenerState::Listening(_));
    let standalone = match address {
        Some(address) => Some(Standalone::bind(address).await?),
        None if up(pki.public_state()) => None,
        None if up(pki.https_state()) => match Standalone::bind(HTTP_ADDRESS).await {
            Ok(standalone) => Some(standalone),
            Err(error) => {
                tracing::debug!(%error, "port 80 is somebody else's: the HTTPS listener answers alone");
                None
            }
        },
        None => Some(Standalone::bind(HTTP_ADDRESS).await?),
    };
    Ok(Http { pki: pki.clone(), standalone })
}

/// Answers HTTP-01 on all listeners.
struct Http {
    pki: Pki,
    standalone: Option<Standalone>,
}

impl Http {
    fn board(&self) -> &ChallengeBoard {
        self.pki.challenges()
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

    fn withdraw(&self, proof: &Proof) {
        if let Some(standalone) = &self.standalone {
            standalone.board().withdraw(proof);
        }
        if let Answer::Http { token, .. } = &proof.answer {
            self.board().withdraw(token.as_str());
        }
    }
}
