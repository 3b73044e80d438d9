//! `pki ca sign-issuing`.

use std::path::PathBuf;

use aws_lc_rs::rand::SystemRandom;
use ca::{
    cert::Csr,
    constraints::NameConstraints,
    distribution::{Distribution, PublicUrl},
    hierarchy,
    plan::Policy,
    profile::Profiles,
};
use store::file::{OnExisting, Visibility};

use crate::{
    commands::selector::read_certificate,
    context::{Context, moment},
    error::{CommandError, Outcome},
    files, root_key,
};

/// Sign an issuing CA's request with the root's key: where that key is, with no PKI at all
///
/// Only the key is taken from the request; the name follows from the root's, and the profile decides
/// everything else.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example, on the machine that has the root's key:
  pki ca sign-issuing next.csr --root-cert root.crt --root-key root.key --out next.crt
and back on the other: pki ca install next.crt")]
pub struct Args {
    /// The request that `pki ca rotate --csr-out` wrote
    #[arg(value_name = "CSR")]
    csr: PathBuf,

    /// The root's certificate
    #[arg(long, value_name = "FILE")]
    root_cert: PathBuf,

    /// The root's private key
    #[arg(long, value_name = "FILE")]
    root_key: PathBuf,

    /// Where the issuing CA's certificate goes
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    /// Replace the file given by --out
    #[arg(long)]
    force: bool,

    /// Lifetime in days
    #[arg(long, value_name = "N", default_value_t = 3650, value_parser = clap::value_parser!(u32).range(1..))]
    days: u32,

    /// Hold it to this domain or address range (repeatable): the same that the issuing CA in force has
    ///
    /// Without it every name is open. Domains alone rule out every address; ranges alone leave DNS names
    /// open, so give a domain too. Mail addresses, URIs and clients' common names are not constrained.
    #[arg(long, value_name = "DOMAIN|RANGE")]
    name_constraint: Vec<String>,

    /// Base of the list's and issuer's URLs in the certificate; the setting core.public_url
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
}

const CSR_LIMIT: u64 = 64 * 1024;

pub fn run(args: &Args, context: &mut Context) -> Result<Outcome, CommandError> {
    let wrong = |what: &str, error: &dyn std::error::Error, hint: &str| {
        CommandError::usage(format!("{what} cannot be used")).because(error).hint(hint)
    };
    let out = context.resolve(&args.out);
    if !args.force && out.symlink_metadata().is_ok() {
        return Err(CommandError::conflict(format!("{} exists already", out.display()))
            .hint("choose another file, or replace it with --force"));
    }
    let csr = Csr::from_pem_or_der(&context.read(&args.csr, CSR_LIMIT)?).map_err(|error| {
        wrong(&args.csr.display().to_string(), &error, "expected what `pki ca rotate --csr-out` wrote")
    })?;
    let constraints = NameConstraints::parse(args.name_constraint.iter().map(String::as_str))
        .map_err(|error| wrong("the name constraint", &error, "like example.org or 10.0.0.0/8"))?;
    let base = args.public_url.as_deref().map(str::parse::<PublicUrl>).transpose();
    let base = base.map_err(|error| wrong("the public URL", &error, "like http://pki.example.org"))?;
    // Of the four only the issuing profile's lifetime matters here.
    let profiles = Profiles::new(7300, args.days, 365, 397)
        .map_err(|error| wrong("the lifetime", &error, "see --days"))?;
    let root = read_certificate(&args.root_cert, context)?;
    let key = root_key::read(&args.root_key, &root, context)?;
    let policy = Policy { profiles, distribution: Distribution { base } };
    let made = hierarchy::sign_issuing(
        &root,
        key,
        &csr,
        &constraints,
        &policy,
        context.whole_second(),
        &SystemRandom::new(),
    )
    .map_err(|error| {
        CommandError::usage("the issuing CA's certificate was not signed")
            .because(&error)
            .hint("nothing was written")
    })?;
    let on_existing = if args.force { OnExisting::Replace } else { OnExisting::Refuse };
    files::write(&out, made.to_pem().as_bytes(), Visibility::Public, on_existing)?;
    #[derive(serde::Serialize)]
    struct Made {
        subject: String,
        key_id: String,
        serial: String,
        fingerprint: String,
        not_after: String,
        certificate: PathBuf,
    }
    let made = Made {
        subject: made.subject_display(),
        key_id: made.key_id().to_string(),
        serial: made.serial().to_string(),
        fingerprint: made.fingerprint().to_string(),
        not_after: moment(made.not_after()),
        certificate: out,
    };
    context.output.reply(&made, |output| {
        output.fields([
            ("subject", made.subject.clone()),
            ("key id", made.key_id.clone()),
            ("serial", made.serial.clone()),
            ("fingerprint", made.fingerprint.clone()),
            ("valid until", made.not_after.clone()),
            ("certificate", made.certificate.display().to_string()),
        ])
    })?;
    context.output.hint("back where the PKI is: `pki ca install` with this file");
    Ok(Outcome::Done)
}
