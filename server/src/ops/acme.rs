//! Certificates from an ACME authority: `pki acme issue|list|renew|revoke|account`.

pub mod account;
mod answer;
mod attempt;
mod deploy;
mod drive;
mod hook;
pub(crate) mod own;
mod place;
mod turn;

use ::acme::client::model::CertificateRecord;
use ::acme::client::{self, Names, renew};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use trust::{Action, Permit};
use utoipa::ToSchema;

use super::{Error, Operation};
use crate::Pki;
use crate::fleet::placeholders;
use attempt::renewal_of;
pub(crate) use attempt::{Renewal, renew_due};
pub use deploy::Deployment;
pub(crate) use deploy::{When, go_on_with_all};
pub use hook::HookError;
pub(crate) use place::folder;
pub(crate) use turn::{Meanwhile, Turns};

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
    /// How the names are proved: `HTTP-01` if `None`, `TLS-ALPN-01`, `DNS-01`.
    #[serde(default)]
    pub challenge: Option<String>,
    /// Where a standalone HTTP-01 listener binds, when no public listener answers.
    pub http_address: Option<String>,
    /// A folder that a web server shows at `/`, in which HTTP-01 is answered instead; an absolute path.
    #[serde(default)]
    pub webroot: Option<String>,
    /// Where to place the files as well, an absolute path.
    pub out: Option<String>,
    /// The program that is run once the files are placed, an absolute path.
    #[serde(default)]
    pub hook: Option<String>,
    /// Where the certificate will be served, `IP:PORT`: it is looked there whether it is.
    #[serde(default)]
    pub served_at: Option<String>,
}

/// A certificate obtained by ACME.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AcmeView {
    /// Its names.
    pub domains: Vec<String>,
    /// Directory URL of the authority; empty where nobody has asked for it yet.
    pub ca_url: String,
    /// Serial number, hex; `None` for one that is wanted and not there yet.
    pub serial: Option<String>,
    /// Start of validity.
    #[serde(with = "time::serde::rfc3339::option")]
    pub not_before: Option<OffsetDateTime>,
    /// End of validity.
    #[serde(with = "time::serde::rfc3339::option")]
    pub not_after: Option<OffsetDateTime>,
    /// Whether the service shows it to clients that ask for its names (`acme.domain`).
    #[serde(default)]
    pub own: bool,
    /// When the next attempt is due; `None` where nobody has asked for it yet.
    #[serde(with = "time::serde::rfc3339::option")]
    pub renew_at: Option<OffsetDateTime>,
    /// The files that were placed, absolute.
    pub files: Vec<String>,
    /// Whether it was revoked by us.
    pub revoked: bool,
    /// What went wrong at the last attempt, if it failed.
    pub last_error: Option<String>,
    /// How far it has come since it was placed; `None` for one that is wanted and nothing lies in its place.
    #[serde(default)]
    pub deployment: Option<Deployment>,
    /// Why it has not come further.
    #[serde(default)]
    pub deploy_error: Option<String>,
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
        let (record, notes) = attempt::issue(pki, &client, &job)?;
        view(pki, &record, notes)
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
        list(pki)
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
                let (record, notes) = attempt::renew(pki, &who, &first_name(&domain)?)?;
                Ok(vec![view(pki, &record, notes)?])
            }
            None => {
                let wait = Meanwhile::Wait;
                deploy::go_on_with_all(pki, &who, When::Now, wait)?;
                let mut renewed: Vec<Renewal> = own::keep(pki, &who, now, wait)?.into_iter().collect();
                renewed.extend(renew_due(pki, &who, now, wait)?);
                renewed.into_iter().map(|one| view(pki, &one.record, one.notes)).collect()
            }
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
        view(pki, &client::certificate(pki.store(), &first_name(&self.domain)?)?.record, notes)
    }
}

/// A domain as it is filed.
fn first_name(domain: &str) -> Result<String, Error> {
    Ok(Names::parse(&[domain], &client::Limits::default())?.first())
}

/// Everything that was obtained, and what is wanted and not there yet.
pub(crate) fn list(pki: &Pki) -> Result<Vec<AcmeView>, Error> {
    let all = client::certificates(pki.store())?;
    let mut views: Vec<AcmeView> =
        all.iter().map(|stored| view(pki, &stored.record, Vec::new())).collect::<Result<_, _>>()?;
    for stored in client::wanted(pki.store())? {
        let wanted = stored.record;
        match views.iter_mut().find(|view| view.domains.first() == wanted.names.first()) {
            // The one before is in service until another has come.
            Some(before) => {
                before.renew_at = Some(moment(wanted.next_attempt)?);
                before.last_error = Some(wanted.last_error);
            }
            None => views.push(AcmeView {
                own: true,
                renew_at: Some(moment(wanted.next_attempt)?),
                last_error: Some(wanted.last_error),
                ..nothing_yet(wanted.names, wanted.directory)
            }),
        }
    }
    for (names, file) in placeholders::lying(pki)? {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let known = views.iter().position(|view| view.domains.first() == names.first());
        let index = known.unwrap_or_else(|| {
            views.push(nothing_yet(names, String::new()));
            views.len() - 1
        });
        if let Some(view) = views.get_mut(index) {
            view.deployment = Some(Deployment::Placeholder);
            if view.serial.is_none() {
                view.files = vec![file.to_string()];
            }
        }
    }
    Ok(views)
}

/// A certificate that is wanted and not there yet.
fn nothing_yet(domains: Vec<String>, ca_url: String) -> AcmeView {
    AcmeView {
        domains,
        ca_url,
        serial: None,
        not_before: None,
        not_after: None,
        own: false,
        renew_at: None,
        files: Vec::new(),
        revoked: false,
        last_error: None,
        deployment: None,
        deploy_error: None,
        notes: Vec::new(),
    }
}

fn moment(seconds: i64) -> Result<OffsetDateTime, Error> {
    OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| Error::Time { seconds })
}

fn view(pki: &Pki, record: &CertificateRecord, notes: Vec<String>) -> Result<AcmeView, Error> {
    let first = record.names.first().cloned().unwrap_or_default();
    let (not_before, not_after) = (moment(record.not_before)?, moment(record.not_after)?);
    let own = pki.settings()?.acme().is_some_and(|wish| own::first_name(&wish) == first);
    Ok(AcmeView {
        domains: record.names.clone(),
        ca_url: record.directory.clone(),
        serial: Some(record.serial.clone()),
        not_before: Some(not_before),
        not_after: Some(not_after),
        own,
        renew_at: Some(match record.failures {
            0 => renew::due(not_before, not_after, &first),
            _ => moment(record.next_attempt)?,
        }),
        files: record.files.clone(),
        revoked: record.revoked.is_some(),
        last_error: record.last_error.clone(),
        deployment: Some(deploy::deployment(pki, record)),
        deploy_error: record.deploy.as_ref().and_then(|deploy| deploy.last_error.clone()),
        notes,
    })
}
