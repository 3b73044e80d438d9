//! `pki renew --self`: the certificate of an enrolment renews itself, with itself as the credential.
//!
//! The successor is durable in `.NAME.renewed` before the key that asked for it is replaced: whatever
//! interrupts us, either the old pair still speaks to the service or the new one is here whole.

use ca::{
    cert::{Certificate, date},
    key::KeyType,
    profile::Validity,
    renew::due_at,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use server::{
    dial::{Authorities, Identity},
    ops::enroll::{Enrolled, RenewSelf, SelfRenewed},
};
use store::file::{OnExisting, Visibility};

use super::Args;
use crate::{
    context::{Context, distance, moment},
    enrolled::{self, Enrolment, Server, lists},
    error::{CommandError, Kind, Outcome},
    exec,
    files::{self, Beside, FileNames, Folder, Overwrite, Pending, Place},
    issuance,
};

/// A successor on its way into place.
#[derive(Serialize, Deserialize)]
struct Arrived {
    enrolled: Enrolled,
    enrolment: Enrolment,
}

pub fn run(args: &Args, context: &mut Context) -> Result<Outcome, CommandError> {
    let folder = match &args.out {
        Some(out) => context.resolve(out),
        None => context.environment.directory.clone(),
    };
    files::tidy(&folder);
    let opened = Folder::open(&folder)?;
    let (slug, enrolment) = enrolled::find(&opened, args.which.as_deref())?;
    let place = Place { folder, slug };
    let request =
        ca::cert::Fingerprint::of(format!("renew-self {}", place.slug.as_str()).as_bytes()).to_string();
    let unfinished = place.unfinished(&request)?;
    let arrived = match &unfinished {
        Some(pending) => arrived(&opened, &place, pending)?,
        None => None,
    };
    let renewed = match (unfinished, arrived) {
        (Some(pending), Some(arrived)) => Some((pending, arrived)),
        (unfinished, _) => renew(args, &place, &opened, &enrolment, &request, unfinished, context)?,
    };
    let Some((pending, arrived)) = renewed else {
        run_due(args, &place, enrolment, context)?;
        return Ok(Outcome::Done);
    };
    put_in_place(&place, &pending, &arrived)?;
    issuance::report(&arrived.enrolled.issued, None, context)?;
    context.output.say(&format!("renewed {} in {}", arrived.enrolment.name, place.folder.display()));
    run_due(args, &place, arrived.enrolment, context)?;
    Ok(Outcome::Done)
}

/// Where a successor waits.
fn waiting(place: &Place) -> String {
    format!(".{}.renewed", place.slug.as_str())
}

fn arrived(folder: &Folder, place: &Place, pending: &Pending) -> Result<Option<Arrived>, CommandError> {
    // One that can't be read, or of another key, is asked for again: the old pair is still in place then.
    let found =
        folder.read(&waiting(place))?.and_then(|bytes| serde_json::from_slice::<Arrived>(&bytes).ok());
    Ok(found.filter(|arrived| issuance::belongs(&arrived.enrolled.issued, pending).is_ok()))
}

/// Asks for the successor; `None` if it is not due, and then the lists alone are fetched.
fn renew(
    args: &Args,
    place: &Place,
    opened: &Folder,
    enrolment: &Enrolment,
    request: &str,
    unfinished: Option<Pending>,
    context: &mut Context,
) -> Result<Option<(Pending, Arrived)>, CommandError> {
    let names = FileNames::of(&place.slug);
    let read = |name: &str| {
        opened.read(name)?.ok_or_else(|| {
            CommandError::not_found(format!("{} is not there", place.folder.join(name).display()))
                .hint("enrol again with another token and --force")
        })
    };
    let (leaf, chain, key, root) =
        (read(&names.certificate)?, read(&names.chain)?, read(&names.key)?, read(&names.root)?);
    let unusable = |error: &dyn std::error::Error| {
        CommandError::conflict(format!("{} and its key can't be used", names.certificate))
            .because(error)
            .hint("enrol again with another token and --force")
    };
    let certificate = Certificate::from_pem(&leaf).map_err(|error| unusable(&error))?;
    let now = context.now();
    if now > certificate.not_after() {
        return Err(CommandError::conflict(format!(
            "the certificate of {} expired on {}: it can't renew itself any more",
            enrolment.name,
            date(certificate.not_after())
        ))
        .hint("enrol again with --force: `pki trust add NAME --enroll`, on the server, makes a token"));
    }
    let identity = Identity::from_pem(&chain, &key).map_err(|error| unusable(&error))?;
    let trusted = Certificate::from_pem(&root).map_err(|error| unusable(&error))?;
    let between = Certificate::pem_bundle(&chain).map_err(|error| unusable(&error))?;
    let root = Authorities::from_pem(&root);
    let server = Server::find(&enrolment.addresses, context, |address, shown| {
        enrolment.knows(root.as_ref(), address, shown, now)
    })?;
    let service = server.service(Some(identity), context)?;
    let validity = Validity { not_before: certificate.not_before(), not_after: certificate.not_after() };
    let due = unfinished.is_some() || args.force || now >= due_at(validity);
    let not_due = |context: &mut Context| {
        let below = between.get(1..).unwrap_or_default();
        let fresh = put_lists(place, lists::of(&service, LISTS, &trusted, below, now), context)?;
        let (name, end) = (&enrolment.name, certificate.not_after());
        let told = json!({"not_due": {
            "name": name, "serial": certificate.serial().to_string(), "not_after": moment(end)
        }});
        context.output.reply(&told, |output| {
            let due = due_at(validity);
            let fresh = if fresh == Lists::Fresh { "; its lists are fresh" } else { "" };
            output.say(&format!("{name} is due {} ({}){fresh}", moment(due), distance(due, now)));
            Ok(())
        })
    };
    if !due {
        not_due(context)?;
        return Ok(None);
    }
    let if_due = unfinished.is_none() && !args.force;
    let kind = args.key_type.unwrap_or_else(|| {
        issuance::key_type(&certificate.public_key().key_type().to_string()).unwrap_or(KeyType::P384)
    });
    let pending = issuance::begin(place, request, Overwrite::Allow, || {
        issuance::prepare(&enrolment.name, &[], kind, request.to_string())
    })?;
    let ask = RenewSelf { csr: pending.csr.clone(), if_due };
    let answer = service.ask::<_, SelfRenewed>(RenewSelf::PATH, &ask).map_err(enrolled::refused);
    let enrolled = match issuance::settle(answer, place)? {
        SelfRenewed::Renewed(enrolled) => *enrolled,
        SelfRenewed::NotDue(_) => {
            store::file::remove(&place.pending_path())?;
            not_due(context)?;
            return Ok(None);
        }
    };
    issuance::belongs(&enrolled.issued, &pending)?;
    enrolled::check(&enrolled, now)?;
    // A successor is not lost for a list: the next run fetches them again.
    put_lists(place, lists::fetch(&service, &enrolled.lists, &enrolled, now), context)?;
    let enrolment = Enrolment { exec_due: command(args).is_some(), ..enrolment.clone() };
    let arrived = Arrived { enrolled, enrolment: enrolment.seen(&server.shown) };
    let bytes = serde_json::to_vec(&arrived)
        .map_err(|error| CommandError::internal("cannot write down the successor").because(&error))?;
    files::write(&place.folder.join(waiting(place)), &bytes, Visibility::Public, OnExisting::Replace)?;
    Ok(Some((pending, arrived)))
}

/// What came of the lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lists {
    /// They were good, and are in place.
    Fresh,
    /// They were not; those of before are still there.
    Kept,
}

