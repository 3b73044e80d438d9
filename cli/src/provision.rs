//! A PKI in the making: what `init` and `up` share.

use std::path::Path;

use ca::{
    adopt::{Adopt, files_beside, read_index},
    cert::CommonName,
    constraints::NameConstraints,
    hierarchy::{Init, RootKeyPlace},
    key::{Passphrase, PrivateKey},
};
use server::{
    Pki,
    http::problem::problem,
    ops::info::{Info, InfoReply},
    pki::Keys,
};

use crate::{
    commands::{init::Options, selector::read_certificates, view},
    connect,
    context::Context,
    error::CommandError,
    files, passphrase, root_key,
};

/// The passphrase for new keys: given, or asked for if the user wants one.
pub fn new_passphrase(options: &Options, context: &Context) -> Result<Option<Passphrase>, CommandError> {
    if let Some(given) = passphrase::given(context)? {
        return Ok(Some(given));
    }
    if !options.ask_passphrase {
        return Ok(None);
    }
    let asked = passphrase::ask_new("the CA's keys", &context.environment)?;
    passphrase::of_keys(&asked).map(Some)
}

/// How keys are protected.
pub fn keys(passphrase: Option<Passphrase>, context: &Context) -> Keys {
    Keys { passphrase, cost: context.environment.scrypt }
}

/// What the options ask for.
pub fn wanted(options: &Options, context: &Context) -> Result<Init, CommandError> {
    let name = options.name.clone().unwrap_or_else(default_name);
    let organization: CommonName = name.parse().map_err(|error| {
        CommandError::usage(format!("{name:?} cannot name an authority"))
            .because(&error)
            .hint("choose another --name")
    })?;
    let constraints =
        NameConstraints::parse(options.name_constraint.iter().map(String::as_str)).map_err(|error| {
            CommandError::usage("the name constraint cannot be used")
                .because(&error)
                .hint("a domain like example.org or a range like 10.0.0.0/8")
        })?;
    let root_key = match &options.root_key_out {
        Some(path) => {
            let path = context.resolve(path);
            if let Some(folder) = path.parent() {
                files::tidy(folder);
            }
            RootKeyPlace::File(path)
        }
        None => RootKeyPlace::Beside,
    };
    Ok(Init { organization, key_type: options.key_type, constraints, root_key })
}

/// Makes a PKI.
pub fn create(directory: &Path, options: &Options, context: &mut Context) -> Result<Pki, CommandError> {
    let init = wanted(options, context)?;
    let keys = keys(new_passphrase(options, context)?, context);
    connect::patiently(directory, context, |context| {
        Pki::init(directory, keys.clone(), &init, &server::peer::own(), context.whole_second())
    })
}

/// A CA that others made.
pub struct OldCa<'a> {
    /// Its certificate, and behind it its root's if it is not self-signed.
    pub certificate: &'a Path,
    /// Its private key.
    pub key: &'a Path,
    /// Its index.
    pub index: Option<&'a Path>,
}

/// Makes a PKI of a CA that others made.
pub fn adopt(
    directory: &Path,
    old: &OldCa<'_>,
    options: &Options,
    context: &mut Context,
) -> Result<Pki, CommandError> {
    let unreadable = |error: &dyn std::error::Error| {
        CommandError::usage("the CA's inventory cannot be read").because(error).hint("nothing was changed")
    };
    let certificates = read_certificates(old.certificate, context)?;
    let Some(first) = certificates.first() else {
        return Err(CommandError::usage(format!("{} is empty", old.certificate.display()))
            .hint("expected the CA's certificate"));
    };
    let key = root_key::read(old.key, first, context)?;
    let (index, issued) = match old.index {
        None => (Vec::new(), Vec::new()),
        Some(path) => {
            let path = context.resolve(path);
            let index = read_index(&path).map_err(|error| unreadable(&error))?;
            (index, files_beside(&path).map_err(|error| unreadable(&error))?)
        }
    };
    // The store may be held by another process at first: every attempt needs a key of its own.
    let pem = key.to_pem().map_err(|error| unreadable(&error))?;
    let keys = keys(new_passphrase(options, context)?, context);
    let who = server::peer::own();
    let (pki, adopted) = connect::patiently(directory, context, |context| {
        let key = PrivateKey::from_pem(pem.as_bytes(), None).map_err(ca::Error::from)?;
        let (certificates, index, issued) = (certificates.clone(), index.clone(), issued.clone());
        let adopt = Adopt { certificates, key, index, issued };
        Pki::adopt(directory, keys.clone(), adopt, &who, context.whole_second())
    })?;
    for note in &adopted.notes {
        context.output.warn(note);
    }
    context.output.say(&format!(
        "adopted {} with {} of them revoked",
        view::count(adopted.imported as u64, "certificate", "certificates"),
        adopted.revoked
    ));
    Ok(pki)
}

/// The organization's name when nobody gave one: the machine's.
fn default_name() -> String {
    let host = host_name();
    if host.is_empty() || host == "localhost" { "Private".to_string() } else { host }
}

/// The machine's name, without its domain.
pub fn host_name() -> String {
    let names = rustix::system::uname();
    let name = names.nodename().to_string_lossy();
    name.split('.').next().unwrap_or_default().to_string()
}

/// What a PKI says of itself.
pub fn info(pki: &Pki, context: &Context) -> Result<InfoReply, CommandError> {
    pki.run(Info {}, &server::peer::presented(), context.whole_second())
        .map_err(|error| problem(&error).into())
}

/// Shows a PKI that was made: authorities, fingerprints, where things lie.
pub fn show(info: &InfoReply, context: &mut Context) -> Result<(), CommandError> {
    let now = context.now();
    let directory = &info.directory;
    let output = &mut context.output;
    output.table(&view::authorities(&info.authorities, now))?;
    output.line("")?;
    let mut fields: Vec<(&str, String)> = info
        .authorities
        .iter()
        .map(|authority| {
            let name = if authority.role == "issuing" { "issuing CA sha256" } else { "root sha256" };
            (name, authority.fingerprint.clone())
        })
        .collect();
    fields.extend([
        ("directory", directory.clone()),
        ("trust this", format!("{directory}/root.crt")),
        ("whole chain", format!("{directory}/chain.crt")),
        ("revocations", format!("{directory}/ca.crl")),
        ("keys", format!("{directory}/keys")),
    ]);
    output.fields(fields)
}

/// Says what the user should know about a new PKI.
pub fn caution(info: &InfoReply, context: &mut Context) {
    let root_here = info.authorities.iter().any(|one| one.role == "root" && one.key.starts_with("here"));
    if root_here {
        context
            .output
            .warn("the root's key lies beside the issuing key: two tiers protect little as long as it does");
        context.output.hint("`pki ca root-offline --out FILE` takes it to another medium");
    }
    if info.authorities.iter().any(|one| one.key == "here") {
        context.output.say("the keys are not encrypted: `pki passwd` gives them a passphrase");
    }
    if info.public_url.is_none() {
        context.output.say(
            "certificates will not say where the revocation list is: `pki config set core.public_url http://…` changes that",
        );
    }
}
