//! Drives the ACME client for one operation: who answers the challenge, what is recorded, where the files
//! go.
//!
//! It refuses to run on the service's own threads: an order waits for other people, the store for the
//! disk. Each operation has a small runtime in the thread it blocks.

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use store::file::FileError;

use ::acme::client::model::{CertificateRecord, Deploy};
use ::acme::client::{
    Application, Authority, Client, DirectoryUrl, ExternalAccount, Limits, Method, Names, Note, Roots, Terms,
    renew,
};

use super::answer::responder;
use super::deploy;
use super::place::{check_room, folder, keep_before, place};
use super::turn::Turn;
use crate::ops::Error;
use crate::settings::Setting;
use crate::settings::acme::Wish;
use crate::{Pki, clock};

/// The octets that a file with the roots of an authority may have.
const ROOTS_LIMIT: u64 = 1024 * 1024;

/// What is told of a certificate that is due for renewal as it comes.
const DUE_AS_IT_CAME: &str =
    "it was due for renewal as it came: are the clocks right, here and at the authority?";

/// One issue or renewal.
pub struct Job {
    /// What is asked for.
    pub application: Application,
    /// The account's contact, as it was given.
    pub contact: Option<String>,
    /// How the names are proved.
    pub method: Method,
    /// Where to answer the challenge.
    pub http_address: Option<String>,
    /// The web server's folder in which to answer it.
    pub webroot: Option<PathBuf>,
    /// Where to place the files besides our own directory.
    pub out: Option<PathBuf>,
    /// The program that is run then.
    pub hook: Option<PathBuf>,
    /// Where it is looked whether the certificate is served.
    pub served_at: Option<SocketAddr>,
}

/// The client for one peer.
pub fn client(pki: &Pki, who: &str) -> Result<Client, Error> {
    let (store, sealing) = (pki.store().clone(), pki.sealing()?.clone());
    let gate = pki.acme_gate().clone();
    Ok(Client::new(store, sealing, Arc::new(clock::now), Limits::default(), gate, who))
}

/// Obtains the certificate, places it, records it; in a turn, so that nobody else does.
pub(super) fn obtain(
    pki: &Pki,
    client: &Client,
    job: &Job,
    turn: &mut Turn,
) -> Result<(CertificateRecord, Vec<String>), Error> {
    let mut folders = vec![folder(pki, &job.application.names.first())];
    folders.extend(job.out.clone());
    job.application.names.provable_by(job.method)?;
    check_room(&folders)?;
    deploy::check(job.hook.as_ref())?;
    let mut notes = Vec::new();
    let mut hear = |note: Note| match note {
        Note::Reached(_) => tracing::info!(names = %job.application.names, "{note}"),
        Note::AccountLost { .. } | Note::BegunAnew { .. } => {
            tracing::warn!(names = %job.application.names, "{note}");
            notes.push(note.to_string());
        }
    };
    let obtained = block_on(pki, async {
        let responder = responder(pki, job).await?;
        Ok::<_, Error>(client.obtain(&job.application, &*responder, &mut hear).await?)
    })??;
    if job.served_at.is_some() || job.hook.is_some() {
        keep_before(&folders[0])?;
    }
    let files = place(&obtained, &folders)?;
    let leaf = obtained.certificate.leaf();
    let authority = &job.application.authority;
    let first = job.application.names.first();
    let before = ::acme::client::certificate(pki.store(), &first).map_or(0, |before| before.record.failures);
    let due = renew::due(leaf.not_before(), leaf.not_after(), &first);
    let (failures, next) = renew::after_issue(due, clock::now(), before);
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
        failures,
        last_error: (failures > 0).then(|| DUE_AS_IT_CAME.to_owned()),
        next_attempt: next.unix_timestamp(),
        method: Some(job.method).filter(|method| *method != Method::Http01).map(|method| method.to_string()),
        webroot: job.webroot.as_ref().map(|folder| folder.display().to_string()),
        deploy: Some(Deploy {
            hook: job.hook.as_ref().map(|hook| hook.display().to_string()),
            address: job.served_at.map(|address| address.to_string()),
            ..Deploy::default()
        }),
    };
    client.settle(&obtained, &record)?;
    turn.brought();
    pki.follow_acme_certificate();
    Ok((deploy::after(pki, client, &first)?, notes))
}