/// Puts lists that were judged in place. Those that can't be relied on are told, and written nowhere.
fn put_lists(
    place: &Place,
    judged: Result<Vec<u8>, CommandError>,
    context: &mut Context,
) -> Result<Lists, CommandError> {
    let names = FileNames::of(&place.slug);
    match judged {
        Ok(lists) => {
            let path = place.folder.join(&names.lists);
            files::write(&path, &lists, Visibility::Public, OnExisting::Replace)?;
            Ok(Lists::Fresh)
        }
        Err(error) => {
            let why: Vec<&str> =
                std::iter::once(&error.message).chain(&error.causes).map(String::as_str).collect();
            context.output.warn(&format!("{} stays as it was: {}", names.lists, why.join(": ")));
            Ok(Lists::Kept)
        }
    }
}

/// Where the lists lie while nothing says otherwise.
const LISTS: &str = "/chain.crl";

fn put_in_place(place: &Place, pending: &Pending, arrived: &Arrived) -> Result<(), CommandError> {
    let names = FileNames::of(&place.slug);
    issuance::belongs(&arrived.enrolled.issued, pending)?;
    let enrolment = arrived.enrolment.encode()?;
    let beside = [
        Beside { name: &names.root, bytes: arrived.enrolled.root.as_bytes() },
        Beside { name: &names.enrolled, bytes: &enrolment },
    ];
    issuance::finish(place, pending, &arrived.enrolled.issued, None, &beside)?;
    Ok(store::file::remove(&place.folder.join(waiting(place)))?)
}

/// The command to run; the shipped unit gives an empty one where nobody asked for any.
fn command(args: &Args) -> Option<&str> {
    args.exec.as_deref().filter(|command| !command.trim().is_empty())
}

/// Runs the command for a certificate that it was not run for yet. What it prints goes to standard error.
fn run_due(
    args: &Args,
    place: &Place,
    enrolment: Enrolment,
    context: &mut Context,
) -> Result<(), CommandError> {
    let Some(command) = command(args).filter(|_| enrolment.exec_due) else { return Ok(()) };
    context.output.flush()?;
    let names = FileNames::of(&place.slug);
    let failed = |why: String| {
        CommandError::new(Kind::External, format!("the certificate is renewed, and `{command}` {why}"))
            .hint("put that right; the next `pki renew --self` with the same command runs it again")
    };
    let status = exec::shell(command)
        .env("PKI_NAME", &enrolment.name)
        .env("PKI_CERTIFICATE", place.folder.join(&names.certificate))
        .env("PKI_CHAIN", place.folder.join(&names.chain))
        .env("PKI_KEY", place.folder.join(&names.key))
        .current_dir(&place.folder)
        .status()
        .map_err(|error| failed("could not be run".to_string()).because(&error))?;
    if !status.success() {
        return Err(failed(format!("failed: {status}")));
    }
    let done = Enrolment { exec_due: false, ..enrolment }.encode()?;
    Ok(files::write(&place.folder.join(&names.enrolled), &done, Visibility::Public, OnExisting::Replace)?)
}
