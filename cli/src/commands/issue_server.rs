//! `pki issue-server`.

use server::ops::issue::ProfileName;

use super::issue;
use crate::{
    context::Context,
    error::{CommandError, Outcome},
    issuance::Options,
};

/// Issue a server certificate
///
/// NAME is the server's first DNS name or IP address; --dns and --ip add more. International names
/// may be typed as they are written. The private key is made here and never leaves; see
/// `pki issue-client --help` for the files and for what happens after an interruption.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pki issue-server www.example.org
  pki issue-server db.internal --dns db --ip 10.0.0.7 --ip fd00::7
  pki issue-server '*.apps.example.org' --key-type ed25519
  pki issue-server --from servers.csv --out issued

servers.csv:
  name,dns,ip
  www.example.org,example.org,
  db.internal,db,10.0.0.7;fd00::7")]
pub struct Args {
    /// The server's first DNS name or IP address
    #[arg(required_unless_present = "from", conflicts_with = "from")]
    name: Option<String>,

    /// A further DNS name (repeatable)
    #[arg(long, value_name = "NAME", conflicts_with = "from")]
    dns: Vec<String>,

    /// A further IP address (repeatable)
    #[arg(long, value_name = "ADDRESS", conflicts_with = "from")]
    ip: Vec<String>,

    #[command(flatten)]
    options: Options,
}

pub fn run(args: Args, context: &mut Context) -> Result<Outcome, CommandError> {
    issue::one_or_many(ProfileName::Server, args.name.as_deref(), &args.options, None, context, |name| {
        let (name, first) = issue::server_name(name)?;
        let mut names = vec![first];
        for dns in &args.dns {
            names.push(issue::dns_name(dns)?);
        }
        for ip in &args.ip {
            names.push(issue::ip_address(ip)?);
        }
        // The first is the name itself.
        Ok((name, issue::without_repeats(names).split_off(1)))
    })
}
