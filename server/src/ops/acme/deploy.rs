//! What happens once the files of a certificate are placed: the user's program is run, and it is looked, as a
//! client would, whether the certificate is served.
//!
//! Nothing of this can cost the certificate: it is recorded before. What fails is told with it, tried again
//! with growing pauses, and goes on where it was after a crash. While nobody has seen the new one served, the
//! files of the one before are kept beside it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::acme::client::model::{CertificateRecord, Deploy, Open};
use ::acme::client::{self, Client, renew};
use ca::cert::{Certificate, DnsName};
use serde::{Deserialize, Serialize};
use store::Versioned;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::turn::{self, Meanwhile};
use super::{drive, hook, own, place};
use crate::http::problem::in_words;
use crate::ops::Error;
use crate::serve::ListenerState;
use crate::{Pki, dial};

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// How often it is looked, one look after another: a program that was told to reload needs a moment.
const LOOKS: u32 = 5;
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(200);

/// How far a certificate has come that lies in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Deployment {
    /// The program that is to be run has not ended well yet.
    HookFails,
    /// Placed, not served yet.
    NotServed,
    /// Placed; it is not known where it is served.
    Placed,
    /// What lies in its place is good for starting HAProxy and for nothing else.
    Placeholder,
    /// It was seen served.
    Served,
}

impl Deployment {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Deployment::HookFails => "placed, its hook fails",
            Deployment::NotServed => "placed, not served yet",
            Deployment::Placed => "placed",
            Deployment::Placeholder => "placed: placeholder",
            Deployment::Served => "served",
        }
    }
}

/// How far a certificate has come.
pub(super) fn deployment(pki: &Pki, record: &CertificateRecord) -> Deployment {
    let Some(deploy) = &record.deploy else { return Deployment::Placed };
    match (deploy.open(where_shown(pki, record)), deploy.served) {
        (Some(Open::Hook), _) => Deployment::HookFails,
        (Some(Open::Look), _) => Deployment::NotServed,
        (None, Some(_)) => Deployment::Served,
        (None, None) => Deployment::Placed,
    }
}

/// Does what is still to be done for a certificate that was just placed. A failure is noted with it.
pub(super) fn after(pki: &Pki, client: &Client, first: &str) -> Result<CertificateRecord, Error> {
    go_on(pki, client, client::certificate(pki.store(), first)?)
}

/// Which certificates it goes on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// Those whose time has come.
    Due(OffsetDateTime),
    /// All: somebody says that what was wrong was mended.
    Now,
}

/// Goes on with every certificate of which something is still to be done.
pub(crate) fn go_on_with_all(pki: &Pki, who: &str, when: When, meanwhile: Meanwhile) -> Result<(), Error> {
    let due = |record: &CertificateRecord| {
        let open = |deploy: &Deploy| deploy.open(where_shown(pki, record)).is_some();
        let is_due = |deploy: &&Deploy| {
            open(deploy)
                && match when {
                    When::Due(now) => deploy.next_attempt <= now.unix_timestamp(),
                    When::Now => true,
                }
        };
        record.revoked.is_none() && record.deploy.as_ref().filter(is_due).is_some()
    };
    for stored in client::certificates(pki.store())?.into_iter().filter(|stored| due(&stored.record)) {
        let first = first_of(&stored.record);
        let Some(_turn) = turn::take(pki, &first, meanwhile)? else { continue };
        // Whoever had their turn before may have done it.
        let stored = client::certificate(pki.store(), &first)?;
        if due(&stored.record) {
            go_on(pki, &drive::client(pki, who)?, stored)?;
        }
    }
    Ok(())
}

fn go_on(
    pki: &Pki,
    client: &Client,
    stored: Versioned<CertificateRecord>,
) -> Result<CertificateRecord, Error> {
    let mut stored = stored;
    // A program and a look: more there is not to do.
    for _ in 0..2 {
        let record = &stored.record;
        let deploy = record.deploy.clone().unwrap_or_default();
        let Some(open) = deploy.open(where_shown(pki, record)) else { break };
        let outcome = match open {
            Open::Hook => run(pki, record, &deploy),
            Open::Look => look(pki, record, &deploy),
        };
        let now = crate::clock::now().unix_timestamp();
        let (deploy, what) = match (outcome, open) {
            (Ok(()), Open::Hook) => (Deploy { hooked: Some(now), ..good(deploy) }, "ran the hook"),
            (Ok(()), Open::Look) => {
                (Deploy { served: Some(now), ..good(deploy) }, "saw the new certificate served")
            }
            (Err(_), _) if pki.stop().is_told() => return Err(Error::Stopping),
            (Err(words), open) => {
                let failures = deploy.failures.saturating_add(1);
                let names = record.names.join(", ");
                tracing::warn!(
                    names,
                    failures,
                    reason = words,
                    "a certificate lies in its place, and no more"
                );
                let what = match open {
                    Open::Hook => "the hook failed",
                    Open::Look => "the new certificate is not served yet",
                };
                let next_attempt = now.saturating_add_unsigned(renew::deploy_pause(failures).as_secs());
                let failed = Deploy { failures, last_error: Some(words), next_attempt, ..deploy };
                return Ok(client.note_deploy(&stored, failed, what)?.record);
            }
        };
        if deploy.open(where_shown(pki, record)).is_none() {
            place::drop_before(&place::folder(pki, &first_of(record)))?;
        }
        stored = client.note_deploy(&stored, deploy, what)?;
    }
    Ok(stored.record)
}

