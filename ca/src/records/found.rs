//! The record of a certificate that only its file tells of: our key signed it, and the inventory lost
//! it or never knew it.

use super::{IssuedProfile, IssuedRecord};
use crate::cert::{Certificate, KeyId, printable};
use crate::plan::Requester;

impl IssuedRecord {
    /// Who is said to have caused the issue of a certificate that only its file tells of.
    pub const UNKNOWN_REQUESTER: &'static str = "unknown";

    /// What `certificate` itself says. That `issuer` signed it is for the caller to prove.
    pub fn from_file(certificate: &Certificate, issuer: KeyId) -> IssuedRecord {
        let usage = certificate.extended_key_usage();
        let (client, server) =
            (usage.is_some_and(|usage| usage.client_auth()), usage.is_some_and(|usage| usage.server_auth()));
        let profile = match (client, server) {
            (true, false) => IssuedProfile::Client,
            (false, true) => IssuedProfile::Server,
            (true, true) | (false, false) => IssuedProfile::Unknown,
        };
        let names: Vec<String> = certificate.names().iter().map(ToString::to_string).collect();
        let first = || names.first().and_then(|name| name.split_once(':')).map(|(_, name)| printable(name));
        let not_before = certificate.not_before().unix_timestamp();
        IssuedRecord {
            serial: certificate.serial(),
            der: Some(certificate.der().to_vec()),
            name: certificate
                .common_name()
                .map(printable)
                .or_else(first)
                .unwrap_or_else(|| certificate.serial().to_string()),
            profile,
            names,
            project: Requester::DEFAULT_PROJECT.to_owned(),
            requester: Self::UNKNOWN_REQUESTER.to_owned(),
            issued_at: not_before,
            not_before: Some(not_before),
            not_after: certificate.not_after().unix_timestamp(),
            issuer,
            key: Some(certificate.public_key().digest()),
            request: None,
            days: None,
            predecessor: None,
            reach: None,
        }
    }
}
