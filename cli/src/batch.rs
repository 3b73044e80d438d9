//! Thousands of certificates in one go: keys on all cores, one call and one sync for a whole chunk.
//!
//! For every chunk: look what is there, make the missing keys, write the pending files, make them
//! durable, ask, place what came back, make it durable, forget the pending files. At whatever point
//! that breaks off, the same command again goes on: a row whose key and certificate are in place is
//! done, a row with a pending file sends the same CSR again and gets the same certificate.

pub mod rows;

use ca::{cert::Certificate, key::PrivateKey};
use serde::Serialize;
use server::ops::issue::{IssueMany, Issued, ProfileName, RowReply};
use store::file::{OnExisting, Visibility};
use store::spread::{cores, spread};

use crate::{
    commands::issue::server_name,
    connect::Connection,
    context::Context,
    error::{CommandError, Kind, Outcome},
    files::{self, Decoded, FileNames, Folder, Found, Overwrite, Pending, Place, Start, start},
    issuance::{self, Options, Request},
    output::{Cell, Column, Style, Table},
};
use rows::{Defaults, Row};

/// How many rows share one call and one sync.
const CHUNK: usize = 256;

/// The largest CSV file that is read.
const FILE_LIMIT: u64 = 64 * 1024 * 1024;

/// How many failed rows are shown; `--json` has them all.
const SHOWN: usize = 50;

/// What came of a batch.
#[derive(Debug, Default, Serialize)]
struct Summary {
    rows: usize,
    issued: usize,
    /// Finished an issuance that an earlier run had begun.
    resumed: usize,
    /// Had been done before.
    already_done: usize,
    failed: Vec<Failure>,
}

/// A row that failed.
#[derive(Debug, Serialize)]
struct Failure {
    line: u64,
    name: String,
    error: CommandError,
}

/// A row that is sent.
struct Sent<'r> {
    row: &'r Row,
    request: &'r Request,
    names: FileNames,
    pending: Pending,
    resumed: bool,
}

/// A row that needs a key.
struct Fresh<'r> {
    row: &'r Row,
    request: &'r Request,
    names: FileNames,
    on_existing: OnExisting,
}

/// Issues every row of the file.
pub fn run(profile: ProfileName, options: &Options, context: &mut Context) -> Result<Outcome, CommandError> {
    let Some(path) = &options.from else {
        return Err(CommandError::usage("a name or --from FILE.csv is missing").hint("see --help"));
    };
    let text = context.read_text(path, FILE_LIMIT)?;
    let mut rows = rows::parse(&text, Defaults { profile, days: options.days, key_type: options.key_type })?;
    for request in rows.iter_mut().filter_map(|row| row.request.as_mut().ok()) {
        request.project.clone_from(&options.project);
    }
    if options.dry_run {
        return Err(CommandError::usage("--dry-run does not go with --from")
            .hint("try one row with `pki issue-client NAME --dry-run`"));
    }
    let directory = match &options.out {
        Some(out) => files::folder(&context.resolve(out))?,
        None => context.environment.directory.clone(),
    };
    files::tidy(&directory);
    let folder = Folder::open(&directory)?;
    let connection = context.connect()?;
    let progress = context.output.progress(rows.len() as u64);
    let mut summary = Summary { rows: rows.len(), ..Summary::default() };
    for chunk in rows.chunks(CHUNK) {
        issue_chunk(chunk, &folder, options.overwrite(), &connection, &mut summary)?;
        progress.advance(chunk.len() as u64);
    }
    progress.finish();
    report(&summary, context)
}

fn issue_chunk(
    chunk: &[Row],
    folder: &Folder,
    overwrite: Overwrite,
    connection: &Connection,
    summary: &mut Summary,
) -> Result<(), CommandError> {
    let mut sent = Vec::new();
    let mut fresh = Vec::new();
    for row in chunk {
        match consider(row, folder, overwrite) {
            Ok(Considered::Done) => summary.already_done += 1,
            Ok(Considered::Fresh(row)) => fresh.push(row),
            Ok(Considered::Sent(row)) => sent.push(row),
            Err(error) => summary.failed.push(Failure::of(row, error)),
        }
    }
    for (made, fresh) in on_all_cores(&fresh, |fresh| fresh.request.prepare()).into_iter().zip(fresh) {
        let kept = made.and_then(|pending| {
            folder.place(&fresh.names.pending, &pending.encode(), Visibility::Secret, fresh.on_existing)?;
            Ok(pending)
        });
        match kept {
            Ok(pending) => {
                let Fresh { row, request, names, .. } = fresh;
                sent.push(Sent { row, request, names, pending, resumed: false });
            }
            Err(error) => summary.failed.push(Failure::of(fresh.row, error)),
        }
    }
    if sent.is_empty() {
        return Ok(());
    }
    // The keys are durable before any CSR leaves.
    folder.sync()?;
    let requests = sent.iter().map(|row| row.request.operation(row.pending.csr.clone(), false)).collect();
    let replies = connection.call(IssueMany { requests }).map_err(|error| {
        error.hint("the same command again goes on where this one stopped, with the same keys")
    })?;
    if replies.len() != sent.len() {
        return Err(CommandError::internal("the service answered another number of rows than it was asked")
            .hint("the same command again goes on where this one stopped"));
    }
    let mut finished = Vec::new();
    for (row, reply) in sent.into_iter().zip(replies) {
        match deliver(&row, reply, folder) {
            Ok(()) => finished.push(row),
            Err(error) => summary.failed.push(Failure::of(row.row, error)),
        }
    }
    // Everything is in place for good before the pending files go.
    folder.sync()?;
    for row in finished {
        folder.remove(&row.names.pending)?;
        if row.resumed {
            summary.resumed += 1;
        } else {
            summary.issued += 1;
        }
    }
    Ok(())
}

