//! `pki sign`.

use std::path::PathBuf;

use clap::ValueEnum;
use server::ops::issue::{Issue, ProfileName};
use store::file::{OnExisting, Visibility};

use crate::{
    context::Context,
    error::{CommandError, Outcome},
    files, issuance, pem,
};

/// Sign a certificate request that was made elsewhere
///
/// Of the request only the key is taken, and its names where --name is not given; the profile decides
/// everything else. The same request again returns the same certificate.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pki sign alice.csr --profile client > alice.crt
  pki sign www.csr --profile server --name www.example.org --san ip:10.0.0.7 --chain --out www.pem
  openssl req … | pki sign - --profile client")]
pub struct Args {
    /// The request, PEM or DER; `-` for standard input
    #[arg(value_name = "CSR")]
    csr: PathBuf,

    /// What the certificate is for
    #[arg(long, value_enum)]
    profile: Profile,

    /// The name to certify instead of those in the request
    #[arg(long)]
    name: Option<String>,

    /// A further name, as dns:…, ip:…, email:… or uri:… (repeatable)
    #[arg(long, value_name = "NAME", requires = "name")]
    san: Vec<String>,

    /// Lifetime in days; without it the profile's own
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    days: Option<u32>,

    /// With the issuing CA's certificate behind it
    #[arg(long)]
    chain: bool,

    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Replace the file given by --out
    #[arg(long, requires = "out")]
    force: bool,

    /// Decide and check everything, but sign and write nothing
    #[arg(long)]
    dry_run: bool,

    /// Project it belongs to; without it `default`, or the only one that you have rights in
    #[arg(long, value_name = "NAME")]
    project: Option<String>,
}

/// The profiles there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// TLS client authentication
    Client,
    /// TLS server authentication
    Server,
}

impl From<Profile> for ProfileName {
    fn from(profile: Profile) -> ProfileName {
        match profile {
            Profile::Client => ProfileName::Client,
            Profile::Server => ProfileName::Server,
        }
    }
}

/// The largest request that is read; the service's own limit.
const CSR_LIMIT: u64 = 64 * 1024;

pub fn run(args: &Args, context: &mut Context) -> Result<Outcome, CommandError> {
    let bytes = context.read(&args.csr, CSR_LIMIT)?;
    // A SEQUENCE's tag is the digit 0, with which no PEM file begins.
    let csr = match bytes.first() {
        Some(0x30) => pem::armour("CERTIFICATE REQUEST", &bytes),
        _ => context.text(&args.csr, bytes)?,
    };
    let out = args.out.as_ref().map(|out| context.resolve(out));
    if let Some(out) = out.as_ref().filter(|out| !args.force && out.symlink_metadata().is_ok()) {
        return Err(CommandError::conflict(format!("{} exists already", out.display()))
            .hint("choose another file, or replace it with --force"));
    }
    let issued = context.connect()?.call(Issue {
        profile: args.profile.into(),
        csr,
        name: args.name.clone(),
        names: args.san.clone(),
        days: args.days,
        dry_run: args.dry_run,
        project: args.project.clone(),
    })?;
    let pem = if args.chain { &issued.chain } else { &issued.pem };
    if args.dry_run {
        issuance::report(&issued, None, context)?;
        context.output.say("nothing was signed: --dry-run");
        return Ok(Outcome::Done);
    }
    issuance::genuine(&issued)?;
    if let Some(out) = &out {
        let on_existing = if args.force { OnExisting::Replace } else { OnExisting::Refuse };
        files::write(out, pem.as_bytes(), Visibility::Public, on_existing)?;
        issuance::report(&issued, None, context)?;
        context.output.say(&format!("wrote {}", out.display()));
    } else {
        for warning in &issued.warnings {
            context.output.warn(warning);
        }
        context.output.reply(&issued, |output| output.raw(pem.as_bytes()))?;
        let certificate = &issued.certificate;
        context.output.say(&format!("signed {} for {}", certificate.serial, certificate.name));
    }
    Ok(Outcome::Done)
}
