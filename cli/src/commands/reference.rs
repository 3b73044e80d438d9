//! `pki reference`, hidden: writes what lies in `docs/reference/`.

use clap::ValueEnum;

use crate::{
    context::Context,
    error::{CommandError, Outcome},
    reference,
};

/// Print a page of the reference, as it is checked in below docs/reference
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which page
    #[arg(value_enum)]
    page: Page,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Page {
    Commands,
    ExitCodes,
    Openapi,
    Settings,
}

pub fn run(args: &Args, context: &mut Context) -> Result<Outcome, CommandError> {
    let text = match args.page {
        Page::Commands => reference::commands(),
        Page::ExitCodes => reference::exit_codes(),
        Page::Openapi => server::http::openapi::text(),
        Page::Settings => reference::settings(),
    };
    context.output.raw(text.as_bytes())?;
    Ok(Outcome::Done)
}
