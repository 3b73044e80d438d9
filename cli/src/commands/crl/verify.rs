//! `pki crl verify`.
use crate::{
    context::Context,
    error::{CommandError, Outcome},
};
/// Verify
#[derive(Debug, clap::Args)]
pub struct Args {}
pub fn run(_args: &Args, _context: &mut Context) -> Result<Outcome, CommandError> {
    Ok(Outcome::Done)
}
