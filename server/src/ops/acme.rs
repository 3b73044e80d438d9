//! Certificates from an ACME authority: `pki acme issue|list|renew|revoke`.

mod drive;
mod place;

use ::acme::client::model::CertificateRecord;
use ::acme::client::{self, Names, renew};
use serde::{Deserialize, Serialize};
use store::Versioned;
use time::OffsetDateTime;
use trust::{Action, Permit};
use utoipa::ToSchema;

use super::{Error, Operation};
use crate::Pki;
use crate::http::problem::in_words;

/// Obtains a certificate and places it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AcmeIssue {
    /// DNS names or addresses; the first names the files.
    pub domains: Vec<String>,
    /// Contact for the account.
    pub email: Option<String>,
    /// Directory URL of the authority; Let's Encrypt if `None`.
    pub ca_url: Option<String>,
    /// Whether the user agrees to the authority's terms of service.
    pub agree_tos: bool,
    /// PEM of the only roots to trust for the authority's own HTTPS.
    pub ca_root: Option<String>,
    /// External account binding: key id and base64url HMAC key.
    pub eab: Option<(String, String)>,
    /// Where a standalone HTTP-01 listener binds, when no public listener answers.
    pub http_address: Option<String>,
    /// Where to place the files as well, an absolute path.
    pub out: Option<String>,
}

/// A certificate obtained by ACME.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AcmeView {
    /// Its names.
    pub domains: Vec<String>,
    /// Directory URL of the authority.
    pub ca_url: String,
    /// Serial number, hex.
    pub serial: String,
    /// Start of validity.
    #[serde(with = "time::serde::rfc3339")]
    pub not_before: OffsetDateTime,
    /// End of validity.
    #[serde(with = "time::serde::rfc3339")]
    pub not_after: OffsetDateTime,
    /// When the service will renew it.
    #[serde(with = "time::serde::rfc3339")]
    pub renew_at: OffsetDateTime,
    /// The files that were placed, absolute.
    pub files: Vec<String>,
    /// Whether it was revoked by us.
    pub revoked: bool,
    /// What went wrong at the last attempt, if it failed.
    pub last_error: Option<String>,
    /// What the user should know, e.g. that the authority had forgotten our account.
    #[serde(default)]
    pub notes: Vec<String>,
}

impl Operation for AcmeIssue {
    const NAME: &'static str = "acme-issue";
    const ACTION: Action = Action::Obtain;
    type Reply = AcmeView;

    fn run(self, pki: &Pki, permit: &Permit, _now: OffsetDateTime) -> Result<AcmeView, Error> {
        let client = drive::client(pki, &permit.peer().to_string())?;
        let job = drive::issue(&client, self)?;
        let (record, notes) = drive::obtain(pki, &client, &job)?;
        view(&record, notes)
    }
}

/// Lists what was obtained.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AcmeList {}

impl Operation for AcmeList {
    const NAME: &'static str = "acme-list";
    const ACTION: Action = Action::Inspect;
    type Reply = Vec<AcmeView>;

    fn run(self, pki: &Pki, _permit: &Permit, _now: OffsetDateTime) -> Result<Vec<AcmeView>, Error> {
        let all = client::certificates(pki.store())?;
        all.iter().map(|stored| view(&stored.record, Vec::new())).collect()
    }
}

/// Renews now, with what the first issue was told.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AcmeRenew {
    /// The first domain; `None` for all that are due.
    pub domain: Option<String>,
}

impl Operation for AcmeRenew {
    const NAME: &'static str = "acme-renew";
    const ACTION: Action = Action::Obtain;
    type Reply = Vec<AcmeView>;

    fn run(self, pki: &Pki, permit: &Permit, now: OffsetDateTime) -> Result<Vec<AcmeView>, Error> {
        let who = permit.peer().to_string();
        match self.domain {
            Some(domain) => {
                let stored = client::certificate(pki.store(), &first_name(&domain)?)?;
                Ok(vec![renew_one(pki, &who, &stored)?])
            }
            None => renew_due(pki, &who, now)?.into_iter().map(Renewal::view).collect(),
        }
    }
}

/// Asks the authority to revoke.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AcmeRevoke {
    /// The first domain.
    pub domain: String,
    /// The reason in RFC 5280's spelling; `unspecified` if `None`.
    pub reason: Option<String>,
}

