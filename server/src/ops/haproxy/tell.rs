//! `pki haproxy sync` and `pki haproxy status`.

use ::haproxy::keep::Pass;
use ::haproxy::written::InstanceSpec;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use trust::{Action, Permit};
use utoipa::ToSchema;

use crate::Pki;
use crate::fleet::{self, Last};
use crate::http::problem;
use crate::ops::{Error, Operation};

/// Brings every HAProxy of `haproxy.instances` to what it should be, and proves it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct HaproxySync {}

/// What was done to one HAProxy.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct HaproxySynced {
    /// Which one, as in the setting.
    pub instance: String,
    /// Its version, if it was reached.
    pub version: Option<String>,
    /// The certificates that it serves now and did not before.
    pub installed: Vec<HaproxyInstalled>,
    /// How many certificates its map refuses.
    pub revoked: u64,
    /// Entries that the map lacked.
    pub added: u64,
    /// Entries that had to go from it.
    pub removed: u64,
    /// Whether it was reloaded.
    pub reloaded: bool,
    /// Certificates that are not on the disk yet.
    pub absent: Vec<String>,
    /// Those in whose place a placeholder lies, so that HAProxy can be started.
    #[serde(default)]
    pub placeholders: Vec<String>,
    /// What failed.
    pub failures: Vec<HaproxyFailure>,
}

/// A certificate that was put in service.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct HaproxyInstalled {
    /// Its file.
    pub file: String,
    /// Its serial number.
    pub serial: String,
}

/// A step that failed.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct HaproxyFailure {
    /// Which step.
    pub step: String,
    /// Why, outermost cause first.
    pub causes: Vec<String>,
}

impl HaproxySynced {
    fn new(instance: &InstanceSpec, last: Last) -> HaproxySynced {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        HaproxySynced {
            instance: instance.to_string(),
            version: last.version,
            installed: last
                .installed
                .into_iter()
                .map(|(file, serial)| HaproxyInstalled { file, serial })
                .collect(),
            revoked: count(last.revoked),
            added: count(last.changed.0),
            removed: count(last.changed.1),
            reloaded: last.reloaded,
            absent: last.absent,
            placeholders: last.placeholders,
            failures: last
                .failures
                .into_iter()
                .map(|(step, causes)| HaproxyFailure { step: step.to_string(), causes })
                .collect(),
        }
    }
}

impl Operation for HaproxySync {
    const NAME: &'static str = "haproxy-sync";
    const ACTION: Action = Action::Publish;
    type Reply = Vec<HaproxySynced>;

    fn run(self, pki: &Pki, _: &Permit, now: OffsetDateTime) -> Result<Vec<HaproxySynced>, Error> {
        let settings = pki.settings()?;
        let instances = fleet::instances(&settings)?;
        side_by_side(&instances, |instance| {
            Ok(HaproxySynced::new(instance, fleet::pass(pki, instance, Pass::Whole, now)?))
        })
    }
}

/// Looks at every HAProxy of `haproxy.instances`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct HaproxyStatus {}

/// How one HAProxy stands.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct HaproxyState {
    /// Which one, as in the setting.
    pub instance: String,
    /// Why nothing else is known, outermost cause first.
    pub unreachable: Option<Vec<String>>,
    /// Its version.
    pub version: Option<String>,
    /// Its process.
    pub pid: Option<u32>,
    /// When that began.
    #[serde(with = "time::serde::rfc3339::option")]
    pub started: Option<OffsetDateTime>,
    /// The certificates.
    pub certificates: Vec<HaproxyCertificate>,
    /// How many certificates its map should refuse.
    pub revoked_wanted: u64,
    /// How many it refuses.
    pub revoked_loaded: u64,
    /// The earliest end of the lists it has loaded; `None` if it has loaded none.
    #[serde(with = "time::serde::rfc3339::option")]
    pub lists_until: Option<OffsetDateTime>,
    /// Its backends and their servers.
    pub backends: Vec<HaproxyBackend>,
}

/// One certificate of one HAProxy.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct HaproxyCertificate {
    /// Its file.
    pub file: String,
    /// A name it is served for.
    pub name: String,
    /// The serial number on the disk.
    pub on_disk: Option<String>,
    /// Whether a placeholder lies there instead, until the first certificate has come.
    #[serde(default)]
    pub placeholder: bool,
    /// Until when that one is valid.
    #[serde(with = "time::serde::rfc3339::option")]
    pub not_after: Option<OffsetDateTime>,
    /// The serial number that is loaded.
    pub loaded: Option<String>,
    /// The serial number that is served.
    pub served: Option<String>,
    /// Why that is not known.
    pub not_served: Option<String>,
}

/// A backend or one of its servers.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct HaproxyBackend {
    /// The backend.
    pub backend: String,
    /// The server; `None` for the backend as a whole.
    pub server: Option<String>,
    /// HAProxy's word: `UP`, `DOWN`, `no check` and others.
    pub state: String,
}

impl Operation for HaproxyStatus {
    const NAME: &'static str = "haproxy-status";
    const ACTION: Action = Action::Inspect;
    type Reply = Vec<HaproxyState>;

    fn run(self, pki: &Pki, _: &Permit, now: OffsetDateTime) -> Result<Vec<HaproxyState>, Error> {
        let settings = pki.settings()?;
        let instances = fleet::instances(&settings)?;
        side_by_side(&instances, |instance| Ok(state(pki, instance, now)))
    }
}

fn state(pki: &Pki, instance: &InstanceSpec, now: OffsetDateTime) -> HaproxyState {
    let mut state = HaproxyState { instance: instance.to_string(), ..HaproxyState::default() };
    let look = match fleet::look(pki, instance, now) {
        Ok(look) => look,
        Err(error) => {
            let mut causes = vec![error.to_string()];
            causes.extend(problem::causes(&error));
            state.unreachable = Some(causes);
            return state;
        }
    };
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let moment = |seconds| OffsetDateTime::from_unix_timestamp(seconds).ok();
    state.version = Some(look.worker.version);
    state.pid = Some(look.worker.pid);
    state.started = moment(look.worker.started);
    state.revoked_wanted = count(look.revoked_wanted);
    state.revoked_loaded = count(look.revoked_loaded);
    state.lists_until = look.lists.iter().map(|list| list.next_update).min().and_then(moment);
    state.certificates = look
        .certificates
        .into_iter()
        .map(|one| HaproxyCertificate {
            file: one.file.to_string(),
            name: one.name.to_string(),
            on_disk: one.on_disk.map(|(serial, _)| serial.to_string()),
            placeholder: one.placeholder,
            not_after: one.on_disk.map(|(_, end)| end),
            loaded: one.loaded.map(|serial| serial.to_string()),
            not_served: one.served.as_ref().err().cloned(),
            served: one.served.ok().map(|serial| serial.to_string()),
        })
        .collect();
    state.backends = look
        .health
        .into_iter()
        .map(|one| HaproxyBackend { backend: one.backend, server: one.server, state: one.state })
        .collect();
    state
}

/// Does the same to every instance at once: one that does not answer holds up no other.
fn side_by_side<T: Send>(
    instances: &[InstanceSpec],
    work: impl Fn(&InstanceSpec) -> Result<T, Error> + Sync,
) -> Result<Vec<T>, Error> {
    std::thread::scope(|scope| {
        let work = &work;
        let running: Vec<_> = instances.iter().map(|one| scope.spawn(move || work(one))).collect();
        // A panic in one is the operation's.
        running
            .into_iter()
            .map(|one| one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}
