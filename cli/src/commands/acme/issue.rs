//! `pki acme issue`.

use std::path::PathBuf;

use server::ops::acme::AcmeIssue;

use crate::{
    context::Context,
    error::{CommandError, Outcome},
    files, passphrase,
};

/// Obtain a certificate and put it in place
///
/// The authority checks that the names lead here by HTTP-01, over port 80: the service's listeners
/// answer, or the HAProxys of haproxy.instances, or a listener of the command's own (--http-address), or
/// a web server by files that are put into its directory (--webroot). The account is made at the first
/// use and kept. The service renews by itself what was obtained. For a certificate of the
/// service itself, set acme.domain instead.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pki acme issue www.example.org --email admin@example.org --agree-tos
  pki acme issue www.example.org example.org --out /etc/ssl/www
  pki acme issue www.example.org --webroot /var/www/html
  pki acme issue www.example.org --hook /usr/local/bin/reload --served-at 192.0.2.1:443
  pki acme issue host.internal --ca-url https://acme.internal/dir --ca-root root.pem --agree-tos
  pki acme issue host.example --ca-url URL --eab-kid kid-1 --eab-hmac-file hmac --agree-tos")]
pub struct Args {
    /// The names; the first names the files
    #[arg(required = true, value_name = "DOMAIN")]
    domains: Vec<String>,

    /// Where the authority may write to
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,

    /// Directory URL of the authority; Let's Encrypt if not given
    #[arg(long, value_name = "URL")]
    ca_url: Option<String>,

    /// Agree to the authority's terms of service
    #[arg(long)]
    agree_tos: bool,

    /// Trust only the roots in this file for the authority's own HTTPS
    #[arg(long, value_name = "FILE")]
    ca_root: Option<PathBuf>,

    /// Key id of the external account, where the authority demands one
    #[arg(long, value_name = "ID", requires = "eab_hmac_file")]
    eab_kid: Option<String>,

    /// File whose one line is the external account's HMAC key, base64url
    #[arg(long, value_name = "FILE", requires = "eab_kid")]
    eab_hmac_file: Option<PathBuf>,

    /// How the names are proved: HTTP-01, TLS-ALPN-01 or DNS-01
    #[arg(long, value_name = "METHOD")]
    challenge: Option<String>,

    /// Answer the challenge on this address, like 0.0.0.0:80
    #[arg(long, value_name = "ADDRESS")]
    http_address: Option<String>,

    /// Answer the challenge by files below this directory, which a web server shows at /
    #[arg(long, value_name = "DIR", conflicts_with = "http_address")]
    webroot: Option<PathBuf>,

    /// Put the files into this directory as well
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Run this program once the files are placed, now and after each renewal
    #[arg(long, value_name = "PROGRAM")]
    hook: Option<PathBuf>,

    /// Look there, now and after each renewal, whether the certificate is served
    #[arg(long, value_name = "IP:PORT")]
    served_at: Option<String>,
}

pub(super) const ROOTS_LIMIT: u64 = 1024 * 1024;

pub fn run(args: Args, context: &mut Context) -> Result<Outcome, CommandError> {
    let ca_root = match &args.ca_root {
        Some(path) => Some(context.read_text(path, ROOTS_LIMIT)?),
        None => None,
    };
    let eab = match (args.eab_kid, &args.eab_hmac_file) {
        (Some(kid), Some(file)) => Some((kid, passphrase::read_file(&context.resolve(file))?.to_string())),
        _ => None,
    };
    let out = match &args.out {
        Some(out) => Some(files::folder(&context.resolve(out))?.display().to_string()),
        None => None,
    };
    let webroot = args.webroot.as_ref().map(|folder| context.resolve(folder).display().to_string());
    let hook = args.hook.map(|hook| context.resolve(&hook).display().to_string());
    let connection = context.connect()?;
    context.output.say(&format!("asking for {}", args.domains.join(", ")));
    let view = connection.call(AcmeIssue {
        domains: args.domains,
        email: args.email,
        ca_url: args.ca_url,
        agree_tos: args.agree_tos,
        ca_root,
        eab,
        challenge: args.challenge,
        http_address: args.http_address,
        webroot,
        out,
        hook,
        served_at: args.served_at,
    })?;
    super::notes(&view, context);
    context.output.reply(&view, |output| output.fields(super::fields(&view)))?;
    Ok(Outcome::Done)
}
