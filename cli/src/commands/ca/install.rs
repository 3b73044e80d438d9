//! `pki ca install`.

use std::path::PathBuf;

use server::ops::authority::CaInstall;

use crate::{
    commands::selector::read_certificate,
    context::Context,
    error::{CommandError, Outcome},
};

/// Put the certificate that the root made for our CSR in force
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  pki ca install next.crt      after `pki ca rotate --csr-out` and `pki ca sign-issuing`")]
pub struct Args {
    /// The issuing CA's certificate
    #[arg(value_name = "FILE")]
    certificate: PathBuf,
}

pub fn run(args: &Args, context: &mut Context) -> Result<Outcome, CommandError> {
    let pem = read_certificate(&args.certificate, context)?.to_pem();
    let rotated = context.connect()?.call(CaInstall { pem })?;
    super::rotate::report(&rotated, None, context)
}
