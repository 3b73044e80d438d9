//! One issuance as the CLI sees it: the key and the CSR are made here, only the CSR leaves, and what
//! comes back is put in place. Shared by `issue-client`, `issue-server` and `renew --rekey`.

use std::{path::PathBuf, str::FromStr};

use ca::{
    cert::{Certificate, CommonName, Fingerprint, Slug, SubjectAltName, printable},
    key::{KeyType, PrivateKey},
    subject::{LeafKind, Subject},
};
use serde::Serialize;
use server::ops::{
    issue::{Issue, IssueTrusted, Issued, ProfileName},
    trust::view::RightsWanted,
};

use crate::{
    connect::Connection,
    context::{Context, distance, moment},
    error::{CommandError, Kind},
    files::{Beside, Overwrite, Pending, Pkcs12, Place, Placed, Refusal, Start, start},
    output::Output,
};

/// The options that both issuing commands have.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Options {
    /// Lifetime in days; without it the profile's own (see `pki config list`)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub days: Option<u32>,

    /// Directory for the files; made if missing, for its owner alone
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Type of the key: p256, p384, ed25519 or rsa4096
    #[arg(long, value_name = "TYPE", default_value = "p384", value_parser = key_type)]
    pub key_type: KeyType,

    /// Replace NAME.key and NAME.crt, once the new certificate has arrived
    #[arg(long)]
    pub force: bool,

    /// Decide and check everything, but issue and write nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Project they belong to; without it `default`, or the only one that you have rights in
    #[arg(long, value_name = "NAME")]
    pub project: Option<String>,

    /// Also write key and chain as PKCS#12 into this file
    #[arg(long, value_name = "FILE", requires = "p12_passphrase_file", conflicts_with_all = ["from", "dry_run"])]
    pub p12: Option<PathBuf>,

    /// File whose one line is the passphrase of the PKCS#12 file
    #[arg(long, value_name = "FILE", requires = "p12")]
    pub p12_passphrase_file: Option<PathBuf>,

    /// Issue one certificate for each row of this CSV file
    ///
    /// The first line names the columns: name (required), email, uri, dns, ip, days, key_type.
    /// Several values in one cell are separated by `;`. Interrupted and run again, the command goes
    /// on where it stopped; a row that is done is left alone. A row that fails does not stop the rest.
    #[arg(long, value_name = "FILE.csv")]
    pub from: Option<PathBuf>,
}

impl Options {
    /// Whether files that are there may be replaced.
    pub fn overwrite(&self) -> Overwrite {
        if self.force { Overwrite::Allow } else { Overwrite::Refuse }
    }
}

/// The key types that we make; others are only read.
pub fn key_type(text: &str) -> Result<KeyType, String> {
    match KeyType::from_str(text) {
        Ok(found @ (KeyType::P256 | KeyType::P384 | KeyType::Ed25519 | KeyType::Rsa4096)) => Ok(found),
        _ => Err("expected p256, p384, ed25519 or rsa4096".to_string()),
    }
}

/// What is asked for; its digest tells whether the same command runs again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What the certificate is for.
    pub profile: ProfileName,
    /// The name it is issued under, checked and in canonical form.
    pub name: String,
    /// Further names.
    pub names: Vec<SubjectAltName>,
    /// Lifetime.
    pub days: Option<u32>,
    /// Type of the key that is made.
    pub key_type: KeyType,
    /// The project it belongs to, if one was named.
    pub project: Option<String>,
    /// What its entry may do, if it gets one.
    pub trusted: Option<RightsWanted>,
}

/// Whether something is done, or only decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// `--dry-run`
    Dry,
    /// As asked for.
    Really,
}

impl Request {
    /// What the files are called.
    pub fn slug(&self) -> Slug {
        Slug::of(&self.name)
    }

    /// Whether a certificate can bear these names together: what is refused here costs nobody anything.
    pub fn check(&self) -> Result<(), CommandError> {
        let kind = match self.profile {
            ProfileName::Client => LeafKind::Client,
            ProfileName::Server => LeafKind::Server,
        };
        let names: Vec<String> = self.names.iter().map(ToString::to_string).collect();
        Subject::typed(kind, &self.name, &names).map(|_| ()).map_err(|error| {
            CommandError::usage(format!(
                "no certificate can bear what was asked for {}",
                printable(&self.name)
            ))
            .because(&error)
            .hint("nothing was written; correct the names and try again")
        })
    }

    /// The digest by which an unfinished issuance is known again.
    pub fn digest(&self) -> String {
        let mut names: Vec<String> = self.names.iter().map(ToString::to_string).collect();
        names.sort();
        let profile = match self.profile {
            ProfileName::Client => "client",
            ProfileName::Server => "server",
        };
        let parts = (profile, &self.name, names, self.days, self.key_type.to_string());
        // Serializing strings and numbers cannot fail; an empty text would only make digests equal.
        let mut text = serde_json::to_vec(&parts).unwrap_or_default();
        if let Some(project) = &self.project {
            text.extend(serde_json::to_vec(project).unwrap_or_default());
        }
        if let Some(trusted) = &self.trusted {
            text.extend(serde_json::to_vec(trusted).unwrap_or_default());
        }
        Fingerprint::of(&text).to_string()
    }

