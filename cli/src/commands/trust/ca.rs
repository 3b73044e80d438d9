//! `pki trust ca add|list|remove`.

use std::path::PathBuf;

use clap::Subcommand;
use server::ops::trust::authority::{AuthorityForget, AuthorityImport, AuthorityList, TrustedAuthority};
use time::OffsetDateTime;

use super::view::short;
use crate::{
    commands::selector::read_certificates,
    context::{Context, distance},
    error::{CommandError, Kind, Outcome},
    output::{Column, Table},
    pem,
};

/// Look after foreign authorities whose clients may come
///
/// Once one is imported, PKI mode is on (core.pki_mode=auto): every client certificate must be signed by
/// an imported authority. With core.trust_ca_certificates=true such a signature is enough by itself.
#[derive(Debug, clap::Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "\
Examples:
  pki trust ca add corp-ca.crt --crl corp-ca.crl
  pki trust ca list
  pki trust ca remove 4a3f9c"
)]
pub struct Args {
    #[command(subcommand)]
    command: Sub,
}

#[derive(Debug, Subcommand)]
enum Sub {
    /// Import authorities, with their lists
    ///
    /// A list that is not theirs, has run out, or is older than one that was seen before is refused, and
    /// nothing is imported. Once an authority had a list, its clients are refused while there is none that
    /// counts.
    Add {
        /// The authorities' certificates, PEM or DER
        #[arg(value_name = "FILE")]
        file: PathBuf,

        /// Their revocation list, PEM or DER (repeatable)
        #[arg(long, value_name = "FILE")]
        crl: Vec<PathBuf>,
    },
    /// List the imported authorities
    List,
    /// Let go of an authority: its clients are strangers from then on
    Remove {
        /// The beginning of its key's digest or fingerprint, or its common name
        #[arg(value_name = "KEY|NAME")]
        which: String,
    },
}

/// The most octets of a list's file.
const LIST_LIMIT: u64 = 24 * 1024 * 1024;

pub fn run(args: Args, context: &mut Context) -> Result<Outcome, CommandError> {
    let now = context.now();
    match args.command {
        Sub::Add { file, crl } => {
            let bundle = read_certificates(&file, context)?;
            let certificates = bundle.iter().map(::ca::cert::Certificate::to_pem).collect();
            let mut lists = String::new();
            for path in &crl {
                let bytes = context.read(path, LIST_LIMIT).map_err(|error| match error.kind {
                    Kind::Usage => error.hint(
                        "--crl takes lists of up to 24 MiB; trusted-ca/ca.crl in the PKI's directory one of up to 128",
                    ),
                    _ => error,
                })?;
                // DER begins with the tag of a SEQUENCE, which no PEM does.
                let text = match bytes.first() {
                    Some(0x30) => pem::armour("X509 CRL", &bytes),
                    Some(_) | None => context.text(path, bytes)?,
                };
                lists.push_str(&text);
                lists.push('\n');
            }
            let imported = context.connect()?.call(AuthorityImport { certificates, lists })?;
            context.output.reply(&imported, |output| output.table(&table(&imported.authorities, now)))?;
            if imported.new.is_empty() {
                context.output.say("imported before; nothing new");
            }
        }
        Sub::List => {
            let authorities = context.connect()?.call(AuthorityList {})?;
            context.output.reply(&authorities, |output| {
                if authorities.is_empty() {
                    output.say("no authority was imported");
                    return Ok(());
                }
                output.table(&table(&authorities, now))
            })?;
        }
        Sub::Remove { which } => {
            let removed = context.connect()?.call(AuthorityForget { word: which })?;
            context.output.reply(&removed, |output| {
                output.say(&format!("clients of {} are strangers from now on", removed.subject));
                Ok(())
            })?;
        }
    }
    Ok(Outcome::Done)
}

fn table(authorities: &[TrustedAuthority], now: OffsetDateTime) -> Table {
    let mut table = Table::new([
        Column::whole("KEY"),
        Column::text("SUBJECT"),
        Column::whole("EXPIRES"),
        Column::whole("LIST"),
        Column::whole("REVOKED"),
        Column::whole("NEXT DUE"),
        Column::whole("FROM"),
    ]);
    for authority in authorities {
        let list = authority.list.as_ref();
        let of_list = |shown: Option<String>| shown.unwrap_or_else(|| "-".to_string());
        table.row([
            short(&authority.key).to_string().into(),
            authority.subject.clone().into(),
            distance(authority.not_after, now).into(),
            list.map_or("none", |list| list.state.as_str()).to_string().into(),
            of_list(list.map(|list| list.entries.to_string())).into(),
            of_list(list.map(|list| distance(list.next_update, now))).into(),
            authority.source.clone().into(),
        ]);
    }
    table
}
