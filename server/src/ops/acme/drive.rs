//! Drives the ACME client for one operation: who answers the challenge, what is recorded, where the files
//! go.
//!
//! It refuses to run on the service's own threads: an order waits for other people, the store for the
//! disk. Each operation has a small runtime in the thread it blocks.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::acme::client::model::CertificateRecord;
use ::acme::client::{
    Application, Authority, Challenges, Client, DirectoryUrl, ExternalAccount, Limits, Names, Note, Roots,
    Standalone, Terms, Token, renew,
};

use super::place::{folder, place};
use crate::challenge::ChallengeBoard;
use crate::ops::Error;
use crate::serve::ListenerState;
use crate::{Pki, clock};

/// Where a standalone listener binds unless told otherwise.
const HTTP_ADDRESS: &str = ::acme::client::solve::http_01::DEFAULT_ADDRESS;

/// One issue or renewal.
pub struct Job {
    /// What is asked for.
    pub application: Application,
    /// The account's contact, as it was given.
    pub contact: Option<String>,
    /// Where to answer the challenge.
    pub http_address: Option<String>,
    /// Where to place the files besides our own directory.
    pub out: Option<PathBuf>,
}

/// The client for one peer.
pub fn client(pki: &Pki, who: &str) -> Result<Client, Error> {
    let (store, sealing) = (pki.store().clone(), pki.sealing()?.clone());
    let gate = pki.acme_gate().clone();
    Ok(Client::new(store, sealing, Arc::new(clock::now), Limits::default(), gate, who))
}

/// Obtains the certificate, places it, records it.
pub fn obtain(pki: &Pki, client: &Client, job: &Job) -> Result<(CertificateRecord, Vec<String>), Error> {
    let mut notes = Vec::new();
    let mut hear = |note: Note| match note {
        Note::Reached(_) => tracing::info!(names = %job.application.names, "{note}"),
        Note::AccountLost { .. } | Note::BegunAnew { .. } => {
            tracing::warn!(names = %job.application.names, "{note}");
            notes.push(note.to_string());
        }
    };
    let obtained = block_on(pki, async {
        match answerer(pki, job.http_address.as_deref()) {
            Answerer::Service => {
                let board = ServiceBoard(pki.challenges());
                client.obtain(&job.application, &board, &mut hear).await
            }
            Answerer::Standalone(address) => {
                let listener = Standalone::bind(address).await?;
                client.obtain(&job.application, listener.board(), &mut hear).await
            }
        }
    })??;
    let mut folders = vec![folder(pki, &job.application.names.first())];
    folders.extend(job.out.clone());
    let files = place(&obtained, &folders)?;
    let leaf = obtained.certificate.leaf();
    let authority = &job.application.authority;
    let first = job.application.names.first();
    let record = CertificateRecord {
        names: job.application.names.to_strings(),
        directory: authority.directory.to_string(),
        roots: match &authority.roots {
            Roots::System => None,
            Roots::Pem(pem) => Some(pem.clone()),
        },
        kid: authority.external.as_ref().map(|external| external.kid().to_owned()),
        contact: job.contact.clone(),
        http_address: job.http_address.clone(),
        out: job.out.as_ref().map(|out| out.display().to_string()),
        serial: leaf.serial().to_string(),
        not_before: leaf.not_before().unix_timestamp(),
        not_after: leaf.not_after().unix_timestamp(),
        leaf: leaf.der().to_vec().into(),
        files,
        revoked: None,
        failures: 0,
        last_error: None,
        next_attempt: renew::due(leaf.not_before(), leaf.not_after(), &first).unix_timestamp(),
    };
    client.settle(&obtained, &record)?;
    Ok((record, notes))
}

/// The authority as it was named at the issue.
pub fn authority(client: &Client, record: &CertificateRecord) -> Result<Authority, Error> {
    let mut authority = Authority {
        directory: record.directory.parse()?,
        roots: record.roots.clone().map_or(Roots::System, Roots::Pem),
        external: None,
    };
    if let Some(kid) = &record.kid {
        authority.external = client.stored_external(&authority, kid)?;
    }
    Ok(authority)
}

/// The renewal of what was obtained: everything as at the issue, the terms agreed to then.
pub fn renewal(client: &Client, record: &CertificateRecord) -> Result<Job, Error> {
    let contact = record.contact.as_ref().map(|contact| parse_contact(contact)).transpose()?;
    let application = Application {
        authority: authority(client, record)?,
        names: Names::parse(&record.names, client.limits())?,
        contact,
        terms: Terms::Agreed,
    };
    Ok(Job {
        application,
        contact: record.contact.clone(),
        http_address: record.http_address.clone(),
        out: record.out.as_ref().map(PathBuf::from),
    })
}

/// The job that an issue describes.
pub fn issue(client: &Client, issue: super::AcmeIssue) -> Result<Job, Error> {
    if let Some(out) = issue.out.as_ref().filter(|out| !Path::new(out).is_absolute()) {
        return Err(Error::RelativePath { path: PathBuf::from(out) });
    }
    let directory = match &issue.ca_url {
        Some(url) => url.parse()?,
        None => DirectoryUrl::lets_encrypt(),
    };
    let external = issue.eab.as_ref().map(|(kid, key)| ExternalAccount::new(kid, key)).transpose()?;
    let application = Application {
        authority: Authority { directory, roots: issue.ca_root.map_or(Roots::System, Roots::Pem), external },
        names: Names::parse(&issue.domains, client.limits())?,
        contact: issue.email.as_ref().map(|email| parse_contact(email)).transpose()?,
        terms: if issue.agree_tos { Terms::Agreed } else { Terms::NotAgreed },
    };
    Ok(Job {
        application,
        contact: issue.email,
        http_address: issue.http_address,
        out: issue.out.map(PathBuf::from),
    })
}

fn parse_contact(email: &str) -> Result<ca::cert::EmailAddress, ::acme::Error> {
    email.parse().map_err(|source| ::acme::Error::Name { name: email.chars().take(80).collect(), source })
}

/// Runs a future in this thread to its end, or to the service's: an order under way is stored and goes on
/// at the next attempt.
pub fn block_on<T>(pki: &Pki, future: impl Future<Output = T>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let stop = pki.stop();
    runtime.map_err(|source| Error::Runtime { source })?.block_on(async {
        tokio::select! {
            biased;
            () = stop.told() => Err(Error::Stopping),
            done = future => Ok(done),
        }
    })
}

/// Who answers the challenge.
enum Answerer<'a> {
    /// The service's public listener, which is up.
    Service,
    /// A listener of our own on this address.
    Standalone(&'a str),
}

fn answerer<'a>(pki: &Pki, http_address: Option<&'a str>) -> Answerer<'a> {
    match (http_address, pki.public_state()) {
        (Some(address), _) => Answerer::Standalone(address),
        (None, ListenerState::Listening(_)) => Answerer::Service,
        (None, ListenerState::Off | ListenerState::Failed { .. }) => Answerer::Standalone(HTTP_ADDRESS),
    }
}

struct ServiceBoard<'a>(&'a ChallengeBoard);

impl Challenges for ServiceBoard<'_> {
    fn publish(&self, token: &Token, key_authorization: &str) -> io::Result<()> {
        match self.0.post(token.as_str(), key_authorization) {
            true => Ok(()),
            false => Err(io::Error::from(io::ErrorKind::InvalidInput)),
        }
    }

    fn withdraw(&self, token: &Token) {
        self.0.withdraw(token.as_str());
    }
}