    /// Asks for it.
    pub fn ask(&self, csr: String, doing: Doing, connection: &Connection) -> Result<Issued, CommandError> {
        let issue = self.operation(csr, doing == Doing::Dry);
        match &self.trusted {
            Some(rights) => connection.call(IssueTrusted { issue, rights: rights.clone() }),
            None => connection.call(issue),
        }
    }

    /// The operation that asks for it, without an entry.
    pub fn operation(&self, csr: String, dry_run: bool) -> Issue {
        Issue {
            profile: self.profile,
            csr,
            name: Some(self.name.clone()),
            names: self.names.iter().map(ToString::to_string).collect(),
            days: self.days,
            dry_run,
            project: self.project.clone(),
        }
    }

    /// A new key and its CSR.
    pub fn prepare(&self) -> Result<Pending, CommandError> {
        prepare(&self.name, &self.names, self.key_type, self.digest())
    }
}

/// A new key and its CSR.
pub fn prepare(
    name: &str,
    names: &[SubjectAltName],
    key_type: KeyType,
    request: String,
) -> Result<Pending, CommandError> {
    let key = PrivateKey::generate(key_type)
        .map_err(|error| CommandError::internal(format!("cannot make a key for {name}")).because(&error))?;
    prepare_for(&key, name, names, request)
}

/// A CSR for a key that there is already.
pub fn prepare_for(
    key: &PrivateKey,
    name: &str,
    names: &[SubjectAltName],
    request: String,
) -> Result<Pending, CommandError> {
    let failed = |error: &dyn std::error::Error| {
        CommandError::internal(format!("cannot make a CSR for {name}")).because(error)
    };
    // The service takes nothing but the key from the CSR; a name that no subject can hold (a long
    // DNS name, a wildcard) is replaced by one that says so.
    let subject = CommonName::from_str(name).or_else(|_| CommonName::from_str("named in the request"));
    let csr = ca::key::make_csr(key, &subject.map_err(|error| failed(&error))?, names)
        .map_err(|error| failed(&error))?;
    let key = key.to_pem().map_err(|error| failed(&error))?;
    Ok(Pending { request, key, csr })
}

/// Issues one certificate and puts its files in place.
pub fn issue(
    request: &Request,
    place: &Place,
    overwrite: Overwrite,
    p12: Option<&Pkcs12>,
    connection: &Connection,
) -> Result<(Issued, Placed), CommandError> {
    let pending = begin(place, &request.digest(), overwrite, || request.prepare())?;
    let answer = request.ask(pending.csr.clone(), Doing::Really, connection);
    let issued = settle(answer, place)?;
    belongs(&issued, &pending)?;
    let placed = finish(place, &pending, &issued, p12, &[])?;
    Ok((issued, placed))
}

/// Makes the key and the CSR durable, or takes up those of an interrupted run.
pub fn begin(
    place: &Place,
    request: &str,
    overwrite: Overwrite,
    prepare: impl Fn() -> Result<Pending, CommandError>,
) -> Result<Pending, CommandError> {
    // Another command for the same name may be faster, again and again; it can't be for long.
    for _ in 0..8 {
        let found = place.look()?;
        match start(&found, request, overwrite).map_err(|refusal| refused(refusal, place))? {
            Start::Resume(pending) => return Ok(pending),
            Start::Fresh => {
                let pending = prepare()?;
                if place.begin(&pending, &found, overwrite)?.is_some() {
                    return Ok(pending);
                }
            }
        }
    }
    Err(CommandError::new(
        Kind::Unavailable,
        format!("another command is at work on {}", place.slug.as_str()),
    )
    .hint("wait until it has ended, then try again"))
}

/// After a refusal nothing was issued: the key is worth nothing and goes. After any other failure it
/// stays, since the certificate may exist.
pub fn settle<T>(answer: Result<T, CommandError>, place: &Place) -> Result<T, CommandError> {
    answer.map_err(|error| match error.kind {
        Kind::Conflict | Kind::Denied | Kind::NotFound | Kind::Usage => {
            let _ = store::file::remove(&place.pending_path());
            error
        }
        Kind::BrokenPipe | Kind::External | Kind::Internal | Kind::Unavailable => {
            error.hint("the same command again finishes this issuance with the same key")
        }
    })
}

