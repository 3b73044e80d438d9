//! `pki renew`.

mod itself;

use std::path::{Path, PathBuf};

use ca::{
    cert::{Fingerprint, Slug},
    key::{KeyType, PrivateKey},
};
use server::ops::{
    inventory::Show,
    issue::{Issued, Renew, Renewed},
    view::{CertificateView, Selector, Status},
};
use store::file::{OnExisting, Visibility};

use super::selector::select;
use crate::{
    connect::Connection,
    context::{Context, distance, moment},
    error::{CommandError, Outcome},
    files::{self, Decoded, FileNames, Folder, Overwrite, Pending, Place},
    issuance::{self, key_type},
};

/// Issue a successor with the same names, profile and rights
///
/// Without --rekey the key stays and NAME.crt and NAME-chain.crt are replaced. With --rekey a new key
/// is made here, and NAME.key is replaced once its certificate has arrived; interrupted, the same
/// command again finishes the same certificate. The predecessor stays valid until it ends or is revoked.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pki renew alice
  pki renew alice --if-due            does nothing before two thirds of the lifetime have passed
  pki renew 4a3f9c01 --rekey --out /etc/alice
  pki renew --self --out /etc/web --exec 'systemctl reload nginx'")]
pub struct Args {
    /// Name, serial, fingerprint or file; with --self the name of one that was enrolled here
    #[arg(value_name = "NAME|SERIAL|FILE", required_unless_present = "itself")]
    which: Option<String>,

    /// With a new key
    #[arg(long, group = "new_key")]
    rekey: bool,

    /// The certificate of `pki enroll` that lies here, over HTTPS and with itself as the credential
    ///
    /// It gets a new key and a successor when two thirds of its lifetime have passed; before that only its
    /// revocation list is fetched anew. No PKI and no other credential is needed here.
    #[arg(long = "self", group = "new_key", conflicts_with = "if_due")]
    itself: bool,

    /// With --self: run this command by `sh -c` after each renewal, until it succeeds once
    #[arg(long, value_name = "COMMAND", requires = "itself")]
    exec: Option<String>,

    /// Type of the new key; without it that of the old one
    #[arg(long, value_name = "TYPE", requires = "new_key", value_parser = key_type)]
    key_type: Option<KeyType>,

    /// Do nothing before two thirds of the lifetime have passed
    #[arg(long)]
    if_due: bool,

    /// Directory of the files
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Replace a NAME.key that does not belong to the certificate; with --self: before it is due
    #[arg(long, requires = "new_key")]
    force: bool,
}

pub fn run(args: &Args, context: &mut Context) -> Result<Outcome, CommandError> {
    let Some(which) = args.which.as_deref().filter(|_| !args.itself) else {
        return itself::run(args, context);
    };
    let selector = select(which, context)?;
    let folder = match &args.out {
        Some(out) => files::folder(&context.resolve(out))?,
        None => context.environment.directory.clone(),
    };
    files::tidy(&folder);
    let connection = context.connect()?;
    let shown = connection.call(Show { selector })?;
    let candidates: Vec<CertificateView> = shown.into_iter().map(|one| one.certificate).collect();
    let old = choose(which, candidates, &folder)?;
    let place = Place { folder, slug: Slug::of(&old.name) };
    let renewal = if args.rekey {
        rekey(args, which, &old, &place, &connection)?
    } else {
        keep_key(args, which, &old, &place, &connection, context)?
    };
    drop(connection);
    let Some(issued) = renewal else {
        context.output.reply(&Renewed::NotDue(Box::new(old.clone())), |output| {
            output.say(&format!("{} is not due: it ends {}", old.name, moment(old.not_after)));
            Ok(())
        })?;
        return Ok(Outcome::Done);
    };
    let now = context.now();
    issuance::report(&issued, None, context)?;
    let names = FileNames::of(&place.slug);
    let key = if args.rekey { format!("{}, ", names.key) } else { String::new() };
    context.output.say(&format!(
        "wrote {key}{} and {}; the predecessor {} ends {}",
        names.certificate,
        names.chain,
        old.serial,
        distance(old.not_after, now)
    ));
    Ok(Outcome::Done)
}

