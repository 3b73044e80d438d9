//! Settings: `pki config list|get|set|unset`. They act at once.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use trust::{Action, Permit};

use super::{Error, Operation};
use crate::Pki;
use crate::settings::{self, Setting, Settings};

/// All settings, with what is in force.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConfigList {}

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingView {
    /// Its name, e.g. `core.public_url`.
    pub key: String,
    /// What is in force; `None` if it is unset and has no default.
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
    const ACTION: Action = Action::Read;
    type Reply = Vec<SettingView>;

    fn run(self, pki: &Pki, _: &Permit, _: OffsetDateTime) -> Result<Vec<SettingView>, Error> {
        let settings = pki.settings()?;
        Ok(Setting::ALL.into_iter().map(|setting| view(&settings, setting)).collect())
    }
}

/// Sets, or with `None` unsets, a setting.
#[derive(Clone, Debug, Serialize, Deserialize)]
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
        settings::set(pki.store(), setting, self.value.as_deref(), &who, now.unix_timestamp())?;
        Ok(view(&pki.settings()?, setting))
    }
}

fn view(settings: &Settings, setting: Setting) -> SettingView {
    SettingView {
        key: setting.name().to_owned(),
        value: settings.value(setting).map(str::to_owned),
        default: setting.default().value().map(str::to_owned),
        set: settings.stored(setting).is_some(),
        help: setting.help().to_owned(),
    }
}
