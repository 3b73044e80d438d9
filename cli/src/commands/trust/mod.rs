//! `pki trust add|list|show|edit|remove|list-tokens|revoke-token|ca`.

use clap::Subcommand;

use crate::{
    context::Context,
    error::{CommandError, Outcome},
};

mod add;
mod ca;
mod edit;
mod enroll;
mod entries;
mod remove;
mod tokens;
pub mod view;

/// Decide who may connect
///
/// A client is trusted by its certificate, a user of this machine by name. `add` with a name alone makes
/// a token, which the client redeems; with a file it trusts the certificate at once. What is removed
/// stays locked out, whatever else speaks for it, until it is added again.
#[derive(Debug, clap::Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "\
Examples:
  pki trust add alice                    a token for alice
  pki trust add alice.crt                trust the certificate in a file
  pki trust add --local-user alice       trust a user of this machine
  pki trust list
  pki trust remove alice --revoke"
)]
pub struct Args {
    #[command(subcommand)]
    command: Sub,
}

#[derive(Debug, Subcommand)]
enum Sub {
    Add(add::Args),
    List(entries::ListArgs),
    Show(entries::ShowArgs),
    Edit(edit::Args),
    Remove(remove::Args),
    ListTokens(tokens::ListArgs),
    RevokeToken(tokens::RevokeArgs),
    Ca(ca::Args),
}

pub fn run(args: Args, context: &mut Context) -> Result<Outcome, CommandError> {
    match args.command {
        Sub::Add(args) => add::run(&args, context),
        Sub::List(args) => entries::list(&args, context),
        Sub::Show(args) => entries::show(&args, context),
        Sub::Edit(args) => edit::run(&args, context),
        Sub::Remove(args) => remove::run(&args, context),
        Sub::ListTokens(args) => tokens::list(&args, context),
        Sub::RevokeToken(args) => tokens::revoke(&args, context),
        Sub::Ca(args) => ca::run(args, context),
    }
}

/// What a client may do, as `add` takes it.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
struct RightsArgs {
    /// What it is trusted as: client, server or metrics
    #[arg(long = "type", value_name = "TYPE", default_value = "client")]
    kind: String,

    /// Limit it to projects
    #[arg(long)]
    restricted: bool,

    /// The projects that it is limited to, separated by commas
    #[arg(long, value_name = "PROJECTS", value_delimiter = ',')]
    projects: Vec<String>,
}

impl From<&RightsArgs> for server::ops::trust::view::RightsWanted {
    fn from(args: &RightsArgs) -> Self {
        Self { kind: args.kind.clone(), restricted: args.restricted, projects: args.projects.clone() }
    }
}
