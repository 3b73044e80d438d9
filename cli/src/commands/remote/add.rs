//! `pki remote add`.

use serde::Serialize;
use server::{
    dial::{Address, AddressError, Dialer, Shown},
    ops::{local::Authenticate, phrase::Phrase},
    tls::Versions,
};
use store::file::OnExisting;
use trust::token::{WireError, WireToken};
use zeroize::Zeroizing;

use super::{
    contact::{self, Accept},
    view::RemoteView,
};
use crate::{
    client::{self, ClientFolder, Remote, RemoteName, VerifiedBy},
    connect::{Redemption, Service, Standing},
    context::Context,
    error::{CommandError, Kind, Outcome},
    output::Stream,
    passphrase,
};

/// Add a service: by a token, or by its address
///
/// A token from `pki trust add NAME` names the service's addresses and its certificate, and lets us in.
/// With an address, the service's fingerprint is shown and asked for, unless client.ca or the system's
/// authorities verify it; if the service does not trust us already, a token is asked for, or the passphrase
/// (`pki set local.passphrase` there), which counts from the same machine alone unless local.passphrase_remote
/// says otherwise. A remote that can't be added leaves nothing behind.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pki remote add office eyJjbGllbnRfbmFtZSI6…
  pki remote add office ca.example.org
  pki remote add office [2001:db8::7]:9443 --token eyJjbGllbnRfbmFtZSI6…")]
pub struct Args {
    /// What it is called here
    name: String,

    /// HOST or HOST:PORT (8443 unless given), or a token
    #[arg(value_name = "ADDR|TOKEN")]
    place: String,

    /// A token, for a service at this address
    #[arg(long, value_name = "TOKEN", conflicts_with = "accept_certificate")]
    token: Option<String>,

    /// Accept whatever certificate the service shows; a token says itself which one is right
    #[arg(long)]
    accept_certificate: bool,
}

/// What `--json` says.
#[derive(Serialize)]
struct Added {
    #[serde(flatten)]
    remote: RemoteView,
    /// SHA-256 of the certificate that the service knows us by.
    client_fingerprint: String,
}

/// A token, and its text.
struct Token {
    text: Zeroizing<String>,
    wire: WireToken,
}

/// By what somebody is let in.
enum Way {
    Passphrase(Phrase),
    Token(Token),
}

impl Token {
    fn read(text: &str) -> Result<Token, CommandError> {
        match WireToken::decode(text) {
            Ok(wire) => Ok(Token { text: Zeroizing::new(text.trim().to_string()), wire }),
            Err(error) => Err(no_token(&error)),
        }
    }
}

fn no_token(error: &WireError) -> CommandError {
    CommandError::usage(error.to_string())
        .hint("`pki trust add NAME` on the server makes one; copy all of it")
}

/// A server that was found, and what shall verify it.
struct Found {
    address: Address,
    verified_by: VerifiedBy,
}

pub fn run(args: &Args, context: &mut Context) -> Result<Outcome, CommandError> {
    let name: RemoteName = args.name.parse()?;
    let folder = ClientFolder::of(&context.environment)?;
    folder.tidy();
    if folder.knows(&name) {
        return Err(CommandError::conflict(format!("there is a remote {name} already"))
            .hint(format!("choose another name, or `pki remote remove {name}` first")));
    }
    let (given, addresses) = places(args)?;
    if given.is_some() && args.accept_certificate {
        return Err(CommandError::usage("a token says which certificate is right")
            .hint("leave --accept-certificate away"));
    }
    let versions = client::versions(context);
    let identity = folder.identity(context)?;
    let found = match (&given, addresses.as_slice()) {
        (Some(token), addresses) => by_token(token, addresses, versions, &folder, context)?,
        (None, [address, ..]) => {
            let shown = contact::look_at(address, versions, &args.name)?;
            let accept = Accept::from(args.accept_certificate);
            let verified_by = contact::judge(&shown, address, accept, &folder, context)?;
            Found { address: address.clone(), verified_by }
        }
        (None, []) => {
            return Err(CommandError::usage("an address is missing").hint("pki remote add NAME ADDR"));
        }
    };
    let remote = Remote { name: name.clone(), address: found.address, verified_by: found.verified_by };
    let verification = folder.verification(&remote, context)?;
    let dialer = Dialer::new(remote.address.clone(), Some(identity.clone()), verification, versions);
    let service = Service::over_https(dialer, Some(name), context)?;
    let fingerprint = identity.certificate().fingerprint().to_string();
    let_in(&service, given, &remote, &folder, &fingerprint, context)?;
    folder.remember(&remote, OnExisting::Refuse)?;
    let added = Added { remote: RemoteView::of(&remote), client_fingerprint: fingerprint };
    context.output.reply(&added, |output| {
        let mut fields = added.remote.fields();
        fields.push(("client sha256", added.client_fingerprint.clone()));
        output.fields(fields)
    })?;
    context.output.hint(&format!("pki --remote {} info", remote.name));
    Ok(Outcome::Done)
}

