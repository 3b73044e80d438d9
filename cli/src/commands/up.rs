//! `pki up`.

use std::path::Path;

use serde::Serialize;
use server::{
    Pki,
    ops::{doctor::Severity, view::AuthorityView},
    up::{PkiState, UpReport},
};

use super::{init, serve, view};
use crate::{
    connect,
    context::Context,
    error::{CommandError, Outcome},
    passphrase, provision,
};

/// Create what is missing, then serve it
///
/// The first time: a root and an issuing CA, the service's server certificate, the operator's client
/// certificate, the first revocation list. Then, and every other time, the service: the local socket
/// and the public listener (setting core.public_address). Ctrl-C, SIGTERM and SIGHUP stop it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pki up
  pki up --name 'Example Org' --dir /srv/pki")]
pub struct Args {
    #[command(flatten)]
    init: init::Options,
    #[command(flatten)]
    serve: serve::Options,
}

/// What `--json` says before the service runs.
#[derive(Serialize)]
struct Report<'a> {
    directory: &'a Path,
    created: bool,
    made: Vec<MadeView<'a>>,
    authorities: &'a [AuthorityView],
    public_address: Option<String>,
}

/// One thing that was made.
#[derive(Serialize)]
struct MadeView<'a> {
    what: &'a str,
    path: &'a Path,
}

pub fn run(args: &Args, context: &mut Context) -> Result<Outcome, CommandError> {
    let directory = context.new_directory()?;
    let (pki, report) = make(&directory, args, context)?;
    tell(&report, context)?;
    serve::serve(pki, &directory, &args.serve, context, |_, context| {
        next(&report, context);
        Ok(())
    })
}

/// Makes what is missing.
fn make(directory: &Path, args: &Args, context: &mut Context) -> Result<(Pki, UpReport), CommandError> {
    let init = provision::wanted(&args.init, context)?;
    let mut phrase = match directory.join("store").exists() {
        true => passphrase::given(context)?,
        false => provision::new_passphrase(&args.init, context)?,
    };
    connect::patiently(directory, context, |context| {
        let up = |phrase| {
            let keys = provision::keys(phrase, context);
            server::up::up(directory, keys, &init, &server::peer::own(), context.whole_second())
        };
        match up(phrase.clone()) {
            Err(error) if connect::asks_for_passphrase(&error, &context.environment) => {
                phrase = connect::ask(&context.environment).or(phrase.take());
                up(phrase.clone())
            }
            done => done,
        }
    })
}

fn tell(report: &UpReport, context: &mut Context) -> Result<(), CommandError> {
    let now = context.now();
    let made = report.made.iter().map(|made| MadeView { what: made.what, path: &made.path }).collect();
    let shown = Report {
        directory: &report.directory,
        created: report.pki == PkiState::Created,
        made,
        authorities: &report.authorities,
        public_address: report.public_address.map(|address| address.to_string()),
    };
    context.output.reply(&shown, |output| {
        match report.pki {
            PkiState::Created => output.say(&format!("made a PKI in {}", report.directory.display())),
            PkiState::Found => output.say(&format!("there is a PKI in {}", report.directory.display())),
        }
        output.table(&view::authorities(&report.authorities, now))?;
        if !report.made.is_empty() {
            output.line("")?;
            output.fields(report.made.iter().map(|made| (made.what, made.path.display().to_string())))?;
        }
        output.line("")?;
        output.fields(report.authorities.iter().map(|authority| {
            let name = if authority.role == "issuing" { "issuing CA sha256" } else { "root CA sha256" };
            (name, authority.fingerprint.clone())
        }))
    })?;
    for finding in &report.advice {
        match finding.severity {
            Severity::Ok => {}
            Severity::Note => context.output.say(&finding.message),
            Severity::Warning | Severity::Error => context.output.warn(&finding.message),
        }
        if let Some(hint) = &finding.hint {
            context.output.hint(hint);
        }
    }
    Ok(())
}

/// What to try next, in words that find this PKI again.
fn next(report: &UpReport, context: &mut Context) {
    let program = match &context.global.dir {
        Some(dir) => format!("pki --dir {}", dir.display()),
        None => "pki".to_string(),
    };
    match report.pki {
        PkiState::Found => {}
        PkiState::Created => {
            context.output.say("try, in another terminal:");
            for words in
                ["issue-client alice", "issue-server www.example.org", "list", "revoke alice", "doctor"]
            {
                context.output.say(&format!("  {program} {words}"));
            }
        }
    }
    context.output.say("Ctrl-C stops the service");
}
