//! What `issue-client` and `issue-server` share: names checked at the border, one issuance run.

use std::str::FromStr;

use ca::cert::{DnsName, EmailAddress, SubjectAltName, UriName, printable};
use server::ops::{issue::ProfileName, trust::view::RightsWanted};

use crate::{
    batch,
    context::Context,
    error::{CommandError, Outcome},
    files::{self, Pending, Pkcs12, Place, p12},
    issuance::{self, Doing, Options, Request},
    passphrase,
};

/// Issues to one name, or to every row of `--from`. `named` checks the name and those that go with it:
/// it returns the name in canonical form and the further ones. `trusted` is what its entry may do, if it
/// gets one.
pub fn one_or_many(
    profile: ProfileName,
    name: Option<&str>,
    options: &Options,
    trusted: Option<RightsWanted>,
    context: &mut Context,
    named: impl FnOnce(&str) -> Result<(String, Vec<SubjectAltName>), CommandError>,
) -> Result<Outcome, CommandError> {
    let Some(name) = name else {
        return batch::run(profile, options, context);
    };
    let (name, names) = named(name)?;
    let request = Request {
        profile,
        name,
        names,
        days: options.days,
        key_type: options.key_type,
        project: options.project.clone(),
        trusted,
    };
    run(&request, options, context)
}

/// Runs one issuance and tells what came of it.
fn run(request: &Request, options: &Options, context: &mut Context) -> Result<Outcome, CommandError> {
    request.check()?;
    if options.dry_run {
        let pending = request.prepare()?;
        let issued = request.ask(pending.csr, Doing::Dry, &context.connect()?)?;
        issuance::report(&issued, None, context)?;
        context.output.say("nothing was issued: --dry-run");
        return Ok(Outcome::Done);
    }
    let folder = match &options.out {
        Some(out) => context.resolve(out),
        None => context.environment.directory.clone(),
    };
    let place = Place { folder, slug: request.slug() };
    let p12 = match (&options.p12, &options.p12_passphrase_file) {
        (Some(path), Some(passphrase)) => {
            let unfinished = place.unfinished(&request.digest())?;
            Some(pkcs12(path, passphrase, unfinished.as_ref(), options, context)?)
        }
        _ => None,
    };
    files::folder(&place.folder)?;
    files::tidy(&place.folder);
    let connection = context.connect()?;
    let (issued, placed) = issuance::issue(request, &place, options.overwrite(), p12.as_ref(), &connection)?;
    drop(connection);
    issuance::report(&issued, Some(&placed), context)?;
    if issued.repeated {
        context.output.say("finished an issuance that had been interrupted");
    }
    Ok(Outcome::Done)
}

/// Checks where the PKCS#12 goes. One that is there already is ours if it holds the key of an issuance
/// that was interrupted.
fn pkcs12(
    path: &std::path::Path,
    passphrase_file: &std::path::Path,
    unfinished: Option<&Pending>,
    options: &Options,
    context: &Context,
) -> Result<Pkcs12, CommandError> {
    let path = context.resolve(path);
    let is_ours = match (unfinished, store::file::read_secret(&path)) {
        (Some(pending), Ok(there)) => {
            let passphrase = passphrase::read_file(&context.resolve(passphrase_file))?;
            p12::holds(&there, &pending.key, &passphrase)
        }
        (None, _) | (Some(_), Err(_)) => false,
    };
    if !options.force && !is_ours && path.symlink_metadata().is_ok() {
        return Err(CommandError::conflict(format!("{} exists already", path.display()))
            .hint("choose another file, or replace it with --force"));
    }
    // Before anything is issued: a certificate without its files helps nobody.
    let folder = path.parent().unwrap_or(&path);
    match folder.metadata() {
        Ok(found) if found.is_dir() => {}
        Ok(_) => {
            return Err(CommandError::usage(format!("{} is not a directory", folder.display()))
                .hint("nothing was issued; choose another file for --p12"));
        }
        Err(error) => {
            return Err(CommandError::file("look at", folder, &error)
                .hint("nothing was issued; make the directory of the --p12 file first"));
        }
    }
    if path.is_dir() {
        return Err(CommandError::usage(format!("{} is a directory", path.display()))
            .hint("nothing was issued; --p12 names a file"));
    }
    let writable = rustix::fs::access(folder, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK);
    writable.map_err(|error| CommandError::file("write into", folder, &error.into()))?;
    let passphrase = passphrase::read_file(&context.resolve(passphrase_file))?;
    Ok(Pkcs12 { path, passphrase })
}

/// A server's first name, canonical, and as an alternative name.
pub fn server_name(text: &str) -> Result<(String, SubjectAltName), CommandError> {
    let name = match SubjectAltName::parse_ip(text) {
        Ok(address) => address,
        Err(_) => dns_name(text)?,
    };
    let canonical = match &name {
        SubjectAltName::Dns(dns) => dns.to_string(),
        SubjectAltName::Ip(address) => address.to_string(),
        SubjectAltName::Email(_) | SubjectAltName::Uri(_) => text.to_string(),
    };
    Ok((canonical, name))
}

/// A DNS name, international ones included.
pub fn dns_name(text: &str) -> Result<SubjectAltName, CommandError> {
    DnsName::from_str(text).map(SubjectAltName::Dns).map_err(|error| bad_name("DNS name", text, &error))
}

/// An IP address.
pub fn ip_address(text: &str) -> Result<SubjectAltName, CommandError> {
    SubjectAltName::parse_ip(text).map_err(|error| bad_name("IP address", text, &error))
}

/// An e-mail address.
pub fn email_address(text: &str) -> Result<SubjectAltName, CommandError> {
    EmailAddress::from_str(text)
        .map(SubjectAltName::Email)
        .map_err(|error| bad_name("e-mail address", text, &error))
}

/// A URI.
pub fn uri(text: &str) -> Result<SubjectAltName, CommandError> {
    UriName::from_str(text).map(SubjectAltName::Uri).map_err(|error| bad_name("URI", text, &error))
}

/// The names with each only once, in order.
pub fn without_repeats(names: Vec<SubjectAltName>) -> Vec<SubjectAltName> {
    let mut kept: Vec<SubjectAltName> = Vec::with_capacity(names.len());
    for name in names {
        if !kept.contains(&name) {
            kept.push(name);
        }
    }
    kept
}

/// A name that was refused.
pub fn bad_name(what: &str, text: &str, error: &dyn std::error::Error) -> CommandError {
    CommandError::usage(format!("\"{}\" is no {what} that we certify", printable(text)))
        .because(error)
        .hint("nothing was written; correct the name and try again")
}
