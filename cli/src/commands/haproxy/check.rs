//! `pki haproxy check`.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use haproxy::check::{Finding, Severity, Surroundings, check};
use serde::Serialize;

use crate::{
    context::Context,
    error::{CommandError, Kind, Outcome},
    output::{Cell, Column, Style, Table},
};

/// Look through a configuration of HAProxy for what `haproxy -c` does not see
///
/// `haproxy -c` comes first. Then come faults of configurations that pass TLS through by name or
/// terminate it for clients with certificates: valid, and not doing what they were written for.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit code 1 if anything was found.

Examples:
  pki haproxy check /etc/haproxy/haproxy.cfg
  pki haproxy check haproxy.cfg --json | jq -r '.findings[] | [.line, .fault] | @tsv'")]
pub struct Args {
    /// The configuration
    file: PathBuf,

    /// The program that is asked first
    #[arg(long, value_name = "PROGRAM", default_value = "haproxy")]
    haproxy: PathBuf,
}

/// The most octets of a configuration, and of a file that it names.
const LIMIT: u64 = 64 << 20;

/// What was found.
#[derive(Serialize)]
struct Report {
    file: PathBuf,
    valid: bool,
    /// What `haproxy -c` said, where that is more than that all is well.
    said: Vec<String>,
    findings: Vec<Found>,
}

#[derive(Serialize)]
struct Found {
    line: usize,
    fault: &'static str,
    severity: &'static str,
    found: String,
    mend: &'static str,
    #[serde(skip)]
    how_bad: Severity,
}

impl From<Finding> for Found {
    fn from(finding: Finding) -> Found {
        let (fault, how_bad) = (finding.fault, finding.fault.severity());
        Found {
            line: finding.line,
            fault: fault.name(),
            severity: how_bad.as_str(),
            found: finding.found,
            mend: fault.mend(),
            how_bad,
        }
    }
}

pub fn run(args: &Args, context: &mut Context) -> Result<Outcome, CommandError> {
    let text = context.read_text(&args.file, LIMIT)?;
    let path = context.resolve(&args.file);
    let (valid, said) = ask(&args.haproxy, &path)?;
    let now = context.now().unix_timestamp();
    let folder = path.parent().unwrap_or(Path::new("/"));
    let file = |name: &str| context.read(&folder.join(name), LIMIT).ok();
    let around = Surroundings { open_files: open_files(), file: &file, now };
    let findings: Vec<Found> = match valid {
        true => check(&text, &around).into_iter().map(Found::from).collect(),
        false => Vec::new(),
    };
    let report = Report { file: path, valid, said, findings };
    context.output.reply(&report, |output| {
        if !report.valid {
            output.warn(&format!("haproxy refuses {}", report.file.display()));
        }
        for line in &report.said {
            output.line(line)?;
        }
        if report.findings.is_empty() {
            if report.valid {
                output.say("no fault was found");
            }
            return Ok(());
        }
        let mut table = Table::new([
            Column::whole("LINE"),
            Column::whole("SEVERITY"),
            Column::whole("FAULT"),
            Column::text("FOUND"),
        ]);
        for finding in &report.findings {
            let style = match finding.how_bad {
                Severity::Note => Style::Plain,
                Severity::Warning => Style::Warn,
                Severity::Error => Style::Bad,
            };
            table.row([
                finding.line.to_string().into(),
                Cell::styled(finding.severity, style),
                finding.fault.into(),
                finding.found.clone().into(),
            ]);
        }
        output.table(&table)?;
        for finding in &report.findings {
            output.hint(&format!("line {}: {}", finding.line, finding.mend));
        }
        Ok(())
    })?;
    let clean = report.valid && report.findings.is_empty();
    Ok(if clean { Outcome::Done } else { Outcome::No })
}

/// What `haproxy -c` says, warnings being errors.
fn ask(program: &Path, file: &Path) -> Result<(bool, Vec<String>), CommandError> {
    let output =
        Command::new(program).args(["-c", "-dW", "-f"]).arg(file).stdin(Stdio::null()).output().map_err(
            |error| match error.kind() {
                std::io::ErrorKind::NotFound => {
                    CommandError::not_found(format!("there is no program {}", program.display()))
                        .hint("install it (apt-get install haproxy), or name it with --haproxy PROGRAM")
                }
                _ => CommandError::new(Kind::External, format!("{} can't be run", program.display()))
                    .because(&error)
                    .hint("name the program with --haproxy PROGRAM"),
            },
        )?;
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    let lines = said.lines().map(str::trim_end).filter(|line| !line.is_empty());
    let said = lines.filter(|line| *line != "Configuration file is valid").map(str::to_owned).collect();
    Ok((output.status.success(), said))
}

/// The most files that a program started from here may open.
fn open_files() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum
}
