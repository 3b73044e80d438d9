//! `pki init`.

use std::path::PathBuf;

use ca::key::KeyType;

use crate::{
    context::Context,
    error::{CommandError, Outcome},
    issuance::key_type,
    provision,
};

/// Create a root and an issuing CA, or adopt a CA that exists
///
/// The keys are PKCS#8, readable by their owner alone, and encrypted if a passphrase is given
/// (--passphrase-file, the credential, or --ask-passphrase). An existing PKI is never touched.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Two tiers protect little while the root's key lies beside the issuing key: write it to another medium
with --root-key-out, or take it away later with `pki ca root-offline`.

Examples:
  pki init --name 'Example Org'
  pki init --root-key-out /mnt/usb/root.key --passphrase-file pass
  pki init --name-constraint example.org --name-constraint 10.0.0.0/8
  pki init --ca-cert ca.crt --ca-key ca.key --index index.txt      adopt an OpenSSL or Easy-RSA CA")]
pub struct Args {
    #[command(flatten)]
    pub options: Options,

    /// Adopt the CA with this certificate; behind it that of its root, if it is not self-signed
    #[arg(long, value_name = "FILE", requires = "ca_key", conflicts_with_all = ["name", "key_type", "root_key_out", "name_constraint"])]
    pub ca_cert: Option<PathBuf>,

    /// The adopted CA's private key
    #[arg(long, value_name = "FILE", requires = "ca_cert")]
    pub ca_key: Option<PathBuf>,

    /// The adopted CA's inventory: OpenSSL's index.txt, also Easy-RSA's
    ///
    /// Its revocations are taken over, and the certificates in newcerts, certs_by_serial, issued, …
    /// beside it.
    #[arg(long, value_name = "FILE", requires = "ca_cert")]
    pub index: Option<PathBuf>,
}

/// What a new PKI is to be: the options of `init` and `up`.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Options {
    /// The organization's name, which every authority's name begins with
    #[arg(long, value_name = "ORG")]
    pub name: Option<String>,

    /// Type of both keys: p256, p384, ed25519 or rsa4096
    #[arg(long, value_name = "TYPE", default_value = "p384", value_parser = key_type)]
    pub key_type: KeyType,

    /// Put the root's key into this file instead, on another medium
    #[arg(long, value_name = "FILE")]
    pub root_key_out: Option<PathBuf>,

    /// Hold the issuing CA to this domain or address range (repeatable)
    ///
    /// Domains alone rule out every address; ranges alone leave DNS names open, so give a domain too.
    /// Mail addresses, URIs and clients' common names are not constrained.
    #[arg(long, value_name = "DOMAIN|RANGE")]
    pub name_constraint: Vec<String>,

    /// Ask for a passphrase that encrypts the keys
    #[arg(long, conflicts_with = "passphrase_file")]
    pub ask_passphrase: bool,
}

pub fn run(args: &Args, context: &mut Context) -> Result<Outcome, CommandError> {
    let directory = context.new_directory()?;
    let pki = match (&args.ca_cert, &args.ca_key) {
        (Some(certificate), Some(key)) => {
            let old = provision::OldCa { certificate, key, index: args.index.as_deref() };
            provision::adopt(&directory, &old, &args.options, context)?
        }
        _ => provision::create(&directory, &args.options, context)?,
    };
    let info = provision::info(&pki, context)?;
    drop(pki);
    match context.output.is_human() {
        true => provision::show(&info, context)?,
        false => context.output.document(&info)?,
    }
    provision::caution(&info, context);
    context.output.hint("`pki issue-client NAME` issues the first certificate, `pki serve` runs the service");
    Ok(Outcome::Done)
}
