//! Lays the files down: all that have changed together, or none.

use std::path::PathBuf;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;
use server::ops::{
    export::{Export, Exported},
    view::{AuthorityView, CertificateView},
};
use store::file::{Part, Visibility, place_together};
use zeroize::Zeroizing;

use super::{
    Plan, Whose,
    found::{self, Ours},
    leaf::{self, Leaf},
};
use crate::{
    commands::view,
    context::{Context, distance, moment},
    error::CommandError,
    exec,
    output::Output,
    pem,
};

/// There while a command has to be run for files that have changed.
const MARK: &str = ".pki-export-changed";
const MARK_TEXT: &str =
    "pki: files beside this one have changed, and the command of --exec has not succeeded since\n";

/// What lies in the directory now.
#[derive(Clone, Debug, Serialize)]
pub struct Laid {
    /// The directory.
    pub directory: PathBuf,
    /// The issuing CA it is bound to, by its key identifier.
    pub authority: String,
    /// The number of its list, where that is laid down too.
    pub crl_number: Option<String>,
    /// The certificate.
    pub certificate: CertificateView,
    /// The files, by name, and what became of each.
    pub files: Vec<LaidFile>,
    /// Whether any of them has changed.
    pub changed: bool,
    /// What the user should know.
    #[serde(skip)]
    pub warnings: Vec<String>,
    /// The published files that they follow.
    #[serde(skip)]
    pub published: Vec<PathBuf>,
}

/// One of the files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LaidFile {
    /// Its name.
    pub name: String,
    /// What became of it.
    pub state: State,
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It was right.
    Kept,
    /// It is new, or has been replaced.
    Written,
}

/// Whether the command of `--exec` was run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Executed {
    /// It was.
    Done,
    /// There is none, or nothing to run it for.
    Nothing,
}

/// Brings the directory up to date.
pub fn lay(plan: &Plan, context: &mut Context) -> Result<Laid, CommandError> {
    let connection = context.connect()?;
    let exported = connection.call(Export { issuer: plan.issuer.clone() })?;
    let ours = Ours::read(&exported)?;
    let (authority, list) = bound(plan, &exported)?;
    let wanted = [(plan.whose.authority(), authority.as_bytes())];
    let wanted = wanted.into_iter().chain(plan.whose.list().zip(list.as_deref().map(str::as_bytes)));
    // What is not ours is found before anything is issued.
    let changed = found::changed(plan, &ours, wanted)?;
    let leaf = leaf::leaf(plan, &exported, &ours, &connection, context)?;
    drop(connection);
    let mut warnings = leaf.warnings.clone();
    let key = key(plan, &leaf, &mut warnings)?;
    let stem = plan.whose.stem();
    let (certificate_name, key_name) = (format!("{stem}.crt"), format!("{stem}.key"));
    let there = found::read(&plan.folder.join(&certificate_name), leaf.pem.len() + 1)?;
    let certificate = (there.as_deref() != Some(leaf.pem.as_bytes())).then_some(leaf.pem.as_bytes());

    // The key before its certificate, and the authority before its list: beside its successor a list names
    // nobody whom that authority signed, the other way round everybody who was revoked would be let in.
    let public = |name, bytes| Part { name, bytes, visibility: Visibility::Public };
    let mut parts = Vec::new();
    parts.extend(key.as_ref().map(|key| Part {
        name: &key_name,
        bytes: key,
        visibility: Visibility::Secret,
    }));
    parts.extend(certificate.map(|bytes| public(&certificate_name, bytes)));
    let names = [Some(plan.whose.authority()), plan.whose.list()];
    let names: Vec<&str> = names.into_iter().flatten().collect();
    parts.extend(names.iter().filter_map(|name| changed.get(name).map(|bytes| public(name, bytes))));
    let written: Vec<String> = parts.iter().map(|part| part.name.to_owned()).collect();
    if !parts.is_empty() {
        if plan.exec.is_some() {
            parts.insert(0, public(MARK, MARK_TEXT.as_bytes()));
        }
        place_together(&plan.folder, &parts)?;
    }
    leaf::settled(plan)?;
    if names.iter().any(|name| changed.contains_key(name)) {
        warnings.extend(left_behind(plan, &exported));
    }
    let state = |name: &str| match written.iter().any(|written| written == name) {
        true => State::Written,
        false => State::Kept,
    };
    let all = names.into_iter().chain([certificate_name.as_str(), key_name.as_str()]);
    Ok(Laid {
        directory: plan.folder.clone(),
        authority: exported.authority.key_id,
        crl_number: plan.whose.list().map(|_| exported.number),
        certificate: leaf.view,
        files: all.map(|name| LaidFile { name: name.to_owned(), state: state(name) }).collect(),
        changed: !written.is_empty(),
        warnings,
        published: exported.published.into_iter().map(PathBuf::from).collect(),
    })
}

