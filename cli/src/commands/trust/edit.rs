//! `pki trust edit`.

use server::ops::trust::edit::TrustEdit;

use super::view;
use crate::{
    context::Context,
    error::{CommandError, Outcome},
};

/// Change the name or the rights of an entry
///
/// It acts on the next request of the client, also on a connection that is open.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pki trust edit alice --name alice-laptop
  pki trust edit alice --restricted --projects web,shop
  pki trust edit alice --unrestricted")]
pub struct Args {
    /// Its name, or the beginning of a fingerprint
    #[arg(value_name = "NAME|FINGERPRINT")]
    which: String,

    /// The new name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// What it is trusted as from now on: client, server or metrics
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,

    /// Limit it to projects
    #[arg(long, conflicts_with = "unrestricted")]
    restricted: bool,

    /// Give it every project
    #[arg(long, conflicts_with = "projects")]
    unrestricted: bool,

    /// The projects that it is limited to from now on, separated by commas; `--projects=` for none
    #[arg(long, value_name = "PROJECTS")]
    projects: Option<String>,
}

pub fn run(args: &Args, context: &mut Context) -> Result<Outcome, CommandError> {
    let restricted = match (args.restricted, args.unrestricted) {
        (true, _) => Some(true),
        (false, true) => Some(false),
        (false, false) => None,
    };
    if args.name.is_none() && args.kind.is_none() && restricted.is_none() && args.projects.is_none() {
        return Err(
            CommandError::usage("nothing to change").hint("`pki trust edit --help` shows what can be")
        );
    }
    let split = |projects: &String| {
        projects.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_string).collect()
    };
    let edited = context.connect()?.call(TrustEdit {
        word: args.which.clone(),
        name: args.name.clone(),
        kind: args.kind.clone(),
        restricted,
        projects: args.projects.as_ref().map(split),
        version: None,
    })?;
    let now = context.now();
    context.output.reply(&edited, |output| output.fields(view::fields(&edited, now)))?;
    Ok(Outcome::Done)
}
