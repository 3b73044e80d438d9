//! `pki config list|get|set|unset`.

use clap::Subcommand;
use server::{
    http::problem::problem,
    ops::config::{ConfigList, ConfigSet, SettingView},
    settings::Setting,
};

use crate::{
    context::Context,
    error::{CommandError, Outcome},
    output::{Column, Table},
};

/// Read and change settings
///
/// Settings are kept in the PKI itself and act at once, also on a running service.
#[derive(Debug, clap::Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "\
Examples:
  pki config list
  pki config set core.public_url http://pki.example.org
  pki config unset core.public_url"
)]
pub struct Args {
    #[command(subcommand)]
    command: Sub,
}

#[derive(Debug, Subcommand)]
enum Sub {
    /// List every setting: what is in force and what it means
    List,
    /// Print the value that is in force
    Get {
        /// The setting, like core.public_url
        key: String,
    },
    /// Set a setting
    Set {
        /// The setting, like core.public_url
        key: String,
        /// Its new value
        #[arg(allow_hyphen_values = true)]
        value: String,
    },
    /// Go back to the default
    Unset {
        /// The setting, like core.public_url
        key: String,
    },
}

pub fn run(args: Args, context: &mut Context) -> Result<Outcome, CommandError> {
    let connection = context.connect()?;
    match args.command {
        Sub::List => {
            let settings = connection.call(ConfigList {})?;
            context.output.reply(&settings, |output| output.table(&table(&settings)))?;
        }
        Sub::Get { key } => {
            drop(connection);
            return get(&key, context);
        }
        Sub::Set { key, value } => {
            let setting = connection.call(ConfigSet { key, value: Some(value) })?;
            report(&setting, context)?;
        }
        Sub::Unset { key } => {
            let setting = connection.call(ConfigSet { key, value: None })?;
            report(&setting, context)?;
        }
    }
    Ok(Outcome::Done)
}

/// Prints the value that is in force.
pub(super) fn get(key: &str, context: &mut Context) -> Result<Outcome, CommandError> {
    let wanted = Setting::find(key).map_err(|error| problem(&server::ops::Error::Setting(error)))?;
    let all = context.connect()?.call(ConfigList {})?;
    let setting = all.into_iter().find(|setting| setting.key == wanted.name()).ok_or_else(|| {
        CommandError::not_found(format!("the service knows no setting {key}"))
            .hint("`pki config list` shows every setting it knows")
    })?;
    context.output.reply(&setting, |output| output.line(setting.value.as_deref().unwrap_or("")))?;
    Ok(Outcome::Done)
}

/// Says what a setting is now.
pub(super) fn report(setting: &SettingView, context: &mut Context) -> Result<(), CommandError> {
    context.output.reply(setting, |output| {
        output.say(&format!("{} is {}", setting.key, setting.value.as_deref().unwrap_or("unset")));
        Ok(())
    })
}

fn table(settings: &[SettingView]) -> Table {
    let mut table = Table::new([Column::whole("SETTING"), Column::text("VALUE"), Column::text("MEANING")]);
    for setting in settings {
        let value = match (&setting.value, setting.set) {
            (Some(value), true) => value.clone(),
            (Some(value), false) => format!("{value} (default)"),
            (None, _) => "unset".to_string(),
        };
        table.row([setting.key.clone().into(), value.into(), setting.help.clone().into()]);
    }
    table
}
