//! How who is trusted looks to whoever asks.

use ca::cert::Certificate;
use serde::{Deserialize, Serialize};
use store::Versioned;
use time::OffsetDateTime;
use trust::entry::{Entry, Subject};
use trust::rights::{ProjectName, Rights, Scope};
use trust::{Holder, Presented};
use utoipa::ToSchema;

use crate::Pki;
use crate::ops::{Error, shape};

/// The rights that are asked for, by LXD's words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RightsWanted {
    /// `client`, `server` or `metrics`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it is limited to projects.
    pub restricted: bool,
    /// The projects that it is limited to; none of them is nothing at all.
    pub projects: Vec<String>,
}

impl RightsWanted {
    /// A client's, everywhere.
    pub fn full() -> RightsWanted {
        RightsWanted::from(&Rights::FULL)
    }
}

impl Default for RightsWanted {
    fn default() -> RightsWanted {
        RightsWanted::full()
    }
}

impl From<&Rights> for RightsWanted {
    fn from(rights: &Rights) -> RightsWanted {
        RightsWanted {
            kind: rights.kind.as_str().to_owned(),
            restricted: rights.scope.is_restricted(),
            projects: rights.scope.projects().map(ProjectName::to_string).collect(),
        }
    }
}

/// Somebody who is trusted by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TrustView {
    /// What the entry is called.
    pub name: String,
    /// What it may do, and where.
    #[serde(flatten)]
    pub rights: RightsWanted,
    /// SHA-256 over the certificate's DER, lower-case hex; `None` for a local user.
    pub fingerprint: Option<String>,
    /// The certificate, PEM; `None` for a local user.
    pub certificate: Option<String>,
    /// Fingerprints of the certificates that it renewed and that are still let in, the newest first.
    pub former: Vec<String>,
    /// The certificate's last second; `None` for a local user.
    #[serde(with = "time::serde::rfc3339::option")]
    pub not_after: Option<OffsetDateTime>,
    /// The user's id; `None` for a certificate.
    pub uid: Option<u32>,
    /// `trusted`, or in a word why it is not let in at the moment.
    pub status: String,
    /// How it came to be: `added`, `token`, `enrolment`, `issued`, `file`, `passphrase`, `trust-first`,
    /// `operator`.
    pub origin: String,
    /// Who caused it.
    pub added_by: String,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub added_at: OffsetDateTime,
    /// Changes with every change of the entry: for an edit that must not overrule another's.
    pub version: u64,
}

/// Shows an entry. What is trusted must not be held meanwhile: it is asked whether it is let in.
pub(super) fn entry(pki: &Pki, entry: &Versioned<Entry>, now: OffsetDateTime) -> Result<TrustView, Error> {
    let record = &entry.record;
    let certificate = record.certificate().transpose().map_err(ca::Error::from)?;
    let presented = match &record.subject {
        Subject::Certificate { der, .. } => {
            let certificate = Certificate::from_der(der).map_err(ca::Error::from)?;
            Presented::Certificate(Holder::new(certificate, Vec::new()))
        }
        Subject::User { uid, .. } => Presented::Local(crate::peer::user(*uid)),
    };
    let status = match pki.gate().admit(&presented, &super::decided_by(pki)?, now) {
        Ok(_) => "trusted".to_owned(),
        Err(trust::Error::Refused(refusal)) => refusal.label().to_owned(),
        Err(error) => return Err(error.into()),
    };
    let fingerprints: Vec<String> = record.fingerprints().iter().map(ToString::to_string).collect();
    Ok(TrustView {
        name: record.name.to_string(),
        rights: RightsWanted::from(&record.rights),
        fingerprint: fingerprints.first().cloned(),
        certificate: certificate.as_ref().map(Certificate::to_pem),
        former: fingerprints.into_iter().skip(1).collect(),
        not_after: certificate.as_ref().map(Certificate::not_after),
        uid: match &record.subject {
            Subject::Certificate { .. } => None,
            Subject::User { uid, .. } => Some(*uid),
        },
        status,
        origin: record.origin.as_str().to_owned(),
        added_by: record.added_by.clone(),
        added_at: shape::moment(record.added_at),
        version: entry.version.0.0,
    })
}

/// Whether what has these rights may be shown to somebody who reaches `scope`.
pub(super) fn is_within(scope: &Scope, rights: &Rights) -> bool {
    scope.covers(&rights.scope)
}