/// Whether a certificate that was obtained is what a job asks for, in every respect.
pub fn brings(record: &CertificateRecord, job: &Job) -> bool {
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    let deploy = record.deploy.clone().unwrap_or_default();
    let shown = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let authority = &job.application.authority;
    sorted(record.names.clone()) == sorted(job.application.names.to_strings())
        && record.directory == authority.directory.to_string()
        && record.kid.as_deref() == authority.external.as_ref().map(|external| external.kid())
        && record.contact == job.contact
        && method(record.method.as_deref()).is_ok_and(|method| method == job.method)
        && record.http_address == job.http_address
        && record.webroot == shown(&job.webroot)
        && record.out == shown(&job.out)
        && deploy.hook == shown(&job.hook)
        && deploy.address == job.served_at.map(|address| address.to_string())
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
        method: method(record.method.as_deref())?,
        http_address: record.http_address.clone(),
        webroot: record.webroot.as_ref().map(PathBuf::from),
        out: record.out.as_ref().map(PathBuf::from),
        hook: record.deploy.as_ref().and_then(|deploy| deploy.hook.as_ref()).map(PathBuf::from),
        served_at: address(record.deploy.as_ref().and_then(|deploy| deploy.address.as_deref()))?,
    })
}

/// What the settings want for the service itself. Where the files of a certificate of the same first name were
/// placed as well, they are placed again.
pub fn own(pki: &Pki, client: &Client, wish: &Wish) -> Result<Job, Error> {
    let settings = pki.settings()?;
    let roots = roots(wish.ca_root.as_deref())?;
    let external = match (&wish.kid, settings.secret(Setting::AcmeEabHmac, pki.sealing()?)?) {
        (Some(kid), Some(key)) => Some(ExternalAccount::new(kid, &key)?),
        (Some(_), None) | (None, _) => None,
    };
    let names = Names::parse(&wish.domains, client.limits())?;
    let before = ::acme::client::certificate(pki.store(), &names.first()).ok();
    let application = Application {
        authority: Authority { directory: wish.ca_url.parse()?, roots, external },
        names,
        contact: wish.email.as_ref().map(|email| parse_contact(email)).transpose()?,
        terms: if wish.agreed { Terms::Agreed } else { Terms::NotAgreed },
    };
    Ok(Job {
        application,
        contact: wish.email.clone(),
        method: wish.method,
        http_address: wish.http_address.clone(),
        webroot: None,
        out: before.and_then(|before| before.record.out).map(PathBuf::from),
        hook: wish.hook.clone(),
        served_at: None,
    })
}

/// Whom to trust for an authority's own HTTPS.
pub fn roots(file: Option<&Path>) -> Result<Roots, Error> {
    match file {
        Some(path) => Ok(Roots::Pem(read_root(path)?)),
        None => Ok(Roots::System),
    }
}

fn read_root(path: &Path) -> Result<String, Error> {
    let failed = |source| FileError::Io { operation: "read", path: path.to_owned(), source };
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > ROOTS_LIMIT {
        return Err(Error::Limit {
            what: "octets of roots",
            count: ROOTS_LIMIT as usize + 1,
            limit: ROOTS_LIMIT as usize,
        });
    }
    Ok(std::fs::read_to_string(path).map_err(failed)?)
}

/// A method as it is written; HTTP-01 unless another is named.
fn method(word: Option<&str>) -> Result<Method, Error> {
    let Some(word) = word else { return Ok(Method::Http01) };
    word.parse().map_err(|_unknown| Error::Word {
        word: word.chars().take(40).collect(),
        expected: "HTTP-01, TLS-ALPN-01 or DNS-01",
    })
}

/// Where a certificate is served, as it is written.
fn address(word: Option<&str>) -> Result<Option<SocketAddr>, Error> {
    let refuse = |word: &str| Error::Word { word: word.chars().take(60).collect(), expected: "IP:PORT" };
    word.map(|word| word.parse().map_err(|_| refuse(word))).transpose()
}

/// The job that an issue describes.
pub fn issue(client: &Client, issue: super::AcmeIssue) -> Result<Job, Error> {
    let paths = [&issue.out, &issue.webroot];
    if let Some(path) = paths.into_iter().flatten().find(|path| !Path::new(path).is_absolute()) {
        return Err(Error::RelativePath { path: PathBuf::from(path) });
    }
    let method = method(issue.challenge.as_deref())?;
    if let Some(word) =
        issue.webroot.as_ref().filter(|_| method != Method::Http01 || issue.http_address.is_some())
    {
        return Err(Error::Word {
            word: word.clone(),
            expected: "HTTP-01 alone where a web server's folder is named",
        });
    }
    if let Some(hook) = issue.hook.as_ref().filter(|hook| !Path::new(hook).is_absolute()) {
        return Err(Error::RelativePath { path: PathBuf::from(hook) });
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
        method,
        http_address: issue.http_address,
        webroot: issue.webroot.map(PathBuf::from),
        out: issue.out.map(PathBuf::from),
        hook: issue.hook.map(PathBuf::from),
        served_at: address(issue.served_at.as_deref())?,
    })
}

/// A contact as it was given.
pub fn parse_contact(email: &str) -> Result<ca::cert::EmailAddress, ::acme::Error> {
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
