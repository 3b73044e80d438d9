//! `pki doctor`.

use server::ops::doctor::{Doctor, Severity};

use crate::{
    context::Context,
    error::{CommandError, Outcome},
    output::{Cell, Column, Style, Table},
};

/// Look for what is wrong, or about to be
///
/// Checks certificates and lists for their ends, file modes, the store, the clock and the settings.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit code 1 if something is broken now; warnings alone leave it 0, unless --strict is given.

Examples:
  pki doctor
  pki doctor --strict -q || mail -s 'pki needs you' root < /dev/null")]
pub struct Args {
    /// Exit with 1 for warnings too
    #[arg(long)]
    strict: bool,
}

pub fn run(args: &Args, context: &mut Context) -> Result<Outcome, CommandError> {
    let mut findings = context.connect()?.call(Doctor {})?;
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let worst = findings.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Ok);
    context.output.reply(&findings, |output| {
        let mut table = Table::new([Column::whole("STATE"), Column::whole("CHECK"), Column::whole("FOUND")]);
        for finding in &findings {
            let (word, style) = match finding.severity {
                Severity::Ok => ("ok", Style::Good),
                Severity::Note => ("note", Style::Plain),
                Severity::Warning => ("warning", Style::Warn),
                Severity::Error => ("error", Style::Bad),
            };
            table.row([
                Cell::styled(word, style),
                finding.check.clone().into(),
                finding.message.clone().into(),
            ]);
        }
        output.table(&table)?;
        for finding in &findings {
            if let Some(hint) = &finding.hint {
                output.hint(&format!("{}: {hint}", finding.check));
            }
        }
        Ok(())
    })?;
    let limit = if args.strict { Severity::Warning } else { Severity::Error };
    Ok(if worst >= limit { Outcome::No } else { Outcome::Done })
}
