//! `pki enroll`.

use std::path::PathBuf;

use ca::{
    cert::{Fingerprint, Slug},
    key::KeyType,
};
use server::ops::{
    enroll::{Enroll, Enrolled},
    phrase::Phrase,
};
use trust::token::WireToken;
use zeroize::Zeroizing;

use crate::{
    context::Context,
    enrolled::{self, Enrolment, Server, lists},
    error::{CommandError, Outcome},
    files::{self, Beside, FileNames, Overwrite, Place},
    issuance::{self, key_type},
    timer::{self, Timer},
};

/// Get a certificate with a token of `pki trust add NAME --enroll`
///
/// No PKI is needed here. The service is known by the fingerprint in the token, and is sent nothing if it
/// shows another certificate. The private key is made here and never leaves. Writes NAME.crt, NAME.key,
/// NAME-chain.crt, NAME-root.crt (what to trust), NAME.crl (the revocation lists) and NAME.enrolled (where
/// the service is), and switches a timer on that renews them. If the command is interrupted, the same command
/// again finishes the same certificate.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pki enroll eyJjbGllbnRfbmFtZSI6… --out /etc/web
  pki enroll - < token                     the token is in no list of processes
  pki enroll                               asks for the token

Anybody who sees the token before it is used can use it: hand it over as you would a password.")]
pub struct Args {
    /// The token; `-` for standard input. Without it, it is asked for
    #[arg(value_name = "TOKEN")]
    token: Option<String>,

    /// Directory for the files; made if missing, for its owner alone
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Type of the key: p256, p384, ed25519 or rsa4096
    #[arg(long, value_name = "TYPE", default_value = "p384", value_parser = key_type)]
    key_type: KeyType,

    /// Replace NAME.key and NAME.crt, once the new certificate has arrived
    #[arg(long)]
    force: bool,

    /// Say how the renewal's timer is switched on, and leave it off
    #[arg(long)]
    no_timer: bool,
}

/// The largest token that is read.
const TOKEN_LIMIT: u64 = 64 * 1024;

pub fn run(args: &Args, context: &mut Context) -> Result<Outcome, CommandError> {
    let token = read(args, context)?;
    if token.enroll.is_none() {
        return Err(CommandError::usage("this token is for a certificate that is there already")
            .hint("`pki remote add NAME TOKEN` redeems it")
            .hint("`pki trust add NAME --enroll`, on the server, makes one that ends in a certificate"));
    }
    let folder = match &args.out {
        Some(out) => context.resolve(out),
        None => context.environment.directory.clone(),
    };
    let place = Place { folder: files::folder(&folder)?, slug: Slug::of(&token.client_name) };
    files::tidy(&place.folder);
    let server =
        Server::find(&token.addresses, context, |_, shown| shown.fingerprint() == token.fingerprint)?;
    let service = server.service(None, context)?;
    let request = request_of(&token, args.key_type);
    let overwrite = if args.force { Overwrite::Allow } else { Overwrite::Refuse };
    let pending = issuance::begin(&place, &request, overwrite, || {
        issuance::prepare(&token.client_name, &[], args.key_type, request.clone())
    })?;
    let ask = Enroll { secret: Phrase::new(token.secret.expose().to_string()), csr: pending.csr.clone() };
    let answer = service.ask::<_, Enrolled>(Enroll::PATH, &ask).map_err(enrolled::refused);
    let enrolled = issuance::settle(answer, &place)?;
    issuance::belongs(&enrolled.issued, &pending)?;
    enrolled::check(&enrolled, context.now())?;
    let again =
        |error: CommandError| error.hint("the same command again finishes this enrolment with the same key");
    let lists = lists::fetch(&service, &enrolled.lists, &enrolled, context.now()).map_err(again)?;
    let enrolment = Enrolment {
        name: token.client_name.clone(),
        addresses: token.addresses.clone(),
        server: String::new(),
        server_key: String::new(),
        exec_due: false,
    };
    let enrolment = enrolment.seen(&server.shown).encode()?;
    let names = FileNames::of(&place.slug);
    let beside = [
        Beside { name: &names.root, bytes: enrolled.root.as_bytes() },
        Beside { name: &names.lists, bytes: &lists },
        Beside { name: &names.enrolled, bytes: &enrolment },
    ];
    let placed = issuance::finish(&place, &pending, &enrolled.issued, None, &beside)?;
    issuance::report(&enrolled.issued, Some(&placed), context)?;
    if enrolled.issued.repeated {
        context.output.say("finished an enrolment that had been interrupted");
    }
    context
        .output
        .say(&format!("what to trust is in {}, the revocation lists in {}", names.root, names.lists));
    let timer = if args.no_timer { Timer::Told } else { Timer::On };
    timer::install(&place.folder, timer, context);
    Ok(Outcome::Done)
}

/// The same token and type of key are the same request. The secret itself is not in what is written down.
fn request_of(token: &WireToken, key_type: KeyType) -> String {
    let text = Zeroizing::new(format!("enroll {key_type} {}", token.secret.expose()));
    Fingerprint::of(text.as_bytes()).to_string()
}

fn read(args: &Args, context: &mut Context) -> Result<WireToken, CommandError> {
    let text = Zeroizing::new(match args.token.as_deref() {
        Some("-") => context.read_text("-".as_ref(), TOKEN_LIMIT)?,
        Some(token) => token.to_string(),
        None => context
            .ask("token")
            .map_err(|error| error.hint("`pki enroll TOKEN`, or `pki enroll -` for one on standard input"))?,
    });
    WireToken::decode(&text).map_err(|error| {
        CommandError::usage(error.to_string()).hint(
            "`pki trust add NAME --enroll`, on the server, prints one: a single line of letters and digits",
        )
    })
}
