//! `pki crl verify`.

use std::path::{Path, PathBuf};

use ca::cert::Certificate;
use crl::ParsedList;
use serde::Serialize;
use server::ops::{crl::CrlShow, info::Info};

use crate::{
    commands::selector::read_certificates,
    context::{Context, moment},
    error::{CommandError, Outcome},
    output::{Cell, Column, Style, Table},
    pem,
};

/// Check revocation lists: signature, dates, form
///
/// Without a file: the lists that are published here, read from where others read them. With --ca no
/// PKI is needed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit code 0 if every list is in order, 1 if not.

Examples:
  pki crl verify
  pki crl verify fetched.crl
  pki crl verify fetched.crl --ca ca.crt")]
pub struct Args {
    /// Lists, PEM or DER
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,

    /// The authorities that may have signed them
    #[arg(long, value_name = "FILE", requires = "files")]
    ca: Option<PathBuf>,
}

/// The largest list that is read: a million revocations and more.
const LIST_LIMIT: u64 = 1 << 30;

/// What was found out about one list.
#[derive(Serialize)]
struct Checked {
    file: PathBuf,
    /// Which one of the file's lists, from 1, if it holds several.
    part: Option<usize>,
    valid: bool,
    issuer: String,
    number: Option<String>,
    this_update: String,
    next_update: Option<String>,
    entries: usize,
    findings: Vec<String>,
}

pub fn run(args: &Args, context: &mut Context) -> Result<Outcome, CommandError> {
    let (files, authorities) = match &args.ca {
        Some(ca) => (args.files.clone(), read_certificates(ca, context)?),
        None => {
            let connection = context.connect()?;
            let directory = PathBuf::from(connection.call(Info {})?.directory);
            let lists = connection.call(CrlShow {})?;
            drop(connection);
            let files = if args.files.is_empty() {
                lists.iter().map(|list| directory.join(&list.path)).collect()
            } else {
                args.files.clone()
            };
            (files, published_authorities(&directory, context)?)
        }
    };
    let mut checked = Vec::new();
    for file in &files {
        let bytes = context.read(file, LIST_LIMIT)?;
        let lists = pem::blocks(&bytes, "X509 CRL");
        for (index, list) in lists.iter().enumerate() {
            let part = (lists.len() > 1).then_some(index + 1);
            checked.push(check(list, file, part, &authorities, context)?);
        }
    }
    context.output.reply(&checked, |output| {
        let mut table = Table::new([
            Column::text("FILE"),
            Column::whole("RESULT"),
            Column::whole("NUMBER"),
            Column::whole("ENTRIES"),
            Column::text("NEXT DUE"),
        ]);
        for one in &checked {
            let result = if one.valid {
                Cell::styled("valid", Style::Good)
            } else {
                Cell::styled("not valid", Style::Bad)
            };
            table.row([
                one.called().into(),
                result,
                one.number.clone().unwrap_or_default().into(),
                one.entries.to_string().into(),
                one.next_update.clone().unwrap_or_default().into(),
            ]);
        }
        output.table(&table)?;
        for one in checked.iter().filter(|one| !one.valid) {
            for finding in &one.findings {
                output.line(&format!("{}: {finding}", one.called()))?;
            }
        }
        Ok(())
    })?;
    for one in checked.iter().filter(|one| one.valid) {
        context.output.say(&format!("{} is in order", one.called()));
    }
    Ok(if checked.iter().all(|one| one.valid) { Outcome::Done } else { Outcome::No })
}

impl Checked {
    /// The file, and which of its lists.
    fn called(&self) -> String {
        let file = self.file.display();
        self.part.map_or_else(|| file.to_string(), |part| format!("{file} (list {part})"))
    }
}

fn check(
    bytes: &[u8],
    file: &Path,
    part: Option<usize>,
    authorities: &[Certificate],
    context: &Context,
) -> Result<Checked, CommandError> {
    let now = context.now();
    let unreadable = |error: &dyn std::error::Error| {
        CommandError::usage(format!("{} is no revocation list", file.display()))
            .because(error)
            .hint("expected lists in PEM, or one in DER")
    };
    let list = ParsedList::read(bytes).map_err(|error| unreadable(&error))?;
    let named: Vec<&Certificate> =
        authorities.iter().filter(|authority| authority.subject_raw() == list.issuer()).collect();
    // Of several authorities of one name, the one whose key signed it.
    let mut report = list.report(named.first().copied(), now).map_err(|error| unreadable(&error))?;
    for authority in named.iter().skip(1) {
        let other = list.report(Some(authority), now).map_err(|error| unreadable(&error))?;
        if other.findings.len() < report.findings.len() {
            report = other;
        }
    }
    let mut findings: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
    if named.is_empty() {
        findings.insert(
            0,
            match authorities.len() {
                1 => "the authority at hand did not make it".to_owned(),
                several => format!("none of the {several} authorities at hand made it"),
            },
        );
    }
    Ok(Checked {
        file: file.to_path_buf(),
        part,
        valid: findings.is_empty(),
        // As everywhere: RFC 4514, the most specific part first.
        issuer: named.first().map_or(report.issuer, |authority| authority.subject_display()),
        number: report.number.map(|number| number.to_string()),
        this_update: moment(report.this_update),
        next_update: report.next_update.map(moment),
        entries: report.entries,
        findings,
    })
}

/// Every authority whose list may be published in a directory.
fn published_authorities(directory: &Path, context: &Context) -> Result<Vec<Certificate>, CommandError> {
    let mut authorities = read_certificates(&directory.join("chain.crt"), context)?;
    let folder = directory.join("cas");
    let entries = std::fs::read_dir(&folder).map_err(|error| CommandError::file("list", &folder, &error))?;
    for entry in entries {
        let path = entry.map_err(|error| CommandError::file("list", &folder, &error))?.path();
        if path.extension().is_some_and(|extension| extension == "crt") {
            authorities.extend(read_certificates(&path, context)?);
        }
    }
    Ok(authorities)
}
