//! A token as it is handed out: base64 over JSON, with the fields of LXD's.
//!
//! A client that pins the server by it needs the fingerprint, so one without is refused, as LXD does.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ca::cert::Fingerprint;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::macros::datetime;
use zeroize::Zeroizing;

use super::{Purpose, Secret, Token};

/// What LXD writes for "never".
const NEVER: OffsetDateTime = datetime!(0001-01-01 00:00:00 UTC);
/// The most characters that are read as a token.
const LONGEST: usize = 16 * 1024;
/// The most addresses in one.
const ADDRESSES: usize = 64;

/// A token as clients have it.
#[derive(Clone, PartialEq, Eq)]
pub struct WireToken {
    /// The name of the client it was made for.
    pub client_name: String,
    /// The server's certificate, to be pinned before the secret is sent.
    pub fingerprint: Fingerprint,
    /// Where the server may be reached, as `host:port`.
    pub addresses: Vec<String>,
    /// The secret.
    pub secret: Secret,
    /// Until when it can be redeemed.
    pub expires_at: Option<OffsetDateTime>,
    /// What certificate it is for; `None` if it is for trust alone. LXD knows no such field.
    pub enroll: Option<WireEnrolment>,
}

/// What a token for enrolment ends in, for whoever holds it to see. The service goes by its own record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireEnrolment {
    /// `client` or `server`.
    pub profile: String,
    /// The alternative names, as `dns:…`, `ip:…`, `email:…`, `uri:…`.
    pub names: Vec<String>,
    /// The project that the certificate will belong to.
    pub project: String,
}

/// Why a text is no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Not base64, or what it means is not JSON with these fields.
    #[error("this is not a token")]
    Form,
    /// Longer than any token.
    #[error("this is too long to be a token")]
    TooLong,
    /// A field is empty.
    #[error("the token lacks {field}")]
    Missing {
        /// Which.
        field: &'static str,
    },
}

#[derive(Serialize, Deserialize)]
struct Fields {
    client_name: String,
    fingerprint: String,
    addresses: Vec<String>,
    secret: String,
    #[serde(with = "time::serde::rfc3339", default = "never")]
    expires_at: OffsetDateTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    enroll: Option<WireEnrolment>,
}

fn never() -> OffsetDateTime {
    NEVER
}

impl WireToken {
    pub(super) fn new(token: &Token, secret: Secret) -> WireToken {
        WireToken {
            client_name: token.name.to_string(),
            fingerprint: token.server,
            addresses: token.addresses.clone(),
            secret,
            expires_at: token.ends(),
            enroll: match &token.purpose {
                Purpose::Trust { .. } => None,
                Purpose::Enrol { profile, names, project, .. } => Some(WireEnrolment {
                    profile: profile.clone(),
                    names: names.clone(),
                    project: project.to_string(),
                }),
            },
        }
    }

    /// The text to hand out. Whoever has it can redeem the token: it is wiped when it is dropped.
    ///
    /// # Errors
    /// [`WireError::Form`] if a time in it is none that RFC 3339 can write.
    pub fn encode(&self) -> Result<Zeroizing<String>, WireError> {
        let fields = Fields {
            client_name: self.client_name.clone(),
            fingerprint: self.fingerprint.to_string(),
            addresses: self.addresses.clone(),
            secret: self.secret.expose().to_owned(),
            expires_at: self.expires_at.unwrap_or(NEVER),
            enroll: self.enroll.clone(),
        };
        let json = serde_json::to_vec(&fields);
        drop(Zeroizing::new(fields.secret));
        let json = Zeroizing::new(json.map_err(|_| WireError::Form)?);
        Ok(Zeroizing::new(STANDARD.encode(&*json)))
    }

    /// Reads what somebody presents. Fields that are not known are passed over, as newer versions of
    /// LXD add some.
    ///
    /// # Errors
    /// [`WireError`].
    pub fn decode(text: &str) -> Result<WireToken, WireError> {
        let text = text.trim();
        if text.len() > LONGEST {
            return Err(WireError::TooLong);
        }
        let json = Zeroizing::new(STANDARD.decode(text).map_err(|_| WireError::Form)?);
        let fields: Fields = serde_json::from_slice(&json).map_err(|_| WireError::Form)?;
        let secret = Secret(Zeroizing::new(fields.secret));
        for (empty, field) in [
            (fields.client_name.is_empty(), "client_name"),
            (fields.fingerprint.is_empty(), "fingerprint"),
            (fields.addresses.is_empty(), "addresses"),
            (secret.expose().is_empty(), "secret"),
        ] {
            if empty {
                return Err(WireError::Missing { field });
            }
        }
        if fields.addresses.len() > ADDRESSES {
            return Err(WireError::TooLong);
        }
        Ok(WireToken {
            client_name: fields.client_name,
            fingerprint: fields.fingerprint.parse().map_err(|_| WireError::Form)?,
            addresses: fields.addresses,
            secret,
            expires_at: (fields.expires_at != NEVER).then_some(fields.expires_at),
            enroll: fields.enroll,
        })
    }
}

