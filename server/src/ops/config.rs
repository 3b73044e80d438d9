//! Settings: `pki config list|get|set|unset`. They act at once.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use trust::{Action, Permit};
use utoipa::ToSchema;

use super::{Error, Operation};
use crate::Pki;
use crate::listen::PublicListener;
use crate::serve::{ListenerState, early};
use crate::settings::{self, Secrecy, Setting, Settings};

/// What is shown of a secret that was set.
const HIDDEN: &str = "(secret)";
/// How long an answer waits for a listener to move: it takes milliseconds.
const MOVES_WITHIN: Duration = Duration::from_secs(2);
/// How often it looks meanwhile.
const LOOKS: Duration = Duration::from_millis(5);

/// All settings, with what is in force.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ConfigList {}

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SettingView {
    /// Its name, e.g. `core.public_url`.
    pub key: String,
    /// What is in force; `None` if it is unset and has no default. Of a secret only that it is set.
    pub value: Option<String>,
    /// What holds when it is unset.
    pub default: Option<String>,
    /// Whether someone set it.
    pub set: bool,
    /// What it means.
    pub help: String,
}

impl Operation for ConfigList {
    const NAME: &'static str = "config-list";
    const ACTION: Action = Action::Inspect;
    type Reply = Vec<SettingView>;

    fn run(self, pki: &Pki, _: &Permit, _: OffsetDateTime) -> Result<Vec<SettingView>, Error> {
        let settings = pki.settings()?;
        Ok(Setting::ALL.into_iter().map(|setting| view(&settings, setting)).collect())
    }
}

/// Sets, or with `None` unsets, a setting.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ConfigSet {
    /// Its name.
    pub key: String,
    /// The new value; `None` goes back to the default.
    pub value: Option<String>,
}

impl Operation for ConfigSet {
    const NAME: &'static str = "config-set";
    const ACTION: Action = Action::Configure;
    type Reply = SettingView;

    fn run(self, pki: &Pki, permit: &Permit, now: OffsetDateTime) -> Result<SettingView, Error> {
        let setting = Setting::find(&self.key)?;
        let who = permit.peer().to_string();
        let moves = match (Door::of(setting).filter(|_| pki.is_service()), &self.value) {
            (Some(door), Some(value)) => check_room(pki, setting, door, value)?.map(|to| (door, Some(to))),
            // The public listener has a default to go back to, which may be served already.
            (Some(Door::Https), None) => Some((Door::Https, None)),
            (Some(Door::Public), None) | (None, _) => None,
        };
        let now = now.unix_timestamp();
        match (setting.secrecy(), &self.value) {
            (Secrecy::Secret, Some(value)) => {
                settings::set_secret(pki.store(), pki.sealing()?, setting, value, &who, now)?;
            }
            (Secrecy::Open | Secrecy::Secret, value) => {
                settings::set(pki.store(), setting, value.as_deref(), &who, now)?;
            }
        }
        if setting == Setting::CorePublicAddress && !pki.is_service() {
            // The next start may not open what is not wanted any more.
            early::remember(pki.layout(), pki.settings()?.public_address())?;
        }
        if let Some((door, address)) = moves {
            wait_for(pki, door, address);
        }
        Ok(view(&*pki.settings()?, setting))
    }
}

/// A listener that is where a setting says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    Https,
    Public,
}

impl Door {
    fn of(setting: Setting) -> Option<Door> {
        match setting {
            Setting::CoreHttpsAddress => Some(Door::Https),
            Setting::CorePublicAddress => Some(Door::Public),
            _ => None,
        }
    }

    fn state(self, pki: &Pki) -> ListenerState {
        match self {
            Door::Https => pki.https_state(),
            Door::Public => pki.public_state(),
        }
    }
}

/// Refuses an address that can't be had, before anything is changed; `None` if it is served already.
fn check_room(pki: &Pki, setting: Setting, door: Door, value: &str) -> Result<Option<SocketAddr>, Error> {
    let Ok(address) = setting.check(value)?.parse::<SocketAddr>() else { return Ok(None) };
    match door.state(pki) {
        ListenerState::Listening(now) if now == address => return Ok(None),
        // This very listener is what stands in the way of the same port everywhere.
        ListenerState::Listening(now) if now.port() == address.port() => {}
        ListenerState::Listening(_) | ListenerState::Failed { .. } | ListenerState::Off => {
            PublicListener::probe(address)?;
        }
    }
    Ok(Some(address))
}

/// Waits until the listener has moved, closed, or could not: the change acts when it is answered.
fn wait_for(pki: &Pki, door: Door, wanted: Option<SocketAddr>) {
    let looks = MOVES_WITHIN.as_millis() / LOOKS.as_millis();
    for _ in 0..looks {
        match (door.state(pki), wanted) {
            (ListenerState::Off, None) => return,
            (ListenerState::Listening(now), Some(address)) if now == address || address.port() == 0 => {
                return;
            }
            (ListenerState::Failed { address: failed, .. }, Some(address)) if failed == address => return,
            (ListenerState::Listening(_) | ListenerState::Failed { .. } | ListenerState::Off, _) => {
                std::thread::sleep(LOOKS);
            }
        }
    }
}

fn view(settings: &Settings, setting: Setting) -> SettingView {
    SettingView {
        key: setting.name().to_owned(),
        value: match setting.secrecy() {
            Secrecy::Open => settings.value(setting).map(str::to_owned),
            Secrecy::Secret => settings.stored(setting).map(|_sealed| HIDDEN.to_owned()),
        },
        default: setting.default().value().map(str::to_owned),
        set: settings.stored(setting).is_some(),
        help: setting.help().to_owned(),
    }
}
