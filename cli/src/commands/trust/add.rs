//! `pki trust add`.

use std::path::Path;

use ca::cert::Certificate;
use server::ops::trust::{
    add::{TrustAdd, TrustAddUser},
    token::{TokenCreate, TokenCreated},
    view::TrustView,
};

use super::{
    RightsArgs,
    enroll::{self, EnrollArgs},
    view,
};
use crate::{
    commands::selector::read_certificates,
    context::{Context, distance, moment},
    error::{CommandError, Kind, Outcome},
};

/// Trust a certificate or a local user, or make a token for a client
///
/// A word that names a file that is there, holds a `/`, or ends in .crt or .pem is a file, whose
/// certificate is trusted at once; anything else is the name of a client, for whom a token is printed.
/// The token is shown this once: the client redeems it, and with it becomes trusted under that name.
/// With --enroll the token ends in a certificate of ours as well, for the names that are given here: a machine
/// without a PKI redeems it with `pki enroll`. Without a word the client's name is asked for. Adding lifts what an earlier `trust remove` left.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pki trust add                                asks for the client's name, prints a token
  pki trust add alice                          prints a token for alice
  pki trust add laptop.crt --name alice        trusts a certificate
  pki trust add web --restricted --projects web,shop
  pki trust add db.internal --enroll --profile server --ip 10.0.0.7
  pki trust add alice --enroll --email alice@example.org --trust
  sudo pki trust add --local-user alice        trusts a user of this machine")]
pub struct Args {
    /// The name of a client, or a certificate's file
    #[arg(value_name = "NAME|FILE", conflicts_with = "local_user")]
    what: Option<String>,

    /// What to call it; without a file: the name of the client that gets a token
    #[arg(long, value_name = "NAME", conflicts_with = "local_user")]
    name: Option<String>,

    /// Trust this user of this machine, by name or uid
    #[arg(long, value_name = "USER")]
    local_user: Option<String>,

    #[command(flatten)]
    rights: RightsArgs,

    #[command(flatten)]
    enroll: EnrollArgs,
}

/// What is to be added.
enum Wanted<'a> {
    Certificate(&'a Path),
    Client(String),
    User(&'a str),
}

/// Whether a word means a file.
fn is_file(word: &str, context: &Context) -> bool {
    let lower = word.to_ascii_lowercase();
    word.contains('/')
        || [".crt", ".pem"].iter().any(|ending| lower.ends_with(ending))
        || context.resolve(Path::new(word)).is_file()
}

pub fn run(args: &Args, context: &mut Context) -> Result<Outcome, CommandError> {
    let wanted = match (&args.local_user, &args.what, &args.name) {
        (Some(user), _, _) => Wanted::User(user),
        (None, Some(word), _) if is_file(word, context) => Wanted::Certificate(Path::new(word)),
        (None, Some(word), Some(name)) if word != name => {
            return Err(CommandError::usage(format!("is the client called {word} or {name}?")).hint(
                "a name alone makes a token; a certificate's file ends in .crt or .pem, or has a `/`",
            ));
        }
        (None, Some(name), _) | (None, None, Some(name)) => Wanted::Client(name.clone()),
        (None, None, None) => Wanted::Client(ask_name(context)?),
    };
    let rights = (&args.rights).into();
    if args.enroll.enroll {
        return match wanted {
            Wanted::Client(name) => enroll::run(&name, &args.enroll, &args.rights, context),
            Wanted::Certificate(_) | Wanted::User(_) => {
                Err(CommandError::usage("an enrolment ends in a new certificate: name whom it is for")
                    .hint("`pki trust add NAME --enroll`"))
            }
        };
    }
    match wanted {
        Wanted::Certificate(path) => {
            let bundle = read_certificates(path, context)?;
            let certificate = bundle.iter().map(Certificate::to_pem).collect();
            let add = TrustAdd { certificate, name: args.name.clone(), rights };
            let added = context.connect()?.call(add)?;
            added_is(&added, context)?;
        }
        Wanted::User(user) => {
            let added = context.connect()?.call(TrustAddUser { user: user.to_string(), rights })?;
            added_is(&added, context)?;
        }
        Wanted::Client(name) => {
            let created = context.connect()?.call(TokenCreate { name, rights })?;
            handed_out(&created, context)?;
            context
                .output
                .hint("the client runs: pki remote add NAME TOKEN, with its own name for this service");
        }
    }
    Ok(Outcome::Done)
}

/// Prints a token, and says how long it is good.
pub(super) fn handed_out(created: &TokenCreated, context: &mut Context) -> Result<(), CommandError> {
    let now = context.now();
    context.output.reply(created, |output| output.line(&created.secret))?;
    let token = &created.token;
    let until = match token.expires_at {
        Some(end) => format!("until {} ({})", moment(end), distance(end, now)),
        None => "for ever".to_string(),
    };
    context.output.say(&format!("a token for {}, good once, {until}", token.name));
    Ok(())
}

fn ask_name(context: &mut Context) -> Result<String, CommandError> {
    let name = context.ask("name of the client").map_err(|error| match error.kind {
        Kind::Usage => error.hint("`pki trust add NAME` makes a token for it"),
        _ => error,
    })?;
    match name.trim() {
        "" => Err(CommandError::usage("a client's name can't be empty").hint("`pki trust add NAME`")),
        name => Ok(name.to_string()),
    }
}

fn added_is(added: &TrustView, context: &mut Context) -> Result<(), CommandError> {
    let now = context.now();
    context.output.reply(added, |output| output.fields(view::fields(added, now)))?;
    context.output.say(&format!("{} is trusted", added.name));
    Ok(())
}
