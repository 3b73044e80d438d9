//! `pki audit` and `pki audit verify`.

use std::path::PathBuf;

use clap::Subcommand;
use server::ops::audit::{Audit, AuditVerify};

use super::view;
use crate::{
    context::{Context, moment},
    error::{CommandError, Outcome},
    output::{Column, Table},
};

/// Read the journal as an audit trail, or verify it
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  pki audit                          the newest 50 entries
  pki audit --last 1000 --json       more of them, for a program
  pki audit --after 1200             what followed entry 1200
  pki audit verify                   check every digest and link of the journal
  pki audit verify --against note    the journal must continue this earlier checkpoint"
)]
pub struct Args {
    /// How many of the newest entries to show, 1000 at most
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=i64::from(PAGE)))]
    last: u32,

    /// Show everything after this entry instead, oldest first
    #[arg(long, value_name = "SEQUENCE")]
    after: Option<u64>,

    #[command(subcommand)]
    command: Option<Sub>,
}

#[derive(Debug, Subcommand)]
enum Sub {
    Verify(VerifyArgs),
}

/// Check every segment, digest and link of the journal
///
/// Prints a fresh checkpoint: a signed note of how long the journal is and what it hashes to. Kept
/// elsewhere, it proves later that nothing was taken away or changed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pki audit verify > checkpoint
  pki audit verify --against checkpoint")]
struct VerifyArgs {
    /// An earlier checkpoint that the journal must continue
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
}

const PAGE: u32 = 1_000;
const NOTE_LIMIT: u64 = 64 * 1024;

pub fn run(args: Args, context: &mut Context) -> Result<Outcome, CommandError> {
    match args.command {
        Some(Sub::Verify(verify)) => self::verify(&verify, context),
        None => trail(&args, context),
    }
}

fn trail(args: &Args, context: &mut Context) -> Result<Outcome, CommandError> {
    let connection = context.connect()?;
    let mut after = Some(args.after.unwrap_or(0));
    let mut first = true;
    let newest = args.after.is_none();
    context.output.array(
        || {
            let Some(from) = after.take() else { return Ok(None) };
            let limit = if newest { args.last } else { PAGE };
            let lines = connection.call(Audit { after: from, limit, newest })?;
            if !newest && lines.len() as u64 == u64::from(PAGE) {
                after = lines.last().map(|line| line.sequence);
            }
            Ok(Some(lines))
        },
        |output, lines| {
            let mut table = Table::new([
                Column::whole("ENTRY"),
                Column::whole("WHEN"),
                Column::text("WHO"),
                Column::text("WHAT"),
            ]);
            for line in lines {
                table.row([
                    line.sequence.to_string().into(),
                    moment(line.at).into(),
                    line.who.into(),
                    line.what.into(),
                ]);
            }
            if std::mem::take(&mut first) || !table.is_empty() {
                output.table(&table)?;
            }
            Ok(())
        },
    )?;
    Ok(Outcome::Done)
}

fn verify(args: &VerifyArgs, context: &mut Context) -> Result<Outcome, CommandError> {
    let against = match &args.against {
        Some(path) => Some(context.read_text(path, NOTE_LIMIT)?),
        None => None,
    };
    let continued = against.is_some();
    let verified = context.connect()?.call(AuditVerify { against })?;
    context.output.reply(&verified, |output| output.raw(verified.checkpoint.as_bytes()))?;
    context.output.say(&format!(
        "the journal is whole: {} in {}, head {}",
        view::count(verified.entries, "entry", "entries"),
        view::count(verified.segments, "segment", "segments"),
        verified.head
    ));
    if continued {
        context.output.say("it continues the checkpoint it was held against");
    }
    Ok(Outcome::Done)
}