/// The token, if one was given, and where the service may be.
fn places(args: &Args) -> Result<(Option<Token>, Vec<Address>), CommandError> {
    let as_address = |text: &str| {
        text.parse::<Address>().map_err(|error: AddressError| {
            CommandError::usage(error.to_string()).hint("expected HOST, HOST:PORT or a whole token")
        })
    };
    if let Some(token) = &args.token {
        return Ok((Some(Token::read(token)?), vec![as_address(&args.place)?]));
    }
    match WireToken::decode(&args.place) {
        Ok(_) => {
            let token = Token::read(&args.place)?;
            // An address that we can't read is one that we can't try.
            let addresses: Vec<Address> =
                token.wire.addresses.iter().filter_map(|address| address.parse().ok()).collect();
            match addresses.is_empty() {
                true => Err(CommandError::usage("the token names no address that can be tried")
                    .hint("pki remote add NAME ADDR --token TOKEN")),
                false => Ok((Some(token), addresses)),
            }
        }
        // What is long and no token was meant as one.
        Err(error) if args.place.len() > 100 => Err(no_token(&error)),
        Err(_) => Ok((None, vec![as_address(&args.place)?])),
    }
}

/// Tries every address for the server that the token names. Its secret is sent to none before.
fn by_token(
    token: &Token,
    addresses: &[Address],
    versions: Versions,
    folder: &ClientFolder,
    context: &mut Context,
) -> Result<Found, CommandError> {
    let mut other: Option<(Address, Shown)> = None;
    let mut failed: Option<CommandError> = None;
    for address in addresses {
        match contact::look_at(address, versions, "NAME") {
            Ok(shown) if shown.fingerprint() == token.wire.fingerprint => {
                let verified_by = contact::verified(&shown, address, folder, context)?
                    .unwrap_or_else(|| VerifiedBy::Pin(Box::new(shown.certificate().clone())));
                return Ok(Found { address: address.clone(), verified_by });
            }
            Ok(shown) => other = other.or(Some((address.clone(), shown))),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    match (other, failed) {
        (Some((address, shown)), _) => Err(CommandError::new(
            Kind::External,
            format!(
                "Certificate fingerprint mismatch between certificate token and server \"https://{address}\": the token names {}, the server shows {}",
                token.wire.fingerprint,
                shown.fingerprint()
            ),
        )
        .hint("the token was not sent; compare with what `pki info` shows on the server")
        .hint("if the server's certificate was replaced since, `pki trust add NAME` on it makes a new token")),
        (None, Some(error)) if addresses.len() == 1 => Err(error),
        (None, Some(error)) => {
            let tried: Vec<String> = addresses.iter().map(Address::to_string).collect();
            Err(CommandError {
                message: format!("none of the token's addresses answers ({}): {}", tried.join(" "), error.message),
                ..error
            }
            .hint("if it is found elsewhere: pki remote add NAME ADDR --token TOKEN"))
        }
        (None, None) => Err(CommandError::usage("the token names no address that can be tried")
            .hint("pki remote add NAME ADDR --token TOKEN")),
    }
}

/// Makes sure that the server trusts us, by the token if there is one.
fn let_in(
    service: &Service,
    given: Option<Token>,
    remote: &Remote,
    folder: &ClientFolder,
    fingerprint: &str,
    context: &mut Context,
) -> Result<(), CommandError> {
    let way = match given {
        Some(token) => Some(Way::Token(token)),
        None if service.standing()? == Standing::Trusted => return Ok(()),
        None if context.environment.input != Stream::Other => {
            let asked = format!("trust token or passphrase for {} (nothing to give up)", remote.name);
            let typed = passphrase::ask_text(&asked, &context.environment)?;
            match WireToken::decode(&typed) {
                _ if typed.is_empty() => None,
                Ok(_) => Some(Way::Token(Token::read(&typed)?)),
                // What is long and no token was meant as one.
                Err(error) if typed.len() > 100 => return Err(no_token(&error)),
                Err(_) => Some(Way::Passphrase(typed.into())),
            }
        }
        None => None,
    };
    let untrusted = |message: String| {
        CommandError::new(Kind::Denied, message)
            .hint(format!(
                "`pki trust add NAME` on the server makes a token: pki remote add {} {} --token TOKEN",
                remote.name, remote.address
            ))
            .hint(format!(
                "or add this client there by {} (sha256 {fingerprint}): `pki trust add FILE.crt`",
                folder.certificate_path().display()
            ))
    };
    let said = match way {
        None => {
            return Err(untrusted(format!("the server at {} does not trust this client", remote.address)));
        }
        Some(Way::Passphrase(passphrase)) => {
            service.call(Authenticate { passphrase })?;
            "the server trusts this client now"
        }
        Some(Way::Token(token)) => match service.redeem(&token.text)? {
            Redemption::Already => "the server trusted this client already; the token is used up",
            Redemption::Trusted => "the server trusts this client now",
            Redemption::Earlier => {
                "the server trusted this client already; the token is worth nothing any more"
            }
        },
    };
    if service.standing()? != Standing::Trusted {
        return Err(untrusted(format!(
            "the server at {} took it and still does not trust this client",
            remote.address
        )));
    }
    context.output.say(said);
    Ok(())
}
