//! `pki issue-client`.

use std::str::FromStr;

use ca::cert::CommonName;
use server::ops::{issue::ProfileName, trust::view::RightsWanted};

use super::issue;
use crate::{
    context::Context,
    error::{CommandError, Outcome},
    issuance::Options,
};

/// Issue a client certificate
///
/// The private key is made here and never leaves. Writes NAME.crt (the certificate alone), NAME.key
/// (readable by its owner alone) and NAME-chain.crt (with the issuing CA). A key that is there is
/// never overwritten without --force. If the command is interrupted, the same command again finishes
/// the same certificate.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pki issue-client alice
  pki issue-client alice --email alice@example.org --days 30 --out /etc/alice
  pki issue-client alice --p12 alice.p12 --p12-passphrase-file pass
  pki issue-client alice --trust --restricted --projects web
  pki issue-client --from people.csv --out issued

people.csv:
  name,email,days
  alice,alice@example.org,365
  bob,bob@example.org;bob@example.net,")]
pub struct Args {
    /// The client's name: the common name of its certificate
    #[arg(required_unless_present = "from", conflicts_with = "from")]
    name: Option<String>,

    /// An e-mail address of the client (repeatable)
    #[arg(long, value_name = "ADDRESS", conflicts_with = "from")]
    email: Vec<String>,

    /// A URI of the client, like spiffe://example.org/alice (repeatable)
    #[arg(long, value_name = "URI", conflicts_with = "from")]
    uri: Vec<String>,

    /// Trust it too, from the moment it exists, as `pki trust add` would
    #[arg(long, conflicts_with = "from")]
    trust: bool,

    /// With --trust: limit it to projects
    #[arg(long, requires = "trust")]
    restricted: bool,

    /// With --trust: the projects that it is limited to, separated by commas
    #[arg(long, value_name = "PROJECTS", value_delimiter = ',', requires = "restricted")]
    projects: Vec<String>,

    #[command(flatten)]
    options: Options,
}

pub fn run(args: Args, context: &mut Context) -> Result<Outcome, CommandError> {
    let trusted = args.trust.then(|| RightsWanted {
        kind: "client".to_string(),
        restricted: args.restricted,
        projects: args.projects.clone(),
    });
    issue::one_or_many(ProfileName::Client, args.name.as_deref(), &args.options, trusted, context, |name| {
        let name = CommonName::from_str(name).map_err(|error| issue::bad_name("name", name, &error))?;
        let mut names = Vec::new();
        for email in &args.email {
            names.push(issue::email_address(email)?);
        }
        for uri in &args.uri {
            names.push(issue::uri(uri)?);
        }
        Ok((name.to_string(), names))
    })
}