/// The authority's file and that of its list, PEM.
fn bound(plan: &Plan, exported: &Exported) -> Result<(String, Option<String>), CommandError> {
    match plan.whose {
        // The client knows the server by the root, whoever signs.
        Whose::Client => Ok((exported.root.clone(), None)),
        Whose::Server => {
            let der = STANDARD.decode(&exported.list).map_err(|error| {
                CommandError::internal("the service's answer cannot be read").because(&error)
            })?;
            Ok((exported.certificate.clone(), Some(pem::armour("X509 CRL", &der))))
        }
    }
}

/// The key, if it has to be written: a new one, or one that others may read.
fn key(
    plan: &Plan,
    leaf: &Leaf,
    warnings: &mut Vec<String>,
) -> Result<Option<Zeroizing<Vec<u8>>>, CommandError> {
    let path = plan.folder.join(format!("{}.key", plan.whose.stem()));
    let there = || -> Result<_, CommandError> {
        let read = found::read(&path, 1 << 20)?;
        Ok(read.map(Zeroizing::new))
    };
    if let Some(key) = &leaf.key {
        let is_there = there()?.is_some_and(|there| there.as_slice() == key.as_bytes());
        if !is_there || found::exposed(&path).is_some() {
            return Ok(Some(Zeroizing::new(key.as_bytes().to_vec())));
        }
        return Ok(None);
    }
    let Some(mode) = found::exposed(&path) else { return Ok(None) };
    warnings.push(format!(
        "{} was open to others (mode {mode:04o}) and is no more; if somebody may have read it: pki revoke {} --reason keyCompromise",
        path.display(),
        leaf.view.serial
    ));
    there()
}

/// Whom LXD does not know any more.
fn left_behind(plan: &Plan, exported: &Exported) -> Option<String> {
    let bound = &exported.authority.key_id;
    let is_other = |view: &&AuthorityView| view.role == "issuing" && view.key_id != *bound;
    let others: Vec<&AuthorityView> =
        exported.authorities.iter().map(|one| &one.view).filter(is_other).collect();
    let live: u64 = others.iter().map(|view| view.live_certificates).sum();
    (plan.whose == Whose::Server && live > 0).then(|| {
        format!(
            "{} in date of other issuing CAs than {bound}: LXD goes by one alone, and refuses clients with \
             them until they are renewed",
            view::count(live, "certificate", "certificates")
        )
    })
}

/// Runs the command of `--exec` if files have changed since it last succeeded.
pub fn exec(plan: &Plan) -> Result<Executed, CommandError> {
    let mark = plan.folder.join(MARK);
    let Some(command) = plan.exec.as_ref().filter(|_| mark.exists()) else { return Ok(Executed::Nothing) };
    exec::run(command, &plan.folder)?;
    store::file::remove(&mark)?;
    Ok(Executed::Done)
}

/// Tells what lies there.
pub fn report(laid: &Laid, plan: &Plan, context: &mut Context) -> Result<(), CommandError> {
    let now = context.now();
    for warning in &laid.warnings {
        context.output.warn(warning);
    }
    let cluster = plan.folder.join("cluster.crt");
    if plan.whose == Whose::Server && cluster.exists() {
        context.output.warn(&format!(
            "{} is there: a member of a cluster goes by cluster.ca, cluster.crt and cluster.key instead",
            cluster.display()
        ));
    }
    context.output.reply(laid, |output: &mut Output| {
        let mut fields =
            vec![("directory", laid.directory.display().to_string()), ("issuing CA", laid.authority.clone())];
        fields.extend(laid.crl_number.clone().map(|number| ("list", number)));
        fields.push(("name", laid.certificate.name.clone()));
        fields.extend(laid.certificate.names.iter().map(|name| ("names", name.clone())));
        fields.push(("serial", laid.certificate.serial.clone()));
        let end = laid.certificate.not_after;
        fields.push(("valid until", format!("{} ({})", moment(end), distance(end, now))));
        for (word, state) in [("written", State::Written), ("kept", State::Kept)] {
            let names: Vec<&str> = named(laid, state).collect();
            if !names.is_empty() {
                fields.push((word, names.join(", ")));
            }
        }
        output.fields(fields)
    })?;
    context.output.flush()
}

/// The names of the files that something became of.
pub fn named(laid: &Laid, state: State) -> impl Iterator<Item = &str> {
    laid.files.iter().filter(move |file| file.state == state).map(|file| file.name.as_str())
}
