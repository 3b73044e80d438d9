//! The HAProxys before us: what the settings say of them, and what they should hold.
//!
//! Here alone settings become a [`Plan`] and records become what a running HAProxy is told. The talk
//! itself is the crate `haproxy`'s. What this refuses: to write a HAProxy's configuration by itself (it belongs
//! to whoever starts HAProxy), and to hand over a file of which it does not know what it holds.

mod look;
mod seats;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ::haproxy::plan::{Files, Plan};
use ::haproxy::written::{DomainSpec, InstanceSpec, several};
use ::haproxy::{FilePath, IssuerKey, Label, Privileges, RevokedKey};
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
    pub http: Vec<std::net::SocketAddr>,
    /// Where TLS is listened for.
    pub https: Vec<std::net::SocketAddr>,
    /// The socket of the Runtime API.
    pub admin: Option<FilePath>,
    /// Who answers TLS-ALPN-01.
    pub alpn: Option<std::net::SocketAddr>,
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
    let alpn = settings.value(Setting::HaproxyAlpnAddress).and_then(|address| address.parse().ok());
    Ok(Plan {
        domains: if instead.domains.is_empty() { domains(&settings)? } else { instead.domains },
        http: or(instead.http, Setting::HaproxyHttpAddress),
        https: or(instead.https, Setting::HaproxyHttpsAddress),
        name: inner_name(&admin)?,
        admin,
        privileges: match instead.unprivileged {
            true => Privileges::Keep,
            false => Privileges::Drop { admin: pki.owner() },
        },
        alpn_responder: instead.alpn.or(alpn),
        files: files(pki, &settings)?,
        issuers: issuers(pki)?.into_values().collect(),
    })
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
