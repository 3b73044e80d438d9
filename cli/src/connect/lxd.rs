//! LXD's part of the API, as far as a client of ours needs it: who the server takes us for, and a token's
//! redemption.

use hyper::Method;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::socket::Service;
use crate::error::{CommandError, Kind};

/// What LXD's envelope holds of interest.
#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    error: String,
    #[serde(default)]
    metadata: Option<About>,
}

#[derive(Deserialize)]
struct About {
    #[serde(default)]
    auth: String,
}

#[derive(Serialize)]
struct Redeemed<'t> {
    r#type: &'t str,
    trust_token: &'t str,
}

/// What the server takes us for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Somebody who may ask.
    Trusted,
    /// A stranger.
    Untrusted,
}

/// What came of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redemption {
    /// We were trusted before; the token is used up.
    Already,
    /// We were trusted before; the token is none, or none any more.
    Earlier,
    /// We are trusted now.
    Trusted,
}

impl Service {
    /// What the server takes us for: `auth` of `GET /1.0`, which anybody may ask.
    pub fn standing(&self) -> Result<Standing, CommandError> {
        let answer = self.request(Method::GET, "/1.0", Vec::new())?;
        let told: Result<Envelope, _> = serde_json::from_slice(&answer.body);
        match told.ok().filter(|_| answer.status.is_success()).and_then(|told| told.metadata) {
            Some(about) if about.auth == "trusted" => Ok(Standing::Trusted),
            Some(_) => Ok(Standing::Untrusted),
            None => Err(CommandError::new(
                Kind::External,
                format!("what answers at {} is no service of pki ({})", self.way, answer.status),
            )
            .hint("is it the HTTPS address? `pki info` on the server shows it")),
        }
    }

    /// Redeems a token for the certificate that we show.
    pub fn redeem(&self, token: &str) -> Result<Redemption, CommandError> {
        let body = serde_json::to_vec(&Redeemed { r#type: "client", trust_token: token });
        let body =
            Zeroizing::new(body.map_err(|error| {
                CommandError::internal("cannot write the request as JSON").because(&error)
            })?);
        let answer = self.request(Method::POST, "/1.0/certificates", body.to_vec())?;
        match answer.status.as_u16() {
            200..=299 => return Ok(Redemption::Trusted),
            409 => return Ok(Redemption::Already),
            // A command that was interrupted, or whose answer was lost, may have used it up for us.
            403 if self.standing()? == Standing::Trusted => return Ok(Redemption::Earlier),
            _ => {}
        }
        let told: Result<Envelope, _> = serde_json::from_slice(&answer.body);
        let why = told.map(|told| told.error).unwrap_or_default();
        let why = if why.is_empty() { answer.status.to_string() } else { why };
        let kind = if answer.status.as_u16() == 403 { Kind::Denied } else { Kind::External };
        Err(CommandError::new(kind, format!("the server does not take the token: {why}")).hint(
            "a token is good once and for a limited time: `pki trust add NAME` on the server makes another",
        ))
    }
}
