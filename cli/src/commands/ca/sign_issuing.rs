//! `pki ca sign-issuing`.
use crate::{
    context::Context,
    error::{CommandError, Outcome},
};
/// Sign
#[derive(Debug, clap::Args)]
pub struct Args {}
pub fn run(_args: &Args, _context: &mut Context) -> Result<Outcome, CommandError> {
    Ok(Outcome::Done)
}
