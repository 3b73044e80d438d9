//! `pki revoke`.

use std::path::{Path, PathBuf};

use serde::Serialize;
use server::ops::{
    revoke::{Revoke, RevokeMany, Revoked},
    view::CertificateView,
};

use super::{selector::select, view};
use crate::{
    context::Context,
    error::{CommandError, Outcome},
};

/// Revoke certificates, at once
///
/// When the command returns, the revocation is on disk, enforced by the service, and the new list is
/// published. Any certificate that our CA signed can be revoked from its file, known here or not.
/// A key revoked for keyCompromise is never certified again.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Reasons: unspecified, keyCompromise, cACompromise, affiliationChanged, superseded,
cessationOfOperation, certificateHold, privilegeWithdrawn, aACompromise.
certificateHold can be lifted with `pki release`; every other reason is for good.

Exit code 9: revoked and enforced here, but the list could not be signed or placed.

Examples:
  pki revoke alice
  pki revoke 4a3f9c01 --reason keyCompromise
  pki revoke lost-laptop.crt --reason keyCompromise
  pki revoke alice --all            every live certificate of that name
  pki revoke --from serials.txt --reason cessationOfOperation")]
pub struct Args {
    /// Names, serials, fingerprints or files
    #[arg(value_name = "NAME|SERIAL|FILE", required_unless_present = "from", conflicts_with = "from")]
    which: Vec<String>,

    /// Revoke what this file names, a serial, fingerprint or name a line; `-` for standard input
    ///
    /// Up to 200,000 at once: all are found and decided before the first is revoked, and one list at the
    /// end names them all. Empty lines and those that begin with `#` are passed over.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,

    /// Why, in the words of RFC 5280
    #[arg(long, value_name = "REASON")]
    reason: Option<String>,

    /// Revoke every live certificate of a name, instead of asking which
    ///
    /// Of more than 1,000 the answer lists the first and counts the others.
    #[arg(long)]
    all: bool,

    /// Say what would be revoked, and do nothing
    #[arg(long)]
    dry_run: bool,
}

/// What a dry run found. Nothing was published, so nothing is said of it.
#[derive(Serialize)]
struct Planned {
    dry_run: bool,
    /// As they would be afterwards.
    certificates: Vec<CertificateView>,
    /// Serials among these that are revoked already.
    already: Vec<String>,
    /// How many more there are.
    more: u64,
}

impl From<Revoked> for Planned {
    fn from(revoked: Revoked) -> Planned {
        Planned {
            dry_run: true,
            certificates: revoked.certificates,
            already: revoked.already,
            more: revoked.more,
        }
    }
}

/// The most octets of a file that names what is to be revoked: 64 for each.
const LIST_LIMIT: u64 = 64 * RevokeMany::LIMIT as u64;

fn run_many(args: &Args, file: &Path, context: &mut Context) -> Result<Outcome, CommandError> {
    let bytes = context.read(file, LIST_LIMIT)?;
    let text = context.text(file, bytes)?;
    let words: Vec<String> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect();
    if words.is_empty() {
        return Err(CommandError::usage(format!("{} names nothing", file.display()))
            .hint("expected a serial, fingerprint or name a line"));
    }
    let connection = context.connect()?;
    // One question and one answer: how far it is nobody is told, and so no end is foretold.
    let shown = context
        .output
        .busy(format!("{} asked for", view::count(words.len() as u64, "revocation", "revocations")));
    let reply = connection.call(RevokeMany {
        words,
        reason: args.reason.clone(),
        all: args.all,
        dry_run: args.dry_run,
    });
    drop(shown);
    let reply = reply?;
    let (revoked, already) = (reply.revoked, reply.already);
    let done = if args.dry_run { "would be revoked" } else { "revoked" };
    context.output.reply(&reply, |output| {
        output.line(&format!("{} {done}", view::count(revoked, "certificate", "certificates")))
    })?;
    if already > 0 {
        context.output.say(&format!("{} had been revoked before", view::count(already, "other", "others")));
    }
    if args.dry_run {
        context.output.say("nothing was done: --dry-run");
        return Ok(Outcome::Done);
    }
    Ok(view::publication(&reply.publication, &mut context.output))
}

pub fn run(args: &Args, context: &mut Context) -> Result<Outcome, CommandError> {
    if let Some(file) = &args.from {
        return run_many(args, file, context);
    }
    let now = context.now();
    let selectors =
        args.which.iter().map(|word| select(word, context)).collect::<Result<Vec<_>, CommandError>>()?;
    let revoked = context.connect()?.call(Revoke {
        selectors,
        reason: args.reason.clone(),
        all: args.all,
        dry_run: args.dry_run,
    })?;
    if args.dry_run {
        let planned = Planned::from(revoked);
        context.output.reply(&planned, |output| {
            output.table(&view::would_be_revoked(&planned.certificates, &planned.already, now))
        })?;
        say_more(planned.more, context);
        context.output.say("nothing was done: --dry-run");
        return Ok(Outcome::Done);
    }
    context.output.reply(&revoked, |output| output.table(&view::certificates(&revoked.certificates, now)))?;
    for serial in &revoked.already {
        context.output.say(&format!("{serial} had been revoked before"));
    }
    say_more(revoked.more, context);
    Ok(view::publication(&revoked.publication, &mut context.output))
}

/// Says how many certificates the table leaves out.
fn say_more(more: u64, context: &mut Context) {
    if more > 0 {
        context.output.say(&format!("and {}", view::count(more, "more certificate", "more certificates")));
    }
}
