//! Settings: `pki config list|get|set|unset`. They act at once.

use serde::{Deserialize, Serialize};
use trust::Action;

use super::Operation;

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
}
