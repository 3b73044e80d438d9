//! Who we are and where: `pki info`.

use haproxy::written::InstanceSpec;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use trust::{Action, Permit};
use utoipa::ToSchema;

use super::{
    Error, Operation, doctor,
    view::{AuthorityView, CrlView},
};
use crate::Pki;
use crate::fleet;
use crate::own::{self, Own};
use crate::serve::ListenerState;

/// Asks who answers.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Info {}

/// Who answers.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct InfoReply {
    /// Version of the program that answered.
    pub version: String,
    /// The directory it holds.
    pub directory: String,
    /// Whether a service answered (rather than the command itself).
    pub service: bool,
    /// Process id of whoever answered.
    pub pid: u32,
    /// The address of the public listener, if one is up.
    pub public_address: Option<String>,
    /// The address of the HTTPS listener, if one is up.
    #[serde(default)]
    pub https_address: Option<String>,
    /// SHA-256 of the certificate that the HTTPS listener shows: what a client compares at first contact.
    /// `None` if HTTPS is off.
    #[serde(default)]
    pub https_fingerprint: Option<String>,
    /// `core.public_url`.
    pub public_url: Option<String>,
    /// The current root and issuing CA.
    pub authorities: Vec<AuthorityView>,
    /// The published lists.
    pub lists: Vec<CrlView>,
    /// The HAProxys that are kept in step, and since when they are.
    #[serde(default)]
    pub haproxy: Vec<HaproxyInfo>,
    /// Certificates ever issued.
    pub issued: u64,
    /// Sequence of the newest journal entry.
    pub sequence: u64,
}

/// One HAProxy before us.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct HaproxyInfo {
    /// Which one, as in the setting.
    pub instance: String,
    /// Since when it has all that it should have; `None` if it has not, or no service runs.
    #[serde(with = "time::serde::rfc3339::option")]
    pub in_step_since: Option<OffsetDateTime>,
}

/// The instances and how they stand.
fn proxies(pki: &Pki) -> Result<Vec<HaproxyInfo>, Error> {
    let last = pki.fleet().last();
    let settings = pki.settings()?;
    let instances = fleet::instances(&settings)?;
    let one = |instance: InstanceSpec| {
        let instance = instance.to_string();
        let in_step_since = last.get(&instance).and_then(|last| last.in_step_since);
        HaproxyInfo { instance, in_step_since }
    };
    Ok(instances.into_iter().map(one).collect())
}

impl Operation for Info {
    const NAME: &'static str = "info";
    const ACTION: Action = Action::Read;
    type Reply = InfoReply;

    fn run(self, pki: &Pki, _: &Permit, now: OffsetDateTime) -> Result<InfoReply, Error> {
        let settings = pki.settings()?;
        let shown = match settings.https_address() {
            // Without a certificate in place the listener makes one when it opens.
            Some(_) => own::in_place(pki, Own::Service)?,
            None => None,
        };
        let lists = pki.publisher().lists(now)?;
        Ok(InfoReply {
            version: crate::http::VERSION.to_owned(),
            directory: pki.directory().to_string_lossy().into_owned(),
            service: pki.is_service(),
            pid: std::process::id(),
            public_address: open(pki.public_state()),
            https_address: open(pki.https_state()),
            https_fingerprint: shown.map(|shown| shown.fingerprint().to_string()),
            public_url: settings.public_url().map(|url| url.to_string()),
            authorities: doctor::current_authorities(pki, now)?,
            lists: lists.iter().map(|list| pki.crl_view(list)).collect::<Result<_, _>>()?,
            haproxy: proxies(pki)?,
            issued: pki.tally().issued()?,
            sequence: pki.store().head().0,
        })
    }
}

/// Where a listener is, if it is up.
fn open(state: ListenerState) -> Option<String> {
    match state {
        ListenerState::Listening(address) => Some(address.to_string()),
        ListenerState::Failed { .. } | ListenerState::Off => None,
    }
}
