//! `pki show`.

use server::ops::inventory::Show;

use super::{selector::select, view};
use crate::{
    context::Context,
    error::{CommandError, Outcome},
};

/// Show a certificate whole
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pki show alice                every certificate of that name
  pki show 4a3f9c01             by the beginning of its serial or fingerprint (8 digits or more)
  pki show ./server.crt         by its file
  pki show alice --pem          the certificate alone, PEM
  pki show alice --chain        with its issuing CA, PEM")]
pub struct Args {
    /// Name, serial, fingerprint or file
    #[arg(value_name = "NAME|SERIAL|FILE")]
    which: String,

    /// Print only the certificate, PEM
    #[arg(long, conflicts_with = "chain")]
    pem: bool,

    /// Print only the certificate and its issuing CA, PEM
    #[arg(long)]
    chain: bool,
}

pub fn run(args: &Args, context: &mut Context) -> Result<Outcome, CommandError> {
    let now = context.now();
    let selector = select(&args.which, context)?;
    let shown = context.connect()?.call(Show { selector })?;
    context.output.reply(&shown, |output| {
        for (index, one) in shown.iter().enumerate() {
            if args.pem {
                output.raw(one.pem.as_bytes())?;
            } else if args.chain {
                output.raw(one.chain.as_bytes())?;
            } else {
                if index > 0 {
                    output.line("")?;
                }
                let mut fields = view::certificate_fields(&one.certificate, now);
                fields.push(("issued", super::view::issue_note(&one.certificate)));
                let details = one.details.iter().map(|(name, value)| (name.as_str(), value.clone()));
                output.fields(fields.into_iter().chain(details))?;
            }
        }
        Ok(())
    })?;
    Ok(Outcome::Done)
}
