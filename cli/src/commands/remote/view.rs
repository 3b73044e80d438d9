//! A remote as it is shown.

use serde::Serialize;

use crate::{
    client::{Remote, VerifiedBy},
    context::moment,
};

/// A remote, for `--json`.
#[derive(Serialize)]
pub struct RemoteView {
    /// What it is called here.
    pub name: String,
    /// Where it is, as `HOST:PORT`; empty if its file is broken.
    pub address: String,
    /// `client.ca`, `system` or `pin`.
    pub verified_by: String,
    /// SHA-256 of the pinned certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// When the pinned certificate ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_after: Option<String>,
    /// Why it can't be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broken: Option<String>,
}

impl RemoteView {
    /// What is known of a remote.
    pub fn of(remote: &Remote) -> RemoteView {
        let pinned = match &remote.verified_by {
            VerifiedBy::Pin(certificate) => Some(certificate),
            VerifiedBy::ClientCa | VerifiedBy::System => None,
        };
        RemoteView {
            name: remote.name.to_string(),
            address: remote.address.to_string(),
            verified_by: remote.verified_by.word().to_string(),
            fingerprint: pinned.map(|pinned| pinned.fingerprint().to_string()),
            not_after: pinned.map(|pinned| moment(pinned.not_after())),
            broken: None,
        }
    }

    /// The same as names and values.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let mut fields = vec![
            ("name", self.name.clone()),
            ("address", self.address.clone()),
            ("verified by", in_words(&self.verified_by).to_string()),
        ];
        fields.extend(self.fingerprint.clone().map(|fingerprint| ("server sha256", fingerprint)));
        fields.extend(self.not_after.clone().map(|end| ("valid until", end)));
        fields
    }
}

/// What verifies a server, for people.
pub fn in_words(word: &str) -> &str {
    match word {
        "client.ca" => "the authorities of client.ca",
        "pin" => "its certificate, trusted on first sight",
        "system" => "the authorities of the system",
        other => other,
    }
}
