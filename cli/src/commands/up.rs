//! `pki up`.

use std::{ffi::OsStr, path::Path};

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
/// certificate, the first revocation list. Then, and every other time, the service: the local socket,
/// HTTPS (setting core.https_address) and the public listener (core.public_address). Ctrl-C, SIGTERM and SIGHUP stop it.
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
    https_address: Option<String>,
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
    if report.pki == PkiState::Found {
        without_effect(&args.init, context);
    }
    serve::serve(pki, None, &directory, &args.serve, context, |_, context| {
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
        https_address: report.https_address.map(|address| address.to_string()),
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

/// Says which options were of no use, because the PKI is there already.
fn without_effect(given: &init::Options, context: &mut Context) {
    let options = [
        ("--name", given.name.is_some()),
        ("--root-key-out", given.root_key_out.is_some()),
        ("--name-constraint", !given.name_constraint.is_empty()),
        ("--ask-passphrase", given.ask_passphrase),
    ];
    let unused: Vec<&str> =
        options.into_iter().filter(|(_, is_given)| *is_given).map(|(name, _)| name).collect();
    if !unused.is_empty() {
        let unused = unused.join(", ");
        context
            .output
            .warn(&format!("there is a PKI already, and it stays as it is: {unused} changed nothing"));
        context.output.hint("another PKI needs another --dir");
    }
}

/// The word that runs this very program: `pki` where PATH leads to it, else its whole path.
fn program(context: &Context) -> String {
    let path = context.environment.variable("PATH").unwrap_or_default();
    std::env::current_exe().map_or_else(|_unknown| "pki".to_owned(), |this| word_for(&this, path))
}

fn word_for(this: &Path, path: &OsStr) -> String {
    let found = std::env::split_paths(path).map(|folder| folder.join("pki")).find(|file| file.is_file());
    match (found.map(|file| file.canonicalize()), this.canonicalize()) {
        (Some(Ok(found)), Ok(this)) if found == this => "pki".to_owned(),
        _ => this.display().to_string(),
    }
}

/// What to try next, in words that find this PKI again.
fn next(report: &UpReport, context: &mut Context) {
    let program = match &context.global.dir {
        Some(dir) => format!("{} --dir {}", program(context), dir.display()),
        None => program(context),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_word_stands_only_where_it_runs_this_program() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["ours/pki", "other/pki", "links/file"] {
            std::fs::create_dir_all(at(name).parent().unwrap()).unwrap();
            std::fs::write(at(name), name).unwrap();
        }
        std::os::unix::fs::symlink(at("ours/pki"), at("links/pki")).unwrap();
        let this = at("ours/pki");
        let word = |folders: &[&str]| {
            let folders = folders.iter().map(|name| at(name));
            word_for(&this, &std::env::join_paths(folders).unwrap())
        };
        assert_eq!(word(&["ours", "other"]), "pki");
        assert_eq!(word(&["links"]), "pki");
        for folders in [&["other", "ours"][..], &["nowhere"], &[]] {
            assert_eq!(word(folders), this.display().to_string(), "{folders:?}");
        }
    }
}