/// Which certificate a renewal continues: the live one; of several of a name the one whose file is
/// here, else the newest, as long as they are for the same thing.
fn choose(
    word: &str,
    candidates: Vec<CertificateView>,
    folder: &Path,
) -> Result<CertificateView, CommandError> {
    if let [only] = candidates.as_slice() {
        return Ok(only.clone());
    }
    let live: Vec<&CertificateView> = candidates.iter().filter(|one| one.status == Status::Valid).collect();
    let pool: Vec<&CertificateView> = if live.is_empty() { candidates.iter().collect() } else { live };
    let mut profiles: Vec<&str> = pool.iter().map(|one| one.profile.as_str()).collect();
    profiles.sort_unstable();
    profiles.dedup();
    if profiles.len() > 1 {
        let mut error = CommandError::conflict(format!("{word} has certificates for several purposes"))
            .hint("name the one to renew by its serial");
        error.causes = pool
            .iter()
            .map(|one| format!("{} ({}, until {})", one.serial, one.profile, moment(one.not_after)))
            .collect();
        return Err(error);
    }
    if let Some(here) = pool.iter().find(|one| is_here(one, folder)) {
        return Ok((*here).clone());
    }
    pool.into_iter().max_by_key(|one| (one.issued_at, one.not_after)).cloned().ok_or_else(|| {
        CommandError::not_found(format!("no certificate of {word}")).hint("`pki list` shows what there is")
    })
}

/// Whether `NAME.crt` in the folder is this certificate.
fn is_here(one: &CertificateView, folder: &Path) -> bool {
    let name = FileNames::of(&Slug::of(&one.name)).certificate;
    let read = Folder::open(folder).and_then(|folder| folder.read(&name));
    let certificate = read.ok().flatten().and_then(|pem| ca::cert::Certificate::from_pem(&pem).ok());
    certificate.is_some_and(|found| found.fingerprint().to_string() == one.fingerprint)
}

/// The successor for the same key; `None` if it is not due.
fn keep_key(
    args: &Args,
    which: &str,
    old: &CertificateView,
    place: &Place,
    connection: &Connection,
    context: &mut Context,
) -> Result<Option<Issued>, CommandError> {
    refuse_revoked(old)?;
    match key_here(old, place, connection)? {
        KeyHere::Absent => {
            let key = place.key_path();
            context
                .output
                .warn(&format!("{} is not here: the certificate goes where the key is", key.display()));
        }
        KeyHere::Other => return Err(foreign_key(place, which)),
        KeyHere::Ours | KeyHere::Unreadable => {}
    }
    let selector = Selector::Word(old.serial.clone());
    let issued = match connection.call(Renew { selector, csr: None, if_due: args.if_due })? {
        Renewed::NotDue(_) => return Ok(None),
        Renewed::Renewed(issued) => *issued,
    };
    let names = FileNames::of(&place.slug);
    let write = |name: &str, pem: &str| {
        files::write(&place.folder.join(name), pem.as_bytes(), Visibility::Public, OnExisting::Replace)
    };
    write(&names.chain, &issued.chain)?;
    write(&names.certificate, &issued.pem)?;
    Ok(Some(issued))
}

/// The successor for a new key; `None` if it is not due.
fn rekey(
    args: &Args,
    which: &str,
    old: &CertificateView,
    place: &Place,
    connection: &Connection,
) -> Result<Option<Issued>, CommandError> {
    let key_type = match args.key_type {
        Some(chosen) => chosen,
        None => issuance::key_type(&old.key_type).unwrap_or(KeyType::P384),
    };
    let unfinished = unfinished(which, key_type, place)?;
    let (request, serial) = match &unfinished {
        Some((request, serial)) => (request.clone(), serial.clone()),
        None => {
            // A successor of this name's key takes its place; anyone else's key stays.
            refuse_revoked(old)?;
            if !args.force
                && matches!(key_here(old, place, connection)?, KeyHere::Other | KeyHere::Unreadable)
            {
                return Err(foreign_key(place, which));
            }
            (request_of(which, key_type, &old.serial), old.serial.clone())
        }
    };
    let pending = issuance::begin(place, &request, Overwrite::Allow, || {
        issuance::prepare(&old.name, &[], key_type, request.clone())
    })?;
    let renew =
        Renew { selector: Selector::Word(serial), csr: Some(pending.csr.clone()), if_due: args.if_due };
    let issued = match issuance::settle(connection.call(renew), place)? {
        Renewed::NotDue(_) => {
            store::file::remove(&place.pending_path())?;
            return Ok(None);
        }
        Renewed::Renewed(issued) => *issued,
    };
    issuance::belongs(&issued, &pending)?;
    issuance::finish(place, &pending, &issued, None, &[])?;
    Ok(Some(issued))
}

/// What is revoked has no successor, whatever its key.
fn refuse_revoked(old: &CertificateView) -> Result<(), CommandError> {
    if old.status != Status::Revoked {
        return Ok(());
    }
    let profile = &old.profile;
    Err(CommandError::conflict(format!("certificate {} of {} is revoked", old.serial, old.name))
        .hint(format!("`pki issue-{profile} {} --force` issues a new one with a new key", old.name)))
}

