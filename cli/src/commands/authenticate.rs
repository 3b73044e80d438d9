//! `pki authenticate`.

use server::ops::{info::Info, local::Authenticate, phrase::Phrase};

use crate::{
    context::Context,
    error::{CommandError, Kind, Outcome},
    passphrase,
};

/// Become trusted by the passphrase
///
/// For a user of this machine who is told that they are not authenticated. Whoever is trusted sets the
/// passphrase with `pki set local.passphrase`. A passphrase on the command line can be seen by others. Nothing
/// is said when it was the right one.
#[derive(Debug, clap::Args)]
#[command(
    visible_alias = "auth",
    after_help = "\
Examples:
  pki authenticate              asks for the passphrase
  pki authenticate PASSPHRASE"
)]
pub struct Args {
    /// The passphrase; without it the terminal is asked
    passphrase: Option<String>,
}

pub fn run(args: &Args, context: &mut Context) -> Result<Outcome, CommandError> {
    let connection = context.connect()?;
    let given = match &args.passphrase {
        Some(given) => Phrase::new(given.clone()),
        // Whoever is trusted already has nothing to type.
        None => match connection.call(Info {}) {
            Ok(_) => Phrase::new(String::new()),
            Err(error) if error.kind == Kind::Denied => {
                let typed = passphrase::ask_text("Please enter passphrase", &context.environment)?;
                if typed.is_empty() {
                    return Err(CommandError::usage("No passphrase given").hint("pki authenticate"));
                }
                typed.into()
            }
            Err(error) => return Err(error),
        },
    };
    let reply = connection.call(Authenticate { passphrase: given })?;
    // As Multipass: whoever is let in is told nothing.
    context.output.reply(&reply, |output| {
        if reply.already {
            output.say("you are trusted already");
        }
        Ok(())
    })?;
    Ok(Outcome::Done)
}
