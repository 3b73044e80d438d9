//! Where certificates say that lists and issuers can be fetched: CDP and AIA (RFC 5280 §4.2.1.13, §4.2.2.1).
//!
//! Both follow from one base URL, the setting `core.public_url`; unset, certificates carry neither.
//! The base must be plain HTTP: to fetch a list over HTTPS a client would have to verify a certificate
//! first, which needs a list (RFC 5280 §8). Lists and certificates are signed, they need no cover.

use std::fmt;
use std::str::FromStr;

use crate::cert::KeyId;

/// The base of all published URLs, e.g. `http://pki.example.com`, without a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(String);

/// Why a public URL was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublicUrlError {
    /// A character that has no place in it.
    #[error("the public URL {url:?} holds a character that is not allowed in one")]
    Character {
        /// What was given.
        url: String,
    },
    /// No host.
    #[error("the public URL {url:?} names no host")]
    Host {
        /// What was given.
        url: String,
    },
    /// Longer than is sensible in every certificate.
    #[error("the public URL has {length} characters, {limit} at most are allowed")]
    Length {
        /// How long it is.
        length: usize,
        /// How long it may be.
        limit: usize,
    },
    /// Not plain HTTP.
    #[error(
        "the public URL {url:?} must begin with http://: lists and issuers are fetched before anything can be verified (RFC 5280 §8)"
    )]
    Scheme {
        /// What was given.
        url: String,
    },
}

impl PublicUrl {
    /// How many characters it may have.
    pub const LIMIT: usize = 200;

    /// The URL itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PublicUrl {
    type Err = PublicUrlError;

    fn from_str(text: &str) -> Result<PublicUrl, PublicUrlError> {
        let url = || text.chars().take(Self::LIMIT).collect::<String>();
        if text.len() > Self::LIMIT {
            return Err(PublicUrlError::Length { length: text.len(), limit: Self::LIMIT });
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~:/[]%".contains(c);
        if !text.chars().all(allowed) {
            return Err(PublicUrlError::Character { url: url() });
        }
        let Some(rest) = text.strip_prefix("http://") else {
            return Err(PublicUrlError::Scheme { url: url() });
        };
        let host = rest.split('/').next().unwrap_or_default();
        if !host.chars().any(|c| c.is_ascii_alphanumeric()) || host.starts_with(':') {
            return Err(PublicUrlError::Host { url: url() });
        }
        Ok(PublicUrl(text.trim_end_matches('/').to_owned()))
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a certificate says of its issuer's list and certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distribution {
    /// The base of both URLs; `None` leaves both extensions out.
    pub base: Option<PublicUrl>,
}

impl Distribution {
    /// Where the list that covers a certificate of this issuer lies, in DER. The 0 is its shard.
    pub fn crl_url(&self, issuer: &KeyId) -> Option<String> {
        self.base.as_ref().map(|base| format!("{base}/crl/{issuer}/0.crl"))
    }

    /// Where the issuer's certificate lies, in DER.
    pub fn issuer_url(&self, issuer: &KeyId) -> Option<String> {
        self.base.as_ref().map(|base| format!("{base}/ca/{issuer}.crt"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_follow_from_the_base() {
        let issuer = KeyId::from_bytes([0xab; 20]);
        let distribution = Distribution { base: Some("http://pki.example.com:8080/x/".parse().unwrap()) };
        let hex = "ab".repeat(20);
        assert_eq!(
            distribution.crl_url(&issuer),
            Some(format!("http://pki.example.com:8080/x/crl/{hex}/0.crl"))
        );
        assert_eq!(
            distribution.issuer_url(&issuer),
            Some(format!("http://pki.example.com:8080/x/ca/{hex}.crt"))
        );
        assert_eq!(Distribution::default().crl_url(&issuer), None);
        assert_eq!(Distribution::default().issuer_url(&issuer), None);
    }

    #[test]
    fn what_a_client_could_not_fetch_is_refused() {
        type Check = fn(&PublicUrlError) -> bool;
        let table: [(&str, Check); 7] = [
            ("https://pki.example.com", |e| matches!(e, PublicUrlError::Scheme { .. })),
            ("pki.example.com", |e| matches!(e, PublicUrlError::Scheme { .. })),
            ("ldap://pki.example.com", |e| matches!(e, PublicUrlError::Scheme { .. })),
            ("http://", |e| matches!(e, PublicUrlError::Host { .. })),
            ("http://:8080", |e| matches!(e, PublicUrlError::Host { .. })),
            ("http://a/?q", |e| matches!(e, PublicUrlError::Character { .. })),
            ("http://a\n", |e| matches!(e, PublicUrlError::Character { .. })),
        ];
        for (text, check) in table {
            let refused = text.parse::<PublicUrl>().unwrap_err();
            assert!(check(&refused), "{text:?}: {refused}");
        }
        let long = format!("http://{}", "a".repeat(200));
        assert_eq!(long.parse::<PublicUrl>(), Err(PublicUrlError::Length { length: 207, limit: 200 }));
    }
}