fn good(deploy: Deploy) -> Deploy {
    Deploy { failures: 0, last_error: None, ..deploy }
}

/// Runs the program. What it is told: the names, the folder, the serial number, the end, as text.
fn run(pki: &Pki, record: &CertificateRecord, deploy: &Deploy) -> Result<(), String> {
    let Some(program) = &deploy.hook else { return Ok(()) };
    let end = OffsetDateTime::from_unix_timestamp(record.not_after).ok();
    let end = end.and_then(|end| end.format(&time::format_description::well_known::Rfc3339).ok());
    let folder = place::folder(pki, &first_of(record)).display().to_string();
    let environment = [
        ("PKI_DOMAIN", first_of(record)),
        ("PKI_DOMAINS", record.names.join(" ")),
        ("PKI_FOLDER", record.out.clone().unwrap_or(folder)),
        ("PKI_SERIAL", record.serial.clone()),
        ("PKI_NOT_AFTER", end.unwrap_or_default()),
    ];
    let stop = pki.stop();
    let ended = hook::run(Path::new(program), &environment, hook::Bounds::STANDARD, || !stop.is_told());
    ended.map_err(|error| in_words(&error))
}

/// Looks whether the certificate is served; a few times, as whoever serves it may be about to.
fn look(pki: &Pki, record: &CertificateRecord, deploy: &Deploy) -> Result<(), String> {
    let address = match &deploy.address {
        Some(address) => address.parse().map_err(|_| format!("{address} is not IP:PORT"))?,
        None => match where_shown(pki, record) {
            Some(Shown::At(address)) => address,
            // What is shown there is no secret to us, and can't be asked for.
            Some(Shown::ByUs) => {
                let shown = pki.acme_served();
                let shown = shown.as_ref().map(|shown| shown.serial());
                return match shown == Some(record.serial.as_str()) {
                    true => Ok(()),
                    false => Err("the service itself shows another one".to_owned()),
                };
            }
            None => return Ok(()),
        },
    };
    let mut seen = String::new();
    for looks in 0..LOOKS {
        if looks > 0 {
            std::thread::sleep(PAUSE);
        }
        if pki.stop().is_told() {
            break;
        }
        seen = match shown_at(pki, record, address) {
            Ok(shown) if shown.der() == record.leaf.as_slice() => return Ok(()),
            Ok(shown) => format!("{address} shows the certificate with the serial number {}", shown.serial()),
            Err(words) => words,
        };
    }
    Err(seen)
}

/// The certificate that a client sees who asks for the first of these names.
fn shown_at(pki: &Pki, record: &CertificateRecord, address: SocketAddr) -> Result<Certificate, String> {
    // Any name does that the wildcard is for.
    let host = |name: &String| name.replacen("*.", "pki-looks.", 1).parse::<DnsName>().ok();
    match record.names.iter().find_map(host) {
        Some(name) => haproxy::runtime::served(address, &name, HANDSHAKE).map_err(|error| in_words(&error)),
        // Addresses alone: who asks for one sends no name (RFC 6066 §3).
        None => {
            let address = address.to_string().parse::<dial::Address>().map_err(|error| in_words(&error))?;
            let shown = drive::block_on(pki, dial::look(&address, crate::tls::Versions::default()));
            match shown.map_err(|error| in_words(&error))? {
                Ok(shown) => Ok(shown.certificate().clone()),
                Err(error) => Err(in_words(&error)),
            }
        }
    }
}

/// Where the service itself shows a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    /// To whoever connects there.
    At(SocketAddr),
    /// To proxies alone: they say by the PROXY protocol whom they speak for.
    ByUs,
}

/// Where the service shows the certificate of `acme.domain`; `None` for any other, and while it shows none.
fn where_shown(pki: &Pki, record: &CertificateRecord) -> Option<Shown> {
    let settings = pki.settings().ok()?;
    let wish = settings.acme().filter(|wish| own::first_name(wish) == first_of(record))?;
    let ListenerState::Listening(address) = pki.https_state() else { return None };
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    let proxied = settings.trusted_proxies().contains(ip);
    (!wish.domains.is_empty()).then_some(match proxied {
        true => Shown::ByUs,
        false => Shown::At(SocketAddr::new(ip, address.port())),
    })
}

fn first_of(record: &CertificateRecord) -> String {
    record.names.first().cloned().unwrap_or_default()
}

/// Refuses, before an order, what could not be run afterwards.
pub(super) fn check(hook: Option<&PathBuf>) -> Result<(), Error> {
    hook.map_or(Ok(()), |path| Ok(hook::check(path)?))
}
