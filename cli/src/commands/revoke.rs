//! `pki revoke`.

use serde::Serialize;
use server::ops::{
    revoke::{Revoke, Revoked},
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
  pki revoke alice --all            every live certificate of that name")]
pub struct Args {
    /// Names, serials, fingerprints or files
    #[arg(value_name = "NAME|SERIAL|FILE", required = true)]
    which: Vec<String>,

    /// Why, in the words of RFC 5280
    #[arg(long, value_name = "REASON")]
    reason: Option<String>,

    /// Revoke every live certificate of a name, instead of asking which
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
    /// Serials among them that are revoked already.
    already: Vec<String>,
}

impl From<Revoked> for Planned {
    fn from(revoked: Revoked) -> Planned {
        Planned { dry_run: true, certificates: revoked.certificates, already: revoked.already }
    }
}

pub fn run(args: &Args, context: &mut Context) -> Result<Outcome, CommandError> {
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
        context.output.say("nothing was done: --dry-run");
        return Ok(Outcome::Done);
    }
    context.output.reply(&revoked, |output| output.table(&view::certificates(&revoked.certificates, now)))?;
    for serial in &revoked.already {
        context.output.say(&format!("{serial} had been revoked before"));
    }
    Ok(view::publication(&revoked.publication, &mut context.output))
}