/// What is asked for: the typed word and the key type, and which certificate they meant at the time.
fn request_of(word: &str, key_type: KeyType, serial: &str) -> String {
    let digest = Fingerprint::of(format!("renew {word} {key_type}").as_bytes());
    format!("{digest} {serial}")
}

/// The renewal that the same command began before, and the serial it renews: by now the word may mean
/// its successor.
fn unfinished(
    word: &str,
    key_type: KeyType,
    place: &Place,
) -> Result<Option<(String, String)>, CommandError> {
    let Some(Decoded::Pending(Pending { request, .. })) = place.look()?.pending else { return Ok(None) };
    let Some((_, serial)) = request.split_once(' ') else { return Ok(None) };
    Ok((request_of(word, key_type, serial) == request).then(|| (request.clone(), serial.to_string())))
}

/// What `NAME.key` is to the certificate.
enum KeyHere {
    Absent,
    Other,
    Ours,
    /// Encrypted, most likely.
    Unreadable,
}

fn key_here(old: &CertificateView, place: &Place, connection: &Connection) -> Result<KeyHere, CommandError> {
    let name = FileNames::of(&place.slug).key;
    let Some(key) = Folder::open(&place.folder)?.read(&name)? else { return Ok(KeyHere::Absent) };
    let Ok(key) = PrivateKey::from_pem(&key, None) else { return Ok(KeyHere::Unreadable) };
    let shown = connection.call(Show { selector: Selector::Word(old.serial.clone()) })?;
    let certificate = shown.first().and_then(|one| ca::cert::Certificate::from_pem(one.pem.as_bytes()).ok());
    let ours = certificate.is_some_and(|one| one.public_key().digest() == key.public_key().digest());
    Ok(if ours { KeyHere::Ours } else { KeyHere::Other })
}

fn foreign_key(place: &Place, word: &str) -> CommandError {
    let key = place.key_path();
    CommandError::conflict(format!("{} does not belong to the certificate of {word}", shown(&key)))
        .hint("go to the directory of its files, or name it with --out")
        .hint("with --rekey --force it is replaced")
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use time::{Duration, OffsetDateTime};

    use super::*;

    fn view(serial: &str, profile: &str, status: Status, age_days: i64) -> CertificateView {
        let issued_at = OffsetDateTime::UNIX_EPOCH - Duration::days(age_days);
        CertificateView {
            serial: serial.to_string(),
            name: "alice".to_string(),
            profile: profile.to_string(),
            names: Vec::new(),
            fingerprint: String::new(),
            issuer: String::new(),
            key_type: "p384".to_string(),
            not_before: issued_at,
            not_after: issued_at + Duration::days(365),
            issued_at,
            issued_by: String::new(),
            project: String::new(),
            status,
            revocation: None,
        }
    }

    fn nowhere() -> &'static Path {
        Path::new("/nonexistent")
    }

    #[test]
    fn the_newest_live_certificate_is_continued() {
        let chosen = choose(
            "alice",
            vec![
                view("1", "client", Status::Valid, 9),
                view("2", "client", Status::Valid, 5),
                view("3", "client", Status::Revoked, 1),
            ],
            nowhere(),
        );
        assert_eq!(chosen.map(|one| one.serial), Ok("2".to_string()));
        // One that has ended may still have a successor.
        let chosen = choose("alice", vec![view("1", "client", Status::Expired, 900)], nowhere());
        assert_eq!(chosen.map(|one| one.serial), Ok("1".to_string()));
    }

    #[test]
    fn certificates_for_different_things_are_not_guessed_between() {
        let both = vec![view("1", "client", Status::Valid, 9), view("2", "server", Status::Valid, 5)];
        let error = choose("alice", both, nowhere()).unwrap_err();
        assert_eq!(error.causes.len(), 2, "{error:?}");
        assert!(choose("alice", Vec::new(), nowhere()).is_err());
    }

    #[test]
    fn an_interrupted_renewal_still_means_the_certificate_it_meant() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place { folder: folder.path().to_path_buf(), slug: Slug::of("alice") };
        let request = request_of("alice", KeyType::P384, "4a01");
        let pending = issuance::prepare("alice", &[], KeyType::P256, request.clone()).unwrap();
        place.begin(&pending, &place.look().unwrap(), Overwrite::Allow).unwrap().unwrap();
        let found = unfinished("alice", KeyType::P384, &place).unwrap();
        assert_eq!(found, Some((request, "4a01".to_string())));
        assert_eq!(unfinished("alice", KeyType::Ed25519, &place).unwrap(), None);
        assert_eq!(unfinished("bob", KeyType::P384, &place).unwrap(), None);
    }
}