impl Operation for AcmeRevoke {
    const NAME: &'static str = "acme-revoke";
    const ACTION: Action = Action::Obtain;
    type Reply = AcmeView;

    fn run(self, pki: &Pki, permit: &Permit, _now: OffsetDateTime) -> Result<AcmeView, Error> {
        let reason = match &self.reason {
            Some(reason) => reason.parse().map_err(crl::Error::Reason)?,
            None => crl::Reason::Unspecified,
        };
        let client = drive::client(pki, &permit.peer().to_string())?;
        let stored = client::certificate(pki.store(), &first_name(&self.domain)?)?;
        let authority = drive::authority(&client, &stored.record)?;
        let revoked = drive::block_on(pki, client.revoke(&authority, &stored, reason))??;
        let notes = match revoked {
            client::Revoked::Before => vec!["the authority had it as revoked already".to_owned()],
            client::Revoked::Now => Vec::new(),
        };
        view(&client::certificate(pki.store(), &first_name(&self.domain)?)?.record, notes)
    }
}

/// What became of one certificate that was due.
pub(crate) struct Renewal {
    record: CertificateRecord,
    notes: Vec<String>,
    /// Why it was not renewed.
    pub(crate) failure: Option<Error>,
}

impl Renewal {
    fn view(self) -> Result<AcmeView, Error> {
        view(&self.record, self.notes)
    }
}

/// Renews every certificate that is due; one that fails does not stop the others.
pub(crate) fn renew_due(pki: &Pki, who: &str, now: OffsetDateTime) -> Result<Vec<Renewal>, Error> {
    let all = client::certificates(pki.store())?;
    let due =
        |record: &CertificateRecord| record.revoked.is_none() && record.next_attempt <= now.unix_timestamp();
    let mut renewed = Vec::new();
    for stored in all.into_iter().filter(|stored| due(&stored.record)) {
        renewed.push(match attempt(pki, who, &stored) {
            Ok((record, notes)) => Renewal { record, notes, failure: None },
            Err(failure) => {
                let first = stored.record.names.first().cloned().unwrap_or_default();
                let record = client::certificate(pki.store(), &first)?.record;
                Renewal { record, notes: Vec::new(), failure: Some(failure) }
            }
        });
    }
    Ok(renewed)
}

fn renew_one(pki: &Pki, who: &str, stored: &Versioned<CertificateRecord>) -> Result<AcmeView, Error> {
    let (record, notes) = attempt(pki, who, stored)?;
    view(&record, notes)
}

/// One attempt; its failure is recorded with the certificate.
fn attempt(
    pki: &Pki,
    who: &str,
    stored: &Versioned<CertificateRecord>,
) -> Result<(CertificateRecord, Vec<String>), Error> {
    let client = drive::client(pki, who)?;
    let outcome = drive::renewal(&client, &stored.record).and_then(|job| drive::obtain(pki, &client, &job));
    let asked = match &outcome {
        // That we end is nobody's failure.
        Ok(_) | Err(Error::Stopping) => return outcome,
        Err(Error::Acme(error)) => error.asked_to_wait(),
        Err(_) => None,
    };
    if let Err(failure) = &outcome {
        client.note_failure(stored, &in_words(failure), asked)?;
    }
    outcome
}

/// A domain as it is filed.
fn first_name(domain: &str) -> Result<String, Error> {
    Ok(Names::parse(&[domain], &client::Limits::default())?.first())
}

fn view(record: &CertificateRecord, notes: Vec<String>) -> Result<AcmeView, Error> {
    let time = |seconds| OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| Error::Time { seconds });
    let first = record.names.first().cloned().unwrap_or_default();
    let (not_before, not_after) = (time(record.not_before)?, time(record.not_after)?);
    Ok(AcmeView {
        domains: record.names.clone(),
        ca_url: record.directory.clone(),
        serial: record.serial.clone(),
        not_before,
        not_after,
        renew_at: match record.failures {
            0 => renew::due(not_before, not_after, &first),
            _ => time(record.next_attempt)?,
        },
        files: record.files.clone(),
        revoked: record.revoked.is_some(),
        last_error: record.last_error.clone(),
        notes,
    })
}
