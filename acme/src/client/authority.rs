//! Which authority, and what its directory says (RFC 8555 §7.1.1).

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::Uri;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::Roots;
use crate::Error;

/// The URL of an authority's directory: https, with a host, without credentials.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DirectoryUrl(String);

impl DirectoryUrl {
    /// Let's Encrypt, the authority that is meant unless another is named.
    pub fn lets_encrypt() -> DirectoryUrl {
        DirectoryUrl("https://acme-v02.api.letsencrypt.org/directory".to_owned())
    }

    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DirectoryUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<DirectoryUrl, Error> {
        let refuse = || Error::DirectoryUrl { url: text.chars().take(200).collect() };
        let url: Uri = text.parse().map_err(|_| refuse())?;
        let plain = url.authority().is_some_and(|authority| !authority.as_str().contains('@'));
        match url.scheme_str() {
            Some("https") if plain => Ok(DirectoryUrl(url.to_string())),
            Some(_) | None => Err(refuse()),
        }
    }
}

impl fmt::Display for DirectoryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An account that the user has with the authority outside ACME (RFC 8555 §7.3.4).
#[derive(Clone)]
pub struct ExternalAccount {
    kid: String,
    key: Zeroizing<Vec<u8>>,
}

impl ExternalAccount {
    /// Takes the key identifier and the HMAC key in base64url, as authorities hand them out.
    pub fn new(kid: &str, key: &str) -> Result<ExternalAccount, Error> {
        let refuse = || Error::ExternalAccountKey { kid: kid.chars().take(80).collect() };
        let lenient = GeneralPurpose::new(
            &base64::alphabet::URL_SAFE,
            GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
        );
        let key = Zeroizing::new(lenient.decode(key.trim()).map_err(|_| refuse())?);
        match kid.is_empty() || key.is_empty() {
            true => Err(refuse()),
            false => Ok(ExternalAccount { kid: kid.to_owned(), key }),
        }
    }

    /// From what is stored.
    pub(crate) fn from_stored(kid: String, key: Zeroizing<Vec<u8>>) -> ExternalAccount {
        ExternalAccount { kid, key }
    }

    /// The key identifier.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The key's octets.
    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }
}

impl fmt::Debug for ExternalAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalAccount").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// An authority as the user names it.
#[derive(Clone, Debug)]
pub struct Authority {
    /// Its directory.
    pub directory: DirectoryUrl,
    /// Whom to trust for its own HTTPS.
    pub roots: Roots,
    /// The account there outside ACME, if it wants one.
    pub external: Option<ExternalAccount>,
}

/// What we need of a directory besides what the client library reads.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Directory {
    pub new_nonce: String,
    pub new_account: String,
    pub key_change: Option<String>,
    #[serde(default)]
    pub meta: Meta,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Meta {
    pub terms_of_service: Option<String>,
    #[serde(default)]
    pub external_account_required: bool,
}

impl Directory {
    pub(crate) fn read(url: &DirectoryUrl, body: &[u8]) -> Result<Directory, Error> {
        let mut directory: Directory = serde_json::from_slice(body)
            .map_err(|cause| Error::Directory { url: url.to_string(), reason: cause.to_string() })?;
        // It will be shown to the user: one word, and no control characters.
        directory.meta.terms_of_service = directory.meta.terms_of_service.filter(|terms| {
            terms.len() < 500 && !terms.contains(|c: char| c.is_control() || c.is_whitespace())
        });
        Ok(directory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_https_without_credentials() {
        for url in ["http://ca.example/dir", "ca.example/dir", "https://u:p@ca.example/", "https:///dir", ""]
        {
            assert!(matches!(url.parse::<DirectoryUrl>(), Err(Error::DirectoryUrl { .. })), "{url}");
        }
        assert_eq!(
            "https://ca.example/dir".parse::<DirectoryUrl>().unwrap().as_str(),
            "https://ca.example/dir"
        );
    }

    #[test]
    fn an_external_key_is_base64url_with_or_without_padding() {
        for key in ["AAEC_w", "AAEC_w==", " AAEC_w\n"] {
            assert_eq!(ExternalAccount::new("kid", key).unwrap().key(), [0, 1, 2, 255], "{key}");
        }
        for key in ["", "no base64!", "AA+/"] {
            assert!(ExternalAccount::new("kid", key).is_err(), "{key}");
        }
        let shown = format!("{:?}", ExternalAccount::new("kid", "AAEC_w").unwrap());
        assert_eq!(shown, r#"ExternalAccount { kid: "kid", .. }"#);
    }

    #[test]
    fn a_directory_without_its_urls_is_refused() {
        let url = DirectoryUrl::lets_encrypt();
        assert!(Directory::read(&url, b"<html>").is_err());
        assert!(Directory::read(&url, br#"{"newNonce":"https://ca.example/n"}"#).is_err());
        let body = br#"{"newNonce":"https://a/n","newAccount":"https://a/a","meta":{"termsOfService":"not a url\u001b"}}"#;
        assert_eq!(Directory::read(&url, body).unwrap().meta.terms_of_service, None);
    }
}
