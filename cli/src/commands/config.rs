//! `pki config list|get|set|unset`.

use std::path::Path;

use clap::Subcommand;
use server::{
    http::problem::problem,
    ops::config::{ConfigList, ConfigSet, SettingView},
    settings::{Secrecy, Setting},
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
  pki config set acme.eab.hmac - < hmac
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
        /// Its new value; `-` reads it from standard input, where secrets belong
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
            let value = read(&key, value, context)?;
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

/// The octets that a value read from standard input may have.
const VALUE_LIMIT: u64 = 64 * 1024;

/// The value as given, or what standard input holds. A secret is not taken from the command line: every user
/// of the machine could read it there.
pub(super) fn read(key: &str, value: String, context: &Context) -> Result<String, CommandError> {
    if value == "-" {
        let text = context.read_text(Path::new("-"), VALUE_LIMIT)?;
        return Ok(text.strip_suffix('\n').unwrap_or(&text).to_string());
    }
    match Setting::find(key).map(Setting::secrecy) {
        Ok(Secrecy::Secret) => {
            Err(CommandError::usage(format!("{key} is a secret"))
                .hint(format!("pki config set {key} - < FILE")))
        }
        Ok(Secrecy::Open) | Err(_) => Ok(value),
    }
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
