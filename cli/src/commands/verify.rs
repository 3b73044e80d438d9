//! `pki verify`.

use std::path::PathBuf;

use ca::cert::{Certificate, Purpose, verify_path};
use server::ops::{
    inventory::{Check, Verdict, Verify},
    issue::ProfileName,
};

use super::{selector::read_certificates, sign::Profile};
use crate::{
    context::{Context, distance, moment},
    error::{CommandError, Outcome},
    output::{Cell, Column, Style, Table},
};

/// Judge a certificate as our own service would
///
/// The chain, the dates, the purpose, the revocation and the inventory. With --ca the certificate is
/// held against that authority alone: no PKI is needed then, and revocation is not looked at.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit code 0 if the certificate is valid, 1 if it is not.

Examples:
  pki verify alice.crt
  pki verify server.crt --purpose server --json
  pki verify server-chain.crt --ca root.crt")]
pub struct Args {
    /// The certificate and, behind it, any intermediates; PEM or DER
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// What it must be good for; without it either will do
    #[arg(long, value_enum)]
    purpose: Option<Profile>,

    /// Trust the authorities in this file, and ask no PKI
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

pub fn run(args: &Args, context: &mut Context) -> Result<Outcome, CommandError> {
    let certificates = read_certificates(&args.file, context)?;
    let verdict = match &args.ca {
        Some(ca) => {
            let anchors = read_certificates(ca, context)?;
            alone(&certificates, &anchors, args.purpose, context)
        }
        None => {
            let pem = certificates.iter().map(Certificate::to_pem).collect();
            let purpose = args.purpose.map(ProfileName::from);
            context.connect()?.call(Verify { pem, purpose })?
        }
    };
    context.output.reply(&verdict, |output| {
        let mut table = Table::new([Column::whole("CHECK"), Column::whole("RESULT"), Column::whole("FOUND")]);
        for check in &verdict.checks {
            let result = if check.passed {
                Cell::styled("passed", Style::Good)
            } else {
                Cell::styled("failed", Style::Bad)
            };
            table.row([check.name.clone().into(), result, check.detail.clone().into()]);
        }
        output.table(&table)
    })?;
    let name = args.file.display();
    if verdict.valid {
        context.output.say(&format!("{name} is valid"));
        Ok(Outcome::Done)
    } else {
        context.output.say(&format!("{name} is not valid"));
        Ok(Outcome::No)
    }
}

/// Judges without a PKI: chain, dates and purpose against the anchors given.
fn alone(
    certificates: &[Certificate],
    anchors: &[Certificate],
    purpose: Option<Profile>,
    context: &Context,
) -> Verdict {
    let now = context.now();
    let Some((leaf, intermediates)) = certificates.split_first() else {
        return Verdict { valid: false, checks: Vec::new() };
    };
    let in_date = leaf.not_before() <= now && now <= leaf.not_after();
    let dates = Check {
        name: "dates".to_string(),
        passed: in_date,
        detail: format!(
            "{} to {} (ends {})",
            moment(leaf.not_before()),
            moment(leaf.not_after()),
            distance(leaf.not_after(), now)
        ),
    };
    let purposes: &[(Purpose, &str)] = match purpose {
        Some(Profile::Client) => &[(Purpose::Client, "client")],
        Some(Profile::Server) => &[(Purpose::Server, "server")],
        None => &[(Purpose::Client, "client"), (Purpose::Server, "server")],
    };
    let mut checks = vec![dates];
    let mut refusals = Vec::new();
    for (purpose, word) in purposes {
        match verify_path(leaf, intermediates, anchors, *purpose, now) {
            Ok(path) => {
                let detail = path.iter().map(Certificate::subject_display).collect::<Vec<_>>().join(" < ");
                checks.push(Check { name: "chain".to_string(), passed: true, detail });
                let detail = format!("good for a {word}");
                checks.push(Check { name: "purpose".to_string(), passed: true, detail });
                return Verdict { valid: in_date, checks };
            }
            Err(error) => refusals.push(format!("as a {word}: {error}")),
        }
    }
    checks.push(Check { name: "chain".to_string(), passed: false, detail: refusals.join("; ") });
    Verdict { valid: false, checks }
}
