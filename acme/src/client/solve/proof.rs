//! What is shown to an authority, and by whom.

use std::fmt;
use std::future::{Future, ready};
use std::io;
use std::pin::Pin;
use std::str::FromStr;

use instant_acme::ChallengeType;

use super::Token;

/// How names are proved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Method {
    /// A TXT record (RFC 8555 §8.4). The only one that proves a wildcard.
    Dns01,
    /// A file on port 80 (RFC 8555 §8.3).
    #[default]
    Http01,
    /// A certificate on port 443 (RFC 8737).
    TlsAlpn01,
}

/// A word that names no method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it must be HTTP-01, TLS-ALPN-01 or DNS-01")]
pub struct UnknownMethod;

impl FromStr for Method {
    type Err = UnknownMethod;

    fn from_str(word: &str) -> Result<Method, UnknownMethod> {
        let all = [Method::Dns01, Method::Http01, Method::TlsAlpn01];
        let found = all.into_iter().find(|method| method.to_string().eq_ignore_ascii_case(word));
        found.ok_or(UnknownMethod)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Method::Dns01 => "DNS-01",
            Method::Http01 => "HTTP-01",
            Method::TlsAlpn01 => "TLS-ALPN-01",
        })
    }
}

impl Method {
    pub(crate) fn challenge(self) -> ChallengeType {
        match self {
            Method::Dns01 => ChallengeType::Dns01,
            Method::Http01 => ChallengeType::Http01,
            Method::TlsAlpn01 => ChallengeType::TlsAlpn01,
        }
    }
}

/// What proves one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The name, of a wildcard what follows the `*.` (RFC 8555 §7.1.4).
    pub name: String,
    /// What is to be seen there.
    pub answer: Answer,
}

/// What an authority looks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A TXT record of `_acme-challenge.NAME`.
    Dns {
        /// Its text: the key authorization's digest, base64url.
        value: String,
    },
    /// The file `/.well-known/acme-challenge/TOKEN`.
    Http {
        /// The token.
        token: Token,
        /// What the file holds.
        key_authorization: String,
    },
    /// A certificate for `acme-tls/1`.
    TlsAlpn {
        /// SHA-256 of the key authorization, for its acmeIdentifier.
        digest: Vec<u8>,
    },
}

/// Something that takes its time and may fail.
pub type Doing<'a> = Pin<Box<dyn Future<Output = io::Result<()>> + Send + 'a>>;

/// What is done already, or failed already.
pub fn done<'a>(outcome: io::Result<()>) -> Doing<'a> {
    Box::pin(ready(outcome))
}

/// Whoever shows proofs to an authority.
///
/// [`withdraw`](Challenges::withdraw) is called for every proof whose publishing was begun, however the
/// order ends.
pub trait Challenges: Send + Sync {
    /// How it proves names.
    fn method(&self) -> Method;

    /// Shows a proof from now on.
    fn publish<'a>(&'a self, proof: &'a Proof) -> Doing<'a>;

    /// Returns once an authority that looks now would see all that was published.
    fn seen<'a>(&'a self, _published: &'a [Proof]) -> Doing<'a> {
        done(Ok(()))
    }

    /// Shows a proof no more. What can't be taken back is only logged: nobody could do anything about it.
    fn withdraw(&self, proof: &Proof);
}

/// The error of a responder that is asked for what it doesn't do.
pub(crate) fn of_another_method() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "this responder proves names in another way")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_known_in_any_case_and_written_in_one() {
        for (word, written) in [("http-01", "HTTP-01"), ("DNS-01", "DNS-01"), ("tls-Alpn-01", "TLS-ALPN-01")]
        {
            assert_eq!(word.parse::<Method>().unwrap().to_string(), written);
        }
        assert_eq!("http".parse::<Method>(), Err(UnknownMethod));
    }
}
