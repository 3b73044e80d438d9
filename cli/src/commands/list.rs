//! `pki list`.

use std::time::Duration;

use server::ops::inventory::List;

use super::view;
use crate::{
    context::Context,
    duration,
    error::{CommandError, Outcome},
};

/// List certificates
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pki list                            everything that was issued
  pki list --expiring 30d             what ends within 30 days
  pki list --name '*.example.org'     by name; * and ? match
  pki list --revoked --json           revoked and held ones, for a program")]
pub struct Args {
    /// Only those that end within this time, like 30d or 2w
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    expiring: Option<Duration>,

    /// Only revoked and held ones
    #[arg(long)]
    revoked: bool,

    /// Only names that match this pattern, with * and ?
    #[arg(long, value_name = "GLOB")]
    name: Option<String>,

    /// Only those of this project
    #[arg(long, value_name = "NAME")]
    project: Option<String>,
}

const PAGE: u32 = 1_000;

pub fn run(args: &Args, context: &mut Context) -> Result<Outcome, CommandError> {
    let now = context.now();
    let connection = context.connect()?;
    let mut position = Some(None);
    let mut found = Vec::new();
    context.output.array(
        || {
            let Some(after) = position.take() else { return Ok(None) };
            let page = connection.call(List {
                expiring_within: args.expiring.map(|time| time.as_secs()),
                revoked: args.revoked,
                name: args.name.clone(),
                after,
                limit: PAGE,
                project: args.project.clone(),
            })?;
            position = page.next.map(Some);
            Ok(Some(page.certificates))
        },
        |_, page| {
            found.extend(page);
            Ok(())
        },
    )?;
    if context.output.is_human() {
        if found.is_empty() {
            context.output.say("no certificates");
        } else {
            context.output.table(&view::certificates(&found, now))?;
        }
    }
    Ok(Outcome::Done)
}