/// Puts the files of an issued certificate in place. Where that fails, the certificate exists all the same.
pub fn finish(
    place: &Place,
    pending: &Pending,
    issued: &Issued,
    p12: Option<&Pkcs12>,
    beside: &[Beside<'_>],
) -> Result<Placed, CommandError> {
    place.finish(pending, issued, p12, beside).map_err(|error| {
        error
            .hint(format!("certificate {} has been issued all the same", issued.certificate.serial))
            .hint("put that right; the same command again finishes it, with the same key")
    })
}

/// The certificate must be what its issuing CA signed. Whoever made it did not verify each signature.
pub fn genuine(issued: &Issued) -> Result<Certificate, CommandError> {
    let failed = |error: &dyn std::error::Error| {
        CommandError::internal("the service's answer cannot be read").because(error)
    };
    let chain = Certificate::pem_bundle(issued.chain.as_bytes()).map_err(|error| failed(&error))?;
    let certificate = Certificate::from_pem(issued.pem.as_bytes()).map_err(|error| failed(&error))?;
    // An adopted root that signs leaves itself is not part of the chain: whoever trusts it has it.
    if let Some(issuer) = chain.get(1) {
        certificate.verify_signed_by(issuer).map_err(|error| {
            CommandError::internal("the certificate's signature is not one of its issuing CA")
                .because(&error)
                .hint(format!("it is of no use to anyone: pki revoke {}", issued.certificate.serial))
        })?;
    }
    Ok(certificate)
}

/// The certificate must carry the key that was made for it.
pub fn belongs(issued: &Issued, pending: &Pending) -> Result<(), CommandError> {
    let failed = |error: &dyn std::error::Error| {
        CommandError::internal("the service's answer cannot be read").because(error)
    };
    let certificate = genuine(issued)?;
    let key = PrivateKey::from_pem(pending.key.as_bytes(), None).map_err(|error| failed(&error))?;
    if certificate.public_key().digest() != key.public_key().digest() {
        return Err(CommandError::internal("the service answered with a certificate for another key")
            .hint("run the same command again; if it persists, `pki doctor` and `pki audit verify`"));
    }
    Ok(())
}

/// A refusal as the user is told it.
pub fn refused(refusal: Refusal, place: &Place) -> CommandError {
    let folder = place.folder.display();
    let slug = place.slug.as_str();
    match refusal {
        Refusal::CertificateExists => CommandError::conflict(format!("{folder}/{slug}.crt exists already"))
            .hint("choose another directory with --out, or replace it with --force"),
        Refusal::Foreign => {
            CommandError::conflict(format!("{} is not one of our files", place.pending_path().display()))
                .hint("move it out of the way")
        }
        Refusal::KeyExists => {
            CommandError::conflict(format!("{} exists already", place.key_path().display()))
                .hint("choose another directory with --out, or replace it with --force")
                .hint("`pki renew` issues a successor")
        }
        Refusal::OtherRequest => CommandError::conflict(format!(
            "an earlier issuance of {slug} with other options has not finished"
        ))
        .hint("finish it: the same command as then, with the same options")
        .hint(format!("or give its key up: rm {}", place.pending_path().display())),
    }
}

/// An issued certificate and where it went.
#[derive(Serialize)]
pub struct Delivered<'a> {
    /// There only where nothing was issued.
    #[serde(skip_serializing_if = "Option::is_none")]
    dry_run: Option<bool>,
    #[serde(flatten)]
    issued: &'a Issued,
    files: Option<&'a Placed>,
}

/// Tells what was issued and where it lies.
pub fn report(issued: &Issued, placed: Option<&Placed>, context: &mut Context) -> Result<(), CommandError> {
    let now = context.now();
    let directory = context.environment.directory.clone();
    for warning in &issued.warnings {
        context.output.warn(warning);
    }
    // Only a dry run has no certificate to show.
    let dry_run = issued.pem.is_empty().then_some(true);
    let delivered = Delivered { dry_run, issued, files: placed };
    context.output.reply(&delivered, |output: &mut Output| {
        let certificate = &issued.certificate;
        let mut fields = vec![("name", certificate.name.clone()), ("profile", certificate.profile.clone())];
        // A dry run has made nothing that could have them.
        for (name, value) in [("serial", &certificate.serial), ("fingerprint", &certificate.fingerprint)] {
            if !value.is_empty() {
                fields.push((name, value.clone()));
            }
        }
        fields.extend(certificate.names.iter().map(|name| ("names", name.clone())));
        let end = format!("{} ({})", moment(certificate.not_after), distance(certificate.not_after, now));
        fields.push(("valid until", end));
        if let Some(placed) = placed {
            let shown = |path: &PathBuf| path.strip_prefix(&directory).unwrap_or(path).display().to_string();
            fields.push(("certificate", shown(&placed.certificate)));
            fields.push(("key", shown(&placed.key)));
            fields.push(("chain", shown(&placed.chain)));
            fields.extend(placed.p12.as_ref().map(|path| ("pkcs12", shown(path))));
        }
        output.fields(fields)
    })
}

#[cfg(test)]
mod tests;
