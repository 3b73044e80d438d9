//! `pki up`.

use super::{init, serve};
use crate::{
    connect,
    context::Context,
    error::{CommandError, Kind, Outcome},
    provision,
};

/// Create what is missing, then serve it
///
/// The first time: a root and an issuing CA, the service's server certificate, the operator's client
/// certificate, the first revocation list. Then, and every other time, the service: the local socket
/// and the public listener (setting core.public_address). Ctrl-C and SIGTERM stop it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pki up
  pki up --name 'Example Org' --dir /srv/pki")]
pub struct Args {
    #[command(flatten)]
    init: init::Options,
    #[command(flatten)]
    serve: serve::Options,
}

pub fn run(args: &Args, context: &mut Context) -> Result<Outcome, CommandError> {
    let directory = context.new_directory()?;
    let (pki, made) = match connect::open_to_serve(&directory, context) {
        Ok(pki) => (pki, Made::Before),
        Err(error) if error.kind == Kind::NotFound => {
            (provision::create(&directory, &args.init, context)?, Made::Now)
        }
        Err(error) => return Err(error),
    };
    let info = provision::info(&pki, context)?;
    match (made, context.output.is_human()) {
        (Made::Now, true) => {
            provision::show(&info, context)?;
            provision::caution(&info, context);
        }
        (Made::Before, true) => context.output.say(&format!("{} is there already", directory.display())),
        (Made::Now | Made::Before, false) => context.output.document(&info)?,
    }
    serve::serve(pki, &directory, &args.serve, context, |_, context| {
        next(made, context);
        Ok(())
    })
}

/// Whether this command made the PKI.
#[derive(Clone, Copy)]
enum Made {
    Before,
    Now,
}

/// What to try next, in words that find this PKI again.
fn next(made: Made, context: &mut Context) {
    let program = match &context.global.dir {
        Some(dir) => format!("pki --dir {}", dir.display()),
        None => "pki".to_string(),
    };
    match made {
        Made::Before => {}
        Made::Now => {
            context.output.say("try, in another terminal:");
            for words in
                ["issue-client alice", "issue-server www.example.org", "list", "revoke alice", "doctor"]
            {
                context.output.say(&format!("  {program} {words}"));
            }
        }
    }
    context.output.say("Ctrl-C stops the service");
}
