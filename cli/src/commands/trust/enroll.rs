//! `pki trust add NAME --enroll`: a token that ends in a certificate, with the names it will bear.

use std::str::FromStr;

use ca::cert::{CommonName, SubjectAltName};
use server::ops::{issue::ProfileName, trust::enroll::TokenEnroll};

use super::{RightsArgs, add::handed_out};
use crate::{
    commands::{issue, sign::Profile},
    context::Context,
    error::{CommandError, Outcome},
};

/// What the certificate will be, by the words of `pki issue-client` and `pki issue-server`.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub(super) struct EnrollArgs {
    /// Make a token that ends in a certificate: `pki enroll` redeems it
    #[arg(long)]
    pub(super) enroll: bool,

    /// With --enroll: what the certificate is for
    #[arg(long, value_enum, default_value = "client", requires = "enroll")]
    profile: Profile,

    /// With --enroll: a further DNS name of a server (repeatable)
    #[arg(long, value_name = "NAME", requires = "enroll")]
    dns: Vec<String>,

    /// With --enroll: a further IP address of a server (repeatable)
    #[arg(long, value_name = "ADDRESS", requires = "enroll")]
    ip: Vec<String>,

    /// With --enroll: an e-mail address of a client (repeatable)
    #[arg(long, value_name = "ADDRESS", requires = "enroll")]
    email: Vec<String>,

    /// With --enroll: a URI of a client (repeatable)
    #[arg(long, value_name = "URI", requires = "enroll")]
    uri: Vec<String>,

    /// With --enroll: lifetime in days; without it the profile's own
    #[arg(long, value_name = "N", requires = "enroll", value_parser = clap::value_parser!(u32).range(1..))]
    days: Option<u32>,

    /// With --enroll: project that the certificate belongs to; without it `default`
    #[arg(long, value_name = "NAME", requires = "enroll")]
    project: Option<String>,

    /// With --enroll: trust the certificate too, from the moment it exists
    #[arg(long, requires = "enroll")]
    trust: bool,
}

pub(super) fn run(
    name: &str,
    args: &EnrollArgs,
    rights: &RightsArgs,
    context: &mut Context,
) -> Result<Outcome, CommandError> {
    if !args.trust && (rights.restricted || !rights.projects.is_empty() || rights.kind != "client") {
        return Err(CommandError::usage("rights are for a certificate that is trusted")
            .hint("give --trust too; --project alone says what the certificate belongs to"));
    }
    let profile = ProfileName::from(args.profile);
    let (name, names) = names(name, profile, args)?;
    let wanted = TokenEnroll {
        name,
        profile,
        names: names.iter().map(ToString::to_string).collect(),
        days: args.days,
        project: args.project.clone(),
        trusted: args.trust.then(|| rights.into()),
    };
    let created = context.connect()?.call(wanted)?;
    handed_out(&created, context)?;
    context.output.hint(&format!("{} runs: pki enroll TOKEN --out DIR", created.token.name));
    Ok(Outcome::Done)
}

/// The name and the further ones; what a profile has no use for is refused by the service.
fn names(
    name: &str,
    profile: ProfileName,
    args: &EnrollArgs,
) -> Result<(String, Vec<SubjectAltName>), CommandError> {
    let (name, mut names) = match profile {
        ProfileName::Client => {
            let name = CommonName::from_str(name).map_err(|error| issue::bad_name("name", name, &error))?;
            (name.to_string(), Vec::new())
        }
        ProfileName::Server => {
            let (name, first) = issue::server_name(name)?;
            (name, vec![first])
        }
    };
    for dns in &args.dns {
        names.push(issue::dns_name(dns)?);
    }
    for ip in &args.ip {
        names.push(issue::ip_address(ip)?);
    }
    for email in &args.email {
        names.push(issue::email_address(email)?);
    }
    for uri in &args.uri {
        names.push(issue::uri(uri)?);
    }
    let names = issue::without_repeats(names);
    let first = usize::from(profile == ProfileName::Server);
    Ok((name, names.into_iter().skip(first).collect()))
}