/// What is to be done for a row.
enum Considered<'r> {
    Done,
    Fresh(Fresh<'r>),
    Sent(Sent<'r>),
}

fn consider<'r>(row: &'r Row, folder: &Folder, overwrite: Overwrite) -> Result<Considered<'r>, CommandError> {
    let request = row.request.as_ref().map_err(Clone::clone)?;
    let slug = request.slug();
    let names = FileNames::of(&slug);
    let found = folder.look(&names)?;
    if overwrite == Overwrite::Refuse && is_done(&found, request) {
        return Ok(Considered::Done);
    }
    let torn = matches!(found.pending, Some(Decoded::Torn));
    match start(&found, &request.digest(), overwrite) {
        Ok(Start::Resume(pending)) => {
            Ok(Considered::Sent(Sent { row, request, names, pending, resumed: true }))
        }
        Ok(Start::Fresh) => {
            let on_existing = if torn { OnExisting::Replace } else { OnExisting::Refuse };
            Ok(Considered::Fresh(Fresh { row, request, names, on_existing }))
        }
        Err(refusal) => Err(issuance::refused(refusal, &Place { folder: folder.path().to_path_buf(), slug })),
    }
}

/// Whether a row's key and certificate are in place, belong together, and are what the row asks for.
fn is_done(found: &Found, request: &Request) -> bool {
    let (None, Some(key), Some(certificate)) = (&found.pending, &found.key, &found.certificate) else {
        return false;
    };
    let Ok(certificate) = Certificate::from_pem(certificate) else { return false };
    let Ok(key) = PrivateKey::from_pem(key, None) else { return false };
    let names = certificate.names();
    let named = match request.profile {
        ProfileName::Client => certificate.common_name() == Some(&*request.name),
        ProfileName::Server => server_name(&request.name).is_ok_and(|(_, first)| names.contains(&first)),
    };
    key.public_key().digest() == certificate.public_key().digest()
        && named
        && request.names.iter().all(|name| names.contains(name))
}

fn deliver(row: &Sent<'_>, reply: RowReply, folder: &Folder) -> Result<(), CommandError> {
    let issued: Issued = match reply {
        RowReply::Issued(issued) => *issued,
        RowReply::Failed(problem) => {
            let error = CommandError::from(problem);
            // Refused for good: the key is worth nothing. Anything else may have been issued.
            if matches!(error.kind, Kind::Conflict | Kind::Denied | Kind::NotFound | Kind::Usage) {
                folder.remove(&row.names.pending)?;
            }
            return Err(error);
        }
    };
    issuance::belongs(&issued, &row.pending)?;
    let replace = OnExisting::Replace;
    folder.place(&row.names.key, row.pending.key.as_bytes(), Visibility::Secret, replace)?;
    folder.place(&row.names.chain, issued.chain.as_bytes(), Visibility::Public, replace)?;
    folder.place(&row.names.certificate, issued.pem.as_bytes(), Visibility::Public, replace)
}

/// Does something to every item, on all cores, and keeps the order.
fn on_all_cores<T: Sync, R: Send>(items: &[T], act: impl Fn(&T) -> R + Sync) -> Vec<R> {
    spread(items.iter().collect(), cores(), act)
}

impl Failure {
    fn of(row: &Row, error: CommandError) -> Failure {
        Failure { line: row.line, name: row.name.clone(), error }
    }
}

fn report(summary: &Summary, context: &mut Context) -> Result<Outcome, CommandError> {
    context.output.reply(summary, |output| {
        output.fields([
            ("rows", summary.rows.to_string()),
            ("issued", summary.issued.to_string()),
            ("resumed", summary.resumed.to_string()),
            ("already done", summary.already_done.to_string()),
            ("failed", summary.failed.len().to_string()),
        ])?;
        if summary.failed.is_empty() {
            return Ok(());
        }
        let mut table = Table::new([Column::whole("LINE"), Column::text("NAME"), Column::whole("WHY")]);
        for failure in summary.failed.iter().take(SHOWN) {
            let why = std::iter::once(&failure.error.message).chain(&failure.error.causes);
            let why = why.map(String::as_str).collect::<Vec<_>>().join(": ");
            table.row([
                failure.line.to_string().into(),
                failure.name.clone().into(),
                Cell::styled(why, Style::Bad),
            ]);
        }
        output.line("")?;
        output.table(&table)
    })?;
    let more = summary.failed.len().saturating_sub(SHOWN);
    if more > 0 {
        context.output.say(&format!("{more} more rows failed; --json lists them all"));
    }
    if summary.failed.is_empty() {
        return Ok(Outcome::Done);
    }
    context.output.hint("correct the failed rows and run the same command again: the others are left alone");
    Ok(Outcome::No)
}
