//! `pki crl publish`.

use std::path::{Path, PathBuf};

use base64::{Engine, engine::general_purpose::STANDARD};
use ca::{cert::Certificate, issuer::IssuerCertificate, lint, signer};
use crl::ParsedList;
use server::ops::crl::{CrlPublish, RootCrlDraft, RootCrlDrafted, RootCrlInstall};

use crate::{
    commands::view,
    context::{Context, distance, moment},
    error::{CommandError, Outcome},
    pem, root_key,
};

/// Sign and place new lists
///
/// The service does so by itself; this is for after a failure, and for the root's list when its key is
/// kept elsewhere: the list is drafted by the service, checked and signed here, and handed back. The
/// key is read from its file and goes nowhere.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pki crl publish                                  the issuing CAs' lists
  pki crl publish --root                           the root's list too
  pki crl publish --root --root-key /mnt/root.key  the root's list, with its key from a medium")]
pub struct Args {
    /// The root's list too
    #[arg(long)]
    root: bool,

    /// Sign the root's list here, with the key in this file
    #[arg(long, value_name = "FILE", requires = "root")]
    root_key: Option<PathBuf>,
}

pub fn run(args: &Args, context: &mut Context) -> Result<Outcome, CommandError> {
    let now = context.now();
    let Some(root_key) = &args.root_key else {
        let lists = context.connect()?.call(CrlPublish { root: args.root })?;
        context.output.reply(&lists, |output| output.table(&view::lists(&lists, now)))?;
        return Ok(Outcome::Done);
    };
    let connection = context.connect()?;
    let draft = connection.call(RootCrlDraft {})?;
    let pem = sign(&draft, root_key, context)?;
    let list = connection.call(RootCrlInstall { pem })?;
    let row = std::slice::from_ref(&list);
    context.output.reply(&list, |output| output.table(&view::lists(row, now)))?;
    Ok(Outcome::Done)
}

/// Checks the draft, shows what it says, signs it.
fn sign(draft: &RootCrlDrafted, root_key: &Path, context: &mut Context) -> Result<String, CommandError> {
    let failed = |error: &dyn std::error::Error| {
        CommandError::internal("the root's list was not signed").because(error).hint("nothing was changed")
    };
    let root = Certificate::from_pem(draft.root.as_bytes()).map_err(|error| failed(&error))?;
    let tbs = STANDARD.decode(&draft.tbs).map_err(|error| failed(&error))?;
    let issuer = IssuerCertificate::new(root.clone()).map_err(|error| failed(&error))?;
    // Whoever drafted it: what breaks a rule is not signed.
    let linted = lint::list(tbs, &issuer, None, context.whole_second()).map_err(|error| failed(&error))?;
    let key = root_key::read(root_key, &root, context)?;
    let der = signer::list_with_key(&linted, &key).map_err(|error| failed(&error))?;
    let signed = ParsedList::read(&der).map_err(|error| failed(&error))?;
    let until = signed.next_update().unwrap_or(signed.this_update());
    context.output.say(&format!(
        "signed the list of {}: {}, in force until {} ({})",
        root.subject_display(),
        view::count(signed.serials().len() as u64, "entry", "entries"),
        moment(until),
        distance(until, context.now())
    ));
    Ok(pem::armour("X509 CRL", &der))
}