impl fmt::Debug for WireToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WireToken")
            .field("client_name", &self.client_name)
            .field("fingerprint", &self.fingerprint)
            .field("addresses", &self.addresses)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(expires_at: Option<OffsetDateTime>) -> WireToken {
        WireToken {
            client_name: "alice".to_owned(),
            fingerprint: Fingerprint::from_bytes([0xab; 32]),
            addresses: vec!["10.0.0.1:8443".to_owned(), "[fd00::1]:8443".to_owned()],
            secret: Secret::presented(&"5e".repeat(32)),
            expires_at,
            enroll: None,
        }
    }

    #[test]
    fn it_is_lxds_form_to_the_field() {
        let end = datetime!(2026-12-06 12:00:00 UTC);
        let json = |token: &WireToken| {
            let json = STANDARD.decode(&*token.encode().unwrap()).unwrap();
            String::from_utf8(json).unwrap()
        };
        let (fingerprint, secret) = ("ab".repeat(32), "5e".repeat(32));
        assert_eq!(
            json(&token(Some(end))),
            format!(
                r#"{{"client_name":"alice","fingerprint":"{fingerprint}","addresses":["10.0.0.1:8443","[fd00::1]:8443"],"secret":"{secret}","expires_at":"2026-12-06T12:00:00Z"}}"#
            )
        );
        assert!(json(&token(None)).ends_with(r#""expires_at":"0001-01-01T00:00:00Z"}"#));
        let enroll = Some(WireEnrolment {
            profile: "server".to_owned(),
            names: vec!["dns:web.internal".to_owned()],
            project: "web".to_owned(),
        });
        let with_ours = WireToken { enroll, ..token(None) };
        let ours = r#""enroll":{"profile":"server","names":["dns:web.internal"],"project":"web"}}"#;
        assert!(json(&with_ours).ends_with(ours), "{}", json(&with_ours));
        for token in [token(Some(end)), token(None), with_ours] {
            assert_eq!(WireToken::decode(&token.encode().unwrap()).unwrap(), token);
        }
    }

    #[test]
    fn what_newer_and_older_versions_write_is_read() {
        let (fingerprint, secret) = ("ab".repeat(32), "5e".repeat(32));
        let newer = format!(
            r#"{{"client_name":"alice","fingerprint":"{fingerprint}","addresses":["10.0.0.1:8443","[fd00::1]:8443"],"secret":"{secret}","expires_at":"2026-12-06T12:00:00.123456789Z","type":"Client certificate"}}"#
        );
        let read = WireToken::decode(&STANDARD.encode(newer)).unwrap();
        assert_eq!(read.secret, token(None).secret);
        let older = format!(
            r#"{{"client_name":"alice","fingerprint":"{fingerprint}","addresses":["10.0.0.1:8443","[fd00::1]:8443"],"secret":"{secret}"}}"#
        );
        assert_eq!(WireToken::decode(&STANDARD.encode(older)).unwrap(), token(None));
    }

    #[test]
    fn whatever_lacks_something_is_no_token() {
        let good = token(None);
        for (field, broken) in [
            ("client_name", WireToken { client_name: String::new(), ..good.clone() }),
            ("addresses", WireToken { addresses: Vec::new(), ..good.clone() }),
            ("secret", WireToken { secret: Secret::presented(""), ..good.clone() }),
        ] {
            let refused = WireToken::decode(&broken.encode().unwrap());
            assert_eq!(refused, Err(WireError::Missing { field }));
        }
        for bad in ["", "x", "e30=", "bnVsbA==", "W10=", &STANDARD.encode("[".repeat(9_000)), "\u{e4}"] {
            assert_eq!(WireToken::decode(bad), Err(WireError::Form), "{bad}");
        }
        assert_eq!(WireToken::decode(&"A".repeat(LONGEST + 4)), Err(WireError::TooLong));
        let shown = format!("{good:?}");
        assert!(!shown.contains("5e5e"), "{shown}");
    }
}
