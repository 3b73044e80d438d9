//! The HAProxys before us: what the settings say of them, and what they should hold.
//!
//! Here alone settings become a [`Plan`] and records become what a running HAProxy is told. The talk
//! itself is the crate `haproxy`'s. What this refuses: to write a HAProxy's configuration by itself (it belongs
//! to whoever starts HAProxy), and to hand over a file of which it does not know what it holds.

pub(crate) mod challenges;
mod look;
pub(crate) mod placeholders;
mod seats;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;

use ::haproxy::plan::{Files, Plan};
use ::haproxy::written::{DomainSpec, InstanceSpec, Way, several};
use ::haproxy::{FilePath, IssuerKey, Label, Privileges, ProxyHeader, Responder, RevokedKey};
use aws_lc_rs::digest::{SHA256, digest};
use ca::authority;
use ca::cert::KeyId;
use ca::keyring::issuer_certificate;
use ca::records::Role;
use time::{Duration, OffsetDateTime};

use crate::Pki;
use crate::ops::Error;
use crate::settings::{Setting, Settings};

pub use look::{CertificateLook, Look, look};
pub use seats::{Fleet, Last, pass};

/// Where Debian's package has its socket.
const ADMIN: &str = "/run/haproxy/admin.sock";

/// What is said instead of the settings; what is empty is theirs.
#[derive(Clone, Debug, Default)]
pub struct Instead {
    /// The domains.
    pub domains: Vec<DomainSpec>,
    /// Where plain HTTP is listened for.
    pub http: Vec<SocketAddr>,
    /// Where TLS is listened for.
    pub https: Vec<SocketAddr>,
    /// The socket of the Runtime API.
    pub admin: Option<FilePath>,
    /// Who answers HTTP-01 where the map does not.
    pub challenges: Option<SocketAddr>,
    /// Who answers TLS-ALPN-01.
    pub alpn: Option<SocketAddr>,
    /// Whether HAProxy is started by an ordinary user.
    pub unprivileged: bool,
}

/// The instances that are to be told.
pub fn instances(settings: &Settings) -> Result<Vec<InstanceSpec>, Error> {
    Ok(several(settings.value(Setting::HaproxyInstances).unwrap_or_default())?)
}

/// The domains of the settings.
pub fn domains(settings: &Settings) -> Result<Vec<DomainSpec>, Error> {
    Ok(several(settings.value(Setting::HaproxyDomains).unwrap_or_default())?)
}

/// Where the files lie.
pub fn files(pki: &Pki, settings: &Settings) -> Result<Files, Error> {
    let layout = pki.layout();
    let folder = match settings.value(Setting::HaproxyDirectory) {
        Some(folder) => folder.parse()?,
        None => path(&layout.haproxy())?,
    };
    Ok(Files {
        folder,
        bundles: path(&layout.acme())?,
        ca: path(&layout.chain())?,
        crl: path(&layout.chain_lists())?,
    })
}

/// A path as HAProxy reads it.
fn path(path: &Path) -> Result<FilePath, Error> {
    Ok(path.to_string_lossy().parse()?)
}

/// What is to be rendered.
pub fn plan(pki: &Pki, instead: Instead) -> Result<Plan, Error> {
    let settings = pki.settings()?;
    let or = |own: Vec<_>, setting| if own.is_empty() { settings.haproxy_addresses(setting) } else { own };
    let first = instances(&settings)?.into_iter().find_map(|instance| match instance.admin {
        ::haproxy::runtime::Address::Unix(path) => Some(path),
        ::haproxy::runtime::Address::Tcp(_) => None,
    });
    let admin = match instead.admin.or(first) {
        Some(admin) => admin,
        None => ADMIN.parse()?,
    };
    let address = |setting| settings.value(setting).and_then(|address: &str| address.parse().ok());
    let alpn = instead.alpn.or_else(|| address(Setting::HaproxyAlpnAddress));
    let domains = if instead.domains.is_empty() { domains(&settings)? } else { instead.domains };
    Ok(Plan {
        http_responder: instead.challenges.or_else(|| address(Setting::HaproxyChallengeAddress)),
        alpn_responder: alpn.map(|address| alpn_responder(&settings, &domains, address)),
        domains,
        http: or(instead.http, Setting::HaproxyHttpAddress),
        https: or(instead.https, Setting::HaproxyHttpsAddress),
        name: inner_name(&admin)?,
        admin,
        privileges: match instead.unprivileged {
            true => Privileges::Keep,
            false => Privileges::Drop { admin: pki.owner() },
        },
        files: files(pki, &settings)?,
        issuers: issuers(pki)?.into_values().collect(),
    })
}

/// Whoever answers TLS-ALPN-01, and whether a PROXY header must come before the handshake: a node that expects
/// one of its domain's clients expects it of this one too, and so do we of a proxy that we trust.
fn alpn_responder(settings: &Settings, domains: &[DomainSpec], address: SocketAddr) -> Responder {
    let as_node = domains
        .iter()
        .any(|domain| domain.way == Way::Pass(ProxyHeader::V2) && domain.nodes.contains(&address));
    let is_ours = settings.https_address().is_some_and(|own| {
        own.port() == address.port() && (own.ip() == address.ip() || own.ip().is_unspecified())
    });
    // Whoever connects to an address of its own machine comes from that address.
    let expects = as_node || (is_ours && settings.trusted_proxies().contains(address.ip()));
    Responder { address, header: if expects { ProxyHeader::V2 } else { ProxyHeader::None } }
}

/// Every issuing authority, as HAProxy tells it.
pub fn issuers(pki: &Pki) -> Result<BTreeMap<KeyId, IssuerKey>, Error> {
    let mut found = BTreeMap::new();
    for record in authority::list(pki.store())? {
        if record.role != Role::Root && record.certificate.is_some() {
            let issuer = issuer_certificate(&record).map_err(ca::Error::from)?;
            found.insert(record.key_id, IssuerKey::of(issuer.certificate())?);
        }
    }
    Ok(found)
}

/// The name of the socket between the stages: another one for every HAProxy of the machine.
fn inner_name(admin: &FilePath) -> Result<Label, Error> {
    let digest = digest(&SHA256, admin.as_str().as_bytes());
    Ok(format!("p{}", hex::encode(&digest.as_ref()[..6])).parse()?)
}

/// The certificates that HAProxy is to refuse: the revoked ones whose time has not run out.
///
/// One that has run out is refused for that; a day is left for clocks that differ.
pub fn revoked(pki: &Pki, now: OffsetDateTime) -> Result<BTreeSet<RevokedKey>, Error> {
    let ended = (now - Duration::DAY).unix_timestamp();
    let mut keys = BTreeSet::new();
    for (key_id, issuer) in issuers(pki)? {
        let snapshot = pki.revoked().snapshot(&key_id)?;
        let live = snapshot.list().iter().filter(|entry| entry.not_after() >= ended);
        keys.extend(live.map(|entry| RevokedKey { issuer, serial: *entry.serial() }));
    }
    Ok(keys)
}

/// The same as the text of the file.
pub fn revoked_file(pki: &Pki, now: OffsetDateTime) -> Result<String, Error> {
    Ok(::haproxy::runtime::revoked_file(&revoked(pki, now)?))
}
